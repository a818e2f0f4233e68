"""Who watches a study: the command line shows progress, a program may want to know too."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any


class AbstractObserver(abc.ABC):
    """Told what a study is doing. Observers change nothing and must not raise."""

    @abc.abstractmethod
    def stage(self, name: str, total: int, done: int) -> None:
        """A stage begins ("gradient check", "optimise", "validate"): `total` pieces, of which `done` were done before."""

    @abc.abstractmethod
    def advance(self, details: Mapping[str, Any]) -> None:
        """One more piece of the stage is done; `details` are numbers to show, `events` among them: how many it worked on."""

    @abc.abstractmethod
    def note(self, text: str) -> None:
        """Something a person should know."""


class Silent(AbstractObserver):
    """Says nothing."""

    def stage(self, name: str, total: int, done: int) -> None:
        """Says nothing."""

    def advance(self, details: Mapping[str, Any]) -> None:
        """Says nothing."""

    def note(self, text: str) -> None:
        """Says nothing."""
