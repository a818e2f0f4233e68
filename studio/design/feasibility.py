"""Whether a set of constraints can be satisfied at all, and which ones stand in the way if not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .audit import audit
from .problem import Problem
from .restoration import Restored

#: How many quasi-random designs are tried besides the start before constraints are called unsatisfiable.
_TRIES = 8


def nearest_feasible(
    problem: Problem, coordinates: dict[str, Any], scales: Sequence[Any], seed: int, only: Sequence[int] | None = None
) -> Restored:
    """The start restored; where that fails, the first of a few quasi-random designs whose restoration succeeds.

    Returns the least violated design where all fail; nothing is simulated.
    """
    best = problem.restore(coordinates, scales, only)
    for index in range(1, _TRIES + 1):
        if best.worst <= problem.acceptable:
            break
        found = problem.restore(problem.space.start(problem.tree, seed, index), scales, only)
        best = found if found.worst < best.worst else best
    return best


def conflict(problem: Problem, coordinates: dict[str, Any], scales: Sequence[Any], seed: int) -> tuple[str, ...]:
    """The names of a smallest set of constraints that cannot be satisfied together.

    Deletion filter: a constraint is dropped from the set when the rest still cannot be satisfied without it.
    """
    kept = list(range(len(problem.constraints)))
    for index in list(kept):
        rest = [other for other in kept if other != index]
        if rest and nearest_feasible(problem, coordinates, scales, seed, rest).worst > problem.acceptable:
            kept = rest
    return tuple(problem.constraints[index].name for index in kept)


def explain(problem: Problem, coordinates: dict[str, Any], scales: Sequence[Any], seed: int) -> str:
    """Why no feasible design was found: the constraints that stand in the way and how near one can come."""
    names = conflict(problem, coordinates, scales, seed)
    only = [index for index, constraint in enumerate(problem.constraints) if constraint.name in names]
    nearest = nearest_feasible(problem, coordinates, scales, seed, only)
    rows = audit(
        problem.design(nearest.coordinates), [problem.constraints[index] for index in only], tolerance=0.0
    ).rows
    reached = "; ".join(f"{r.name}: limit {r.limit:.6g}, nearest {r.value:.6g} {r.unit}".rstrip() for r in rows)
    subject = (
        f"the constraint '{names[0]}' cannot"
        if len(names) == 1
        else "the constraints " + " and ".join(f"'{name}'" for name in names) + " cannot"
    )
    together = "" if len(names) == 1 else " together"
    return (
        f"{subject} be satisfied{together} within the bounds (from the start and {_TRIES} quasi-random designs; "
        f"least violated design: {reached})"
    )
