"""The smallest change of a move that keeps the linearised constraints: a quadratic programme solved through its dual.

min |d - s|^2 / 2 subject to J d + r <= 0 (or = 0), for a wanted move s. The dual needs products with J and its transpose
only and is solved by accelerated projected gradients with restart (Beck & Teboulle 2009; O'Donoghue & Candès 2015). One
programme serves twice: with s = 0 it restores feasibility, with s a step downhill it gives the move along the
constraints, and its multipliers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from .constraints import AbstractConstraint
from .lagrangian import violations_of_design
from .space import DesignSpace
from .tracing import traced

#: Iterations that settle the multipliers to a thousandth, or to a few hundredths in a jammed crowd.
ITERATIONS = 300

#: With so few rows the Jacobian is formed once, so that an expensive constraint is not differentiated at every iteration.
_DENSE_ROWS = 64


class Projected(eqx.Module):
    """A projected move: `move` by coordinates, `multipliers` per constraint, and the state of the constraints before
    it: `merit` (half the sum of squares, scaled) and `worst` (relative to the limits)."""

    move: dict[str, Array]
    multipliers: tuple[Array, ...]
    merit: Array
    worst: Array


@eqx.filter_jit
def project(
    space: DesignSpace,
    constraints: Sequence[AbstractConstraint],
    tree: Any,
    point: Mapping[str, Any],
    prepared: Any,
    scales: tuple[Sequence[Any], Sequence[Any]],
    wanted: Mapping[str, Any],
    start: Sequence[Any],
    back_off: Any,
    damping: Any,
    enabled: Sequence[Any],
    iterations: Any,
) -> Projected:
    """The move nearest to `wanted` that satisfies the constraints linearised at `point`.

    **Arguments**

    - `scales`: per constraint, the size of its limit and its change per natural unit, both in physical units.
    - `start`: multipliers to begin with, in scaled units.
    - `back_off`: inequalities are aimed this far inside, as a fraction of the limit.
    - `damping`: softens contradictory constraints; 0 for none.
    - `enabled`: which constraints count; the others are treated as satisfied everywhere.
    - `iterations`: at most so many; with 0 the constraints are looked at and the move means nothing.
    """
    traced("projection")
    limits, sizes = scales

    def scaled_rows(coordinates):
        rows = violations_of_design(space, constraints, tree, coordinates, prepared)
        ignored = [0.0 if constraint.equality else -1.0 for constraint in constraints]
        return [jnp.where(on, r / s, i) for r, s, i, on in zip(rows, sizes, ignored, enabled, strict=True)]

    rows, push, pull = _linearised(scaled_rows, dict(point))
    aims = [
        0.0 if c.equality else back_off * limit / size
        for c, limit, size in zip(constraints, limits, sizes, strict=True)
    ]
    residuals = [row + aim for row, aim in zip(rows, aims, strict=True)]
    signs = [constraint.equality for constraint in constraints]
    merit, worst = _state(constraints, rows, residuals, limits, sizes, back_off)
    still = sum(jnp.sum(jnp.abs(array)) for array in jax.tree.leaves(dict(wanted))) == 0
    budget = jnp.where(still & (worst <= 0), 0, iterations)
    multipliers = _solve(push, pull, residuals, dict(wanted), list(start), signs, damping, budget)
    move = jax.tree.map(jnp.subtract, dict(wanted), pull(multipliers))
    return Projected(move, tuple(multipliers), merit, worst)


def _linearised(function, point):
    rows, push = jax.linearize(function, point)
    transposed = jax.linear_transpose(push, point)
    if sum(row.size for row in rows) > _DENSE_ROWS:
        return rows, push, lambda cotangents: transposed(cotangents)[0]
    flat, unravel = ravel_pytree(point)
    flat_rows, unravel_rows = ravel_pytree(rows)
    jacobian = jax.vmap(lambda e: ravel_pytree(transposed(unravel_rows(e))[0])[0])(
        jnp.eye(flat_rows.size, dtype=flat_rows.dtype)
    )

    def dense_push(tangent):
        return unravel_rows((jacobian @ ravel_pytree(tangent)[0]).astype(flat_rows.dtype))

    def dense_pull(cotangents):
        return unravel((ravel_pytree(cotangents)[0] @ jacobian).astype(flat.dtype))

    return rows, dense_push, dense_pull


def _solve(push, pull, residuals, wanted, start, signs, damping, iterations):
    """Multipliers of the dual, by accelerated projected gradient ascent."""

    def slope(multipliers):
        moved = push(jax.tree.map(jnp.subtract, wanted, pull(multipliers)))
        return [m + r - damping * y for m, r, y in zip(moved, residuals, multipliers, strict=True)]

    def allowed(multipliers):
        return [y if equal else jnp.maximum(y, 0.0) for y, equal in zip(multipliers, signs, strict=True)]

    def largest(slopes, multipliers):
        # What is left of optimality: a slope counts unless it pushes a multiplier below zero.
        left = [
            jnp.max(jnp.abs(s) if equal else jnp.where(y > 0, jnp.abs(s), jnp.maximum(s, 0.0)), initial=0.0)
            for s, y, equal in zip(slopes, multipliers, signs, strict=True)
        ]
        return jnp.max(jnp.stack(left))

    curvature = _largest_eigenvalue(push, pull, residuals) + damping
    start = allowed([jnp.broadcast_to(jnp.asarray(y, r.dtype), r.shape) for y, r in zip(start, residuals, strict=True)])
    zero = [jnp.zeros_like(r) for r in residuals]
    tolerance = 1e-3 * largest(slope(zero), zero)

    def body(state):
        multipliers, ahead, momentum, count, _ = state
        slopes = slope(ahead)
        new = allowed([y + s / curvature for y, s in zip(ahead, slopes, strict=True)])
        change = [a - b for a, b in zip(new, multipliers, strict=True)]
        uphill = sum(jnp.sum(s * c) for s, c in zip(slopes, change, strict=True)) >= 0
        following = jnp.where(uphill, 0.5 * (1 + jnp.sqrt(1 + 4 * momentum**2)), 1.0)
        factor = jnp.where(uphill, (momentum - 1) / following, 0.0)
        further = [n + factor * c for n, c in zip(new, change, strict=True)]
        return new, further, following, count + 1, largest(slopes, ahead)

    def unfinished(state):
        return (state[3] < iterations) & (state[4] > tolerance)

    one = jnp.ones((), residuals[0].dtype)
    begin = (start, start, one, 0, largest(slope(start), start))
    return jax.lax.while_loop(unfinished, body, begin)[0]


def _largest_eigenvalue(push, pull, residuals):
    """Of J J^T, by power iteration; the factor covers what twenty iterations leave out."""
    vector = [jnp.cos(1.7 * jnp.arange(r.size, dtype=r.dtype)) for r in residuals]

    def body(_, state):
        vector, _ = state
        product = push(pull(vector))
        length = jnp.sqrt(sum(jnp.sum(p**2) for p in product))
        return [p / jnp.where(length > 0, length, 1.0) for p in product], length

    _, length = jax.lax.fori_loop(0, 20, body, (vector, jnp.ones((), residuals[0].dtype)))
    return 1.2 * jnp.where(length > 0, length, 1.0)


def _state(constraints, rows, residuals, limits, sizes, back_off):
    merit, worst = jnp.zeros(()), jnp.zeros(())
    for constraint, row, residual, limit, size in zip(constraints, rows, residuals, limits, sizes, strict=True):
        wrong = jnp.abs(row) if constraint.equality else row
        relative = jnp.max(wrong, initial=0.0) * size / limit
        worst = jnp.maximum(worst, jnp.where(relative <= (back_off if constraint.equality else 0.0), 0.0, relative))
        merit += 0.5 * jnp.sum((residual if constraint.equality else jnp.maximum(residual, 0.0)) ** 2)
    return merit, worst
