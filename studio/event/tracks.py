"""Tracks in liquid argon: muons, pions and protons that slow down, as deposits differentiable in everything."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import InputError, whole_number
from ..constants import BETHE_K, SPEED_OF_LIGHT
from ..medium import LiquidArgon
from ..units import cm
from .deposits import Deposits
from .primary import Primary
from .stopping import (
    HEAVY,
    Z_OVER_A,
    Particle,
    heavy,
    kinetic_energy_at,
    mass_range,
    range_straggling,
    scattering_power,
    velocity,
)

GRADING = 1.5
"""Segment i of n ends at the fraction 1 − (1 − i/n)^1.5 of the path: shorter towards the end, where dE/dx rises. With 100
segments the charge of muons, pions and protons that stop is within 3e-4 of that of ever more segments, with 20 within 0.2 %."""

_SHORTEST = 0.1  # of its mean length, ten standard deviations below: no segment is shorter
_LANDAU = 1.7  # ξ: the σ of a normal density that tells as much of its place as Landau's (tests/event/test_tracks.py)
_LARGEST_KINK = 0.5  # rad: Highland's angle saturates there; only the last millimetres of a stopping track reach it


class _Steps(NamedTuple):
    """The segments of a track along its path: `length`, `energy` left and `middle`, kinetic energy in MeV half-way; and between them
    the `residual` range in mm and the `kinetic` energy."""

    length: Float[Array, " segments"]
    energy: Float[Array, " segments"]
    middle: Float[Array, " segments"]
    residual: Float[Array, " ends"]
    kinetic: Float[Array, " ends"]


def track_latent_count(segments: int) -> int:
    """Number of standard normal latents of a track: hard collisions, and for each segment its loss and two scattering angles."""
    return 1 + 3 * segments


def track_deposits(
    primary: Primary,
    medium: LiquidArgon,
    segments: int = 100,
    *,
    latents: Float[Array, " latents"] | None = None,
    longest: float | Array = jnp.inf,
) -> Deposits:
    """The deposits of one muon, charged pion or proton in liquid argon that fills all space.

    The particle slows down continuously (CSDA) until it stops or has gone `longest` mm; decays and nuclear interactions are
    left out. The energies of the segments of a stopping track add up to the kinetic energy.

    **Arguments**

    - `primary`: one particle, "mu-", "mu+", "pi-", "pi+" or "proton"; use `jax.vmap` for a stack.
    - `medium`: its density scales all lengths.
    - `segments`: how many, fixed; those of a track that stops are shorter towards its end.
    - `latents (track_latent_count(segments),)`: independent standard normal variables of what differs from one particle to
      the next. A segment loses a fixed energy along a length that fluctuates: the first latent stretches all of them alike,
      for hard collisions, then each has one of its own, for the others; together they are the range's straggling (Bohr), and
      dE/dx of a segment is known no better than a Vavilov distribution allows. Then two scattering angles at the start of
      each segment (Highland). The mean straight track without them.
    - `longest`: path in mm after which the track is followed no more, for particles that leave the detector.

    **Raises** `InputError` for another particle and latents of another shape.
    """
    heavy(primary.particle)
    count = whole_number("segments", segments, least=2)
    wanted = (track_latent_count(count),)
    if latents is not None and latents.shape != wanted:
        raise InputError(f"shape {latents.shape}", key="latents", remedy=f"give shape {wanted}")
    if jnp.ndim(primary.kinetic_energy):
        raise InputError("one particle is needed", key="primary", remedy="use jax.vmap over the stack")
    return _track(primary, medium, count, latents, jnp.asarray(longest, primary.kinetic_energy.dtype))


@eqx.filter_jit
def _track(
    primary: Primary, medium: LiquidArgon, count: int, latents: Float[Array, " latents"] | None, longest: Array
) -> Deposits:
    particle = HEAVY[primary.particle]
    steps = _slow_down(particle, primary.kinetic_energy, medium, count, longest)
    direction = jnp.broadcast_to(primary.direction, (count, 3))
    if latents is not None:
        kinks = _kinks(particle, steps, medium, latents[1 + count :].reshape(count, 2))
        direction = _scattered(primary.direction, kinks)
        common, own = _straggling(particle, steps, medium)
        stretch = 1 + common * latents[0] + own * latents[1 : 1 + count]
        steps = steps._replace(length=steps.length * jnp.maximum(stretch, _SHORTEST))
    moved = jnp.cumsum(steps.length[:, None] * direction, axis=0)
    taken = steps.length / (SPEED_OF_LIGHT * velocity(steps.middle, particle.mass))
    return Deposits(
        primary.vertex + moved - 0.5 * steps.length[:, None] * direction,
        steps.energy,
        steps.length,
        primary.time + jnp.cumsum(taken) - 0.5 * taken,
        direction,
        particle.pdg,
    )


def _slow_down(
    particle: Particle,
    kinetic_energy: Float[Array, ""],
    medium: LiquidArgon,
    segments: int,
    longest: Array,
) -> _Steps:
    mass = particle.mass
    whole = mass_range(kinetic_energy, mass) / medium.density * cm  # mm
    length = jnp.minimum(whole, longest)
    remaining = jnp.asarray((1 - np.arange(segments + 1) / segments) ** GRADING, kinetic_energy.dtype)
    path = length * (1 - remaining)
    residual = jnp.maximum(whole - path, 0.0)
    # Relative to its value at the start, so that the whole kinetic energy is left, whatever the tables' precision.
    kinetic = kinetic_energy_at(residual * medium.density / cm, mass)
    moves = kinetic[0] > 0
    shape = jnp.where(moves, kinetic / jnp.where(moves, kinetic[0], 1.0), remaining)
    kinetic = kinetic_energy * shape
    return _Steps(jnp.diff(path), -jnp.diff(kinetic), 0.5 * (kinetic[1:] + kinetic[:-1]), residual, kinetic)


def _straggling(
    particle: Particle, steps: _Steps, medium: LiquidArgon
) -> tuple[Float[Array, ""], Float[Array, " segments"]]:
    """Relative standard deviations of the length in which a segment loses its energy: one common to all, and its own.

    The variance of a range is the sum of those of its segments (Bohr). Where a few hard collisions make most of it, the density of the loss
    is narrower than its variance says: what it tells of its place is that of a normal density with 1/σ² = 1/σ_Bohr² +
    1/(1.7 ξ)², ξ = ½ K (Z/A) ρ x / β², within some % of Vavilov's (P. V. Vavilov, Sov. Phys. JETP 5 (1957) 749). A segment
    gets that; the rest is common to all. So the density has no tail, and no track has a single hard collision at one place.
    """
    mass = particle.mass
    variance = (range_straggling(steps.kinetic, mass) * steps.residual) ** 2
    of_segment = jnp.maximum(variance[:-1] - variance[1:], 0.0)
    grammage = steps.length * medium.density / cm
    xi = 0.5 * BETHE_K * Z_OVER_A * grammage / velocity(steps.middle, mass) ** 2
    moves = (steps.energy > 0) & (of_segment > 0)
    narrow = (_LANDAU * xi / jnp.where(moves, steps.energy, 1.0) * steps.length) ** 2
    both = jnp.where(moves, of_segment + narrow, 1.0)
    own = jnp.where(moves, of_segment * narrow / both, 0.0)
    common = jnp.sum(of_segment - own)
    return _ratio(common, jnp.sum(steps.length)), _ratio(own, steps.length)


def _ratio(variance: Float[Array, "..."], length: Float[Array, "..."]) -> Float[Array, "..."]:
    """√variance / length, 0 with derivative 0 where there is no variance."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)) / jnp.where(positive, length, 1.0), 0.0)


def _kinks(
    particle: Particle, steps: _Steps, medium: LiquidArgon, latents: Float[Array, "segments 2"]
) -> Float[Array, "segments 2"]:
    """Changes of direction in rad, in two planes, at the start of each segment.

    Segments are chords of the true path, whose direction wanders with the variance V a segment: the first chord is off by
    V/3, and neighbours differ so that the variance of chord i is that of all segments before it and V/3 of its own.
    """
    power = scattering_power(steps.middle, particle.mass) * medium.density / cm
    gathered = power * steps.length
    variance = jnp.concatenate([gathered[:1] / 3, 0.5 * (gathered[1:] + gathered[:-1])])
    saturated = variance / (1 + variance / _LARGEST_KINK**2)
    positive = saturated > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, saturated, 1.0)), 0.0)[:, None] * latents


def _scattered(direction: Float[Array, "3"], kinks: Float[Array, "segments 2"]) -> Float[Array, "segments 3"]:
    """Directions of the segments after each kink, the frame across them carried along without twist."""

    def turn(frame: Array, kink: Array) -> tuple[Array, Array]:
        square = jnp.sum(kink**2)
        bent = square > 0
        angle = jnp.sqrt(jnp.where(bent, square, 1.0))
        sine = jnp.where(bent, jnp.sin(angle) / angle, 1.0)
        cosine = jnp.where(bent, jnp.cos(angle), 1.0 - 0.5 * square)
        old, across = frame[0], frame[1:]
        new = cosine * old + sine * (kink @ across)
        carried = across - (across @ new)[:, None] * (old + new) / (1 + old @ new)
        turned = jnp.concatenate([new[None], carried])
        return turned, new

    _, directions = jax.lax.scan(turn, frame_along(direction), kinks)
    return directions


_FRAME = ((0.48, 0.60, 0.64), (0.80, 0.0, -0.60), (-0.36, 0.80, -0.48))


def frame_along(direction: Float[Array, "3"]) -> Float[Array, "3 3"]:
    """The unit direction and two unit vectors across it, smooth but opposite to the first axis of `_FRAME`, which is along
    no axis of any detector."""
    centre, first, second = (jnp.asarray(axis, direction.dtype) for axis in _FRAME)
    towards = (centre + direction) / (1 + direction @ centre)
    return jnp.stack([direction, first - (direction @ first) * towards, second - (direction @ second) * towards])
