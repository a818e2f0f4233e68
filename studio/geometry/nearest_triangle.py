"""The nearest point of a triangle mesh. NumPy, lengths in mm."""

from __future__ import annotations

import numpy as np

_PAIRS = 200_000  # of points and triangles at a time


def nearest_on_triangles(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest point of all triangles `corners (m, 3, 3)` to each of `points (n, 3)`.

    Returns the triangle `(n,)`, the coordinates `(n, 2)` along its first and its last edge from its first corner, and the
    distance `(n,)` in mm.
    """
    block = max(1, _PAIRS // len(corners))
    found = [_nearest(points[start : start + block], corners) for start in range(0, len(points), block)]
    triangle, uv, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return triangle, uv, distance


def _nearest(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a = corners[:, 0]
    e, f = corners[:, 1] - a, corners[:, 2] - a
    off = points[:, None] - a
    ee, ef, ff = (np.sum(x * y, axis=-1) for x, y in ((e, e), (e, f), (f, f)))
    oe, of = np.einsum("nmi,mi->nm", off, e), np.einsum("nmi,mi->nm", off, f)
    determinant = ee * ff - ef**2
    u, v = (ff * oe - ef * of) / determinant, (ee * of - ef * oe) / determinant
    # Over the triangle itself, or over the nearest point of one of its sides.
    along_e, along_f = np.clip(oe / ee, 0, 1), np.clip(of / ff, 0, 1)
    across = np.clip((of - oe + ee - ef) / (ee - 2 * ef + ff), 0, 1)
    zero = np.zeros_like(u)
    choices = [(u, v), (along_e, zero), (zero, along_f), (1 - across, across)]
    squared = [np.sum((off - x[..., None] * e - y[..., None] * f) ** 2, axis=-1) for x, y in choices]
    squared[0] = np.where((u >= 0) & (v >= 0) & (u + v <= 1), squared[0], np.inf)
    way = np.argmin(squared, axis=0)
    least = np.min(squared, axis=0)
    triangle = np.argmin(least, axis=1)
    rows = np.arange(len(points))
    chosen = way[rows, triangle]
    uv = np.stack(
        [np.array([pair[axis][rows, triangle] for pair in choices])[chosen, rows] for axis in range(2)], axis=-1
    )
    return triangle, uv, np.sqrt(least[rows, triangle])
