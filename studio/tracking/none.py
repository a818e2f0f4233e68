"""No tracking: the ledger in the study's directory is all there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .base import AbstractTracker


class NoTracker(AbstractTracker):
    """Records nothing."""

    def start(self, directory: Path, parameters: Mapping[str, Any]) -> None:
        """Does nothing."""

    def record(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Does nothing."""

    def finish(self, result: Mapping[str, Any], artifacts: Sequence[Path]) -> None:
        """Does nothing."""
