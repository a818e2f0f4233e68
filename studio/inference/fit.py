"""Levenberg–Marquardt with the Fisher matrix: one fit for reconstruction and calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linear import solve_positive

# Damping of the first step, what a step that failed raises it to at least, its least value, and that at which a fit has
# nowhere to go: steps are then a thirtieth of what the information promises.
_FIRST, _RAISED, _LEAST, _STUCK = 1e-2, 0.2, 1e-4, 30.0

# Gain in value still to be made beyond which the information is computed anew after every step; nearer to the maximum it
# follows the gradient, and is computed once more where the fit seems to have converged. 24 muons in IWCD need 8.0 slopes and 3.6
# matrices each (11.7 and 4.3 with matrices that stay as they are); with 5 in its place 7.0 and 4.0, with 200 9.6 and 2.5.
_FAR = 20.0


class Evaluated(NamedTuple):
    """An objective at a point: `value` to be maximized, `gradient (k,)`, positive definite `information (k, k)`, of that
    point or of one near it, and one more number that is wanted of the point, `extra`."""

    value: Float[Array, ""]
    gradient: Float[Array, " k"]
    information: Float[Array, "k k"]
    extra: Float[Array, ""]

    @property
    def left(self) -> Float[Array, ""]:
        """Gain in value that one full step promises."""
        newton = solve_positive(self.information + 1e-9 * jnp.diag(jnp.diag(self.information)), self.gradient)
        return 0.5 * jnp.sum(newton * self.gradient)


class Progress(NamedTuple):
    """Where a fit stands: the best point found, its evaluation, the `damping` of the next step, and the factor `growth` by
    which the damping grows should that step fail."""

    point: Any
    evaluated: Evaluated
    damping: Float[Array, ""]
    growth: Float[Array, ""]

    @property
    def left(self) -> Float[Array, ""]:
        """Gain in value that a full step promises: small once the fit has converged, and infinite before it has begun."""
        return jnp.where(jnp.isneginf(self.evaluated.value), jnp.inf, self.evaluated.left)

    def open(self, close: float | Array) -> Array:
        """Whether there is more than `close` to gain, and a way on."""
        return (self.left > close) & (self.damping < _STUCK)


class Problem(NamedTuple):
    """What is to be maximized, over `k` parameters.

    `slope(point)`: value, gradient and extra; `information(point)`; `step(point, change)`: the point moved by `change (k,)` in
    the units of the gradient; `limits (k,)`: the longest step of each parameter, longer ones are shortened as a whole;
    `start`: a point.
    """

    slope: Callable[[Any], tuple[Array, Array, Array]]
    information: Callable[[Any], Array]
    step: Callable[[Any, Float[Array, " k"]], Any]
    limits: Float[Array, " k"]
    start: Any


def begin(problem: Problem) -> Progress:
    """A fit that has evaluated nothing yet: its first iteration evaluates the start itself."""
    size = problem.limits.shape[0]
    number = lambda value: jnp.asarray(value, jnp.float64)  # noqa: E731
    worst = Evaluated(number(-jnp.inf), jnp.zeros(size, jnp.float64), jnp.eye(size, dtype=jnp.float64), number(0.0))
    return Progress(problem.start, worst, number(_FIRST), number(1.0))


def advance(problem: Problem, progress: Progress, close: float | Array, iterations: int | Array) -> Progress:
    """Maximize by damped Fisher scoring, until less than `close` is left to gain: `iterations` at most.

    Between two matrices of information the last one is corrected by what each step has shown of the curvature, `_secant`. A
    step that does not raise the value is taken back. The damping follows the ratio of the gain to the promised one (Nielsen
    1999, IMM-REP-1999-05, equation 2.3). Not for reverse differentiation.
    """

    def going(state: tuple[Array, Progress]) -> Array:
        made, now = state
        return (made < iterations) & now.open(close)

    def more(state: tuple[Array, Progress]) -> tuple[Array, Progress]:
        made, now = state
        return made + 1, _iterate(problem, now, close)

    return jax.lax.while_loop(going, more, (jnp.zeros((), int), progress))[1]


def _iterate(problem: Problem, state: Progress, close: float | Array) -> Progress:
    best, limits = state.evaluated, problem.limits
    first = jnp.isneginf(best.value)
    diagonal = jnp.diag(best.information)
    damped = best.information + jnp.diag(state.damping * diagonal + 1e-12 * jnp.max(diagonal))
    change = solve_positive(damped, best.gradient)
    change = jnp.where(jnp.isfinite(change), change, 0.0)
    change = change / jnp.maximum(jnp.max(jnp.abs(change) / limits), 1.0)
    promised = best.gradient @ change - 0.5 * change @ best.information @ change
    trial = problem.step(state.point, change.astype(limits.dtype))
    value, gradient, extra = problem.slope(trial)
    better = value > best.value

    known = jnp.where(first, best.information, _secant(best.information, change, best.gradient - gradient))
    there = Evaluated(value, gradient, known, extra)
    point, reached = jax.tree.map(lambda new, old: jnp.where(better, new, old), (trial, there), (state.point, best))
    anew = better & (first | (reached.left > _FAR) | (reached.left < close))
    information = jax.lax.cond(anew, problem.information, lambda _: known, point)
    evaluated = reached._replace(information=information)

    ratio = jnp.where(first, 0.5, (value - best.value) / jnp.maximum(promised, 1e-12))
    shrunk = state.damping * jnp.clip(1 - (2 * ratio - 1) ** 3, 0.2, 2.0)
    raised = jnp.maximum(state.damping * state.growth, _RAISED)
    damping = jnp.clip(jnp.where(first, state.damping, jnp.where(better, shrunk, raised)), _LEAST, _STUCK)
    growth = jnp.where(better, 2.0, 2 * state.growth)
    return Progress(point, evaluated, damping, jnp.minimum(growth, 64.0))


def _secant(
    information: Float[Array, "k k"], change: Float[Array, " k"], fall: Float[Array, " k"]
) -> Float[Array, "k k"]:
    """The information after a step along which the gradient fell by `fall`, positive definite: the BFGS formula with Powell's
    damping (Nocedal & Wright, Numerical Optimization, 2nd ed., procedure 18.2)."""
    expected = information @ change
    square, product = change @ expected, change @ fall
    share = jnp.where(product < 0.2 * square, 0.8 * square / jnp.maximum(square - product, 1e-30), 1.0)
    damped = share * fall + (1 - share) * expected
    usable = (square > 1e-12) & jnp.all(jnp.isfinite(fall))
    square, product = jnp.where(usable, square, 1.0), jnp.where(usable, change @ damped, 1.0)
    found = information - jnp.outer(expected, expected) / square + jnp.outer(damped, damped) / product
    return jnp.where(usable, found, information)
