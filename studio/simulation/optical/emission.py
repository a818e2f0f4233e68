"""What a primary emits: its sources with the colours their light has, for the mean track, given latents, or a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...detector import Detector
from ...event import Primary, require_light
from . import electron
from .muon import (
    delta_fluctuation,
    kink_shapes,
    muon_sources,
    no_spread,
    slow_down,
    stretch_bounds,
    unresolved_spread,
)
from .sources import BroadSource, ConeTrack, IsotropicSource
from .spectrum import Colour, DistanceTable, Moments, Optics, Wavelengths, cherenkov_yield
from .walks_connection import IndirectLight

if TYPE_CHECKING:
    from .simulator import OpticalSimulator

MUONS = ("mu-", "mu+")

# Photons of a point source per unit of its "kinetic energy", and the flat spectrum's range in nm.
PHOTONS_PER_UNIT = 1000.0
POINT_SPECTRUM = (300.0, 700.0)


class Emission(eqx.Module):
    """Sources, each with one `Colour` a sensor type; the moments of the group index of the light, one set a sensor type;
    and its `spectrum (k,)` in photons per nm and an arbitrary unit.

    Indirect light is a source, too, which needs no colours."""

    sources: list[tuple[ConeTrack | BroadSource | IsotropicSource | IndirectLight, tuple[Colour, ...]]]
    delays: tuple[Moments, ...]
    spectrum: Float[Array, " k"]


def latent_count(simulator: OpticalSimulator, event: Primary) -> int:
    """Number of standard normal latents. Muon: kinks in two planes, range straggling, δ-ray light. Electron: light,
    length and direction of the shower."""
    if not simulator.process or event.particle == "point":
        return 0
    return 2 * simulator.kink_modes + 2 if event.particle in MUONS else electron.LATENTS


def emission(
    simulator: OpticalSimulator, detector: Detector, event: Primary, latents: Float[Array, " latents"], optics: Optics
) -> Emission:
    """What one primary emits on average, moved by `latents` unless they are empty, through `optics`."""
    require_light(event)
    if latents.shape[0] == 0:
        latents = jnp.zeros(max(latent_count(simulator, event), electron.LATENTS), event.kinetic_energy.dtype)
    if event.particle == "point":
        return _point(optics, event)
    if event.particle in MUONS:
        return _muon(simulator, detector, optics, event, latents)
    return _electron(simulator, detector, optics, event, latents, mean=simulator.process and not simulator.resolved)


def sampled_emission(
    simulator: OpticalSimulator, detector: Detector, event: Primary, key: PRNGKeyArray, optics: Optics
) -> Emission:
    """What one primary emits in one event: its own kinks, range and δ rays where process fluctuations are on."""
    require_light(event)
    if event.particle == "point":
        return _point(optics, event)
    dtype = event.kinetic_energy.dtype
    if not simulator.process:
        return emission(simulator, detector, event, jnp.zeros(0, dtype), optics)
    if event.particle not in MUONS:
        latents = jnp.clip(jax.random.normal(key, (electron.LATENTS,), dtype), -4, 4)
        return _electron(simulator, detector, optics, event, latents, mean=False)
    range_key, kink_key, delta_key = jax.random.split(key, 3)
    straggling = jnp.clip(jax.random.normal(range_key, (), dtype), -4, 4)
    way = slow_down(event, detector.volume, detector.medium, simulator.segments, straggling)
    gathered = jnp.diff(way.scatter_0)
    kinks = jnp.sqrt(gathered)[:, None] * jax.random.normal(kink_key, (simulator.segments, 2), dtype)
    deviation = jnp.concatenate([jnp.zeros((1, 2), dtype), jnp.cumsum(kinks, axis=0)])
    # A gamma variable of mean 1: δ-ray light is positive and skewed.
    shape = 1 / delta_fluctuation(way) ** 2
    delta_scale = jax.random.gamma(delta_key, shape, dtype=dtype) / shape
    return _muon_light(
        simulator, optics, event, way, deviation, delta_scale, unresolved_spread(way, np.arange(simulator.segments + 1))
    )


def optics_of(simulator: OpticalSimulator, detector: Detector) -> Optics:
    """The medium and the sensor types of `detector`, prepared for the direct light of sources."""
    wavelengths = Wavelengths.of(detector.sensors.types, simulator.wavelengths)
    return Optics.of(detector.medium, wavelengths, detector.volume.longest_chord, simulator.degree)


def _muon(simulator: OpticalSimulator, detector: Detector, optics: Optics, event: Primary, latents: Array) -> Emission:
    if not simulator.process:
        way = slow_down(event, detector.volume, detector.medium, simulator.segments)
        straight = jnp.zeros((simulator.segments + 1, 2), event.kinetic_energy.dtype)
        return _muon_light(simulator, optics, event, way, straight, 1.0, no_spread(way))
    modes = simulator.kink_modes
    kinks, straggling, delta = latents[: 2 * modes].reshape(modes, 2), latents[-2], latents[-1]
    way = slow_down(event, detector.volume, detector.medium, simulator.segments, straggling)
    deviation = kink_shapes(way, modes) @ kinks
    delta_scale = 1 + delta_fluctuation(way) * delta
    bounds = stretch_bounds(simulator.segments, modes)
    spread = unresolved_spread(way, bounds) if simulator.resolved else way.spread
    return _muon_light(simulator, optics, event, way, deviation, delta_scale, spread)


def _muon_light(
    simulator: OpticalSimulator, optics: Optics, event: Primary, way, deviation: Array, delta_scale, spread
) -> Emission:
    cone, broad = muon_sources(event, way, optics.medium, deviation, delta_scale, spread)
    full = cherenkov_yield(jnp.ones((), cone.beta.dtype), optics.medium, optics.nodes)
    # A floor keeps the colour of the last segment, where no wavelength emits any more, defined; it adds 1e-6 of light.
    middles = cherenkov_yield(0.5 * (cone.beta[1:] + cone.beta[:-1]), optics.medium, optics.nodes) + 1e-6 * full
    ends = cherenkov_yield(cone.beta, optics.medium, optics.nodes) + 1e-6 * full
    at_middles, at_ends, plain = optics.colour(middles), optics.colour(ends), optics.colour(full)
    colours = eqx.tree_at(lambda colour: colour.log_light, at_ends, at_middles.log_light)
    sources = [(cone, _by_type(colours)), (broad, _by_type(plain))]
    return Emission(sources, _by_type(optics.delay(full)), full)


def _electron(
    simulator: OpticalSimulator, detector: Detector, optics: Optics, event: Primary, latents: Array, mean: bool
) -> Emission:
    pieces = 2 * simulator.segments
    source = electron.shower_source(event, pieces, latents, mean, detector.volume)
    full = cherenkov_yield(jnp.ones((), source.length.dtype), optics.medium, optics.nodes)
    return Emission([(source, _by_type(optics.colour(full)))], _by_type(optics.delay(full)), full)


def _point(optics: Optics, event: Primary) -> Emission:
    lowest, highest = POINT_SPECTRUM
    spectrum = jnp.where((optics.nodes > lowest) & (optics.nodes < highest), 1 / (highest - lowest), 0.0)
    source = IsotropicSource(event.vertex[None], event.time[None], PHOTONS_PER_UNIT * event.kinetic_energy[None])
    return Emission([(source, _by_type(optics.colour(spectrum)))], _by_type(optics.delay(spectrum)), spectrum)


def _by_type(tables):
    """A module of distance tables with a leading axis of types, as one such module a type."""
    every = jax.tree.leaves(tables, is_leaf=_is_table)
    types = every[0].coefficients[0].shape[0]

    def of_type(index: int):
        return jax.tree.map(lambda table: table[index], tables, is_leaf=_is_table)

    return tuple(of_type(index) for index in range(types))


def _is_table(node: object) -> bool:
    return isinstance(node, DistanceTable)
