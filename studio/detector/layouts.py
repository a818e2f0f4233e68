"""Layouts: where sensors sit on the wall, as patch indices and chart coordinates, and the audit of what was placed.

NumPy in, NumPy out: layouts are made once, when a detector is built. Lengths are in mm.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from .._checks import InputError
from ..geometry import AbstractVolume, Box, Cylinder, MeshVolume, Sphere
from ..units import m, mm
from .area_layout import spread_by_area

CAP_PATTERNS = ("square", "hexagonal")


class Layout(NamedTuple):
    """Sensors on the wall: `patch (sensors,)` indices into the volume's patches and chart coordinates `uv (sensors, chart)`."""

    patch: np.ndarray
    uv: np.ndarray


class Projection(NamedTuple):
    """Positions brought onto the wall: the layout, and the signed distance `(sensors,)` in mm each stood off it
    (positive outside)."""

    layout: Layout
    off_wall: np.ndarray


def barrel_grid(
    radius: float, height: float, spacing: float, sensor_radius: float, tile: np.ndarray | None = None
) -> np.ndarray:
    """A square grid on a cylinder's barrel: chart coordinates (azimuth, z / half height), `(sensors, 2)`.

    Rows are exactly `spacing` apart, centred, as many as keep every sensor's face on the barrel; columns are the whole
    number nearest to circumference / spacing, with a tile the nearest multiple of its width. Empty when not one row fits.
    """
    width = 1 if tile is None else tile.shape[1]
    columns = width * max(1, round(2 * math.pi * radius / spacing / width))
    rows, level = _places(height / 2 - sensor_radius, spacing, None if tile is None else tile.shape[0])
    turn = 2 * math.pi / columns * (np.arange(columns) + 0.5) - math.pi
    row, column = (axis.ravel() for axis in np.meshgrid(rows, np.arange(columns), indexing="ij"))
    z, azimuth = (axis.ravel() for axis in np.meshgrid(level / (height / 2), turn, indexing="ij"))
    return np.stack([azimuth, z], axis=-1)[_taken(tile, row, column)]


def cap_grid(
    radius: float, spacing: float, sensor_radius: float, pattern: str = "square", tile: np.ndarray | None = None
) -> np.ndarray:
    """A square or hexagonal grid on a disc, the first place of the tile at its centre: coordinates (x, y) / radius,
    `(sensors, 2)`.

    Every sensor's face stays on the disc.
    """
    reach = math.ceil(2 * radius / spacing)
    steps = np.arange(-reach, reach + 1)
    first, second = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    if pattern == "square":
        points = np.stack([first, second], axis=-1) * spacing
    elif pattern == "hexagonal":
        points = np.stack([first + second / 2, second * math.sqrt(3) / 2], axis=-1) * spacing
    else:
        remedy = f"choose one of: {', '.join(CAP_PATTERNS)}"
        raise InputError("unknown pattern of the caps", key="caps", value=pattern, remedy=remedy)
    inside = np.hypot(points[:, 0], points[:, 1]) + sensor_radius <= radius
    return points[inside & _taken(tile, second, first)] / radius


def face_grid(
    size: tuple[float, float], spacing: float, sensor_radius: float, tile: np.ndarray | None = None
) -> np.ndarray:
    """A square grid on a rectangle of `size`, centred: coordinates in [-1, 1], `(sensors, 2)`."""
    periods = (None, None) if tile is None else tile.shape[::-1]
    axes = [_places(length / 2 - sensor_radius, spacing, period) for length, period in zip(size, periods, strict=True)]
    column, row = (axis.ravel() for axis in np.meshgrid(*(numbers for numbers, _ in axes), indexing="ij"))
    points = np.meshgrid(*(at / (length / 2) for (_, at), length in zip(axes, size, strict=True)), indexing="ij")
    return np.stack([axis.ravel() for axis in points], axis=-1)[_taken(tile, row, column)]


def fibonacci_sphere(count: int) -> np.ndarray:
    """`count` unit vectors `(count, 3)` spread evenly over the sphere by the golden angle.

    Source: Á. González, Math. Geosci. 42 (2010) 49, eq. 1, shifted by half a step so that no point sits on a pole.
    """
    step = np.arange(count)
    z = 1 - (2 * step + 1) / count
    azimuth = math.pi * (3 - math.sqrt(5)) * step
    rho = np.sqrt(1 - z**2)
    return np.stack([rho * np.cos(azimuth), rho * np.sin(azimuth), z], axis=-1)


def sphere_rings(radius: float, spacing: float) -> np.ndarray:
    """Rings of constant latitude on a sphere: unit vectors `(sensors, 3)`.

    Rings are πR / n apart along the wall, n the largest whole number that makes this at least `spacing`; on each stand as
    many sensors as have straight distances of at least `spacing`, evenly spread. Nothing stands closer than the chord
    of an arc of `spacing`.
    """
    rings = max(1, math.floor(math.pi * radius / spacing))
    pieces = []
    for ring in range(rings):
        polar = math.pi * (ring + 0.5) / rings
        reach = spacing / (2 * radius * math.sin(polar))
        count = max(1, math.floor(math.pi / math.asin(reach) * (1 + 1e-12))) if reach <= 1 else 1
        azimuth = 2 * math.pi * (np.arange(count) + 0.5) / count
        rho, level = math.sin(polar), np.full(count, math.cos(polar))
        pieces.append(np.stack([rho * np.cos(azimuth), rho * np.sin(azimuth), level], axis=-1))
    return np.concatenate(pieces)


def grid(
    volume: AbstractVolume,
    spacing: float,
    sensor_radius: float,
    *,
    caps: str = "square",
    patches: tuple[str, ...] | None = None,
    tile: np.ndarray | None = None,
) -> Layout:
    """A grid of `spacing` over the named patches of a cylinder or a box (all of them by default).

    `tile (rows, columns)`, booleans repeated over the places of the grid, says which of them are taken: sensors of several
    kinds and sizes then share one grid. It begins with its first row at the middle of a barrel or of a box's face, and with
    its first place at the middle of a cap; where it has an even number of rows, the middle is between two.

    **Raises** `InputError` for a sphere, where no grid exists, and where not one sensor fits.
    """
    wanted = volume.patches if patches is None else patches
    pieces = [_patch_grid(volume, name, spacing, sensor_radius, caps, tile) for name in wanted]
    patch = np.concatenate(
        [np.full(len(uv), volume.patches.index(name)) for name, uv in zip(wanted, pieces, strict=True)]
    )
    if len(patch) == 0:
        problem = f"no sensor of radius {sensor_radius / mm:g} mm fits on the wall"
        raise InputError(
            problem, key="spacing", value=f"{spacing / mm:g} mm", remedy="enlarge the volume or use smaller sensors"
        )
    return Layout(patch, np.concatenate(pieces))


def fibonacci(volume: AbstractVolume, count: int) -> Layout:
    """`count` sensors spread evenly over a sphere. **Raises** `InputError` for another volume."""
    _require_sphere(volume, "fibonacci")
    return Layout(np.zeros(count, dtype=int), fibonacci_sphere(count))


def rings(volume: AbstractVolume, spacing: float) -> Layout:
    """Rings of constant latitude on a sphere, `spacing` in mm apart and along. **Raises** `InputError` for another volume."""
    radius = _require_sphere(volume, "rings")
    uv = sphere_rings(radius, spacing)
    return Layout(np.zeros(len(uv), dtype=int), uv)


def by_area(volume: AbstractVolume, count: int, sensor_radius: float) -> Layout:
    """`count` sensors of one radius in mm spread evenly by area over a mesh, see `spread_by_area`.

    **Raises** `InputError` for another volume, and where so many do not fit.
    """
    if not isinstance(volume, MeshVolume):
        remedy = "use 'kind: grid' for cylinders and boxes, 'kind: rings' or 'kind: fibonacci' for spheres"
        raise InputError("this layout needs a mesh", key="kind", value="area", remedy=remedy)
    return Layout(*spread_by_area(volume, count, sensor_radius))


def _require_sphere(volume: AbstractVolume, kind: str) -> float:
    """The radius of a sphere in mm."""
    if not isinstance(volume, Sphere):
        remedy = "use 'kind: grid' for cylinders and boxes, or a volume of 'kind: sphere'"
        raise InputError("this layout needs a sphere", key="kind", value=kind, remedy=remedy)
    return float(volume.radius)


def from_positions(
    volume: AbstractVolume,
    positions: np.ndarray,
    *,
    off_wall: float,
    directions: np.ndarray | None = None,
) -> Projection:
    """Positions `(sensors, 3)` in mm brought onto the nearest point of the wall.

    `off_wall` is the largest distance in mm that a position may stand off it. `directions (sensors, 3)`, where given,
    are the directions the sensors face; they must point into the volume.

    **Raises** `InputError` with the index of the first sensor too far off the wall or facing outwards.
    """
    patch, uv, off = volume.chart(np.asarray(positions, dtype=float))
    too_far = ~(np.abs(off) <= off_wall)
    if too_far.any():
        index = int(np.argmax(np.where(too_far, np.abs(off), 0.0)))
        side = "outside" if off[index] > 0 else "inside"
        problem = (
            f"sensor {index} stands {abs(off[index]) / mm:.4g} mm {side} the wall, {off_wall / mm:.4g} mm are allowed"
        )
        raise PlacementError(
            problem, index, _metres(positions[index]), "move it, change the volume or raise tolerance.off_wall"
        )
    if directions is not None:
        normals = np.asarray(volume.normal(jnp.asarray(patch), jnp.asarray(uv)))
        facing = np.einsum("ni,ni->n", normals, directions)
        outwards = ~(facing > 0)
        if outwards.any():
            index = int(np.argmax(outwards))
            problem = f"sensor {index} does not face into the volume from its nearest wall"
            value = _metres(positions[index])
            raise PlacementError(problem, index, value, "check the axis, the units and the volume's dimensions")
    return Projection(Layout(patch, uv), off)


class PlacementError(InputError):
    """A sensor that cannot stand where it was put; `index` counts from 0 in the order given."""

    def __init__(self, problem: str, index: int, value: object, remedy: str):
        super().__init__(problem, key="sensors", value=value, remedy=remedy)
        self.index = index


class Spacing(NamedTuple):
    """The two sensors that stand closest: their distance in mm between centres, and their indices."""

    distance: float
    first: int
    second: int


def smallest_spacing(positions: np.ndarray) -> Spacing:
    """The smallest straight distance between two of `positions (sensors, 3)`; infinite for a single sensor."""
    if len(positions) < 2:
        return Spacing(math.inf, 0, 0)
    distance, index = map(np.asarray, KDTree(positions).query(positions, k=2))
    first = int(np.argmin(distance[:, 1]))
    # two sensors at one place may each be listed as their own neighbour
    second = int(index[first, 1]) if index[first, 1] != first else int(index[first, 0])
    return Spacing(float(distance[first, 1]), *sorted((first, second)))


def overlaps(positions: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of sensors closer than the sum of their radii: indices `(pairs, 2)` and depths r₁ + r₂ − distance `(pairs,)` in
    mm, deepest first."""
    pairs = KDTree(positions).query_pairs(2 * float(np.max(radii)), output_type="ndarray")
    distance = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=-1)
    depth = radii[pairs].sum(axis=-1) - distance
    order = np.argsort(-depth, kind="stable")
    order = order[depth[order] > 0]
    return pairs[order], depth[order]


def overhang(volume: AbstractVolume, patch: np.ndarray, uv: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How far in mm each sensor's face reaches across the edge of its patch, `(sensors,)`; negative where it does not."""
    return np.asarray(radius) - np.asarray(volume.edge_clearance(jnp.asarray(patch), jnp.asarray(uv)))


def _taken(tile: np.ndarray | None, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Which places of a grid a tile takes, by their numbers, which may be negative: all of them without a tile."""
    if tile is None:
        return np.ones(row.shape, dtype=bool)
    return tile[np.mod(row, tile.shape[0]), np.mod(column, tile.shape[1])]


def _patch_grid(
    volume: AbstractVolume, name: str, spacing: float, sensor_radius: float, caps: str, tile: np.ndarray | None
) -> np.ndarray:
    if isinstance(volume, Cylinder):
        radius, height = float(volume.radius), float(volume.height)
        if name == "barrel":
            return barrel_grid(radius, height, spacing, sensor_radius, tile)
        return cap_grid(radius, spacing, sensor_radius, caps, tile)
    if isinstance(volume, Box):
        axis = "xyz".index(name[0])
        size = np.asarray(volume.size, dtype=float)
        return face_grid((size[(axis + 1) % 3], size[(axis + 2) % 3]), spacing, sensor_radius, tile)
    if isinstance(volume, MeshVolume):
        remedy = "use 'kind: area' with a count"
        raise InputError("a mesh has no grid layout", key="kind", value="grid", remedy=remedy)
    remedy = "use 'kind: rings' with a spacing or 'kind: fibonacci' with a count"
    raise InputError("a sphere has no grid layout", key="kind", value="grid", remedy=remedy)


def _places(reach: float, spacing: float, period: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and positions of points `spacing` apart, centred on 0, as many as fit into ±`reach`.

    With a `period`, that of a tile, they are where any `reach` would have them: number 0 on the middle where it is odd, half a
    spacing above where it is even. Without, as many as possible.
    """
    if reach < 0:
        return np.zeros(0, dtype=int), np.zeros(0)
    within = reach / spacing * (1 + 1e-12)
    if period is None:
        count = math.floor(2 * within) + 1
        return np.arange(count), (np.arange(count) - (count - 1) / 2) * spacing
    half = 0.0 if period % 2 else 0.5
    numbers = np.arange(math.ceil(-within - half), math.floor(within - half) + 1)
    return numbers, (numbers + half) * spacing


def _metres(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{x / m:.4g}" for x in np.asarray(point)) + ") m"
