"""What a sweep over scalarizations returns: the designs of the front, audited, and what was left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ..._checks import InputError, choice_remedy
from ..audit import Audit
from ..solution import Status
from .hypervolume import hypervolume
from .scalarization import Scalarization


@dataclasses.dataclass(frozen=True)
class ParetoPoint:
    """One design.

    - `tree`: the design; None where none was found that satisfies the constraints.
    - `objectives`, `errors`: values and their standard errors over the events, by name; see `ParetoFront.errors`.
    - `audit`: of the constraints and bounds as they were given to `pareto_front`.
    - `status`: how its optimisation ended; `scalarization`: what was optimised.
    """

    tree: Any
    objectives: dict[str, float]
    errors: dict[str, float]
    audit: Audit
    status: Status
    scalarization: Scalarization


@dataclasses.dataclass(frozen=True)
class ParetoFront:
    """Designs of which none is better in one objective without being worse in another, sorted by the first objective.

    - `names`: of the objectives; all are to be small.
    - `points`: feasible by their audit and dominated by no other point.
    - `dominated`: feasible, but some point is at least as good in everything.
    - `infeasible`: scalarizations without a feasible design, with the reason in `status` and an audit of the last design.
    - `ideal`, `nadir`: the least value of every objective, and the worst one among the ends of the front, by which
      objectives are compared with each other.
    - `evaluations`: how often designs were evaluated by the optimisations.
    """

    names: tuple[str, ...]
    points: tuple[ParetoPoint, ...]
    dominated: tuple[ParetoPoint, ...]
    infeasible: tuple[ParetoPoint, ...]
    ideal: dict[str, float]
    nadir: dict[str, float]
    evaluations: int

    @property
    def values(self) -> Float[np.ndarray, "points objectives"]:
        """The objectives of every point."""
        return self._column([point.objectives for point in self.points])

    @property
    def errors(self) -> Float[np.ndarray, "points objectives"]:
        """The standard error of every value over the events: zero where an objective looks at none.

        All points see the same events, so what they have in common cancels in the difference of two points.
        """
        return self._column([point.errors for point in self.points])

    @property
    def dominated_values(self) -> Float[np.ndarray, "dominated objectives"]:
        """The objectives of the points that were left out because they are dominated."""
        return self._column([point.objectives for point in self.dominated])

    def hypervolume(self, reference: Mapping[str, float] | Sequence[float]) -> float:
        """The volume between the front and a reference point, by name or in the order of `names`; see `hypervolume`.

        **Raises** `InputError` where a name is missing or unknown, and unless there are two or three objectives.
        """
        if isinstance(reference, Mapping):
            for name in {*self.names, *reference}:
                if name not in reference or name not in self.names:
                    remedy = choice_remedy(name, self.names)
                    raise InputError("a reference names every objective once", key=name, remedy=remedy)
            reference = [reference[name] for name in self.names]
        return hypervolume(self.values, np.asarray(reference, dtype=float))

    def __str__(self) -> str:
        counts = f"{len(self.points)} points ({len(self.dominated)} dominated and {len(self.infeasible)} infeasible left out)"
        rows = [", ".join(f"{name} {point.objectives[name]:.6g}" for name in self.names) for point in self.points]
        return "\n".join([counts, *rows])

    def _column(self, named: Sequence[Mapping[str, float]]) -> np.ndarray:
        return np.array([[row[name] for name in self.names] for row in named]).reshape(-1, len(self.names))
