"""The interface of trackers.

The ledger in the study's directory is the truth; a tracker is told of it afterwards and may be caught up at any time. What
a tracker raises never stops a study, and a tracker that waits for a server does so without holding the study up.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class StudyFacts:
    """What a study is, as a tracker needs it.

    **Fields**: `directory`: where its ledger stands; `begun`: when, in seconds since 1970; `parameters`: the experiment, a nested mapping; `tags`: what it is found
    by, such as its geometry, its objective and its seed; `artifacts`: the files that it began with.
    """

    directory: Path
    begun: float
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]
    artifacts: Sequence[Path]


class AbstractTracker(abc.ABC):
    """Told of a study as it goes: what it is once, its steps in batches, its files at the end."""

    @abc.abstractmethod
    def start(self, facts: StudyFacts) -> None:
        """Begins, or takes up again, the record of a study."""

    @abc.abstractmethod
    def record(self, steps: Sequence[Mapping[str, Any]], times: Sequence[float]) -> None:
        """Adds history lines in order, with the times at which they were made (seconds since 1970, the same for a step
        whenever it is told). A step that was recorded before (after a restart) is not added twice."""

    @abc.abstractmethod
    def finish(self, result: Mapping[str, Any], artifacts: Sequence[Path]) -> None:
        """Ends the record with the study's result and the files that belong to it."""

    @abc.abstractmethod
    def stop(self, reason: str) -> None:
        """The study was interrupted or failed; it may be taken up again."""

    @abc.abstractmethod
    def notes(self) -> list[str]:
        """What a person should know since this was last asked."""
