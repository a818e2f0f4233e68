"""Levenberg–Marquardt with the Fisher matrix: one fit for reconstruction and calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linear import solve_positive

_FIRST_DAMPING = 5e-2


class Evaluated(NamedTuple):
    """An objective at a point: `value` to be maximized, `gradient (k,)`, positive definite `information (k, k)`, and
    whatever else is wanted of the point in `extra`."""

    value: Float[Array, ""]
    gradient: Float[Array, " k"]
    information: Float[Array, "k k"]
    extra: Any


class Progress(NamedTuple):
    """Where a fit stands: the best point found, its evaluation, the `damping` of the next step, and the factor `growth` by
    which the damping grows should that step fail."""

    point: Any
    evaluated: Evaluated
    damping: Float[Array, ""]
    growth: Float[Array, ""]

    @property
    def left(self) -> Float[Array, ""]:
        """Gain in value that one more full step promises: small once the fit has converged."""
        best = self.evaluated
        newton = solve_positive(best.information + 1e-9 * jnp.diag(jnp.diag(best.information)), best.gradient)
        return 0.5 * jnp.sum(newton * best.gradient)


class Problem(NamedTuple):
    """What is to be maximized, over `k` parameters.

    `evaluate(point)`; `slope(point)`: value, gradient and extra alone, which cost less; `step(point, change)`: the point
    moved by `change (k,)` in the units of the gradient; `limits (k,)`: the longest step of each parameter, longer ones are
    shortened as a whole; `start`: a point.
    """

    evaluate: Callable[[Any], Evaluated]
    slope: Callable[[Any], tuple[Array, Array, Any]]
    step: Callable[[Any, Float[Array, " k"]], Any]
    limits: Float[Array, " k"]
    start: Any


def begin(problem: Problem) -> Progress:
    """A fit that has evaluated nothing yet: its first iteration evaluates the start itself, and must be a fresh one."""
    size = problem.limits.shape[0]
    extra = jax.eval_shape(problem.evaluate, problem.start).extra
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), extra)
    number = lambda value: jnp.asarray(value, jnp.float64)  # noqa: E731
    worst = Evaluated(number(-jnp.inf), jnp.zeros(size, jnp.float64), jnp.eye(size, dtype=jnp.float64), nothing)
    return Progress(problem.start, worst, number(_FIRST_DAMPING), number(2.0))


def advance(problem: Problem, progress: Progress, fresh: Sequence[bool]) -> Progress:
    """Maximize by damped Fisher scoring, one iteration for each entry of `fresh`.

    Only iterations that are `fresh` compute the information anew; the others keep it from before. A step that does not
    raise the value is taken back. The damping follows the ratio of the gain to the promised one (Nielsen 1999,
    IMM-REP-1999-05, equation 2.3).
    """
    limits = problem.limits

    def iterate(state: Progress, renew: Array) -> tuple[Progress, None]:
        best, damping = state.evaluated, state.damping
        diagonal = jnp.diag(best.information)
        damped = best.information + jnp.diag(damping * diagonal + 1e-12 * jnp.max(diagonal))
        change = solve_positive(damped, best.gradient)
        change = jnp.where(jnp.isfinite(change), change, 0.0)
        change = change / jnp.maximum(jnp.max(jnp.abs(change) / limits), 1.0)
        promised = best.gradient @ change - 0.5 * change @ best.information @ change

        def kept(point: Any) -> Evaluated:
            value, gradient, extra = problem.slope(point)
            return Evaluated(value, gradient, best.information, extra)

        trial = problem.step(state.point, change.astype(limits.dtype))
        there = jax.lax.cond(renew, problem.evaluate, kept, trial)
        better = there.value > best.value
        first = jnp.isneginf(best.value)
        choose = lambda new, old: jnp.where(better, new, old)  # noqa: E731
        point, evaluated = jax.tree.map(choose, (trial, there), (state.point, best))
        ratio = jnp.where(first, 0.5, (there.value - best.value) / jnp.maximum(promised, 1e-12))
        shrunk = damping * jnp.clip(1 - (2 * ratio - 1) ** 3, 0.2, 2.0)
        damping = jnp.where(first, damping, jnp.where(better, shrunk, damping * state.growth))
        growth = jnp.where(better, 2.0, 2 * state.growth)
        return Progress(point, evaluated, jnp.clip(damping, 1e-4, 1e4), jnp.minimum(growth, 64.0)), None

    return jax.lax.scan(iterate, progress, jnp.asarray(np.asarray(fresh, bool)))[0]


def advance_until(problem: Problem, progress: Progress, fresh: Sequence[bool], close: float, rounds: int) -> Progress:
    """As `advance`, round after round, until less than `close` is left to gain; at least one and at most `rounds` of them.
    Not for reverse differentiation."""

    def going(state: tuple[Array, Progress]) -> Array:
        made, now = state
        return (made < 1) | (made < rounds) & (now.left > close)

    def more(state: tuple[Array, Progress]) -> tuple[Array, Progress]:
        made, now = state
        return made + 1, advance(problem, now, fresh)

    return jax.lax.while_loop(going, more, (jnp.zeros((), int), progress))[1]
