"""What the light of walks meets at the end of a free flight: the flat disc of a sensor, or the bare wall between them.

Rays are traced without derivatives. Where they end is then pinned: to the disc, whose points move and grow with it, or
to the chart of the wall. An end that stays on its surface has no edge to cross when the design moves, so what changes is
the weight alone. On the wall near a disc, whose rim moves over it, ends go with the rim, and less so farther away.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ...detector import Detector
from ...detector.reflector import schlick
from ...geometry import AbstractVolume
from .directions import tangent_basis, unit

_BLOCK = 1 << 20  # pairs of ray and sensor looked at together
_GRAZING = 1e-9  # cosine below which a ray runs along a disc


class Ends(NamedTuple):
    """Where rays end, `(n, ...)`: `disc`: index of the sensor, the number of sensors for none; `rim` and `second`: sensors,
    numbered likewise, whose rims a ray that meets the wall passes nearest; `place (n, 2)`: where in the plane of the
    disc, or of the nearest one, in units of its radius; `patch` and `uv`: where on the wall. Numbers without derivatives."""

    disc: Int[Array, " n"]
    rim: Int[Array, " n"]
    second: Int[Array, " n"]
    place: Float[Array, "n 2"]
    patch: Int[Array, " n"]
    uv: Float[Array, "n chart"]


class Pinned(NamedTuple):
    """Ends of rays in space, which move with the detector: `position (n, 3)` in mm, `normal (n, 3)` into the volume, and
    the `area (n,)` that one unit of what they are pinned to takes up, in an arbitrary unit."""

    position: Float[Array, "n 3"]
    normal: Float[Array, "n 3"]
    area: Float[Array, " n"]


class Finish(NamedTuple):
    """What surfaces do with light that comes in under given angles, `(n,)` each: `reflected`: part that is; `specular`:
    share of the lobe in it; `lobe`: its width in rad."""

    reflected: Float[Array, " n"]
    specular: Float[Array, " n"]
    lobe: Float[Array, " n"]


def trace(
    detector: Detector, origin: Float[Array, "n 3"], direction: Float[Array, "n 3"], own: Int[Array, " n"]
) -> Ends:
    """Where rays from inside end; a disc does not see the light that it sends out itself, `own` being its index."""
    patch, uv = detector.volume.crossing(origin, direction)
    placed = detector.placed
    disc, rim, second = _discs(detector, patch, origin, direction, own)
    nearest = jnp.where(disc < detector.sensors.count, disc, rim)
    which = jnp.minimum(nearest, detector.sensors.count - 1)
    place = _in_plane(placed.positions[which], placed.normals[which], placed.radii[which], origin, direction)
    return Ends(disc, rim, second, jnp.where((nearest < detector.sensors.count)[:, None], place, 0.0), patch, uv)


def _in_plane(centre: Array, normal: Array, radius: Array, origin: Array, direction: Array) -> Float[Array, "... 2"]:
    """Where rays meet the planes of discs, in their frames and units of their radii."""
    approach = jnp.sum(direction * normal, axis=-1)
    safe = jnp.where(approach < -_GRAZING, approach, -1.0)
    along = jnp.sum((centre - origin) * normal, axis=-1) / safe
    offset = origin + along[..., None] * direction - centre
    return jnp.einsum("...ij,...j->...i", tangent_basis(normal), offset) / radius[..., None]


def _discs(
    detector: Detector, patch: Int[Array, " n"], origin: Array, direction: Array, own: Int[Array, " n"]
) -> tuple[Int[Array, " n"], Int[Array, " n"], Int[Array, " n"]]:
    """The disc that each ray meets, and the two on the patch it leaves through whose rims it passes nearest; the number of
    discs for none."""
    centres, normals, radii = detector.placed
    there, patches = detector.sensors.weight > 0, detector.sensors.patch
    count = len(radii)
    through = jnp.sum(centres * normals, axis=-1)
    index = jnp.arange(count)

    def first(distance: Array) -> Array:
        nearest = jnp.argmin(distance)
        return jnp.where(distance[nearest] < jnp.inf, nearest, count)

    def look(rays: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
        start, way, mine, through_patch = rays
        approach, height = normals @ way, through - normals @ start
        along = height / jnp.where(approach < -_GRAZING, approach, -1.0)
        off = jnp.sqrt(jnp.sum((start - centres + along[:, None] * way) ** 2, axis=-1))
        seen = there & (approach < -_GRAZING) & (along > 0) & (index != mine)
        disc = first(jnp.where(seen & (off < radii), along, jnp.inf))
        gap = jnp.where(seen & (patches == through_patch), off - radii, jnp.inf)
        rim = first(gap)
        return disc, rim, first(jnp.where(index == rim, jnp.inf, gap))

    batch = max(1, _BLOCK // count)
    return jax.lax.map(look, (origin, direction, own, patch), batch_size=min(batch, len(own)))


def pin(detector: Detector, ends: Ends, origin: Float[Array, "n 3"]) -> Pinned:
    """The ends of rays from `origin` on the detector as it is, with derivatives.

    An end on the wall next to a rim is taken along the ray to a point of the disc's plane, whose place η in the frame of
    the disc goes over from what it was, at the rim, to that of the pinned point of the wall, half way to the next rim or
    an edge of the wall. The area then has the determinant of the map of places in it.
    """
    sensors, volume = detector.sensors, detector.volume
    placed, fixed = detector.placed, jax.tree.map(jax.lax.stop_gradient, detector.placed)
    met = ends.disc < sensors.count
    which = jnp.minimum(jnp.where(met, ends.disc, ends.rim), sensors.count - 1)
    centre, normal, radius = (leaf[which] for leaf in placed)
    others = [leaf[jnp.minimum(ends.second, sensors.count - 1)] for leaf in fixed]
    still = jax.tree.map(jax.lax.stop_gradient, volume)
    between = (~met) & (ends.rim < sensors.count)

    def follow(place, disc, disc_before, other, alone, start):
        way_map = _PlaceMap(volume, still, disc, disc_before, other, alone, start)
        moved, share = way_map(place)
        return moved, share, jnp.linalg.det(jax.jacfwd(lambda at: way_map(at)[0])(place))

    before = [leaf[which] for leaf in fixed]
    place = jnp.where((met | between)[:, None], ends.place, jnp.asarray([3.0, 0.0], origin.dtype))
    moved, share, determinant = jax.vmap(follow)(
        place, [centre, normal, radius], before, others, ends.second >= sensors.count, origin
    )
    moved = jnp.where(met[:, None], ends.place, moved)
    in_plane = centre + radius[:, None] * jnp.einsum("ni,nij->nj", moved, tangent_basis(normal))
    way, length = bearing(origin, in_plane)
    follows = between & (share > 0)
    patch, uv = volume.crossing(origin, way)
    patch, uv = jnp.where(follows, patch, ends.patch), jnp.where(follows[:, None], uv, ends.uv)
    on_wall, wall_normal = volume.surface_point(patch, uv), volume.normal(patch, uv)
    way, distance = bearing(origin, on_wall)
    tube = jnp.sum((origin - in_plane) * normal, axis=-1) / length**3
    arrival = -jnp.sum(way * wall_normal, axis=-1)
    swept = radius**2 * determinant * tube * distance**2 / jnp.where(arrival > _GRAZING, arrival, 1.0)
    area = jnp.where(follows, swept, volume.patch_areas[ends.patch])
    there = met[:, None]
    return Pinned(
        jnp.where(there, in_plane, on_wall), jnp.where(there, normal, wall_normal), jnp.where(met, radius**2, area)
    )


class _PlaceMap(NamedTuple):
    """How places in the plane of a disc move with the design for rays from one `start`; `disc`: its centre, normal and
    radius, `disc_before` without derivatives, `other` the next disc, unless `alone`."""

    volume: AbstractVolume
    still: AbstractVolume
    disc: list[Array]
    disc_before: list[Array]
    other: list[Array]
    alone: Array
    start: Array

    def __call__(self, place: Float[Array, "2"]) -> tuple[Float[Array, "2"], Float[Array, ""]]:
        """The new place, and the share of the disc in its motion."""
        centre, normal, radius = self.disc_before
        other, other_normal, other_radius = self.other
        origin = jax.lax.stop_gradient(self.start)
        way = unit(centre + radius * place @ tangent_basis(normal) - origin)
        patch, uv = self.still.crossing(origin[None], way[None])
        off = jnp.sqrt(jnp.sum(place**2) + 1e-30)
        off_other = jnp.sqrt(jnp.sum(_in_plane(other, other_normal, other_radius, origin, way) ** 2) + 1e-30)
        to_other = jnp.where(self.alone, radius, other_radius * (off_other - 1))
        room = jnp.minimum(jnp.minimum(to_other, radius), self.still.edge_clearance(patch, uv)[0])
        share = falling(radius * (off - 1) / jnp.maximum(room, 1e-6 * radius), 0.0, 1.0)
        end = self.volume.surface_point(patch, uv)[0]
        moving, moving_normal, moving_radius = self.disc
        still = _in_plane(moving, moving_normal, moving_radius, self.start, end - self.start)
        return share * place + (1 - share) * still, share


def falling(value: Float[Array, "..."], first: float, last: float) -> Float[Array, "..."]:
    """1 below `first`, 0 above `last`, twice differentiable."""
    t = jnp.clip((value - first) / (last - first), 0.0, 1.0)
    return 1 - t**3 * (10 + t * (6 * t - 15))


def finish(
    detector: Detector,
    detection: Float[Array, "types k"],
    disc: Int[Array, " n"],
    colour: Int[Array, " n"],
    facing: Array,
) -> Finish:
    """What the wall, or the glass of the sensors with indices `disc`, does with light at cosines `facing` of incidence.

    Light that a sensor does not detect, by `detection` at the wavelengths with indices `colour`, meets its glass. A
    place that is not quite a sensor is that part of one and wall for the rest.
    """
    sensors = detector.sensors
    which = jnp.minimum(disc, sensors.count - 1)
    kind = sensors.kind[which]
    part = jnp.where(disc < sensors.count, sensors.weight[which], 0.0)
    of_wall = _parts(detector.wall, None, facing)
    of_glass = _parts(sensors.glass, kind, facing)
    missed = 1 - detection[kind, colour] * sensors.efficiency[kind]
    specular, diffuse = (part * missed * g + (1 - part) * w for g, w in zip(of_glass[:2], of_wall[:2], strict=True))
    lobe = part * of_glass[2] + (1 - part) * of_wall[2]
    reflected = specular + diffuse
    return Finish(reflected, specular / jnp.where(reflected > 0, reflected, 1.0), lobe)


def _parts(reflector, kind: Array | None, facing: Array) -> tuple[Array, Array, Array]:
    """Specular and diffuse reflectance and the lobe's width in rad."""
    if reflector is None:
        zero = jnp.zeros_like(facing)
        return zero, zero, zero + 1.0
    leaves = (jnp.asarray(leaf, facing.dtype) for leaf in (reflector.specular, reflector.diffuse, reflector.lobe))
    normal, diffuse, lobe = (leaf if kind is None else leaf[kind] for leaf in leaves)
    specular = schlick(normal, facing)
    return specular, (1 - specular) * diffuse, jnp.broadcast_to(lobe, facing.shape)


def bearing(origin: Float[Array, "n 3"], end: Float[Array, "n 3"]) -> tuple[Float[Array, "n 3"], Float[Array, " n"]]:
    """Unit vectors from `origin` to `end` and the distances in mm."""
    way = end - origin
    return unit(way), jnp.sqrt(jnp.sum(way**2, axis=-1))
