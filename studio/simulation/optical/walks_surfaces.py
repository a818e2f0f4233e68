"""What the light of walks meets at the end of a free flight: the flat disc of a sensor, or the bare wall between them.

Rays are traced without derivatives. Where they end is then pinned: to the disc, whose points move and grow with it, or
to the chart of the wall. An end that stays on its surface has no edge to cross when the design moves, so what changes is
the weight alone.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ...detector import Detector
from .directions import tangent_basis, unit

_BLOCK = 1 << 20  # pairs of ray and sensor looked at together


class Ends(NamedTuple):
    """Where rays end, `(n, ...)`: `disc`: index of the sensor, the number of sensors for none; `place (n, 2)`: where on
    its disc, in units of its radius; `patch` and `uv`: where on the wall. Numbers without derivatives."""

    disc: Int[Array, " n"]
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
    disc = _first_disc(
        placed.positions, placed.normals, placed.radii, detector.sensors.weight > 0, origin, direction, own
    )
    which = jnp.minimum(disc, detector.sensors.count - 1)
    centre, normal, radius = placed.positions[which], placed.normals[which], placed.radii[which]
    approach = jnp.sum(direction * normal, axis=-1)
    height = jnp.sum((centre - origin) * normal, axis=-1)
    along = height / jnp.where(approach < -1e-12, approach, -1.0)
    offset = origin + along[:, None] * direction - centre
    place = jnp.einsum("nij,nj->ni", tangent_basis(normal), offset) / radius[:, None]
    met = disc < detector.sensors.count
    return Ends(disc, jnp.where(met[:, None], place, 0.0), patch, uv)


def _first_disc(
    centres: Array,
    normals: Array,
    radii: Array,
    there: Bool[Array, " sensors"],
    origin: Array,
    direction: Array,
    own: Array,
) -> Int[Array, " n"]:
    count = len(radii)
    through = jnp.sum(centres * normals, axis=-1)
    index = jnp.arange(count)

    def look(rays: tuple[Array, Array, Array]) -> Array:
        start, way, mine = rays
        approach, height = normals @ way, through - normals @ start
        along = height / jnp.where(approach < -1e-9, approach, -1.0)
        away = start - centres
        squared = jnp.sum((away + along[:, None] * way) ** 2, axis=-1)
        met = there & (approach < -1e-9) & (along > 0) & (squared < radii**2) & (index != mine)
        distance = jnp.where(met, along, jnp.inf)
        nearest = jnp.argmin(distance)
        return jnp.where(distance[nearest] < jnp.inf, nearest, count)

    batch = max(1, _BLOCK // count)
    return jax.lax.map(look, (origin, direction, own), batch_size=min(batch, len(own)))


def pin(detector: Detector, ends: Ends) -> Pinned:
    """The ends of rays on the detector as it is, with derivatives."""
    sensors = detector.sensors
    placed = detector.placed
    met = (ends.disc < sensors.count)[:, None]
    which = jnp.minimum(ends.disc, sensors.count - 1)
    normal, radius = placed.normals[which], placed.radii[which]
    on_disc = placed.positions[which] + radius[:, None] * jnp.einsum("ni,nij->nj", ends.place, tangent_basis(normal))
    on_wall = detector.volume.surface_point(ends.patch, ends.uv)
    wall_normal = detector.volume.normal(ends.patch, ends.uv)
    area = jnp.where(met[:, 0], radius**2, detector.volume.patch_areas[ends.patch])
    return Pinned(jnp.where(met, on_disc, on_wall), jnp.where(met, normal, wall_normal), area)


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
    """Specular and diffuse reflectance (Schlick 1994, Computer Graphics Forum 13, 233) and the lobe's width in rad."""
    if reflector is None:
        zero = jnp.zeros_like(facing)
        return zero, zero, zero + 1.0
    leaves = (jnp.asarray(leaf, facing.dtype) for leaf in (reflector.specular, reflector.diffuse, reflector.lobe))
    normal, diffuse, lobe = (leaf if kind is None else leaf[kind] for leaf in leaves)
    specular = normal + (1 - normal) * (1 - facing) ** 5
    return specular, (1 - specular) * diffuse, jnp.broadcast_to(lobe, facing.shape)


def bearing(origin: Float[Array, "n 3"], end: Float[Array, "n 3"]) -> tuple[Float[Array, "n 3"], Float[Array, " n"]]:
    """Unit vectors from `origin` to `end` and the distances in mm."""
    way = end - origin
    return unit(way), jnp.sqrt(jnp.sum(way**2, axis=-1))
