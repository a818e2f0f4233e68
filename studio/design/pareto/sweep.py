"""`pareto_front`: the trade between objectives in one call."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import paths
from ..._checks import InputError, StudioError, choice_remedy, whole_number
from ..audit import audit
from ..constraints import AbstractConstraint, AtMost, as_constraints
from ..loop import Optimisation
from ..objectives import AbstractObjective, FunctionObjective
from ..optimise import optimise
from ..optimisers import QuasiNewton
from ..solution import Solution
from ..space import DesignSpace, Follows, Free
from .front import ParetoFront, ParetoPoint
from .hypervolume import non_dominated
from .measure import Measure
from .scalarization import Levels, Scalarization, balanced, chebyshev, epsilon, extremes, weighted_sum

_METHODS = {"chebyshev": chebyshev, "epsilon": epsilon}

#: A point is solved again from another point's design where that is better by so many spans, in at most so many rounds.
_GAIN, _ROUNDS = 1e-4, 3

#: The first penalty of the default optimiser: with a small one, limits on a concave front send designs to its ends first.
_PENALTY = 1e3


def pareto_front(
    tree: Any,
    free: str | Iterable[str] | Mapping[str, Any],
    objectives: Mapping[str, AbstractObjective | Callable[[Any], Any]],
    constraints: Any = (),
    *,
    points: int = 11,
    method: str = "chebyshev",
    events: Any = None,
    chunk: int | None = None,
    optimiser: Any = None,
    steps: int = 300,
    starts: int = 1,
    seed: int = 0,
    gradient_check: bool = True,
) -> ParetoFront:
    """The best compromises between objectives that are all to be small, within bounds and constraints.

    First each objective is minimised alone: ideal and nadir. Then one problem is solved per point; they differ in traced
    numbers only, so they share one compilation. Every point is solved from the tree, as given. Where the design of
    another point turns out to be better for it, it is solved once more from there.

    **Arguments**

    - `tree`, `free`, `constraints`, `optimiser`, `steps`, `starts`: as in `optimise`; steps and starts of every solve. The
      objectives must be deterministic, so the default optimiser is `lbfgs`.
    - `objectives`: by name, a callable `tree -> scalar` or an `AbstractObjective`.
    - `points`: at most so many places on a regular lattice over the front, its ends among them. With `n` objectives a
      lattice has `binomial(k + n - 1, n - 1)` places (chebyshev) or `k^(n - 1) + 1` (epsilon). From three objectives on, the
      ends are looked for twice, and no other direction has a share below 2 %.
    - `method`: `chebyshev` finds the point of the front that lies in a given direction from the ideal; `epsilon` minimises the
      first objective with limits on the others.
    - `events`, `chunk`: as in `LocalEvaluation`, one set of events for all points.
    - `gradient_check`: whether each objective's gradient is tested before the first step.

    **Returns** a `ParetoFront`; without points where the constraints cannot be satisfied. **Raises** `InputError` for bad
    input; `StudioError` where a gradient is wrong or an objective not finite at the start.
    """
    if method not in _METHODS:
        raise InputError("no such method", key="method", value=method, remedy=choice_remedy(method, _METHODS))
    measure = Measure.of(objectives, events, chunk)
    points = whole_number("points", points, least=len(objectives))
    optimiser = QuasiNewton(penalty=_PENALTY) if optimiser is None else optimiser
    options = {"optimiser": optimiser, "steps": steps, "starts": starts, "seed": seed}
    search = _Search(tree, free, measure, as_constraints(constraints), options)
    if gradient_check:
        search.check_gradients()
    names, count = measure.names, len(measure.names)
    alone = [search.solve(weighted_sum(names, row, np.zeros(count), np.ones(count))) for row in np.eye(count)]
    if all(point.tree is None for point in alone):
        return search.front(alone, np.full(count, np.nan), np.full(count, np.nan))
    ideal, span = _ideal_and_span(search, alone, alone)
    middle = search.solve(balanced(names, ideal, span))
    ends = [search.solve_from_both(end, middle) for end in extremes(names, ideal, span)]
    ideal, span = _ideal_and_span(search, [*alone, middle, *ends], ends)
    inner = [search.solve(scalarization) for scalarization in _METHODS[method](names, points, ideal, span)]
    return search.front(search.improved([*ends, *inner], others=[*alone, middle]), ideal, ideal + span)


class _Weighted(eqx.Module):
    """A design with the weights of its objectives: arrays, so that one compilation serves all weights."""

    design: Any
    weights: Float[Array, " objectives"]


class _Levelled(eqx.Module):
    """A design with the level that its scalarization is about."""

    design: Any
    level: Float[Array, ""]
    levels: Levels


class _Sum(eqx.Module):
    measure: Measure

    def __call__(self, tree: _Weighted):
        return jnp.dot(tree.weights, self.measure(tree.design))


class _Excess(eqx.Module):
    measure: Measure

    def __call__(self, tree: _Levelled):
        return tree.levels.excess(self.measure(tree.design), tree.level)


def _of_design(bound: Any) -> Any:
    """A bound, or a tie to another leaf, of the design inside a larger tree."""
    return dataclasses.replace(bound, path=f"design.{bound.path}") if isinstance(bound, Follows) else bound


def _level(tree: _Levelled):
    return tree.level


class _OfDesign(AbstractConstraint):
    """A constraint on the design inside a larger tree."""

    constraint: AbstractConstraint
    limit: float | None
    name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)
    equality: bool = eqx.field(static=True)

    def __init__(self, constraint: AbstractConstraint):
        self.constraint, self.limit = constraint, constraint.limit
        self.name, self.unit, self.equality = constraint.name, constraint.unit, constraint.equality

    def prepare(self, tree):
        return self.constraint.prepare(tree.design)

    def violation(self, tree, prepared=None):
        return self.constraint.violation(tree.design, prepared)

    def transfer(self, multipliers, before, after):
        return self.constraint.transfer(multipliers, before, after)

    def audit(self, tree, tolerance=1e-3):
        return self.constraint.audit(tree.design, tolerance)


class _Search:
    """Solves one scalarization after another for the same design space, objectives and constraints."""

    def __init__(
        self,
        tree: Any,
        free: str | Iterable[str] | Mapping[str, Any],
        measure: Measure,
        constraints: Sequence[AbstractConstraint],
        options: Mapping[str, Any],
    ):
        self.tree, self.measure, self.constraints, self.options = tree, measure, constraints, dict(options)
        self.bounds = (
            dict(free) if isinstance(free, Mapping) else dict.fromkeys([free] if isinstance(free, str) else free)
        )
        self.space = DesignSpace.of(tree, self.bounds)
        self.free = {f"design.{name}": _of_design(bound) for name, bound in self.bounds.items()}
        self.rows = AtMost(_Excess(measure), 0.0, "objectives of the front")
        self.on_design = [_OfDesign(constraint) for constraint in constraints]
        self.evaluations = 0

    def check_gradients(self) -> None:
        """The Taylor test of every objective around the start."""
        try:
            for row in np.eye(len(self.measure.names)):
                posed = _Weighted(self.tree, jnp.asarray(row))
                Optimisation(posed, self.free, FunctionObjective(_Sum(self.measure))).check_gradient().require()
        except StudioError:
            # What is not finite in one objective spoils the sum: look at each alone, to blame the right one and its events.
            self._blame_one()
            raise

    def _blame_one(self) -> None:
        given = {"events": self.measure.events, "chunk": self.measure.chunk}
        for name in self.measure.names:
            try:
                Optimisation(self.tree, self.bounds, self.measure.part(name), **given).check_gradient().require()
            except StudioError as error:
                raise StudioError(f"objective {name}: {error}") from None

    def solve(self, scalarization: Scalarization, start: Any = None) -> ParetoPoint:
        """The best design for a scalarization from the tree as given, with all starts; or from `start` alone."""
        levels = scalarization.levels
        options = self.options if start is None else {**self.options, "starts": 1}
        start = self.tree if start is None else start
        if scalarization.kind == "weighted_sum":
            posed = _Weighted(start, levels.rows[0] / levels.span)
            objective = FunctionObjective(_Sum(self.measure))
            found = optimise(posed, self.free, objective, self.on_design, gradient_check=False, **options)
            return self._point(scalarization, found)
        values, _ = self.measure.with_errors(start)
        level = jnp.asarray(levels.least(values), dtype=float)
        posed, free = _Levelled(start, level, levels), {**self.free, "level": Free(scale=1.0)}
        rows = [self.rows, *self.on_design]
        found = optimise(posed, free, FunctionObjective(_level), rows, gradient_check=False, **options)
        return self._point(scalarization, found)

    def solve_from_both(self, scalarization: Scalarization, other: ParetoPoint) -> ParetoPoint:
        """The better of the solutions from the tree and from the design of another point."""
        found = [self.solve(scalarization)]
        if other.tree is not None:
            found.append(self.solve(scalarization, other.tree))
        return min(found, key=lambda point: self.merit(scalarization, point))

    def improved(self, points: Sequence[ParetoPoint], others: Sequence[ParetoPoint]) -> list[ParetoPoint]:
        """The points, those solved once more for which the design of another one is better than their own."""
        points = list(points)
        for _ in range(_ROUNDS):
            changed = False
            for index, point in enumerate(points):
                known = [other for other in [*points, *others] if other.tree is not None]
                best = min(known, key=lambda other, own=point: self.merit(own.scalarization, other), default=point)
                if self.merit(point.scalarization, best) < self.merit(point.scalarization, point) - _GAIN:
                    again = self.solve(point.scalarization, best.tree)
                    if self.merit(point.scalarization, again) < self.merit(point.scalarization, point):
                        points[index], changed = again, True
            if not changed:
                break
        return points

    def merit(self, scalarization: Scalarization, point: ParetoPoint) -> float:
        """How small a scalarization's level the design of a point allows; infinite where there is none."""
        return math.inf if point.tree is None else scalarization.levels.merit(self.values(point))

    def values(self, point: ParetoPoint) -> np.ndarray:
        """The objectives of a point, in order."""
        return np.array([point.objectives[name] for name in self.measure.names])

    def front(self, points: Sequence[ParetoPoint], ideal: np.ndarray, nadir: np.ndarray) -> ParetoFront:
        """What is reported: feasible and non-dominated points, and the rest apart."""
        names = self.measure.names
        feasible = [point for point in points if point.tree is not None and point.audit.feasible]
        infeasible = [point for point in points if not any(point is other for other in feasible)]
        feasible.sort(key=lambda point: tuple(self.values(point)))
        kept = non_dominated(np.array([self.values(point) for point in feasible]).reshape(-1, len(names)))
        return ParetoFront(
            names=names,
            points=tuple(point for point, keep in zip(feasible, kept, strict=True) if keep),
            dominated=tuple(point for point, keep in zip(feasible, kept, strict=True) if not keep),
            infeasible=tuple(infeasible),
            ideal=dict(zip(names, ideal.tolist(), strict=True)),
            nadir=dict(zip(names, nadir.tolist(), strict=True)),
            evaluations=self.evaluations,
        )

    def _point(self, scalarization: Scalarization, solution: Solution) -> ParetoPoint:
        """A solution as a design of its own, measured and audited against what the user asked for."""
        self.evaluations += solution.evaluations
        found = solution.tree is not None
        # What moved goes into the tree as it was given: leaves that did not move stay as they are.
        moved = solution.tree if found else solution.last_tree
        design = paths.replace(self.tree, {name: paths.get(moved.design, name) for name in self.space.names})
        checked = audit(design, self.constraints, self.space)
        if not (found and checked.feasible):
            return ParetoPoint(None, {}, {}, checked, solution.status, scalarization)
        values, errors = (
            dict(zip(self.measure.names, row.tolist(), strict=True)) for row in self.measure.with_errors(design)
        )
        return ParetoPoint(design, values, errors, checked, solution.status, scalarization)


def _ideal_and_span(
    search: _Search, points: Sequence[ParetoPoint], ends: Sequence[ParetoPoint]
) -> tuple[np.ndarray, np.ndarray]:
    """The least of every objective over `points`, and how far above it the worst of the non-dominated `ends` is."""
    known = np.array([search.values(point) for point in points if point.tree is not None])
    worst = np.array([search.values(point) for point in ends if point.tree is not None] or known)
    ideal = known.min(axis=0)
    span = worst[non_dominated(worst)].max(axis=0) - ideal
    # Objectives that do not conflict have no span: any positive number will do.
    rounding = 1e-9 * np.maximum(np.abs(ideal), np.finfo(float).tiny)
    return ideal, np.where(span > rounding, span, np.maximum(np.abs(ideal), 1.0))
