"""Studies in MLflow: found, compared and reproduced a year later. Imports MLflow only in the background."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._checks import StudioError
from .address import shown, tracking_address
from .base import AbstractTracker, StudyFacts
from .courier import Courier
from .entries import shortened
from .mlflow_run import Ending, StudyRun
from .mlflow_store import Store, configure
from .register import Register


class MlflowTracker(AbstractTracker):
    """Records studies in an MLflow store: one run a study, with a nested run for each start where there are several.

    Everything is derived from the ledger in the study's directory. It is recorded by a thread in the background, so a store
    that is slow, locked or away neither delays nor stops a study; what was missed is recorded when the store is back, at the
    latest by `studio resume DIRECTORY`. Nothing is recorded twice.

    **Arguments**

    - `address`: of the store, for example `sqlite:///runs/mlflow.db` or `http://server:5000`.
    - `patience`: seconds that the end of a study waits for a store that is away.

    **Raises** `InputError` where `address` is none.
    """

    def __init__(self, address: str, *, patience: float = 10.0):
        found = tracking_address(address)
        if found is None:
            raise StudioError("'none' means no tracking: use NoTracker()")
        self.address, self.patience = found, patience
        self._courier: Courier | None = None
        self._last_note: list[str] = []

    def start(self, facts: StudyFacts) -> None:
        configure()
        store = Store(self.address)
        self._directory = facts.directory
        self._courier = Courier(functools.partial(_attach, store, facts), self._away, self.patience)

    def record(self, steps: Sequence[Mapping[str, Any]], times: Sequence[float]) -> None:
        self._started().add(list(zip(times, steps, strict=True)))

    def finish(self, result: Mapping[str, Any], artifacts: Sequence[Path]) -> None:
        self._end(Ending(max(file.stat().st_mtime for file in artifacts), result, tuple(artifacts)))

    def stop(self, reason: str) -> None:
        self._end(Ending(time.time(), reason=reason))

    def notes(self) -> list[str]:
        notes = [] if self._courier is None else self._courier.notes()
        last, self._last_note = self._last_note, []
        return notes + last

    def _started(self) -> Courier:
        if self._courier is None:
            raise StudioError("this tracker was not started: a study does that")
        return self._courier

    def _end(self, ending: Ending) -> None:
        if self._started().end(ending):
            run = Register(self._directory).run(self.address)
            self._last_note = [f"recorded as run {run} at {shown(self.address)}"]
        else:
            words = f"not all of the study is recorded at {shown(self.address)}; nothing is lost, and"
            self._last_note = [f"{words} 'studio resume {self._directory}' records the rest once the store is back"]

    def _away(self, error: Exception) -> str:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].replace(self.address, shown(self.address))
        words = "the study goes on, and what is missed is recorded when it answers again"
        return f"the tracking store {shown(self.address)} does not answer ({shortened(reason, 200)}); {words}"


def _attach(store: Store, facts: StudyFacts, alive: Any) -> StudyRun:
    return StudyRun(store, facts, alive)
