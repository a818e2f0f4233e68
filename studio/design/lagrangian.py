"""The augmented Lagrangian: constraints as a smooth part of the objective, in scaled units.

Nocedal & Wright, Numerical Optimization (2006), section 17.4. For an inequality g <= 0 with multiplier l and penalty r the
term is (max(0, l + r g)^2 - l^2) / 2r, once continuously differentiable; for an equality h = 0 it is l h + r h^2 / 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .constraints import AbstractConstraint
from .space import DesignSpace
from .tracing import traced

Coordinates = Mapping[str, Any]


@eqx.filter_jit
def violations(
    space: DesignSpace, constraints: Sequence[AbstractConstraint], tree: Any, coordinates: Coordinates, prepared: Any
) -> tuple[Array, ...]:
    """The violation of every constraint in physical units."""
    traced("violations")
    return violations_of_design(space, constraints, tree, coordinates, prepared)


def violations_of_design(
    space: DesignSpace, constraints: Sequence[AbstractConstraint], tree: Any, coordinates: Coordinates, prepared: Any
) -> tuple[Array, ...]:
    """As `violations`, for use inside a trace."""
    design = space.unpack(tree, coordinates)
    return tuple(c.violation(design, p) for c, p in zip(constraints, prepared, strict=True))


def jacobian_scales(
    space: DesignSpace, constraints: Sequence[AbstractConstraint], tree: Any, coordinates: Coordinates, prepared: Any
) -> tuple[np.ndarray, ...]:
    """By how much each constraint changes, in physical units, when the design moves by one natural unit.

    The largest root-mean-square over rows of J r for eight fixed random r: each is the norm of a row of the Jacobian
    within 25 %. One where a constraint does not move at all.
    """
    generator = np.random.default_rng(0)
    probes = {name: generator.standard_normal((8, *np.shape(array))) for name, array in coordinates.items()}
    probes = {name: array.astype(coordinates[name].dtype) for name, array in probes.items()}
    norms = np.asarray(_probed(space, constraints, tree, dict(coordinates), prepared, probes), dtype=float)
    return tuple(np.asarray(norm if np.isfinite(norm) and norm > 0 else 1.0) for norm in norms)


@eqx.filter_jit
def _probed(space, constraints, tree, coordinates, prepared, probes):
    traced("jacobian_scales")
    _, push = jax.linearize(lambda c: violations_of_design(space, constraints, tree, c, prepared), coordinates)
    return [jnp.max(jnp.sqrt(jnp.mean(rows**2, axis=0))) for rows in jax.lax.map(push, probes)]


@eqx.filter_jit
def lagrangian(
    space: DesignSpace,
    constraints: Sequence[AbstractConstraint],
    tree: Any,
    coordinates: Coordinates,
    objective: tuple[Any, Mapping[str, Any]],
    multipliers: Sequence[Any],
    penalty: Any,
    scales: tuple[Any, Sequence[Any]],
    prepared: Any,
) -> tuple[Array, dict[str, Array]]:
    """The augmented Lagrangian in scaled units, and its gradient by coordinates.

    **Arguments**: `objective` is its value and its gradient by the leaves; `scales` are those of the objective and of
    every constraint.
    """
    traced("lagrangian")
    value, leaf_gradient = objective
    objective_scale, constraint_scales = scales

    def penalised(c):
        total = jnp.zeros(())
        rows = violations_of_design(space, constraints, tree, c, prepared)
        for constraint, row, multiplier, scale in zip(constraints, rows, multipliers, constraint_scales, strict=True):
            scaled = row / scale
            if constraint.equality:
                total += jnp.sum(multiplier * scaled + 0.5 * penalty * scaled**2)
            else:
                pushed = jnp.maximum(0.0, multiplier + penalty * scaled)
                total += jnp.sum(pushed**2 - multiplier**2) / (2 * penalty)
        return total

    extra, extra_gradient = jax.value_and_grad(penalised)(dict(coordinates))
    gradient = space.pull_back(coordinates, leaf_gradient)
    return value / objective_scale + extra, jax.tree.map(lambda a, b: a / objective_scale + b, gradient, extra_gradient)


def updated_multipliers(
    constraints: Sequence[AbstractConstraint],
    multipliers: Sequence[Any],
    rows: Sequence[Any],
    penalty: float,
    scales: Sequence[Any],
) -> tuple[np.ndarray, ...]:
    """First-order multiplier update: l + r h, and max(0, l + r g) for an inequality."""
    updated = []
    for constraint, multiplier, row, scale in zip(constraints, multipliers, rows, scales, strict=True):
        moved = np.asarray(multiplier) + float(penalty) * np.asarray(row) / float(scale)
        updated.append(moved if constraint.equality else np.maximum(moved, 0.0))
    return tuple(updated)


def relative_violations(
    constraints: Sequence[AbstractConstraint], rows: Sequence[Any], scales: Sequence[Any]
) -> np.ndarray:
    """The worst violation of each constraint as a fraction of its limit; of its scale where it has no limit."""
    worst = []
    for constraint, row, scale in zip(constraints, rows, scales, strict=True):
        array = np.abs(row) if constraint.equality else np.asarray(row)
        size = abs(constraint.limit) if constraint.limit else float(scale)
        largest = float(np.max(array)) if array.size else 0.0
        worst.append(largest / size if np.isfinite(largest) else np.inf)
    return np.maximum(np.asarray(worst, dtype=float), 0.0)
