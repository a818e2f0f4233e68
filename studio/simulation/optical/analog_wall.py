"""Rays against the wall and its sensors, for the analog Monte Carlo: which flat disc does a straight ray meet first?

A disc touches the wall at its centre. On a curved wall the rest of it lies outside, by up to r²/2R, so a ray crosses the
wall before it meets the disc. The crossing is looked up in a grid of cells on the wall that lists the discs near each
cell; the few rays that travel far between wall and disc, at grazing incidence, are looked up at several points.
Vectors are `(3, rays)`, single precision, in mm.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# NumPy arrays stand where annotations say JAX's: at run time both are taken.
from __future__ import annotations

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.spatial import cKDTree

from ...detector import Detector
from ...geometry import AbstractVolume, Box, Cylinder, Sphere

_CELL = 0.35  # side of a cell over the smallest sensor radius
_MARGIN = 0.3  # how far a point looked up may be from the disc it is meant for, over the smallest sensor radius
_MOST_CELLS = 1_000_000
_FAR = 1e9

CLEARANCE = 0.05
"""mm: how far inside photons leave the wall; single precision places a point at 40 m to 0.004 mm."""

Vector = Float[Array, "3 rays"]
Scalar = Float[Array, " rays"]


class AbstractWall(eqx.Module):
    """A wall divided into cells."""

    @abc.abstractmethod
    def crossings(self, position: Vector, direction: Vector, sag: Float[Array, ""]) -> tuple[Scalar, Scalar]:
        """Distance to the wall and to its curved parts moved `sag` outwards, the same where the wall is flat."""

    @abc.abstractmethod
    def contains(self, position: Vector) -> Bool[Array, " rays"]:
        """Whether points lie inside."""

    @abc.abstractmethod
    def pulled_in(self, point: Vector) -> tuple[Vector, Vector]:
        """Points on the wall moved inside by `CLEARANCE`, and the wall's normals there, which point inwards."""

    @abc.abstractmethod
    def cell(self, point: Vector) -> Int[Array, " rays"]:
        """Index of the cell nearest to points on the wall."""

    @abc.abstractmethod
    def corners(self) -> np.ndarray:
        """Centre and four corners of every cell, `(cells, 5, 3)`."""


class CylinderWall(AbstractWall):
    """Barrel cells in height and, around, even on the square |x| + |y| = 1; then square cells on the top and the bottom."""

    radius: Float[Array, ""]
    half: Float[Array, ""]
    around: int = eqx.field(static=True)
    along: int = eqx.field(static=True)
    across: int = eqx.field(static=True)

    @classmethod
    def of(cls, volume: Cylinder, side: float) -> CylinderWall:
        radius, half = float(volume.radius), 0.5 * float(volume.height)
        around, along, across = (math.ceil(x / side) for x in (2 * math.pi * radius, 2 * half, 2 * radius))
        return cls(_single(radius), _single(half), around, along, across)

    def crossings(self, position: Vector, direction: Vector, sag: Float[Array, ""]) -> tuple[Scalar, Scalar]:
        barrel = _to_round(position[:2], direction[:2], self.radius)
        outer = _to_round(position[:2], direction[:2], self.radius + sag)
        cap = _to_planes(position[2], direction[2], self.half)
        return jnp.minimum(barrel, cap), jnp.minimum(outer, cap)

    def contains(self, position: Vector) -> Bool[Array, " rays"]:
        return (position[0] ** 2 + position[1] ** 2 < self.radius**2) & (jnp.abs(position[2]) < self.half)

    def pulled_in(self, point: Vector) -> tuple[Vector, Vector]:
        x, y, z = point
        across = jnp.sqrt(x * x + y * y)
        on_cap = self.half - jnp.abs(z) < self.radius - across
        inward = -1 / jnp.maximum(across, 1e-3)
        up, flat = jnp.where(on_cap, -jnp.sign(z), 0.0), jnp.where(on_cap, 0.0, inward)
        shrunk = jnp.minimum(1.0, (self.radius - CLEARANCE) / jnp.maximum(across, 1e-3))
        level = jnp.clip(z, CLEARANCE - self.half, self.half - CLEARANCE)
        return jnp.stack([shrunk * x, shrunk * y, level]), jnp.stack([flat * x, flat * y, up])

    def cell(self, point: Vector) -> Int[Array, " rays"]:
        x, y, z = point
        size = jnp.abs(x) + jnp.abs(y)
        column = _bin(0.5 + jnp.where(y >= 0, 0.25, -0.25) * (1 - x / jnp.maximum(size, 1e-3)), self.around)
        row = _bin(0.5 * z / self.half + 0.5, self.along)
        cap = _bin(0.5 * x / self.radius + 0.5, self.across) * self.across + _bin(
            0.5 * y / self.radius + 0.5, self.across
        )
        # Caps are left through |z| = half; on the barrel ρ ≥ R but for rounding.
        on_cap = self.half - jnp.abs(z) < self.radius - jnp.sqrt(x * x + y * y)
        cap_start = self.around * self.along + jnp.where(z > 0, 0, self.across**2)
        return jnp.where(on_cap, cap_start + cap, column * self.along + row)

    def corners(self) -> np.ndarray:
        radius, half = float(self.radius), float(self.half)
        turn, level = _lattice(self.around, self.along)
        x = 1 - 4 * np.abs(turn - 0.5)
        y = np.sign(turn - 0.5) * (1 - np.abs(x))
        stretch = radius / np.hypot(x, y)
        barrel = np.stack([stretch * x, stretch * y, (2 * level - 1) * half], axis=-1)
        x, y = (radius * (2 * u - 1) for u in _lattice(self.across, self.across))
        caps = [np.stack([x, y, np.full_like(x, z)], axis=-1) for z in (half, -half)]
        return np.concatenate([barrel, *caps])


class SphereWall(AbstractWall):
    """The cells of a cube around the sphere, projected onto it."""

    radius: Float[Array, ""]
    across: int = eqx.field(static=True)

    @classmethod
    def of(cls, volume: Sphere, side: float) -> SphereWall:
        return cls(_single(volume.radius), math.ceil(0.5 * math.pi * float(volume.radius) / side))

    def crossings(self, position: Vector, direction: Vector, sag: Float[Array, ""]) -> tuple[Scalar, Scalar]:
        return _to_round(position, direction, self.radius), _to_round(position, direction, self.radius + sag)

    def contains(self, position: Vector) -> Bool[Array, " rays"]:
        return jnp.sum(position**2, axis=0) < self.radius**2

    def pulled_in(self, point: Vector) -> tuple[Vector, Vector]:
        outward = point / jnp.sqrt(jnp.sum(point**2, axis=0))
        return (self.radius - CLEARANCE) * outward, -outward

    def cell(self, point: Vector) -> Int[Array, " rays"]:
        size = jnp.abs(point)
        x_face = (size[0] >= size[1]) & (size[0] >= size[2])
        y_face = ~x_face & (size[1] >= size[2])
        depth, u, v = (
            jnp.where(x_face, point[i], jnp.where(y_face, point[(i + 1) % 3], point[(i + 2) % 3])) for i in range(3)
        )
        face = 2 * jnp.where(x_face, 0, jnp.where(y_face, 1, 2)) + (depth > 0)
        scale = 0.5 / jnp.abs(depth)
        return (face * self.across + _bin(u * scale + 0.5, self.across)) * self.across + _bin(
            v * scale + 0.5, self.across
        )

    def corners(self) -> np.ndarray:
        cube = _cube(self.across)
        return float(self.radius) * cube / np.linalg.norm(cube, axis=-1, keepdims=True)


class BoxWall(AbstractWall):
    """Rectangular cells, as many along each side on all six faces."""

    half: Float[Array, "3"]
    across: int = eqx.field(static=True)

    @classmethod
    def of(cls, volume: Box, side: float) -> BoxWall:
        return cls(_single(0.5 * volume.size), math.ceil(float(jnp.max(volume.size)) / side))

    def crossings(self, position: Vector, direction: Vector, sag: Float[Array, ""]) -> tuple[Scalar, Scalar]:
        distances = [_to_planes(position[i], direction[i], self.half[i]) for i in range(3)]
        nearest = jnp.minimum(jnp.minimum(distances[0], distances[1]), distances[2])
        return nearest, nearest

    def contains(self, position: Vector) -> Bool[Array, " rays"]:
        return jnp.all(jnp.abs(position) < self.half[:, None], axis=0)

    def pulled_in(self, point: Vector) -> tuple[Vector, Vector]:
        half = self.half[:, None]
        face = jnp.argmin(half - jnp.abs(point), axis=0)
        normal = jnp.where(jnp.arange(3)[:, None] == face, -jnp.sign(point), 0.0)
        return jnp.clip(point, CLEARANCE - half, half - CLEARANCE), normal

    def cell(self, point: Vector) -> Int[Array, " rays"]:
        scaled = point / self.half[:, None]
        left = self.half[:, None] - jnp.abs(point)
        axis = jnp.argmin(left, axis=0)
        bins = _bin(0.5 * scaled + 0.5, self.across)
        depth, u, v = (
            jnp.where(axis == 0, a[i], jnp.where(axis == 1, a[(i + 1) % 3], a[(i + 2) % 3]))
            for i, a in enumerate((scaled, bins, bins))
        )
        return ((2 * axis + (depth > 0)) * self.across + u) * self.across + v

    def corners(self) -> np.ndarray:
        return np.asarray(self.half, float) * _cube(self.across)


class Discs(eqx.Module):
    """The sensors of a detector, found through the cells of its wall.

    **Fields**: `wall`; `listed (cells, most)`: sensors near each cell, filled up with the index `count`; `face (count + 1,
    7)`: centre, normal and squared radius, the last one of no size; `sag`: how far the outermost disc lies outside the
    wall; `margin`: how far a point looked up may be from the disc.
    """

    wall: AbstractWall
    listed: Int[Array, "cells most"]
    face: Float[Array, "discs 7"]
    sag: Float[Array, ""]
    margin: Float[Array, ""]

    @classmethod
    def of(cls, detector: Detector) -> Discs:
        """The sensors of `detector`, wherever they are placed; empty places, of weight 0, are met by no ray."""
        positions, normals, radii = (np.asarray(x, float) for x in detector.placed)
        smallest, largest = radii.min(), radii.max()
        side = max(_CELL * smallest, math.sqrt(float(detector.volume.area) / _MOST_CELLS))
        wall = _wall(detector.volume, side)
        margin = max(_MARGIN * smallest, 2.0)
        sag = _largest_sag(detector.volume, largest)
        corners = wall.corners()
        reach = np.max(np.linalg.norm(corners[:, 1:] - corners[:, :1], axis=-1), axis=1) + margin + sag + 1.0
        pairs = cKDTree(corners[:, 0]).sparse_distance_matrix(
            cKDTree(positions), largest + reach.max(), output_type="coo_matrix"
        )
        standing = np.asarray(detector.sensors.weight) > 0
        near = (pairs.data <= reach[pairs.row] + radii[pairs.col]) & standing[pairs.col]
        face = np.concatenate([positions, normals, radii[:, None] ** 2], axis=1)
        face = np.concatenate([face, np.zeros((1, 7))])
        listed = _lists(pairs.row[near], pairs.col[near], len(corners), len(positions))
        return cls(wall, jnp.asarray(listed), _single(face), _single(sag), _single(margin))

    @property
    def count(self) -> int:
        """Number of sensors."""
        return self.face.shape[0] - 1

    def meet(self, position: Vector, direction: Vector) -> tuple[Int[Array, " rays"], Scalar, Scalar, Scalar]:
        """The first disc that rays from inside meet: its index, or the number of discs where there is none, and the
        distance; then the distances between which it must lie. Rays for which these differ by more than two margins
        need `search`."""
        inner, outer = self.wall.crossings(position, direction, self.sag)
        sensor, distance = self._near(position, direction, 0.5 * (inner + outer))
        return sensor, distance, inner, outer

    def search(
        self, position: Vector, direction: Vector, inner: Scalar, outer: Scalar
    ) -> tuple[Int[Array, " rays"], Scalar]:
        """The first disc that rays meet between the distances `inner` and `outer`, looked up every two margins."""
        probes = jnp.ceil(jnp.max(outer - inner) / (2 * self.margin)).astype(jnp.int32)

        def look(index, best):
            along = inner + (2 * index + 1) * self.margin
            sensor, distance = self._near(position, direction, jnp.minimum(along, outer))
            closer = distance < best[1]
            return jnp.where(closer, sensor, best[0]), jnp.where(closer, distance, best[1])

        none = jnp.full(inner.shape, self.count, jnp.int32), jnp.full(inner.shape, _FAR, jnp.float32)
        return jax.lax.fori_loop(0, probes, look, none)

    def _near(self, position: Vector, direction: Vector, along: Scalar) -> tuple[Int[Array, " rays"], Scalar]:
        """The first disc met among those listed for the cell at the distance `along`."""
        candidates = self.listed[self.wall.cell(position + along * direction)]
        best, nearest = jnp.full(along.shape, self.count, jnp.int32), jnp.full(along.shape, _FAR, jnp.float32)
        for column in range(candidates.shape[1]):
            sensor = candidates[:, column]
            face = self.face[sensor].T
            centre, normal, squared_radius = face[:3], face[3:6], face[6]
            approach = jnp.sum(direction * normal, axis=0)
            facing = approach < -1e-9
            distance = jnp.sum((centre - position) * normal, axis=0) / jnp.where(facing, approach, -1.0)
            offset = position + distance * direction - centre
            met = facing & (distance > 0) & (jnp.sum(offset**2, axis=0) < squared_radius) & (distance < nearest)
            best, nearest = jnp.where(met, sensor, best), jnp.where(met, distance, nearest)
        return best, nearest


def _wall(volume: AbstractVolume, side: float) -> AbstractWall:
    if isinstance(volume, Cylinder):
        return CylinderWall.of(volume, side)
    if isinstance(volume, Sphere):
        return SphereWall.of(volume, side)
    if isinstance(volume, Box):
        return BoxWall.of(volume, side)
    raise TypeError(f"the analog Monte Carlo knows cylinders, spheres and boxes, not {type(volume).__name__}")


def _largest_sag(volume: AbstractVolume, radius: float) -> float:
    if isinstance(volume, Cylinder | Sphere):
        return math.hypot(float(volume.radius), radius) - float(volume.radius) + 0.01
    return 0.0


def _lists(cells: np.ndarray, sensors: np.ndarray, cell_count: int, none: int) -> np.ndarray:
    """The sensors of each cell as rows of one length, filled up with `none`."""
    order = np.lexsort((sensors, cells))
    cells, sensors = cells[order], sensors[order]
    counts = np.bincount(cells, minlength=cell_count)
    rank = np.arange(len(cells)) - np.repeat(np.cumsum(counts) - counts, counts)
    listed = np.full((cell_count, max(1, int(counts.max(initial=0)))), none, np.int32)
    listed[cells, rank] = sensors
    return listed


def _lattice(first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre and corners of cells on the unit square, `(first × second, 5)` each."""
    i, j = (index.ravel()[:, None] for index in np.meshgrid(np.arange(first), np.arange(second), indexing="ij"))
    return (i + np.array([0.5, 0, 0, 1, 1])) / first, (j + np.array([0.5, 0, 1, 0, 1])) / second


def _cube(across: int) -> np.ndarray:
    """Centre and corners of square cells on the faces of the cube from −1 to 1, `(6 × across², 5, 3)`."""
    u, v = (2 * x - 1 for x in _lattice(across, across))
    faces = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            point = np.empty((*u.shape, 3))
            point[..., axis], point[..., (axis + 1) % 3], point[..., (axis + 2) % 3] = side, u, v
            faces.append(point)
    return np.concatenate(faces)


def _bin(fraction: Array, count: int) -> Array:
    return jnp.clip((fraction * count).astype(jnp.int32), 0, count - 1)


def _to_round(position: Array, direction: Array, radius: Array) -> Scalar:
    """Distance from inside a circle or sphere to it."""
    a = jnp.sum(direction**2, axis=0)
    b = jnp.sum(position * direction, axis=0)
    c = jnp.sum(position**2, axis=0) - radius**2
    root = jnp.sqrt(jnp.maximum(b * b - a * c, 0.0))
    safe = jnp.where(b > 0, jnp.maximum(b + root, 1e-9), 1.0)
    distance = jnp.where(b > 0, -c / safe, (root - b) / jnp.maximum(a, 1e-12))
    return jnp.where(a > 1e-12, jnp.maximum(distance, 0.0), _FAR)


def _to_planes(position: Array, direction: Array, half: Array) -> Scalar:
    """Distance from between the planes ±`half` to the one ahead."""
    moves = jnp.abs(direction) > 1e-9
    distance = (jnp.sign(direction) * half - position) / jnp.where(moves, direction, 1.0)
    return jnp.where(moves, jnp.maximum(distance, 0.0), _FAR)


def _single(value) -> Array:
    return jnp.asarray(np.asarray(value), jnp.float32)
