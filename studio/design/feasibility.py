"""Whether a set of constraints can be satisfied at all, and which ones stand in the way if not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .audit import audit
from .problem import Problem
from .restoration import Restored

#: How many quasi-random designs are tried besides the start before constraints are called unsatisfiable.
_TRIES = 4


class Feasibility:
    """The search for a design that satisfies the constraints; nothing is simulated.

    **Arguments**: `coordinates` of the start, `scales` of the constraints, and the `seed` of the quasi-random designs.
    """

    def __init__(self, problem: Problem, coordinates: dict[str, Any], scales: Sequence[Any], seed: int):
        self.problem, self.coordinates, self.scales, self.seed = problem, coordinates, scales, seed
        self._found: dict[tuple[int, ...], Restored] = {}

    def nearest(self, only: Sequence[int] | None = None) -> Restored:
        """The start restored for the constraints with index in `only` (default: all).

        Where that fails, the first of a few quasi-random designs whose restoration succeeds, or else the least violated.
        """
        chosen = tuple(range(len(self.problem.constraints)) if only is None else only)
        if chosen not in self._found:
            self._found[chosen] = self._search(chosen)
        return self._found[chosen]

    def reached(self, only: Sequence[int] | None = None) -> bool:
        """Whether those constraints can be satisfied."""
        return bool(self.nearest(only).worst <= self.problem.acceptable)

    def conflict(self) -> tuple[int, ...]:
        """The indices of a smallest set of constraints that cannot be satisfied together.

        Deletion filter: a constraint is dropped from the set when the rest still cannot be satisfied without it.
        """
        kept = list(range(len(self.problem.constraints)))
        for index in list(kept):
            rest = [other for other in kept if other != index]
            if rest and not self.reached(rest):
                kept = rest
        return tuple(kept)

    def explain(self) -> str:
        """Why no feasible design was found: the constraints that stand in the way and how near one can come."""
        only = self.conflict()
        constraints = [self.problem.constraints[index] for index in only]
        rows = audit(self.problem.design(self.nearest(only).coordinates), constraints, tolerance=0.0).rows
        reached = "; ".join(f"{r.name}: limit {r.limit:.6g}, nearest {r.value:.6g} {r.unit}".rstrip() for r in rows)
        names = " and ".join(f"'{constraint.name}'" for constraint in constraints)
        subject, together = (
            (f"the constraint {names}", "") if len(only) == 1 else (f"the constraints {names}", " together")
        )
        return (
            f"{subject} cannot be satisfied{together} within the bounds (from the start and {_TRIES} quasi-random designs; "
            f"least violated design: {reached})"
        )

    def _search(self, chosen: tuple[int, ...]) -> Restored:
        problem = self.problem
        best = problem.restore(self.coordinates, self.scales, chosen)
        for index in range(1, _TRIES + 1):
            if best.worst <= problem.acceptable:
                break
            found = problem.restore(problem.space.start(problem.tree, self.seed, index), self.scales, chosen)
            best = found if found.worst < best.worst else best
        return best
