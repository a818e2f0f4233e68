"""Dominance and hypervolume of points whose coordinates are all to be small."""

from __future__ import annotations

import numpy as np
from jaxtyping import ArrayLike, Bool, Float

from ..._checks import InputError


def non_dominated(values: Float[ArrayLike, "points objectives"]) -> Bool[np.ndarray, " points"]:
    """Which points are dominated by no other: no other is at least as good everywhere and better somewhere.

    Of points with the same values the first one is kept.
    """
    array = np.asarray(values, dtype=float)
    no_worse = np.all(array[:, None] <= array[None], axis=-1)
    better = np.any(array[:, None] < array[None], axis=-1)
    earlier = np.triu(np.ones(no_worse.shape, dtype=bool), 1)
    return ~np.any(no_worse & (better | earlier), axis=0)


def hypervolume(values: Float[ArrayLike, "points objectives"], reference: Float[ArrayLike, " objectives"]) -> float:
    """The volume of all that is worse than some point and better than `reference`, exactly, for two or three objectives.

    Points that are not better than the reference in every objective add nothing. Two objectives: the staircase under the
    sorted points; three: slices between neighbouring values of the third, each as thick as they are apart.

    **Raises** `InputError` for another number of objectives, or numbers that are not finite.
    """
    array, corner = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    if array.ndim != 2 or array.shape[1] not in (2, 3) or corner.shape != array.shape[1:]:
        raise InputError(
            f"points of shape {array.shape} and a reference of shape {corner.shape}",
            key="hypervolume",
            remedy="give points (points, 2) or (points, 3) and one number per objective",
        )
    if not (np.all(np.isfinite(array)) and np.all(np.isfinite(corner))):
        raise InputError("all numbers must be finite", key="hypervolume", value=corner.tolist())
    inside = array[np.all(array < corner, axis=1)]
    if array.shape[1] == 2:
        return _area(inside, corner)
    inside = inside[np.argsort(inside[:, 2], kind="stable")]
    thickness = np.diff(np.append(inside[:, 2], corner[2]))
    slices = [_area(inside[: count + 1, :2], corner[:2]) for count in range(len(inside))]
    return float(np.dot(slices, thickness))


def _area(points: np.ndarray, corner: np.ndarray) -> float:
    points = points[np.lexsort((points[:, 1], points[:, 0]))]
    lowest = np.minimum.accumulate(np.append(corner[1], points[:, 1]))
    return float(np.sum((corner[0] - points[:, 0]) * -np.diff(lowest)))
