"""Sensors spread evenly over a mesh's wall, by area. NumPy in, NumPy out; lengths in mm."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from .._checks import InputError
from ..geometry import MeshVolume
from ..units import mm

_PLACES = 400_000  # possible places in all
_BLOCK = 4096  # places at a time whose distance to creases is looked at
_ROUNDS = 20
_FAR_APART = 3000  # sensors up to which they begin far apart, which takes the square of their number


def spread_by_area(volume: MeshVolume, count: int, sensor_radius: float) -> tuple[np.ndarray, np.ndarray]:
    """`count` sensors on a mesh, evenly spread: patch indices `(count,)` and coordinates `(count, 2)`.

    Possible places lie evenly by area, at a low-discrepancy sequence along the running sum of the triangles' areas and within
    each; those whose face would reach over a crease are left out. Sensors begin as far as can be from all before, or evenly
    along that sequence where they are more than 3000. Then each moves to the middle of the places nearest to it (S. Lloyd,
    IEEE Trans. Inf. Theory 28 (1982) 129), 20 times. Distances are straight ones. The same input gives the same layout.

    **Raises** `InputError` where fewer places than sensors keep clear of the creases.
    """
    patch, uv = _places(volume, max(8, min(60, _PLACES // count)) * count)
    clear = np.concatenate(
        [
            np.asarray(volume.edge_clearance(jnp.asarray(patch[rows]), jnp.asarray(uv[rows])))
            for rows in (slice(start, start + _BLOCK) for start in range(0, len(patch), _BLOCK))
        ]
    )
    kept = clear >= sensor_radius
    patch, uv = patch[kept], uv[kept]
    if len(patch) < count:
        problem = f"only {len(patch)} places keep a face of radius {sensor_radius / mm:g} mm clear of all creases"
        raise InputError(
            problem, key="count", value=count, remedy="use smaller sensors, fewer of them, or a larger volume"
        )
    points = np.asarray(volume.surface_point(jnp.asarray(patch), jnp.asarray(uv)), dtype=float)
    start = _far_apart(points, count) if count <= _FAR_APART else np.arange(count) * len(points) // count
    chosen = _moved_to_middles(points, start)
    return patch[chosen], uv[chosen]


def _places(volume: MeshVolume, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` places evenly by area. Inside a triangle they follow the generalised golden ratio (M. Roberts, "The unreasonable
    effectiveness of quasirandom sequences", 2018), folded from the square."""
    corners = np.asarray(volume.corners, dtype=float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    total = np.cumsum(area) / area.sum()
    patch = np.minimum(np.searchsorted(total, (np.arange(count) + 0.5) / count), len(area) - 1)
    ratio = 1.32471795724474602596  # the root of x³ = x + 1
    uv = np.mod(0.5 + np.arange(1, count + 1)[:, None] / np.array([ratio, ratio**2]), 1.0)
    return patch, np.where(uv.sum(axis=-1, keepdims=True) > 1, 1 - uv, uv)


def _far_apart(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` points, each the farthest from those before."""
    chosen = np.zeros(count, dtype=int)
    nearest = np.full(len(points), math.inf)
    for number in range(count):
        chosen[number] = 0 if number == 0 else int(np.argmax(nearest))
        nearest = np.minimum(nearest, np.sum((points - points[chosen[number]]) ** 2, axis=-1))
    return chosen


def _moved_to_middles(points: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    for _ in range(_ROUNDS):
        owner = np.asarray(KDTree(points[chosen]).query(points)[1])
        size = np.bincount(owner, minlength=len(chosen))[:, None]
        middle = np.stack([np.bincount(owner, points[:, axis], len(chosen)) for axis in range(3)], axis=-1) / size
        # The place nearest to each middle, among its own: no two sensors can come to one place.
        off = np.sum((points - middle[owner]) ** 2, axis=-1)
        order = np.lexsort((off, owner))
        chosen = order[np.searchsorted(owner[order], np.arange(len(chosen)))]
    return chosen
