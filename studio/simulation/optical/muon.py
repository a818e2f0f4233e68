"""The light of a muon: a curve in space cut into segments, each a thin Cherenkov cone, and the light of its δ rays."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import betainc

from ...constants import MUON_MASS, SPEED_OF_LIGHT
from ...event import delta_rays
from ...event.energy_loss import beta, csda_range, kinetic_energy_at
from ...event.primary import Primary
from ...event.scattering import range_straggling, scattering_power
from ...geometry import AbstractVolume
from ...medium import AbstractMedium
from .directions import tangent_basis, unit
from .sources import BroadSource, ConeTrack, Spread
from .spectrum import SHORTEST

# Node j of n stands at the fraction I(j/n; a, b) of the path (incomplete beta function): denser towards the start, whose
# light is the sharp rim of the ring, and towards the end, where the cone closes.
GRADING = (1.3, 1.5)

# Segments to a piece of δ-ray light, which is broad: with 32, a muon of 1 GeV in IWCD changes by 1e-3 in the charge of lit
# sensors and by 0.03 ns if pieces are half as long.
DELTA_EVERY = 4


class SlowingDown(eqx.Module):
    """A muon's way from its vertex to the Cherenkov threshold or the wall, before any scattering.

    **Fields**, at the segment ends `(nodes,)`: `path` in mm, `kinetic_energy` in MeV, `time` in ns since the start, and
    the running integrals `scatter_0, scatter_1, scatter_2` of scattering power × path^k.
    """

    path: Float[Array, " nodes"]
    kinetic_energy: Float[Array, " nodes"]
    time: Float[Array, " nodes"]
    scatter_0: Float[Array, " nodes"]
    scatter_1: Float[Array, " nodes"]
    scatter_2: Float[Array, " nodes"]

    @property
    def spread(self) -> Spread:
        """How far scattered tracks stray from the straight one at each node."""
        return Spread(
            self.scatter_0,
            self.path * self.scatter_0 - self.scatter_1,
            self.path**2 * self.scatter_0 - 2 * self.path * self.scatter_1 + self.scatter_2,
            _running(self.scatter_0, self.path),
        )


def slow_down(
    primary: Primary,
    volume: AbstractVolume,
    medium: AbstractMedium,
    segments: int,
    straggling: Float[Array, ""] | float = 0.0,
) -> SlowingDown:
    """The mean slowing down of one muon in `segments` steps; `straggling` in standard deviations stretches its range."""
    energy = primary.kinetic_energy
    full = csda_range(energy)
    residual = full * (1 + range_straggling(energy) * straggling)
    threshold_beta = 1 / medium.refractive_index(jnp.asarray(SHORTEST, energy.dtype))
    gamma = 1 / jnp.sqrt(1 - threshold_beta**2)
    threshold = csda_range(jnp.maximum((gamma - 1) * MUON_MASS, 1.0))
    exit_path = volume.distance_to_wall(primary.vertex, primary.direction)
    length = jnp.maximum(jnp.minimum(residual - threshold, exit_path), 1.0)
    path = length * jnp.asarray(betainc(*GRADING, np.arange(segments + 1) / segments), energy.dtype)
    kinetic = kinetic_energy_at(jnp.maximum(residual - path, 1.0))
    power = scattering_power(kinetic)
    return SlowingDown(
        path,
        kinetic,
        _running(1 / beta(kinetic), path) / SPEED_OF_LIGHT,
        *(_running(power * path**k, path) for k in range(3)),
    )


def _running(values: Array, path: Array) -> Array:
    steps = 0.5 * (values[1:] + values[:-1]) * jnp.diff(path)
    return jnp.concatenate([jnp.zeros_like(path[:1]), jnp.cumsum(steps)])


def kink_shapes(way: SlowingDown, modes: int) -> Float[Array, "nodes modes"]:
    """Direction changes in rad per unit normal latent: scattering gathered in `modes` stretches of the track.

    Stretch m changes the direction by a standard normal variable times the root of the scattering variance gathered in
    it, growing along the stretch in proportion.
    """
    nodes = way.path.shape[0]
    bounds = stretch_bounds(nodes - 1, modes)
    columns = []
    for first, last in itertools.pairwise(bounds):
        gathered = way.scatter_0[last] - way.scatter_0[first]
        inside = (way.scatter_0[first : last + 1] - way.scatter_0[first]) / jnp.sqrt(gathered)
        before = jnp.zeros(first, gathered.dtype)
        after = jnp.broadcast_to(jnp.sqrt(gathered), (nodes - 1 - last,))
        columns.append(jnp.concatenate([before, inside, after]))
    return jnp.stack(columns, axis=-1)


def unresolved_spread(way: SlowingDown, bounds: np.ndarray) -> Spread:
    """Scattering that direction changes growing evenly between the nodes `bounds` leave open.

    Within a stretch that gathers the variance V the direction wanders about the line between its ends as a Brownian
    bridge, with variance f (1 − f) V at the fraction f: V/6 on average, taken at all nodes of the stretch.
    """
    gathered = jnp.diff(way.scatter_0[bounds])
    of_segment = gathered[np.searchsorted(bounds, np.arange(way.path.shape[0] - 1), side="right") - 1] / 6
    padded = jnp.concatenate([of_segment[:1], of_segment, of_segment[-1:]])
    zero = jnp.zeros_like(way.path)
    return Spread(0.5 * (padded[1:] + padded[:-1]), zero, zero, zero)


def no_spread(way: SlowingDown) -> Spread:
    """Tracks that do not scatter."""
    return Spread(*(jnp.zeros_like(way.path) for _ in Spread._fields))


def stretch_bounds(segments: int, modes: int) -> np.ndarray:
    """Node indices `(modes + 1,)` that bound the stretches: short at the start, where a kink has the longest lever on
    what the rest of the track says about the initial direction."""
    bounds = np.round(segments * (np.arange(modes + 1) / modes) ** 1.8).astype(int)
    return np.maximum(bounds, np.arange(modes + 1))


def muon_sources(
    primary: Primary,
    way: SlowingDown,
    medium: AbstractMedium,
    deviation: Float[Array, "nodes 2"],
    delta_scale: Float[Array, ""] | float,
    spread: Spread,
) -> tuple[ConeTrack, BroadSource]:
    """The muon's own cone and its δ-ray light, along the curve with direction `deviation` (rad) in two planes.

    `spread` is how far real tracks stray from that curve. δ-ray light is gathered on every fourth segment.
    """
    basis = tangent_basis(primary.direction)
    direction = unit(primary.direction + deviation @ basis)
    steps = jnp.diff(way.path)[:, None] * 0.5 * (direction[1:] + direction[:-1])
    position = primary.vertex + jnp.concatenate([jnp.zeros_like(steps[:1]), jnp.cumsum(steps, axis=0)])
    time = primary.time + way.time
    cone = ConeTrack(position, direction, time, beta(way.kinetic_energy), spread)
    ends = slice(None, None, DELTA_EVERY)
    middles = slice(DELTA_EVERY // 2, -1, DELTA_EVERY)
    mean_energy = way.kinetic_energy[middles]
    profile = jax.vmap(delta_rays.angular_profile)(mean_energy)
    centres, sigmas = delta_rays.angular_basis()
    length = jnp.diff(way.path[ends]) * jax.vmap(delta_rays.light_per_length)(mean_energy) * delta_scale
    broad = BroadSource(
        position[middles],
        direction[middles],
        time[middles],
        jnp.diff(position[ends], axis=0),
        length,
        profile,
        Spread(*(values[middles] for values in spread)),
        tuple(centres.tolist()),
        tuple(sigmas.tolist()),
    )
    return cone, broad


def delta_fluctuation(way: SlowingDown) -> Float[Array, ""]:
    """Relative standard deviation of a track's δ-ray light: √∫variance / ∫mean along the path."""
    mean = _running(jax.vmap(delta_rays.light_per_length)(way.kinetic_energy), way.path)[-1]
    variance = _running(jax.vmap(delta_rays.light_variance_per_length)(way.kinetic_energy), way.path)[-1]
    return jnp.sqrt(variance) / mean
