"""What an optimisation returns: the design, its history, its audit, and why it stopped."""

from __future__ import annotations

import dataclasses
from typing import Any

from .._checks import StudioError
from .audit import Audit
from .gradient_check import GradientCheck

#: The names of all statuses; a state stores the index.
STATUS = ("running", "steps_completed", "converged", "infeasible", "not_finite", "stalled", "penalty_limit")
RUNNING = 0


@dataclasses.dataclass(frozen=True)
class Status:
    """Why an optimisation ended: one of `STATUS`, and a sentence; `stalled` where its patience did."""

    name: str
    reason: str

    @property
    def succeeded(self) -> bool:
        """Whether a feasible design is reported."""
        return self.name in ("steps_completed", "converged", "stalled", "running", "penalty_limit")

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclasses.dataclass(frozen=True)
class Record:
    """One line of the history.

    - `step` counts over all starts, `start` from 0.
    - `objective`, `terms`, `gradient_norm`: of the design after the step; the norm is by natural units.
    - `violation`: the worst, relative to its limit; `violations`: the worst row of each constraint in its own unit.
    - `best`: the best feasible objective so far, None where there is none.
    - `step_length`: the largest move of a coordinate, in natural units.
    - `penalty`: of the augmented Lagrangian; `evaluations`: of the objective so far; `note`: for people.
    - `batches`: how many batches of events `objective`, `terms` and the gradient average.
    - `signal_to_noise`: how large the gradient that this step followed is beside its noise, see `GradientNoise`; None where that is
      not known: at the first steps, without noise, and with L-BFGS, which has no use for noisy gradients.
    """

    step: int
    start: int
    objective: float
    terms: dict[str, float]
    gradient_norm: float
    violation: float
    violations: dict[str, float]
    best: float | None
    step_length: float
    penalty: float
    evaluations: int
    note: str = ""
    batches: int = 1
    signal_to_noise: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and text."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Solution:
    """The result of an optimisation.

    - `tree`: the best feasible design; None where none was found, never an infeasible one.
    - `objective`, `objective_start`: there, and at the tree as it was given.
    - `terms_start`, `terms_end`: the objective's named parts.
    - `history`: a tuple of `Record`.
    - `audit`: of `tree`, or of the last design where there is no feasible one.
    - `gradient_check`: the Taylor test, or None where it was skipped.
    - `status`: why the optimisation ended.
    - `start_values`: the best feasible objective of every start (NaN: none).
    - `best_step`, `evaluations`: when the best was found, and how many evaluations the steps took.
    - `last_tree`: the last design, feasible or not.
    """

    tree: Any
    objective: float | None
    objective_start: float
    terms_start: dict[str, float]
    terms_end: dict[str, float]
    history: tuple[Record, ...]
    audit: Audit
    gradient_check: GradientCheck | None
    status: Status
    start_values: tuple[float, ...]
    best_step: int
    evaluations: int
    last_tree: Any

    def require(self) -> Solution:
        """Itself where it succeeded. **Raises** `StudioError` with the reason where no feasible design was found."""
        if not self.status.succeeded:
            raise StudioError(str(self.status))
        return self
