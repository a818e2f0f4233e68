"""A volume with any closed wall, as triangles."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from .._arrays import as_floating, as_number
from .._checks import InputError
from .base import AbstractVolume
from .mesh_topology import topology
from .nearest_triangle import nearest_on_triangles
from .ray_triangles import distance_along, first_exit, winding_number

_OPEN = 1e-6  # what keeps the offset of a vertex between parallel triangles determined
_TURNED = 0.1  # of the area: when so much of an offset wall has turned over, nothing is left inside


class MeshVolume(AbstractVolume):
    """The inside of a closed triangle mesh, which need not be convex.

    **Arguments**

    - `vertices (n, 3)`: points in mm; the origin should lie amid them, where guns and fits begin.
    - `triangles (m, 3)`: the vertices at the corners of each triangle, turning left as seen from outside (turned about where
      all of them turn right).
    - `scale`: multiplies all lengths; a study that frees `volume.scale` lets the detector grow in its shape.

    Every triangle is a patch, "triangle_0" and so on. Its chart has its corners at (0, 0), (1, 0) and (0, 1) and preserves
    areas. A sensor stays on its own triangle: coordinates beyond it lie on its plane, off the wall. Triangles that meet
    at less than 30° make one wall, `wall (m,)`; where walls meet is a crease, and only creases are edges for sensors:
    a flat face may reach over the joints inside a wall as it does over the curvature of a sphere.

    What is found out from the vertices when the mesh is made (walls, creases, `convex`, the farthest two vertices) stays when
    they are replaced: make a new one after large moves.

    Volume, area, distances and points on the wall are differentiable in vertices and scale. Distances to the wall have
    kinks where a ray goes from one triangle to the next.

    **Raises** `InputError` where the mesh does not close one body, see `topology`, and for traced vertices: put those in
    with `studio.replace`.
    """

    chart_size: ClassVar[int] = 2

    vertices: Float[Array, "n 3"]
    scale: Float[Array, ""]
    triangles: Int[Array, "m 3"]
    wall: Int[Array, " m"]
    creases: Int[Array, "k 4"]
    farthest: Int[Array, "2"]
    is_convex: bool = eqx.field(static=True)

    def __init__(
        self,
        vertices: Float[Array, "n 3"] | np.ndarray,
        triangles: Int[Array, "m 3"] | np.ndarray,
        scale: float | Array = 1.0,
    ):
        if isinstance(vertices, Tracer):
            remedy = "make it of plain numbers and put traced ones in with studio.replace"
            raise InputError("a mesh of traced vertices cannot be checked", key="volume.vertices", remedy=remedy)
        self.vertices = as_floating(vertices)
        self.scale = as_number(scale, "volume.scale", positive=True, remedy="give a factor").astype(self.vertices.dtype)
        found = topology(np.asarray(vertices), np.asarray(triangles))
        self.triangles, self.wall, self.creases, self.farthest = (
            jnp.asarray(part, jnp.int32) for part in (found.triangles, found.wall, found.creases, found.farthest)
        )
        self.is_convex = found.convex

    @property
    def patches(self) -> tuple[str, ...]:
        return tuple(f"triangle_{index}" for index in range(len(self.triangles)))

    @property
    def convex(self) -> bool:
        return self.is_convex

    @property
    def points(self) -> Float[Array, "n 3"]:
        """The vertices in mm as they stand: times the scale."""
        return self.scale * self.vertices

    @property
    def corners(self) -> Float[Array, "m 3 3"]:
        """The corners of every triangle in mm."""
        return self.points[self.triangles]

    @property
    def half_extents(self) -> Float[Array, "3"]:
        return jnp.max(jnp.abs(self.points), axis=0)

    @property
    def volume(self) -> Float[Array, ""]:
        return _enclosed(self.corners)

    def inner_volume(self, margin: float) -> Float[Array, ""]:
        """As the interface says, with every triangle moved inwards by `margin` and its neighbours cut or drawn out to meet it.

        Exact for a convex body of flat walls as long as no wall vanishes. At an edge that bends inwards the moved walls meet in a
        corner, where all that is `margin` away would be round: (1 − π/4) margin² of each edge at 90° are missing. On
        curved walls vertices follow the mean of their triangles, weighted by angle, right as the triangles are small against
        the radius. Zero when a tenth of the wall has turned over, which is when nothing is left; a wall that vanishes
        before makes an error.
        """
        corners = self.moved_inwards(margin)[self.triangles]
        before, after = _area_vectors(self.corners), _area_vectors(corners)
        signed = jnp.sum(before * after, axis=-1) / _length(before)
        turned = jnp.sum(jnp.maximum(-signed, 0)) > _TURNED * jnp.sum(jnp.abs(signed))
        return jnp.where(turned, 0.0, jnp.maximum(_enclosed(corners), 0.0))

    def moved_inwards(self, margin: float) -> Float[Array, "n 3"]:
        """The vertices in mm with every triangle moved inwards by `margin`, its neighbours cut or drawn out to meet it."""
        return self.points - margin * self._outwards()

    def _outwards(self) -> Float[Array, "n 3"]:
        """For each vertex the vector x with n·x = 1 for the normals n of its triangles: exact for three planes that meet, the
        least squares weighted by angle for more, and the shortest such vector for fewer."""
        corners = self.corners
        area = _area_vectors(corners)
        normal = area / _length(area)[:, None]
        total = jnp.zeros((len(self.vertices), 3, 3), corners.dtype)
        mean = jnp.zeros((len(self.vertices), 3), corners.dtype)
        for corner in range(3):
            e = corners[:, (corner + 1) % 3] - corners[:, corner]
            f = corners[:, (corner + 2) % 3] - corners[:, corner]
            angle = jnp.arctan2(_length(area), jnp.sum(e * f, axis=-1))[:, None]
            total = total.at[self.triangles[:, corner]].add(angle[..., None] * normal[:, :, None] * normal[:, None])
            mean = mean.at[self.triangles[:, corner]].add(angle * normal)
        held = total + _OPEN * jnp.eye(3, dtype=corners.dtype)
        outwards = jnp.linalg.solve(held, mean[..., None])
        # Once more for what is left, so that the regularisation does not show: 1e-12 instead of 1e-6.
        return (outwards + jnp.linalg.solve(held, mean[..., None] - total @ outwards))[..., 0]

    @property
    def area(self) -> Float[Array, ""]:
        return 0.5 * jnp.sum(_length(_area_vectors(self.corners)))

    @property
    def longest_chord(self) -> Float[Array, ""]:
        """As the interface says where the volume is convex; in others no straight line inside is longer."""
        first, second = self.points[self.farthest]
        return jnp.sqrt(jnp.sum((first - second) ** 2))

    def contains(self, points: Float[Array, "... 3"]) -> Bool[Array, "..."]:
        flat = points.reshape(-1, 3)
        return (winding_number(flat, self.corners) > 0.5).reshape(points.shape[:-1])

    def distance_to_wall(
        self, origins: Float[Array, "... 3"], directions: Float[Array, "... 3"]
    ) -> Float[Array, "..."]:
        """As the interface says: to where the ray first goes out; 0 where it never does, from outside."""
        origins, directions = jnp.broadcast_arrays(origins, directions)
        flat, ways, corners = origins.reshape(-1, 3), directions.reshape(-1, 3), self.corners
        triangle, found = first_exit(flat, ways, corners)
        return distance_along(flat, ways, corners[triangle], found).reshape(origins.shape[:-1])

    @property
    def patch_areas(self) -> Float[Array, " patches"]:
        return 0.5 * _length(_area_vectors(self.corners))

    def crossing(
        self, origins: Float[Array, "n 3"], directions: Float[Array, "n 3"]
    ) -> tuple[Int[Array, " n"], Float[Array, "n 2"]]:
        patch, found = first_exit(origins, directions, self.corners)
        corners = self.corners[patch]
        here = origins + distance_along(origins, directions, corners, found)[:, None] * directions
        area = _area_vectors(corners)
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        off, square = here - corners[:, 0], jnp.sum(area**2, axis=-1)
        along = jnp.sum(jnp.cross(off, second) * area, axis=-1) / square
        aside = jnp.sum(jnp.cross(first, off) * area, axis=-1) / square
        return patch, jnp.stack([along, aside], axis=-1)

    def surface_point(self, patch: Int[Array, " n"], uv: Float[Array, "n 2"]) -> Float[Array, "n 3"]:
        a, b, c = jnp.moveaxis(self.corners[patch], 1, 0)
        return a + uv[:, :1] * (b - a) + uv[:, 1:] * (c - a)

    def normal(self, patch: Int[Array, " n"], uv: Float[Array, "n 2"]) -> Float[Array, "n 3"]:
        area = _area_vectors(self.corners[patch])
        return -area / _length(area)[:, None]

    def edge_clearance(self, patch: Int[Array, " n"], uv: Float[Array, "n 2"]) -> Float[Array, " n"]:
        """Straight distance in mm to the nearest crease of the sensor's wall; negative, the distance to its triangle, for
        coordinates beyond that; infinite on a wall without creases."""
        corners = self.corners[patch]
        here = self.surface_point(patch, uv)
        sides = jnp.stack([_to_segment(here, corners[:, k], corners[:, (k + 1) % 3]) for k in range(3)])
        # A sensor on the joint of two triangles is on both; rounding must not put it beyond.
        inside = jnp.min(jnp.stack([uv[:, 0], uv[:, 1], 1 - uv[:, 0] - uv[:, 1]]), axis=0) >= -1e-6
        beyond = -jnp.min(sides, axis=0)
        if len(self.creases) == 0:
            return jnp.where(inside, jnp.inf, beyond)
        first, second = self.points[self.creases[:, 0]], self.points[self.creases[:, 1]]
        own = jnp.any(self.creases[None, :, 2:] == self.wall[patch][:, None, None], axis=-1)
        clearance = jnp.min(jnp.where(own, _to_segment(here[:, None], first, second), jnp.inf), axis=1)
        return jnp.where(inside, clearance, beyond)

    def chart(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        points = np.asarray(points, dtype=float)
        patch, uv, distance = nearest_on_triangles(points, np.asarray(self.corners, dtype=float))
        inside = np.asarray(self.contains(jnp.asarray(points)))
        return patch, uv, np.where(inside, -distance, distance)


def _area_vectors(corners: Float[Array, "m 3 3"]) -> Float[Array, "m 3"]:
    """Outward normals of triangles, as long as twice their areas."""
    return jnp.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _enclosed(corners: Float[Array, "m 3 3"]) -> Float[Array, ""]:
    """By the divergence theorem, from amid the corners, where the terms are small."""
    about = corners - jnp.mean(corners, axis=(0, 1))
    return jnp.sum(about[:, 0] * jnp.cross(about[:, 1], about[:, 2])) / 6


def _length(vectors: Float[Array, "*n 3"]) -> Float[Array, "*n"]:
    return jnp.sqrt(jnp.sum(vectors**2, axis=-1))


def _to_segment(points: Float[Array, "... 3"], first: Array, second: Array) -> Float[Array, "..."]:
    """Distance in mm from points to straight lines between two points; its derivative is 0 on the line."""
    along = second - first
    share = jnp.sum((points - first) * along, axis=-1) / jnp.sum(along**2, axis=-1)
    off = points - first - jnp.clip(share, 0, 1)[..., None] * along
    squared = jnp.sum(off**2, axis=-1)
    return jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1.0)), 0.0)
