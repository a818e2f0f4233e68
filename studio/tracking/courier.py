"""A thread that carries a study to a store which may be slow, locked or away: the study never waits for it, but at its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from .mlflow_run import Ending, Step
from .mlflow_store import THREAD

_GATHER = 1.0  # seconds between two deliveries: quick steps travel together
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # seconds between attempts while the store is away
_SILENCE = 60.0  # seconds without any answer, after which a study that is done waits no longer


class _AbandonedError(Exception):
    """Nobody waits for the store any more."""


class Record(Protocol):
    """What the courier brings up to date; it may raise whatever it likes."""

    def catch_up(self, steps: Sequence[Step], ending: Ending | None) -> None:
        """Records what is missing."""


class Courier:
    """Carries the steps and the ending of one study to what `attach` returns, again and again until it succeeds.

    **Arguments**

    - `attach`: opens the record, given a function to call whenever the store has answered; it raises once nobody waits any more,
      so that a late answer is not followed by more writing: somebody else may be recording the study by then.
    - `describe`: an error in words for the user.
    - `patience`: seconds that the end of a study waits for a store that fails.
    """

    def __init__(
        self,
        attach: Callable[[Callable[[], None]], Record],
        describe: Callable[[Exception], str],
        patience: float,
    ):
        self._attach, self._describe, self._patience = attach, describe, patience
        self._changed = threading.Condition()
        self._steps: list[Step] = []
        self._ending: Ending | None = None
        self._stale, self._abandoned, self._delivered = True, False, False
        self._failing_since: float | None = None
        self._answered = time.monotonic()
        self._notes: list[str] = []
        self._failed_before = False
        # A daemon: no store, however long it is silent, keeps the process from ending.
        threading.Thread(target=self._serve, name=THREAD, daemon=True).start()

    def add(self, steps: Sequence[Step]) -> None:
        """More steps; returns at once."""
        with self._changed:
            self._steps += steps
            self._stale = True
            self._changed.notify_all()

    def end(self, ending: Ending) -> bool:
        """The end; waits while the store answers, and `patience` where it does not. Returns whether all was recorded.

        A store that neither answers nor fails has longer where there is a result: it may be setting itself up.
        """
        asked, silence = time.monotonic(), self._patience if ending.result is None else _SILENCE
        with self._changed:
            self._ending = ending
            self._stale = True
            self._changed.notify_all()
            while not self._delivered and not self._hopeless(asked, silence):
                self._changed.wait(0.1)
            self._abandoned = True
            self._changed.notify_all()
            return self._delivered

    def notes(self) -> list[str]:
        """What a person should know since this was last asked."""
        with self._changed:
            notes, self._notes = self._notes, []
            return notes

    def _hopeless(self, asked: float, silence: float) -> bool:
        now = time.monotonic()
        if self._failing_since is not None and now - max(asked, self._failing_since) > self._patience:
            return True
        return now - max(asked, self._answered) > silence

    # ---- the thread ----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        record, pause, failures = None, 0.0, 0
        while (told := self._next(pause)) is not None:
            try:
                record = record or self._attach(self._alive)
                record.catch_up(*told)
            except _AbandonedError:
                return
            except Exception as error:  # whatever went wrong, the store is asked anew what it has
                record, pause = None, min(_FIRST_PAUSE * 2.0**failures, _LONGEST_PAUSE)
                failures += 1
                self._failed(error)
            else:
                pause, failures = _GATHER, 0
                self._caught_up(told[1])

    def _next(self, pause: float) -> tuple[list[Step], Ending | None] | None:
        """What is to be recorded, once there is something new and the pause is over; None where nobody waits any more."""
        until = time.monotonic() + pause
        with self._changed:
            ending = self._ending
            while not self._abandoned and not self._delivered:
                left = until - time.monotonic()
                if self._stale and (left <= 0 or self._ending is not ending):
                    self._stale = False
                    return list(self._steps), self._ending
                self._changed.wait(left if left > 0 else None)
            return None

    def _alive(self) -> None:
        with self._changed:
            if self._abandoned and not self._delivered:
                raise _AbandonedError
            self._answered = time.monotonic()

    def _failed(self, error: Exception) -> None:
        with self._changed:
            self._stale = True
            self._failing_since = self._failing_since or time.monotonic()
            if not self._failed_before:
                self._notes.append(self._describe(error))
            self._failed_before = True

    def _caught_up(self, ending: Ending | None) -> None:
        with self._changed:
            self._failing_since = None
            self._answered = time.monotonic()
            self._delivered = ending is not None
            self._changed.notify_all()
