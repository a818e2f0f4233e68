"""From many objectives to one: problems of a single level whose numbers are arrays, so that one compilation serves all.

With objectives f, ideal z and span s (nadir - ideal), g = (f - z) / s. Every scalarization is

    minimise t over design and t, subject to  A g(design) - d t - a <= 0  in every row.

Augmented Chebyshev (Kaliszewski 1987; Miettinen, Nonlinear Multiobjective Optimization, 1999, section 3.4): A = I + rho 1,
a = 0: max_i w_i (g_i + rho sum_j g_j) with weights w = 1 / d, written with d, which stays finite where a weight does not.
Its solution lies where the ray from the ideal along d meets the front, convex or not. Epsilon constraint (Haimes et al. 1971):
the first row holds the objective that is minimised, the others g_i <= a_i. A weighted sum has one row.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

#: How much all objectives count beside the one that is looked at: keeps solutions that are only weakly optimal away.
AUGMENTATION = 1e-3

#: No component of a direction is smaller, in units of the sum of all.
_SMALLEST_COMPONENT = 2e-2

#: Up to here, in spans, a limit counts as kept.
_TOLERANCE = 1e-3


class Levels(eqx.Module):
    """The numbers of a scalarization."""

    rows: Float[Array, "rows objectives"]
    slopes: Float[Array, " rows"]
    limits: Float[Array, " rows"]
    ideal: Float[Array, " objectives"]
    span: Float[Array, " objectives"]

    def excess(self, values: Float[Array, " objectives"], level: Float[Array, ""]) -> Float[Array, " rows"]:
        """What must not be positive."""
        return self.rows @ ((values - self.ideal) / self.span) - self.slopes * level - self.limits

    def least(self, values: Float[ArrayLike, " objectives"]) -> float:
        """The least level at which objectives of these values satisfy every row that has a slope."""
        rows, slopes = np.asarray(self.excess(jnp.asarray(values), jnp.zeros(()))), np.asarray(self.slopes)
        return float(np.max(rows[slopes > 0] / slopes[slopes > 0]))

    def merit(self, values: Float[ArrayLike, " objectives"]) -> float:
        """As `least`, infinite where a row without a slope, a plain limit, is not kept."""
        rows, slopes = np.asarray(self.excess(jnp.asarray(values), jnp.zeros(()))), np.asarray(self.slopes)
        return math.inf if np.any(rows[slopes == 0] > _TOLERANCE) else self.least(values)


@dataclasses.dataclass(frozen=True)
class Scalarization:
    """Which single-objective problem a point solves.

    - `kind`: `weighted_sum`, `chebyshev` or `epsilon`.
    - `parameters`: by objective, its weight; its share of the direction from the ideal; or its limit in its own unit
      (infinite for the one that is minimised).
    """

    kind: str
    parameters: dict[str, float]
    levels: Levels = dataclasses.field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(f'{name}: {number:.4g}' for name, number in self.parameters.items())})"


def weighted_sum(names: Sequence[str], weights: np.ndarray, ideal: np.ndarray, span: np.ndarray) -> Scalarization:
    """Minimise Σ weights · g."""
    levels = _levels(weights[None], [1.0], [0.0], ideal, span)
    return Scalarization("weighted_sum", _by_name(names, weights), levels)


def extremes(names: Sequence[str], ideal: np.ndarray, span: np.ndarray) -> list[Scalarization]:
    """The ends of a front: each objective alone, and from three objectives on, all but each one.

    The others count by `AUGMENTATION`, so the ends are not dominated. With three objectives the least f_1 belongs to a whole
    edge of the front; only the least of the other two together finds the corner where f_1 is worst.
    """
    one = np.eye(len(names))
    chosen = [*one, *(1 - one)] if len(names) > 2 else list(one)
    return [weighted_sum(names, np.maximum(row, AUGMENTATION), ideal, span) for row in chosen]


def balanced(names: Sequence[str], ideal: np.ndarray, span: np.ndarray) -> Scalarization:
    """The middle of the front: all objectives equally far from the ideal."""
    return _along(names, np.full(len(names), 1 / len(names)), ideal, span)


def chebyshev(names: Sequence[str], points: int, ideal: np.ndarray, span: np.ndarray) -> list[Scalarization]:
    """Directions on a regular lattice of at most `points` (Das & Dennis 1998), without its corners."""
    count = len(names)
    divisions = 1
    while math.comb(divisions + count, count - 1) <= points:
        divisions += 1
    steps = itertools.product(range(divisions), repeat=count)
    lattice = np.array([step for step in steps if sum(step) == divisions], dtype=float).reshape(-1, count) / divisions
    directions = np.maximum(lattice, _SMALLEST_COMPONENT)
    directions /= directions.sum(axis=1, keepdims=True)
    return [_along(names, direction, ideal, span) for direction in directions]


def epsilon(names: Sequence[str], points: int, ideal: np.ndarray, span: np.ndarray) -> list[Scalarization]:
    """The first objective minimised, limits on the others on a regular grid from ideal to nadir of at most `points`."""
    count = len(names)
    divisions = max(1, math.floor((points - 1) ** (1 / (count - 1)) + 1e-9))
    fractions = np.arange(1, divisions + 1) / divisions
    grid = [np.array(limits) for limits in itertools.product(fractions, repeat=count - 1)][:-1]
    rows, slopes = np.eye(count), np.eye(count)[0]
    rows[0] = np.maximum(rows[0], AUGMENTATION)
    found = []
    for limits in grid:
        own = np.concatenate([[np.inf], ideal[1:] + limits * span[1:]])
        levels = _levels(rows, slopes, np.concatenate([[0.0], limits]), ideal, span)
        found.append(Scalarization("epsilon", _by_name(names, own), levels))
    return found


def _along(names: Sequence[str], direction: np.ndarray, ideal: np.ndarray, span: np.ndarray) -> Scalarization:
    count = len(names)
    levels = _levels(np.eye(count) + AUGMENTATION, direction, np.zeros(count), ideal, span)
    return Scalarization("chebyshev", _by_name(names, direction), levels)


def _levels(*numbers) -> Levels:
    return Levels(*(jnp.asarray(number, dtype=float) for number in numbers))


def _by_name(names: Sequence[str], numbers: np.ndarray) -> dict[str, float]:
    return {name: float(number) for name, number in zip(names, numbers, strict=True)}
