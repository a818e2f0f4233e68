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
from ..simulation.optical.directions import unit
from ..simulation.optical.spectrum import LONGEST, SHORTEST

# Time scale in ns within which hits agree with a point of emission.
_AGREEMENT = 2.0


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


def seeds(
    detector: Detector, readout: Readout, particle: str, candidates: Float[Array, "c 3"], energies: Float[Array, " e"]
) -> Primary:
    """Starting points for one event, stacked: shifts along the ring axis × energies.

    The direction is the charge-weighted mean direction of the light from the point of emission; the vertex of a track
    lies before that point, so it is tried at several distances back along the axis, the time with it.
    """
    vertex, time = point_of_emission(detector, readout, candidates)
    offset = detector.placed.positions - vertex
    distance = jnp.sqrt(jnp.sum(offset**2, axis=-1, keepdims=True))
    direction = unit(jnp.sum(readout.charge[:, None] * offset / distance, axis=0) + 1e-9)
    shifts = jnp.asarray([0.0] if particle == "point" else [-800.0, -300.0, 0.0], energies.dtype)
    shift, energy = (grid.reshape(-1) for grid in jnp.meshgrid(shifts, energies, indexing="ij"))
    moved = vertex + shift[:, None] * direction
    moved = jnp.where(detector.volume.contains(moved)[:, None], moved, vertex)
    return Primary(particle, moved, jnp.broadcast_to(direction, moved.shape), energy, time + shift / SPEED_OF_LIGHT)


def _group_index(detector: Detector) -> Float[Array, ""]:
    """Group index in the middle of the band in which sensors see light."""
    return detector.medium.group_index(jnp.asarray(0.5 * (SHORTEST + LONGEST) - 60.0))
