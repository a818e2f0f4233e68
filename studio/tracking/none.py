"""No tracking: the ledger in the study's directory is all there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .base import AbstractTracker, StudyFacts


class NoTracker(AbstractTracker):
    """Records nothing."""

    def start(self, facts: StudyFacts) -> None:
        """Does nothing."""

    def record(self, steps: Sequence[Mapping[str, Any]], times: Sequence[float]) -> None:
        """Does nothing."""

    def finish(self, result: Mapping[str, Any], artifacts: Sequence[Path]) -> None:
        """Does nothing."""

    def stop(self, reason: str) -> None:
        """Does nothing."""

    def notes(self) -> list[str]:
        """Nothing."""
        return []
