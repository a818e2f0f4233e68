"""`tracking.jsonl` in a study's directory: the study's identity, and under which run it is recorded where.

Lines are only ever added, so that a crash leaves at worst a half-written one, which is left out.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from .address import shown

REGISTER = "tracking.jsonl"


class Register:
    """What is known in `directory` about the records of its study."""

    def __init__(self, directory: Path):
        self._file = directory / REGISTER

    @property
    def study(self) -> str | None:
        """The identity of the study in every store; None where it was never tracked."""
        return next((line["study"] for line in self._lines() if "study" in line), None)

    @property
    def addresses(self) -> list[str]:
        """Where the study was or should be recorded, the latest last; passwords are not kept."""
        return [line["address"] for line in self._lines() if "address" in line]

    def run(self, address: str) -> str | None:
        """The run of the study at an address, None where there is none yet."""
        return next((line["run"] for line in self._lines()[::-1] if line.get("address") == shown(address)), None)

    def open(self, address: str) -> str:
        """Notes that the study is to be recorded at `address`; returns the identity of the study."""
        study = self.study
        if study is None:
            study = uuid.uuid4().hex
            self._add({"study": study})
        if self.addresses[-1:] != [shown(address)]:
            self._add({"address": shown(address), "run": self.run(address)})
        return study

    def enter(self, address: str, run: str) -> None:
        """Notes the run of the study at `address`."""
        if self.run(address) != run:
            self._add({"address": shown(address), "run": run})

    def _lines(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for text in self._file.read_text(encoding="utf-8").splitlines() if self._file.is_file() else ():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(text))
        return lines

    def _add(self, line: dict[str, Any]) -> None:
        # The newline before it ends what a crash may have left half-written.
        text = ("\n" if self._file.is_file() else "") + json.dumps(line)
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
