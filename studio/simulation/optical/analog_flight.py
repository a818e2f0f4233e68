"""Photons from birth to death, for the analog Monte Carlo: straight flight, absorption, scattering, surfaces.

A batch of photons waits in a pool; as many as fit a processor's cache fly at a time, and one that dies makes room for the
next. The random numbers of a photon follow from its own number and how often it has changed its direction, so that two
runs with the same seed differ only where their detectors do. Vectors are `(3, photons)`, single precision, mm and ns.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# NumPy arrays stand where annotations say JAX's: at run time both are taken.
from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ...constants import SPEED_OF_LIGHT
from ...detector import Detector, Reflector
from .analog_emission import Photons, Spectrum, around, single
from .analog_wall import CLEARANCE, Discs

_LANES = 1 << 14  # photons that fly at a time
_SEARCH = 1 << 11  # rays at grazing incidence searched at a time
_NUMBERS = 6  # random numbers a flight


class Surfaces(eqx.Module):
    """What photons meet: the `discs` of the sensors and what they are made of, and the bare wall between them.

    **Fields**: `wall (3,)`, `glass (types, 3)`: reflectance at normal incidence, diffuse albedo and width of the lobe in
    rad, None where nothing is reflected; `asymmetry`: mean cosine of scattering by grains; `kinds (sensors + 1,)`.
    """

    discs: Discs
    kinds: Int[Array, " discs"]
    asymmetry: Float[Array, ""]
    wall: Float[Array, "3"] | None
    glass: Float[Array, "types 3"] | None

    @classmethod
    def of(cls, detector: Detector) -> Surfaces:
        """The surfaces of `detector`."""
        kinds = jnp.concatenate([jnp.asarray(detector.sensors.kind, jnp.int32), jnp.zeros(1, jnp.int32)])
        wall, glass = _numbers(detector.wall), _numbers(detector.sensors.glass)
        return cls(Discs.of(detector), kinds, single(detector.medium.asymmetry), wall, glass)


def _numbers(reflector: Reflector | None) -> Float[Array, "*types 3"] | None:
    if reflector is None:
        return None
    return single(np.stack([np.asarray(x) for x in (reflector.specular, reflector.diffuse, reflector.lobe)], axis=-1))


class Fate(NamedTuple):
    """What became of each photon, `(n,)`: the `sensor` that detected it, the number of sensors for none; when; and whether
    it came straight from its source."""

    sensor: Int[Array, " n"]
    time: Float[Array, " n"]
    direct: Bool[Array, " n"]


class _Flying(NamedTuple):
    """Photons in flight, `(lanes,)`: their number in the pool (the pool's size for none), how often they have `turned`."""

    number: Int[Array, " n"]
    turned: Int[Array, " n"]
    position: Float[Array, "3 n"]
    direction: Float[Array, "3 n"]
    time: Float[Array, " n"]


def fly(surfaces: Surfaces, spectrum: Spectrum, pool: Photons, key: PRNGKeyArray, indirect: bool) -> Fate:
    """Photons of a `pool` to their end. Without `indirect`, one that is scattered or reflected is lost."""
    total = pool.made.shape[0]
    lanes = min(_LANES, total)
    nobody = Fate(
        jnp.full(total, surfaces.discs.count, jnp.int32), jnp.zeros(total, jnp.float32), jnp.zeros(total, bool)
    )

    def going(state: tuple[Array, _Flying, Fate]) -> Array:
        return jnp.any(state[1].number < total)

    def more(state: tuple[Array, _Flying, Fate]) -> tuple[Array, _Flying, Fate]:
        following, flying, fate = state
        flown, sensor, lives = _flight(surfaces, spectrum, pool, flying, key, indirect)
        found = jnp.where(sensor < surfaces.discs.count, flying.number, total)
        fate = Fate(
            fate.sensor.at[found].set(sensor, mode="drop"),
            fate.time.at[found].set(flown.time, mode="drop"),
            fate.direct.at[found].set(flying.turned == 0, mode="drop"),
        )
        return *_refilled(pool, following, flown, lives), fate

    first = _entered(pool, jnp.arange(lanes))
    return jax.lax.while_loop(going, more, (jnp.asarray(lanes), first, nobody))[2]


def _entered(pool: Photons, number: Int[Array, " n"]) -> _Flying:
    """Photons of the pool at their birth; those that were proposed and do not exist never fly."""
    total = pool.made.shape[0]
    at = jnp.minimum(number, total - 1)
    number = jnp.where((number < total) & pool.made[at], number, total)
    return _Flying(number, jnp.zeros_like(number), pool.position[:, at], pool.direction[:, at], pool.time[at])


def _refilled(pool: Photons, following: Array, flown: _Flying, lives: Bool[Array, " n"]) -> tuple[Array, _Flying]:
    """Those that live, and the pool's next photons in the places of the others; the number of the one after those."""
    rank = jnp.cumsum(~lives)
    new = _entered(pool, following + rank - 1)
    kept = jax.tree.map(lambda old, other: jnp.where(lives, old, other), flown, new)
    return jnp.minimum(following + rank[-1], pool.made.shape[0]), kept


def _flight(
    surfaces: Surfaces, spectrum: Spectrum, pool: Photons, flying: _Flying, key: PRNGKeyArray, indirect: bool
) -> tuple[_Flying, Int[Array, " n"], Bool[Array, " n"]]:
    """One straight flight of each: where and how it goes on, the sensor that detects it, and whether it goes on."""
    discs, total = surfaces.discs, pool.made.shape[0]
    at = jnp.minimum(flying.number, total - 1)
    alive = flying.number < total
    random = _random(key, flying)
    sensor, to_disc, to_wall = _first_disc(discs, flying.position, flying.direction, alive)
    meets = sensor < discs.count
    ahead = jnp.where(meets, to_disc, to_wall)
    colour = pool.colour[at]
    losses = spectrum.losses_at(colour)
    loss = jnp.sum(losses, axis=0)
    free = -jnp.log1p(-random[0]) / loss
    arrives = free >= ahead
    path = jnp.minimum(free, ahead)
    position = flying.position + path * flying.direction
    time = flying.time + path * pool.group_index[at] * (1 / SPEED_OF_LIGHT)
    kind = surfaces.kinds[sensor]
    detected = alive & arrives & meets & spectrum.detects(kind, colour, random[1])
    seen = jnp.where(detected, sensor, discs.count)
    if not indirect:
        return flying._replace(time=time), seen, jnp.zeros_like(alive)
    scatters = ~arrives & (random[1] * loss >= losses[0])
    by_grains = random[1] * loss >= losses[0] + losses[1]
    scattered = _scattered(flying.direction, surfaces.asymmetry, by_grains, random[2:6])
    inside, wall_normal = discs.wall.pulled_in(position)
    disc_normal = discs.face[sensor].T[3:6]
    normal = jnp.where(meets, disc_normal, wall_normal)
    position = jnp.where(~arrives, position, jnp.where(meets, position + CLEARANCE * disc_normal, inside))
    reflects, makeup = _makeup(surfaces, meets, kind)
    reflected, returns = _reflected(flying.direction, normal, makeup, random[2:6])
    lives = alive & ~detected & jnp.where(arrives, reflects & returns, scatters)
    direction = jnp.where(arrives, reflected, scattered)
    return _Flying(flying.number, flying.turned + 1, position, direction, time), seen, lives


def _random(key: PRNGKeyArray, flying: _Flying) -> Float[Array, "numbers n"]:
    """Even random numbers of each photon's next flight."""

    def of_photon(number: Array, turned: Array) -> Array:
        return jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, number), turned), (_NUMBERS,), jnp.float32)

    return jax.vmap(of_photon, out_axes=1)(flying.number, flying.turned)


def _makeup(
    surfaces: Surfaces, meets: Bool[Array, " n"], kind: Int[Array, " n"]
) -> tuple[Bool[Array, " n"], Float[Array, "3 n"]]:
    """Whether what each photon meets, a disc or the wall, reflects at all, and its reflectance at normal incidence, albedo
    and lobe."""
    black = jnp.asarray([[0.0], [0.0], [1.0]], jnp.float32)
    wall = black if surfaces.wall is None else surfaces.wall[:, None]
    glass = black if surfaces.glass is None else surfaces.glass[kind].T
    reflects = jnp.where(meets, surfaces.glass is not None, surfaces.wall is not None)
    return reflects, jnp.where(meets, glass, wall)


def _scattered(
    direction: Float[Array, "3 n"], asymmetry: Float[Array, ""], by_grains: Bool[Array, " n"], random: Array
) -> Float[Array, "3 n"]:
    """Directions after scattering: Rayleigh's 3/8 (1 + c²), three parts even and one of 3/2 c², or Henyey and Greenstein's."""
    choice, level, _, turn = random
    even = 2 * level - 1
    by_molecules = jnp.where(choice < 0.75, even, jnp.cbrt(even))
    g = jnp.where(jnp.abs(asymmetry) < 1e-3, 1e-3, asymmetry)
    grains = (1 + g * g - ((1 - g * g) / (1 + g * even)) ** 2) / (2 * g)
    return around(direction, jnp.clip(jnp.where(by_grains, grains, by_molecules), -1.0, 1.0), turn)


def _reflected(
    direction: Float[Array, "3 n"], normal: Float[Array, "3 n"], makeup: Float[Array, "3 n"], random: Array
) -> tuple[Float[Array, "3 n"], Bool[Array, " n"]]:
    """Directions after reflection, and whether there is any: see `Reflector` for the laws."""
    choice, level, grazing, turn = random
    at_normal, albedo, width = makeup
    incidence = jnp.clip(-jnp.sum(direction * normal, axis=0), 0.0, 1.0)
    in_lobe = choice < at_normal + (1 - at_normal) * (1 - incidence) ** 5
    returns = in_lobe | (grazing < albedo)
    mirror = direction + 2 * incidence * normal
    narrow = width * width
    cosine = 1 + narrow * jnp.log(jnp.maximum(level + (1 - level) * jnp.exp(-2 / narrow), 1e-30))
    lobe = around(mirror / jnp.sqrt(jnp.sum(mirror**2, axis=0)), jnp.clip(cosine, -1.0, 1.0), turn)
    lobe = lobe - 2 * jnp.minimum(jnp.sum(lobe * normal, axis=0), 0.0) * normal
    even = around(normal, jnp.sqrt(level), turn)
    found = jnp.where(in_lobe, lobe, even)
    return found / jnp.sqrt(jnp.sum(found**2, axis=0)), returns


def _first_disc(discs: Discs, position: Array, direction: Array, wanted: Array) -> tuple[Array, Array, Array]:
    """Index and distance of the first disc each photon meets, and the distance of the wall; those at grazing incidence are
    searched in blocks."""
    sensor, distance, inner, outer = discs.meet(position, direction)
    unsure = wanted & (outer - inner > 2 * discs.margin)
    count = jnp.sum(unsure)
    (rays,) = jnp.nonzero(unsure, size=unsure.shape[0] + _SEARCH, fill_value=unsure.shape[0])

    def more(state):
        return state[0] < count

    def search(state):
        start, sensor, distance = state
        block = jax.lax.dynamic_slice(rays, (start,), (_SEARCH,))
        at = jnp.minimum(block, unsure.shape[0] - 1)
        length = jnp.where(block < unsure.shape[0], outer[at], inner[at])
        found = discs.search(position[:, at], direction[:, at], inner[at], length)
        return (
            start + _SEARCH,
            sensor.at[block].set(found[0], mode="drop"),
            distance.at[block].set(found[1], mode="drop"),
        )

    _, sensor, distance = jax.lax.while_loop(more, search, (jnp.zeros_like(count), sensor, distance))
    return sensor, distance, inner
