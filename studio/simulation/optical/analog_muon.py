"""Photons of muons, for the analog Monte Carlo: real scattered tracks of their own range, and the light of their δ rays.

Each block of photons has its own pool of tracks, followed in small steps; every photon takes one of them, turned by its
own azimuth about the muon's initial direction, so photons are independent and their mean is the mean over tracks.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# NumPy arrays stand where annotations say JAX's: at run time both are taken.
from __future__ import annotations

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...constants import MUON_MASS, SPEED_OF_LIGHT
from ...detector import Detector
from ...event import Primary, delta_rays
from ...event.energy_loss import beta, csda_range, kinetic_energy_at
from ...event.scattering import range_straggling, scattering_power
from .analog_emission import (
    Angles,
    Emitter,
    Photons,
    Spectrum,
    across,
    around,
    between,
    cherenkov_spectrum,
    circle,
    running_integral,
    single,
)

_TRACKS, _STEPS = 64, 256  # tracks followed for each block of photons, and their steps
_RANGES = 4096  # rows of the table of the muon's motion
_PROFILES = 65  # angular profiles of δ-ray light along the range
_MOST_STRAGGLING = 4.0  # standard deviations at which straggling is cut, as the particle's law is


class MuonSource(eqx.Module):
    """A muon and its δ rays; functions of the residual range stand on an even grid of `step` mm from `shortest`.

    **Fields**: `vertex`; `frame (3, 3)`: columns are two directions across the muon's own, and that; `full`: range in mm of
    the mean muon; `straggling`: relative spread of it; `shortest`: residual range where Cherenkov light ends; `longest`:
    longest track proposed; `motion (ranges, 4)`: 1/β, time in ns from the start of the table, scattering power in rad²/mm,
    δ-ray light per length over its largest value; `delta`: that value; `angles`: of δ-ray light; `tracks`: number of
    tracks followed for each block.
    """

    vertex: Float[Array, "3"]
    frame: Float[Array, "3 3"]
    full: Float[Array, ""]
    straggling: Float[Array, ""]
    shortest: Float[Array, ""]
    step: Float[Array, ""]
    longest: Float[Array, ""]
    motion: Float[Array, "ranges 4"]
    delta: Float[Array, ""]
    angles: Angles
    tracks: int = eqx.field(static=True)


class Tracks(NamedTuple):
    """Tracks along +z from the origin: `range (tracks,)` in mm; `length (tracks,)` to the end of Cherenkov light; `nodes
    (tracks × (steps + 1), 6)`: position and direction at even steps."""

    range: Float[Array, " tracks"]
    length: Float[Array, " tracks"]
    nodes: Float[Array, "nodes 6"]


def muon_emitter(detector: Detector, primary: Primary, process: bool) -> Emitter:
    """Photons of a muon; without `process` on its straight mean track."""
    spectrum = Spectrum.of(detector, cherenkov_spectrum(detector.medium))
    energy = float(primary.kinetic_energy)
    full, straggling = float(csda_range(energy)), float(range_straggling(energy)) * process
    highest_index = float(jnp.max(spectrum.optics[:, 0]))
    threshold = (1 / math.sqrt(1 - highest_index**-2) - 1) * MUON_MASS
    shortest = float(csda_range(threshold))
    furthest = max(full * (1 + _MOST_STRAGGLING * straggling), shortest + 1.0)
    ranges = np.linspace(shortest, furthest, _RANGES)
    kinetic = np.asarray(kinetic_energy_at(ranges), float)
    inverse_beta = 1 / np.asarray(beta(kinetic), float)
    time = running_integral(inverse_beta, ranges) / SPEED_OF_LIGHT
    power = np.asarray(scattering_power(kinetic), float) * process
    delta = np.asarray(jax.vmap(delta_rays.light_per_length)(kinetic), float)
    strongest = max(float(delta.max()), 1e-12)
    longest = furthest - shortest
    if not process:
        longest = min(longest, float(detector.volume.distance_to_wall(primary.vertex, primary.direction)))
    centres, sigmas = (np.asarray(x, float) for x in delta_rays.angular_basis())
    profiles = kinetic_energy_at(np.linspace(shortest, furthest, _PROFILES))
    source = MuonSource(
        vertex=single(primary.vertex),
        frame=single(_frame(np.asarray(primary.direction, float))),
        full=single(full),
        straggling=single(straggling),
        shortest=single(shortest),
        step=single(ranges[1] - ranges[0]),
        longest=single(longest),
        motion=single(np.stack([inverse_beta, time, power, delta / strongest], axis=-1)),
        delta=single(strongest),
        angles=Angles.of(centres, sigmas, np.asarray(jax.vmap(delta_rays.angular_profile)(profiles), float)),
        tracks=_TRACKS if process else 1,
    )
    return Emitter(_draw_muon, source, spectrum, longest * float(spectrum.light) * (1 + strongest))


def _draw_muon(source: MuonSource, spectrum: Spectrum, key: PRNGKeyArray, count: int) -> Photons:
    track_key, photon_key = jax.random.split(key)
    tracks = follow(source, track_key)
    place, colour, keep, cone, turn, origin, choice, level = jax.random.uniform(photon_key, (8, count), jnp.float32)
    track = (jnp.arange(count) * source.tracks) // count
    path = place * source.longest
    full = tracks.range[track]
    row = (full - path - source.shortest) / source.step
    inverse_beta, left, _, delta = between(source.motion, row).T
    started = between(source.motion[:, 1], (full - source.shortest) / source.step)
    index, group_index = spectrum.at(colour)
    # cos θ = 1/nβ, and light in proportion to sin²θ
    cosine = inverse_beta / index
    strength = (1 - cosine**2) / (1 - 1 / index**2)
    of_delta = origin * (1 + source.delta) > 1
    wide = source.angles.draw(row * ((_PROFILES - 1) / (_RANGES - 1)), choice, level)
    made = (path < tracks.length[track]) & (keep < jnp.where(of_delta, delta, strength))
    node = track * (_STEPS + 1) + jnp.minimum(path / tracks.length[track], 0.999999) * _STEPS
    nodes = between(tracks.nodes, node).T
    axis = nodes[3:] / jnp.sqrt(jnp.sum(nodes[3:] ** 2, axis=0))
    direction = around(axis, jnp.where(of_delta, spectrum.dispersed(wide, index), jnp.minimum(cosine, 1.0)), cone)
    azimuth = circle(turn)
    position = source.vertex[:, None] + source.frame @ _turned(nodes[:3], azimuth)
    return Photons(position, source.frame @ _turned(direction, azimuth), started - left, group_index, colour, made)


def follow(source: MuonSource, key: PRNGKeyArray) -> Tracks:
    """A pool of tracks of their own ranges, each scattered at every step by two independent Gaussian angles."""
    range_key, angle_key = jax.random.split(key)
    deviation = jnp.clip(
        jax.random.normal(range_key, (source.tracks,), jnp.float32), -_MOST_STRAGGLING, _MOST_STRAGGLING
    )
    full = source.full * (1 + source.straggling * deviation)
    length = jnp.maximum(full - source.shortest, 1.0)
    step = length / _STEPS
    path = (jnp.arange(_STEPS)[:, None] + 0.5) * step
    row = (full - path - source.shortest) / source.step
    power = between(source.motion[:, 2], row.reshape(-1)).reshape(row.shape)
    kinks = jnp.sqrt(power * step)[:, None, :] * jax.random.normal(angle_key, (_STEPS, 2, source.tracks), jnp.float32)

    def scatter(axis, kink):
        first, second = across(axis)
        after = axis + kink[0] * first + kink[1] * second
        after = after / jnp.sqrt(jnp.sum(after**2, axis=0))
        return after, after

    ahead = jnp.broadcast_to(jnp.asarray([[0.0], [0.0], [1.0]], jnp.float32), (3, source.tracks))
    _, after = jax.lax.scan(scatter, ahead, kinks, unroll=4)
    axes = jnp.concatenate([ahead[None], after])
    moves = 0.5 * step * (axes[1:] + axes[:-1])
    positions = jnp.concatenate([jnp.zeros_like(ahead)[None], jnp.cumsum(moves, axis=0)])
    nodes = jnp.concatenate([positions, axes], axis=1)
    return Tracks(full, length, nodes.transpose(2, 0, 1).reshape(-1, 6))


def _turned(vector: Float[Array, "3 n"], azimuth: tuple[Array, Array]) -> Float[Array, "3 n"]:
    """`vector` turned about +z."""
    cosine, sine = azimuth
    x, y, z = vector
    return jnp.stack([cosine * x - sine * y, sine * x + cosine * y, z])


def _frame(direction: np.ndarray) -> np.ndarray:
    """Two directions across `direction`, and itself, as columns."""
    first = np.cross(direction, np.eye(3)[np.argmin(np.abs(direction))])
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(direction, first), direction], axis=-1)
