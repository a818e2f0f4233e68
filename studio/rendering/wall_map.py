"""Maps of a detector's wall in a plane: unrolled cylinders, nets of boxes, spheres in an equal-area projection,
meshes by the directions to their sensors.

All in metres. Walls are seen from outside, with z upwards where a wall has a vertical; maps of cylinders and boxes keep
lengths (each patch by itself), the map of a sphere keeps areas.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float

from .._checks import InputError
from ..detector import Detector
from ..geometry import Box, Cylinder, MeshVolume, Sphere
from ..units import m

_GAP = 0.06  # between pieces of a map, as a fraction of its size


@dataclasses.dataclass(frozen=True)
class WallMap:
    """Where sensors come to lie on a map.

    **Fields**: `points (sensors, 2)` in m; `outlines`, closed curves `(n, 2)` in m, one a piece of wall; `captions`: text
    and where it stands; `across`, `upwards`: labels of the axes; `ticks`: the part of the vertical axis that has a scale.
    """

    points: Float[np.ndarray, "sensors 2"]
    outlines: tuple[Float[np.ndarray, "points 2"], ...]
    captions: tuple[tuple[str, float, float], ...]
    across: str
    upwards: str
    ticks: tuple[float, float]


def wall_map(detector: Detector) -> WallMap:
    """The map of a detector's wall and sensors. **Raises** `InputError` for a volume without one."""
    uv = np.asarray(detector.sensors.uv, float)
    patch = np.asarray(detector.sensors.patch)
    volume = detector.volume
    if isinstance(volume, Cylinder):
        return _cylinder(float(volume.radius) / m, float(volume.height) / m, patch, uv)
    if isinstance(volume, Box):
        return _box(np.asarray(volume.size, float) / m, patch, uv)
    if isinstance(volume, Sphere):
        return _sphere(float(volume.radius) / m, uv)
    if isinstance(volume, MeshVolume):
        return _mesh(detector, volume)
    raise InputError(
        f"no map of a {type(volume).__name__}", key="volume", remedy="use a cylinder, a box, a sphere or a mesh"
    )


def _cylinder(radius: float, height: float, patch: np.ndarray, uv: np.ndarray) -> WallMap:
    """The barrel cut at azimuth ±π, the caps folded out at azimuth 0 (+x)."""
    half, away = height / 2, height / 2 + radius + _GAP * height
    azimuth = np.mod(uv[:, 0] + math.pi, 2 * math.pi) - math.pi
    barrel = np.stack([radius * azimuth, half * uv[:, 1]], axis=-1)
    top = np.stack([radius * uv[:, 1], away - radius * uv[:, 0]], axis=-1)
    bottom = np.stack([radius * uv[:, 1], radius * uv[:, 0] - away], axis=-1)
    points = np.where((patch == 0)[:, None], barrel, np.where((patch == 1)[:, None], top, bottom))
    outlines = (
        _rectangle(0.0, 0.0, math.pi * radius, half),
        _ellipse(0.0, away, radius, radius),
        _ellipse(0.0, -away, radius, radius),
    )
    beside = 1.15 * radius
    captions = (("top cap", beside, away), ("bottom cap", beside, -away))
    return WallMap(points, outlines, captions, "radius × azimuth (m)", "z (m)", (-half, half))


# Faces of a box on its net, in the order of `Box.patches`: the cell it fills (column, row from the middle) and, for the map's
# rightward and upward directions, the coordinate of the face's chart and its sign.
_NET = (
    ((2, 0), (0, -1), (1, 1)),  # x_low: −y, z
    ((0, 0), (0, 1), (1, 1)),  # x_high: y, z
    ((-1, 0), (1, 1), (0, 1)),  # y_low: x, z (its chart is z, x)
    ((1, 0), (1, -1), (0, 1)),  # y_high: −x, z
    ((0, -1), (1, 1), (0, 1)),  # z_low: y, x
    ((0, 1), (1, 1), (0, -1)),  # z_high: y, −x
)


def _box(size: np.ndarray, patch: np.ndarray, uv: np.ndarray) -> WallMap:
    """Four walls side by side around +x, floor and ceiling folded out at +x."""
    x, y, z = size / 2
    gap = _GAP * float(size.max())
    columns = {-1: -(x + y + gap), 0: 0.0, 1: x + y + gap, 2: 2 * (x + y + gap)}
    rows = {-1: -(x + z + gap), 0: 0.0, 1: x + z + gap}
    halves = ((y, z), (y, z), (x, z), (x, z), (y, x), (y, x))
    points = np.zeros((len(uv), 2))
    outlines, captions = [], []
    names = ("−x", "+x", "−y", "+y", "−z", "+z")
    for face, ((column, row), right, up) in enumerate(_NET):
        centre, half = np.array([columns[column], rows[row]]), np.array(halves[face])
        here = patch == face
        chart = np.stack([sign * uv[here, axis] for axis, sign in (right, up)], axis=-1)
        points[here] = centre + half * chart
        outlines.append(_rectangle(*centre, *half))
        corner = centre + half * (-1.0, 1.0)
        captions.append((names[face], float(corner[0]), float(corner[1]) + 0.3 * gap))
    return WallMap(points, tuple(outlines), tuple(captions), "along the walls (m)", "z (m)", (-z, z))


def _mesh(detector: Detector, volume: MeshVolume) -> WallMap:
    """The directions to sensors from the middle of a mesh, on the map of the sphere of the same area."""
    points = np.asarray(volume.points, float)
    directions = np.asarray(detector.placed.positions, float) - (points.min(axis=0) + points.max(axis=0)) / 2
    where = _sphere(math.sqrt(float(volume.area) / (4 * math.pi)) / m, directions)
    return dataclasses.replace(
        where, across="directions from the middle, across (m)", upwards="directions from the middle, upwards (m)"
    )


def _sphere(radius: float, uv: np.ndarray) -> WallMap:
    """Hammer's projection (E. Hammer, Petermanns Mitteilungen 38 (1892) 85): areas are true."""
    unit = uv / np.linalg.norm(uv, axis=-1, keepdims=True)
    longitude = np.arctan2(unit[:, 1], unit[:, 0])
    level = unit[:, 2]
    cosine = np.sqrt(np.maximum(1 - level**2, 0.0))
    scale = radius * math.sqrt(2) / np.sqrt(1 + cosine * np.cos(longitude / 2))
    points = np.stack([2 * scale * cosine * np.sin(longitude / 2), scale * level], axis=-1)
    edge = _ellipse(0.0, 0.0, 2 * math.sqrt(2) * radius, math.sqrt(2) * radius)
    across, upwards = "equal-area map, across (m)", "equal-area map, upwards (m)"
    return WallMap(points, (edge,), (), across, upwards, (-math.sqrt(2) * radius, math.sqrt(2) * radius))


def _rectangle(x: float, y: float, half_width: float, half_height: float) -> np.ndarray:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]], float)
    return corners * (half_width, half_height) + (x, y)


def _ellipse(x: float, y: float, half_width: float, half_height: float) -> np.ndarray:
    angle = np.linspace(0, 2 * math.pi, 181)
    return np.stack([x + half_width * np.cos(angle), y + half_height * np.sin(angle)], axis=-1)
