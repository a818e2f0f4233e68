"""Minimum spacing between many points: exact for the nearest pairs, audited over all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from ..._checks import InputError, StudioError
from ..audit import AuditRow
from ..tracing import traced
from .base import AbstractConstraint


class MinimumSpacing(AbstractConstraint):
    """No two points nearer than `at_least`.

    The pairs are the nearest `neighbours` of every point, listed outside the trace by a KD-tree whenever the design
    is prepared anew; the distance of a listed pair is exact, the number of rows is fixed and grows with the number of
    points only. On a surface at most six equal discs touch one, so with eight neighbours no pair that is too close goes
    unlisted near a solution; in a crowd the nearest are pushed first. The audit looks at every pair.

    **Arguments**

    - `positions`: a function `tree -> (n, 3)` (any number of columns), differentiable.
    - `at_least`: the smallest allowed distance between two points, in `unit`.
    - `neighbours`: how many neighbours of each point are listed.
    """

    positions: Callable[[Any], Any]
    at_least: float
    neighbours: int = eqx.field(static=True)
    name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)
    equality: bool = eqx.field(static=True)

    def __init__(
        self,
        positions: Callable[[Any], Any],
        at_least: float,
        neighbours: int = 8,
        name: str = "minimum_spacing",
        unit: str = "mm",
    ):
        if not (np.isfinite(at_least) and at_least > 0):
            raise InputError("must be positive", key=f"{name}.at_least", value=at_least)
        if neighbours < 1:
            raise InputError("must be at least 1", key=f"{name}.neighbours", value=neighbours)
        self.positions, self.at_least, self.neighbours = positions, float(at_least), int(neighbours)
        self.name, self.unit, self.equality = name, unit, False

    @property
    def limit(self) -> float:
        """The smallest allowed distance."""
        return self.at_least

    def prepare(self, tree):
        return nearest_pairs(np.asarray(_positions(self.positions, tree)), self.neighbours)

    def violation(self, tree, prepared=None):
        pairs = jnp.asarray(self.prepare(tree) if prepared is None else prepared)
        points = self.positions(tree)
        first, second = pairs[:, 0], pairs[:, 1]
        square = jnp.sum((points[first] - points[second]) ** 2, axis=-1)
        # Padding is a point with itself. Its row, and that of two coincident points, has no direction: derivative zero.
        apart = square > 0
        distance = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)
        return jnp.where(first == second, -self.at_least, self.at_least - distance)

    def transfer(self, multipliers, before, after):
        keys_before, keys_after = _keys(before), _keys(after)
        order = np.argsort(keys_before, kind="stable")
        place = np.clip(np.searchsorted(keys_before[order], keys_after), 0, max(len(order) - 1, 0))
        found = (keys_before[order][place] == keys_after) & (keys_after > 0)
        return np.where(found, np.asarray(multipliers)[order][place], 0.0)

    def audit(self, tree, tolerance=1e-3):
        points = np.asarray(_positions(self.positions, tree))
        if len(points) < 2:
            return AuditRow(
                self.name, self.at_least, float("inf"), self.unit, True, float("inf"), "fewer than two points"
            )
        if not np.all(np.isfinite(points)):
            return AuditRow(
                self.name, self.at_least, float("nan"), self.unit, False, float("nan"), "positions not finite"
            )
        search = KDTree(points)
        distance, index = (np.asarray(found) for found in search.query(points, k=2))
        worst = int(np.argmin(distance[:, 1]))
        smallest = float(distance[worst, 1])
        other = next(int(i) for i in index[worst] if i != worst)
        close = search.count_neighbors(search, self.at_least * (1 - tolerance)) - len(points)
        satisfied = smallest >= self.at_least * (1 - tolerance)
        detail = f"points {min(worst, other)} and {max(worst, other)}" + (
            f"; {close // 2} pairs too close" if close else ""
        )
        return AuditRow(self.name, self.at_least, smallest, self.unit, satisfied, smallest - self.at_least, detail)


def nearest_pairs(points: Float[np.ndarray, "n d"], neighbours: int) -> Int[np.ndarray, "rows 2"]:
    """The pairs (i < j) of every point with its nearest neighbours, each once, sorted, padded with (0, 0).

    The number of rows follows from the number of points alone: half as many as neighbours and one more per point, since
    most neighbours are mutual, filled with the closest pairs. **Raises** `StudioError` where a position is not finite.
    """
    count = len(points)
    listed = min(neighbours, count - 1)
    if listed < 1:
        return np.zeros((1, 2), dtype=np.int32)
    if not np.all(np.isfinite(points)):
        raise StudioError(f"{int(np.sum(~np.isfinite(points).all(axis=1)))} of {count} positions are not finite")
    distance, index = KDTree(points).query(points, k=listed + 1)
    own = np.repeat(np.arange(count), listed + 1)
    other = index.reshape(-1)
    keep = own != other
    low, high = np.minimum(own, other)[keep].astype(np.int64), np.maximum(own, other)[keep].astype(np.int64)
    keys, first = np.unique(low * count + high, return_index=True)
    rows = min(count * (listed // 2 + 1), count * (count - 1) // 2)
    if len(keys) > rows:
        closest = np.argsort(distance.reshape(-1)[keep][first], kind="stable")[:rows]
        keys = np.sort(keys[closest])
    pairs = np.zeros((rows, 2), dtype=np.int32)
    pairs[: len(keys), 0], pairs[: len(keys), 1] = keys // count, keys % count
    return pairs


def push_apart(
    points: Float[np.ndarray, "n d"],
    at_least: float,
    onto_surface: Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, "n d"]],
    *,
    sweeps: int = 200,
    neighbours: int = 8,
) -> Float[np.ndarray, "n d"]:
    """Points moved apart along their connecting lines, then back onto their surface, until none is nearer than `at_least`.

    A projection for layouts given by positions, before any optimisation. **Arguments**: `points` (n, d) in mm;
    `onto_surface` returns the nearest allowed position of every point. **Raises** `StudioError` where `sweeps` did not
    suffice, with the spacing that was reached.
    """
    points = np.array(onto_surface(np.asarray(points, dtype=float)))
    for _ in range(sweeps):
        pairs = nearest_pairs(points, neighbours)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        step = points[pairs[:, 0]] - points[pairs[:, 1]]
        distance = np.linalg.norm(step, axis=1)
        short = np.maximum(at_least - distance, 0.0)
        if not np.any(short > 0):
            return points
        # Coincident points have no connecting line; one that depends on their indices alone keeps this deterministic.
        angles = pairs[:, :1] * 2.399963 + pairs[:, 1:] * 1.256637 + np.arange(points.shape[1]) * 2.094395
        direction = np.where(
            distance[:, None] > 0, step / np.where(distance > 0, distance, 1.0)[:, None], np.cos(angles)
        )
        # A little more than half the gap each, since the way back to the surface shortens it again.
        move = 0.505 * short[:, None] * direction + 1e-9 * at_least * np.sign(short)[:, None] * direction
        np.add.at(points, pairs[:, 0], move)
        np.subtract.at(points, pairs[:, 1], move)
        points = np.array(onto_surface(points))
    reached = float(KDTree(points).query(points, k=2)[0][:, 1].min())
    raise StudioError(
        f"no layout with a spacing of {at_least:g} was found; the nearest two points are {reached:g} apart"
    )


@eqx.filter_jit
def _positions(positions: Callable[[Any], Any], tree: Any):
    traced("positions")
    return positions(tree)


def _keys(pairs: Int[np.ndarray, "rows 2"]) -> Int[np.ndarray, " rows"]:
    pairs = np.asarray(pairs, dtype=np.int64)
    return (pairs[:, 0] << 32) + pairs[:, 1]
