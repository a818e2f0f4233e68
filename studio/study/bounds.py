"""What a leaf of a detector may become where nothing is said: sensors stay on the wall, sizes stay positive."""

from __future__ import annotations

import numpy as np

from .._checks import InputError
from ..design.transforms import (
    AbstractBound,
    Angle,
    Columnwise,
    Disc,
    Interval,
    Positive,
    Rowwise,
    Unbounded,
    UnitVector,
)
from ..detector import TPC, Detector
from ..detector.reflector import LARGEST_LOBE, SMALLEST_LOBE
from ..geometry import Box, Cylinder, Sphere

_SURFACES = ("wall.", "sensors.glass.")


def natural_bound(detector: Detector | TPC, path: str) -> AbstractBound:
    """What a leaf may become where nothing is said: sensors stay on their patch with their whole face, sizes stay positive,
    surfaces reflect no more than they get."""
    if isinstance(detector, Detector) and path == "sensors.uv":
        return wall_bound(detector)
    if path == "sensors.weight" or (path.startswith(_SURFACES) and path.endswith((".specular", ".diffuse"))):
        return Interval(0.0, 1.0)
    if path == "volume.vertices":
        return Unbounded()
    if path.startswith(_SURFACES):
        return Interval(SMALLEST_LOBE, LARGEST_LOBE)
    if path == "medium.mie_asymmetry":
        return Interval(-0.99, 0.99)  # at ±1 no angle is left, and single precision ends before
    if path.startswith(("volume.", "volumes.", "medium.")) or path in ("sensors.radius", "sensors.efficiency"):
        return Positive()
    if path.rsplit(".", 1)[-1] in ("pitch", "wire_radius", "mesh_distance", "shaping_time"):
        return Positive()
    return Unbounded()


def wall_bound(detector: Detector) -> AbstractBound:
    """Surface coordinates that keep every face within the edges of its patch.

    A sensor that stands nearer to an edge in the geometry, as on polygonal walls taken for a cylinder, may stay as near.
    """
    volume, uv = detector.volume, np.asarray(detector.sensors.uv)
    patch = np.asarray(detector.sensors.patch)
    radius = float(np.max(np.asarray(detector.sensors.radius)))
    if isinstance(volume, Sphere):
        return UnitVector()
    if isinstance(volume, Cylinder):
        barrel, caps = uv[patch == 0], uv[patch != 0]
        height = _limit(1 - radius / (float(volume.height) / 2), np.abs(barrel[:, 1]))
        disc = _limit(1 - radius / float(volume.radius), np.linalg.norm(caps, axis=-1))
        return Rowwise((Columnwise(Angle(), Interval(-height, height)), Disc(disc)), np.where(patch == 0, 0, 1))
    if isinstance(volume, Box):
        smallest = float(np.min(np.asarray(volume.half_extents)))
        edge = _limit(1 - radius / smallest, np.abs(uv).ravel())
        return Interval(-edge, edge)
    raise InputError(f"no bounds for a {type(volume).__name__}", key="free.sensors.uv", remedy="free other leaves")


def _limit(natural: float, present: np.ndarray) -> float:
    # A whisker more than the outermost sensor of the geometry, so that the start itself is inside.
    return max(natural, float(np.max(present, initial=0.0)) * (1 + 1e-6))
