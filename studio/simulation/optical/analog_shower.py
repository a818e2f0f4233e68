"""Photons of electrons, for the analog Monte Carlo: along the shower's axis, at angles of its mean profile."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...constants import SPEED_OF_LIGHT
from ...detector import Detector
from ...event import Primary, shower
from .analog_emission import Angles, Emitter, Photons, Spectrum, around, between, cherenkov_spectrum, single

_PIECES = 256  # of the axis, as the shower's law is asked for them
_ROWS = 4097  # of the table of emission distance
_PROFILES = 65  # angular profiles along the shower


class ShowerSource(eqx.Module):
    """A shower: `vertex`, `direction`; `depth (rows,)`: distance along the axis in mm at even shares of the light; `lag`: by
    how many mm the light is late; `angles`: profiles at even shares of the light."""

    vertex: Float[Array, "3"]
    direction: Float[Array, "3"]
    depth: Float[Array, " rows"]
    lag: Float[Array, ""]
    angles: Angles


def shower_emitter(detector: Detector, primary: Primary, process: bool) -> Emitter:
    """Photons of an electron or positron: of the mean over showers, or without `process` of one along its own axis."""
    spectrum = Spectrum.of(detector, cherenkov_spectrum(detector.medium))
    energy = primary.kinetic_energy
    boundaries, shares = (np.asarray(x, float) for x in shower.emission_nodes(energy, _PIECES))
    cumulative = np.concatenate([[0.0], np.cumsum(shares)])
    depth = np.interp(np.linspace(0, 1, _ROWS), cumulative / cumulative[-1], boundaries)
    profile = shower.angular_profile if process else shower.angular_profile_about_shower
    weights = jax.vmap(lambda fraction: profile(energy, fraction))(jnp.linspace(0, 1, _PROFILES))
    centres, sigmas = (np.asarray(x, float) for x in shower.angular_basis())
    source = ShowerSource(
        vertex=single(primary.vertex),
        direction=single(primary.direction),
        depth=single(depth),
        lag=single(shower.emission_lag(energy)),
        angles=Angles.of(centres, sigmas, np.asarray(weights, float)),
    )
    return Emitter(_draw_shower, source, spectrum, float(shower.equivalent_length(energy)) * float(spectrum.light))


def _draw_shower(source: ShowerSource, spectrum: Spectrum, key: PRNGKeyArray, count: int) -> Photons:
    share, colour, turn, choice, level = jax.random.uniform(key, (5, count), jnp.float32)
    depth = between(source.depth, share * (_ROWS - 1))
    index, group_index = spectrum.at(colour)
    cosine = source.angles.draw(share * (_PROFILES - 1), choice, level)
    axis = jnp.broadcast_to(source.direction[:, None], (3, count))
    direction = around(axis, spectrum.dispersed(cosine, index), turn)
    position = source.vertex[:, None] + depth * axis
    time = (depth + source.lag) / SPEED_OF_LIGHT
    return Photons(position, direction, time, group_index, colour, jnp.ones(count, bool))
