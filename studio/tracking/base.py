"""The interface of trackers.

The ledger in the study's directory is the truth; a tracker is told of it afterwards and may be caught up at any time. What
a tracker raises never stops a study.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class AbstractTracker(abc.ABC):
    """Told of a study as it goes: its parameters once, its steps in batches, its files at the end."""

    @abc.abstractmethod
    def start(self, directory: Path, parameters: Mapping[str, Any]) -> None:
        """Begins, or takes up again, the record of the study whose ledger stands in `directory`.

        `parameters`: the experiment as a flat mapping from paths to values.
        """

    @abc.abstractmethod
    def record(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Adds history lines in order. A step that was recorded before (after a restart) is not added twice."""

    @abc.abstractmethod
    def finish(self, result: Mapping[str, Any], artifacts: Sequence[Path]) -> None:
        """Ends the record with the study's result and the files that belong to it."""
