"""L-BFGS with a weak Wolfe line search, inside an augmented-Lagrangian loop. For deterministic objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..lagrangian import relative_violations, updated_multipliers
from ..problem import Iterate, Problem, finite
from ..space import retracted
from ..together import Asking, Request
from ..tracing import traced
from .base import AbstractOptimiser, Advance

_DECREASE, _CURVATURE = 1e-4, 0.9
_LARGEST_PENALTY = 1e8

#: How far a converged design is disturbed, in natural units, and how often at most.
_DISTURBANCE, _DISTURBANCES = 1e-3, 4


class QuasiNewton(AbstractOptimiser):
    """Limited-memory BFGS (optax.scale_by_lbfgs) with the bisection line search of Lewis & Overton (2013).

    With constraints, each inner minimisation is followed by an update of multipliers and, where the violation did not
    fall fourfold, of the penalty (Nocedal & Wright, algorithm 17.4). Where that does not help up to the largest penalty,
    as with constraints whose derivative vanishes where they hold, the start ends with the status `penalty_limit`: what is
    reported is the best of the designs that were restored to feasibility on the way, and no optimum.

    **Arguments**

    - `memory`: how many pairs of steps and gradient changes are kept.
    - `tolerance`: converged when the gradient has fallen to this fraction of the start's (natural units), and the
      relative violation is within the problem's own tolerance.
    - `inner_steps`: at most so many steps between updates of the multipliers.
    - `largest_step`: at first no coordinate moves by more natural units in one step; the bound doubles with every step
      that reaches it downhill, and shrinks back when a step was too long.
    - `penalty`: that of the first inner minimisation. A small one lets the design cross its constraints at first; where they
      end near a bound, whose coordinates flatten, it may not come back.
    """

    memory: int = eqx.field(static=True, default=20)
    tolerance: float = eqx.field(static=True, default=1e-7)
    inner_steps: int = eqx.field(static=True, default=50)
    largest_step: float = eqx.field(static=True, default=1.0)
    penalty: float = eqx.field(static=True, default=10.0)

    def initial(self, problem: Problem, coordinates: dict[str, Any]) -> Any:
        return {
            "lbfgs": self._fresh(coordinates),
            "inner": np.asarray(0),
            "outer": np.asarray(0),
            "violation": np.asarray(np.inf),
            "trust": np.asarray(self.largest_step),
            "value": np.asarray(np.inf),
            "disturbances": np.asarray(0),
        }

    def initial_penalty(self) -> float:
        return self.penalty

    def advance(self, problem: Problem, iterate: Iterate, step: int) -> Asking[Advance]:
        value, gradient = problem.lagrangian(iterate, iterate.coordinates, iterate.evaluation)
        if _size(gradient) <= self._inner_tolerance(problem, iterate):
            return (yield from self._settle(problem, iterate, step, "gradient below tolerance"))
        direction, memory, slope = self._direction(iterate, gradient)
        found = yield from self._line_search(problem, iterate, direction, value, slope, step)
        if found is None:
            # Nothing better along this direction: try once more from the gradient alone, then call it the minimum.
            if int(iterate.optimiser["lbfgs"].count) > 0:
                reset = eqx.tree_at(lambda i: i.optimiser["lbfgs"], iterate, self._fresh(iterate.coordinates))
                return Advance(reset, False, False, "", "", 0.0, "memory of the quasi-Newton method cleared")
            return (yield from self._settle(problem, iterate, step, "no further decrease within rounding"))
        coordinates, evaluation, length, trust = found
        count = iterate.optimiser["inner"] + 1
        optimiser = {**iterate.optimiser, "lbfgs": memory, "inner": count, "trust": np.asarray(trust)}
        prepared = problem.prepare(coordinates)
        moved = eqx.tree_at(
            lambda i: (i.coordinates, i.evaluation, i.optimiser, i.prepared, i.multipliers),
            iterate,
            (coordinates, evaluation, optimiser, prepared, problem.transferred(iterate, prepared)),
        )
        if problem.constraints and int(optimiser["inner"]) >= self.inner_steps:
            return (yield from self._settle(problem, moved, step, "", length))
        return Advance(moved, False, False, "", "", length)

    def _fresh(self, coordinates: Mapping[str, Any]) -> Any:
        return jax.device_get(optax.scale_by_lbfgs(self.memory).init(dict(coordinates)))

    def _inner_tolerance(self, problem: Problem, iterate: Iterate) -> float:
        if not problem.constraints:
            return self.tolerance
        return max(self.tolerance, 1e-2 * 0.1 ** int(iterate.optimiser["outer"]))

    def _direction(self, iterate: Iterate, gradient: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Any, float]:
        for lbfgs in (iterate.optimiser["lbfgs"], self._fresh(iterate.coordinates)):
            preconditioned, memory = jax.device_get(_precondition(self.memory, gradient, lbfgs, iterate.coordinates))
            direction = {
                name: np.asarray(-array, iterate.coordinates[name].dtype) for name, array in preconditioned.items()
            }
            slope = _inner(gradient, direction)
            if np.isfinite(slope) and slope < 0:
                break
        largest, trust = _size(direction), float(iterate.optimiser["trust"])
        if largest > trust:
            shrink = trust / largest
            direction = {name: np.asarray(array * shrink, array.dtype) for name, array in direction.items()}
            slope *= shrink
        return direction, memory, slope

    def _line_search(self, problem, iterate, direction, value, slope, step, trials=30):
        """The weak Wolfe point along a direction: coordinates, evaluation, length and the next largest step.

        None where there is no decrease.
        """
        low, high, length, best = 0.0, math.inf, 1.0, None
        largest, trust = _size(direction), float(iterate.optimiser["trust"])
        rounding = 4 * np.finfo(float).eps * max(abs(value), 1e-300)
        for _ in range(trials):
            point = {
                name: np.asarray(iterate.coordinates[name] + length * array, array.dtype)
                for name, array in direction.items()
            }
            evaluation = yield Request(point, step)
            there, gradient = problem.lagrangian(iterate, point, evaluation) if finite(evaluation) else (math.inf, {})
            slope_there = _inner(gradient, direction) if gradient else math.inf
            if not there <= value + _DECREASE * length * slope and not _flat(
                there - value, slope_there, slope, rounding
            ):
                high, trust = length, max(trust / 2, self.largest_step)
            else:
                downhill = slope_there < 0.1 * slope and length * largest >= 0.99 * trust
                best = (point, evaluation, length * largest, 2 * trust if downhill else trust)
                if slope_there >= _CURVATURE * slope or length * largest >= 0.99 * trust:
                    return best
                low = length
            length = 0.5 * (low + high) if math.isfinite(high) else min(2 * low, trust / largest)
            if length * largest < 1e-15 or (math.isfinite(high) and high - low < 1e-12 * high):
                break
        return best

    def _settle(
        self, problem: Problem, iterate: Iterate, step: int, reason: str, length: float = 0.0
    ) -> Asking[Advance]:
        """The end of an inner minimisation: new multipliers and penalty, or convergence."""
        if not problem.constraints:
            return (yield from self._converged(problem, iterate, step, reason))
        rows = problem.violations(iterate.coordinates, iterate.prepared)
        scales, memory = iterate.constraint_scales, iterate.optimiser
        worst = float(np.max(relative_violations(problem.constraints, rows, scales)))
        tight = self._inner_tolerance(problem, iterate) <= self.tolerance or reason.startswith("no further")
        penalty = float(iterate.penalty)
        if reason and worst <= problem.tolerance and tight:
            return (yield from self._converged(problem, iterate, step, f"{reason}, constraints satisfied"))
        multipliers = updated_multipliers(problem.constraints, iterate.multipliers, rows, penalty, scales)
        if worst > max(0.25 * float(memory["violation"]), problem.tolerance):
            if penalty >= _LARGEST_PENALTY:
                words = f"the penalty has reached its largest value, and constraints are broken by {worst:.2g} of their limits"
                return Advance(iterate, True, False, "", "", length, given_up=words)
            penalty *= 10
        coordinates = retracted(problem.space, iterate.coordinates, iterate.coordinates)
        prepared = problem.prepare(coordinates)
        renewed = eqx.tree_at(lambda i: i.multipliers, iterate, multipliers)
        after = eqx.tree_at(
            lambda i: (i.coordinates, i.multipliers, i.prepared, i.penalty, i.optimiser),
            iterate,
            (
                coordinates,
                problem.transferred(renewed, prepared),
                prepared,
                np.asarray(penalty),
                {
                    "lbfgs": self._fresh(coordinates),
                    "inner": np.asarray(0),
                    "outer": memory["outer"] + 1,
                    "violation": np.asarray(worst),
                    "trust": np.asarray(self.largest_step),
                    "value": memory["value"],
                    "disturbances": memory["disturbances"],
                },
            ),
        )
        return Advance(after, True, False, "", "", length, "multipliers updated")

    def _converged(self, problem: Problem, iterate: Iterate, step: int, reason: str) -> Asking[Advance]:
        """Convergence, once it has survived a small disturbance: a saddle, where symmetric starts end, does not."""
        memory, value = iterate.optimiser, float(iterate.evaluation.value)
        before, count = float(memory["value"]), int(memory["disturbances"])
        gained = before - value > 1e-9 * max(abs(value), abs(before) if math.isfinite(before) else 0.0)
        if not gained or count >= _DISTURBANCES:
            return Advance(iterate, True, False, reason, "", 0.0)
        coordinates = problem.space.disturbed(iterate.coordinates, _DISTURBANCE, (0, count))
        evaluation = yield Request(coordinates, step)
        if not finite(evaluation):
            return Advance(iterate, True, False, reason, "", 0.0)
        prepared = problem.prepare(coordinates)
        optimiser = {
            **memory,
            "lbfgs": self._fresh(coordinates),
            "inner": np.asarray(0),
            "value": np.asarray(value),
            "disturbances": np.asarray(count + 1),
        }
        after = eqx.tree_at(
            lambda i: (i.coordinates, i.evaluation, i.optimiser, i.prepared, i.multipliers),
            iterate,
            (coordinates, evaluation, optimiser, prepared, problem.transferred(iterate, prepared)),
        )
        return Advance(after, False, False, "", "", _DISTURBANCE, f"{reason}; disturbed, to see whether it lasts")


def _flat(change: float, slope_there: float, slope: float, rounding: float) -> bool:
    # Close to the minimum the decrease drowns in rounding while the slope still tells (Hager & Zhang 2005, eq. 4.1).
    return bool(abs(change) <= rounding and abs(slope_there) <= 0.8 * abs(slope))


@eqx.filter_jit
def _precondition(memory, gradient, lbfgs, coordinates):
    traced("optimiser_update")
    gradient = jax.tree.map(lambda g, c: jnp.asarray(g, jnp.asarray(c).dtype), gradient, coordinates)
    return optax.scale_by_lbfgs(memory).update(gradient, lbfgs, coordinates)


def _inner(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    return float(sum(np.sum(np.asarray(a[name], dtype=float) * np.asarray(b[name], dtype=float)) for name in a))


def _size(gradient: Mapping[str, Any]) -> float:
    return max(float(np.max(np.abs(array))) for array in gradient.values())
