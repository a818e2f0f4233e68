"""Levenberg–Marquardt with the Fisher matrix: one fit for reconstruction and calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Evaluated(NamedTuple):
    """An objective at a point: `value` to be maximized, `gradient (k,)`, positive definite `information (k, k)`, and
    whatever else is wanted of the point in `extra`."""

    value: Float[Array, ""]
    gradient: Float[Array, " k"]
    information: Float[Array, "k k"]
    extra: Any


class Fitted(NamedTuple):
    """The best point found, its evaluation, the predicted gain `left` of one more step, and the last `damping`."""

    point: Any
    evaluated: Evaluated
    left: Float[Array, ""]
    damping: Float[Array, ""]


def fit(
    evaluate: Callable[[Any], Evaluated],
    start: Any,
    step: Callable[[Any, Float[Array, " k"]], Any],
    limits: Float[Array, " k"],
    iterations: int,
) -> Fitted:
    """Maximize by damped Fisher scoring, a fixed number of `iterations`.

    **Arguments**: `evaluate(point)`; `step(point, change)`: the point moved by `change (k,)` in the units of the gradient;
    `limits (k,)`: the longest step of each parameter, longer ones are shortened as a whole. A step that does not raise
    the value is taken back and the damping grows fourfold; otherwise it halves.
    """

    def proposed(best: Evaluated, damping: Array) -> Array:
        diagonal = jnp.diag(best.information)
        damped = best.information + jnp.diag(damping * diagonal + 1e-12 * jnp.max(diagonal))
        change = jnp.linalg.solve(damped, best.gradient)
        change = jnp.where(jnp.isfinite(change), change, 0.0)
        return change / jnp.maximum(jnp.max(jnp.abs(change) / limits), 1.0)

    def iterate(state: tuple[Any, Evaluated, Array], _) -> tuple[tuple[Any, Evaluated, Array], None]:
        point, best, damping = state
        trial = step(point, proposed(best, damping).astype(limits.dtype))
        there = evaluate(trial)
        better = there.value > best.value
        choose = lambda new, old: jnp.where(better, new, old)  # noqa: E731
        point, best = jax.tree.map(choose, (trial, there), (point, best))
        return (point, best, jnp.clip(jnp.where(better, damping / 2, damping * 4), 1e-3, 1e4)), None

    # The first turn evaluates the start itself: a step of zero from a point that anything beats.
    size, extra = limits.shape[0], jax.eval_shape(evaluate, start).extra
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), extra)
    worst = Evaluated(jnp.asarray(-jnp.inf, jnp.float64), jnp.zeros(size, jnp.float64), jnp.eye(size), nothing)
    first = (start, worst, jnp.asarray(5e-2, jnp.float64))
    (point, best, damping), _ = jax.lax.scan(iterate, first, None, length=iterations + 1)
    newton = jnp.linalg.solve(best.information + 1e-9 * jnp.diag(jnp.diag(best.information)), best.gradient)
    return Fitted(point, best, 0.5 * jnp.sum(newton * best.gradient), damping)
