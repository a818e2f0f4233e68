"""Errors that speak to people, and the checks that raise them. Imports nothing heavy."""

from __future__ import annotations

import difflib
import operator
import os
from collections.abc import Iterable


class StudioError(Exception):
    """A failure with a message fit for a person; the command line ends with `exit_code` and no traceback."""

    exit_code = 1


class InputError(StudioError):
    """Bad input: names the file, the line, the key, the value, what is wrong and the remedy.

    **Arguments**, all by keyword and all optional but `problem`:

    - `problem`: what is wrong, in words.
    - `file`, `line`: where the text stands (`line` counts from 1).
    - `key`: the path of the key or argument, for example `volume.radius`.
    - `value`: what was received.
    - `remedy`: what to write instead.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | os.PathLike[str] | None = None,
        line: int | None = None,
        key: str | None = None,
        value: object = None,
        remedy: str | None = None,
    ):
        self.problem = problem
        self.file = None if file is None else os.fspath(file)
        self.line = line
        self.key = key
        self.value = value
        self.remedy = remedy
        super().__init__(self._message())

    def _message(self) -> str:
        place = "" if self.file is None else self.file + (f":{self.line}" if self.line else "") + ": "
        subject = f"{self.key}: " if self.key else ""
        received = f" (received {_shortened(self.value)})" if self.value is not None else ""
        remedy = f". {self.remedy}" if self.remedy else ""
        return f"{place}{subject}{self.problem}{received}{remedy}"

    def located(self, *, file: str | os.PathLike[str] | None = None, line: int | None = None) -> InputError:
        """The same error with the place filled in where it was still missing."""
        return InputError(
            self.problem,
            file=self.file or file,
            line=self.line or line,
            key=self.key,
            value=self.value,
            remedy=self.remedy,
        )


def whole_number(key: str, value: object, least: int = 1) -> int:
    """A count, of at least one or what `least` says. **Raises** `InputError` for anything else."""
    try:
        count = None if isinstance(value, bool) else operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        count = None
    if count is None or count < least:
        raise InputError(f"must be a whole number of at least {least}", key=key, value=value)
    return count


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name closest in spelling to `name`, or None when nothing is close."""
    found = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return found[0] if found else None


def choice_remedy(name: str, valid: Iterable[str]) -> str:
    """A remedy sentence that lists the valid names and points at the nearest one."""
    names = list(valid)
    close = nearest(name, names)
    hint = f"Did you mean '{close}'? " if close else ""
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"{hint}Allowed: {shown}"


def _shortened(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
