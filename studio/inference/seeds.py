"""Where a fit of an optical event starts: from times and charges alone, without the truth."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.stats import qmc

from ..constants import SPEED_OF_LIGHT
from ..detector import Detector
from ..event import Primary, Readout
from ..simulation.optical.directions import turned, unit
from ..simulation.optical.spectrum import LONGEST, SHORTEST

# Time scale in ns within which hits agree with a point of emission.
_AGREEMENT = 2.0

# Distances (mm) behind the point of emission, and ahead of it (in longest chords of the volume), at which a track is tried.
_BACK, _AHEAD = (-1000.0, -500.0, -100.0), (0.06, 0.15, 0.3)


def inside_points(detector: Detector, count: int) -> Float[np.ndarray, "count 3"]:
    """`count` quasi-random points spread evenly through the volume, in mm. Concrete detectors only."""
    reach = float(detector.volume.longest_chord) / 2
    points = qmc.Sobol(3, scramble=False).random(2 ** math.ceil(math.log2(16 * count)))
    points = (2 * points - 1) * reach
    kept = points[np.asarray(detector.volume.contains(jnp.asarray(0.999 * points + 1e-3)))]
    while len(kept) < count:
        kept = np.concatenate([kept, 0.9 * kept])
    return kept[:count]


def point_of_emission(
    detector: Detector, readout: Readout, candidates: Float[Array, "c 3"]
) -> tuple[Float[Array, "3"], Float[Array, ""]]:
    """Vertex (mm) and time (ns) of a point source that fits the hit times best.

    Each candidate's times of emission are hit times less flight times; agreement is counted with a width of 2 ns (a
    robust sum that dark hits and late light hardly move), first on `candidates`, then twice on finer grids around the
    best.
    """
    position, index = detector.placed.positions, _group_index(detector)
    weight = jnp.where(readout.hit, jnp.sqrt(readout.charge), 0.0)

    def agreement(vertex: Array) -> tuple[Array, Array]:
        distance = jnp.sqrt(jnp.sum((position - vertex) ** 2, axis=-1))
        start = readout.time - distance * index / SPEED_OF_LIGHT
        centre = jnp.sum(weight * start) / jnp.sum(weight)
        for width in (8 * _AGREEMENT, 3 * _AGREEMENT, _AGREEMENT):
            share = weight / (1 + ((start - centre) / width) ** 2)
            centre = jnp.sum(share * start) / jnp.sum(share)
        return jnp.sum(weight / (1 + ((start - centre) / _AGREEMENT) ** 2)), centre

    score = jax.vmap(agreement)
    best = candidates[jnp.argmax(score(candidates)[0])]
    local = jnp.asarray(2 * qmc.Sobol(3, scramble=False).random(128) - 1, candidates.dtype)
    reach = detector.volume.longest_chord / 12
    for _ in range(3):
        around = best + reach * local
        around = jnp.where(detector.volume.contains(around)[:, None], around, best)
        best = around[jnp.argmax(score(around)[0])]
        reach = reach / 3
    return best, agreement(best)[1]


def ring_direction(
    detector: Detector, readout: Readout, vertex: Float[Array, "3"], first: Float[Array, "3"]
) -> Float[Array, "3"]:
    """The axis of a Cherenkov ring seen from `vertex` that makes the charges most likely: a ring of 0.1 in cos θ about
    0.75, on little light everywhere. Directions around `first` are tried, then twice finer ones around the best."""
    offset = detector.placed.positions - vertex
    distance = jnp.sqrt(jnp.sum(offset**2, axis=-1, keepdims=True))
    towards = offset / distance
    facing = jnp.clip(-jnp.sum(towards * detector.placed.normals, axis=-1), 0.1, 1.0)
    solid_angle = (detector.placed.radii / distance[:, 0]) ** 2 * facing

    def score(direction: Array) -> Array:
        light = solid_angle * (jnp.exp(-0.5 * ((towards @ direction - 0.75) / 0.1) ** 2) + 0.03)
        return jnp.sum(readout.charge * jnp.log(light / jnp.sum(light)))

    radius, turn = jnp.sqrt(_DISC[:, 0]), 2 * math.pi * _DISC[:, 1]
    local = jnp.stack([radius * jnp.cos(turn), radius * jnp.sin(turn)], axis=-1).astype(first.dtype)
    best = first
    for reach in (0.6, 0.2, 0.07):
        tried = jnp.concatenate([best[None], turned(best, reach * local)])
        best = tried[jnp.argmax(jax.vmap(score)(tried))]
    return best


_DISC = qmc.Sobol(2, scramble=False).random(64)


def seeds(
    detector: Detector, readout: Readout, particle: str, candidates: Float[Array, "c 3"], energies: Float[Array, " e"]
) -> Primary:
    """Starting points for one event, stacked: directions and shifts along them × energies.

    Directions are the charge-weighted mean one of the light from the point of emission and the axis of its ring. The vertex of
    a track lies before that point, so it is tried at several distances back along the axis, the time with it. A ring far
    away fits its times from far behind nearly as well: then the vertex lies ahead, by a part of the detector's size.
    """
    vertex, time = point_of_emission(detector, readout, candidates)
    offset = detector.placed.positions - vertex
    distance = jnp.sqrt(jnp.sum(offset**2, axis=-1, keepdims=True))
    mean = unit(jnp.sum(readout.charge[:, None] * offset / distance, axis=0) + 1e-9)
    if particle == "point":
        directions, shifts = mean[None], jnp.zeros(1, energies.dtype)
    else:
        ring = ring_direction(detector, readout, vertex, mean)
        back = jnp.asarray(_BACK, energies.dtype)
        ahead = jnp.asarray(_AHEAD, energies.dtype) * detector.volume.longest_chord
        directions = jnp.stack([mean] * len(_BACK) + [ring] * len(_BACK) + [mean] * len(_AHEAD))
        shifts = jnp.concatenate([back, back, ahead])
    # The particle comes from behind at the speed of light in vacuum; light that seems to come from behind is slower.
    slowness = jnp.where(shifts > 0, _group_index(detector), 1.0) / SPEED_OF_LIGHT
    which, energy = (grid.reshape(-1) for grid in jnp.meshgrid(jnp.arange(shifts.shape[0]), energies, indexing="ij"))
    along, shift, late = directions[which], shifts[which], (shifts * slowness)[which]
    moved = vertex + shift[:, None] * along
    inside = detector.volume.contains(moved)
    moved, late = jnp.where(inside[:, None], moved, vertex), jnp.where(inside, late, 0.0)
    return Primary(particle, moved, along, energy, time + late)


def _group_index(detector: Detector) -> Float[Array, ""]:
    """Group index in the middle of the band in which sensors see light."""
    return detector.medium.group_index(jnp.asarray(0.5 * (SHORTEST + LONGEST) - 60.0))
