"""The light of an electron: an electromagnetic shower cut into pieces along its axis."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...constants import SPEED_OF_LIGHT
from ...event import shower
from ...event.primary import Primary
from ...geometry import AbstractVolume
from .directions import turned
from .sources import BroadSource, Spread

LATENTS = 4
"""Light, longitudinal scale, and direction in two planes."""


def shower_source(
    primary: Primary, pieces: int, latents: Float[Array, "4"], mean: bool, volume: AbstractVolume
) -> BroadSource:
    """The shower of one electron or positron in `pieces` pieces, moved by standard normal `latents`.

    `mean` takes the light as the mean over showers: the angular profile with the scatter of their directions, and a length
    that is the mean of a log-normal one where the latents are zero; without it, it is that of the single shower. Light
    beyond the wall of `volume` is left out.
    """
    energy = primary.kinetic_energy
    spread = shower.fluctuations(energy)
    light = shower.equivalent_length(energy) * jnp.maximum(1 + spread.light * latents[0], 0.05)
    tied = spread.correlation * latents[0] + jnp.sqrt(1 - spread.correlation**2) * latents[1]
    stretch = jnp.exp(spread.scale * tied - (0.0 if mean else 0.5) * spread.scale**2)
    direction = turned(primary.direction, spread.direction * latents[2:])
    nodes, shares = shower.emission_nodes(energy, pieces)
    shares_before = jnp.concatenate([jnp.zeros(1, shares.dtype), jnp.cumsum(shares)])
    # All pieces lie before the wall and share, in the same proportions, the light that is sent there.
    nodes = nodes * stretch
    inside = jnp.interp(volume.distance_to_wall(primary.vertex, direction), nodes, shares_before)
    nodes = jnp.interp(inside * shares_before, shares_before, nodes)
    middles, lengths = 0.5 * (nodes[1:] + nodes[:-1]), jnp.diff(nodes)
    fractions = 0.5 * inside * (shares_before[1:] + shares_before[:-1])
    profile = shower.angular_profile if mean else shower.angular_profile_about_shower
    centres, sigmas = shower.angular_basis()
    zero = jnp.zeros_like(middles)
    return BroadSource(
        position=primary.vertex + middles[:, None] * direction,
        direction=jnp.broadcast_to(direction, (pieces, 3)),
        time=primary.time + (middles + shower.emission_lag(energy)) / SPEED_OF_LIGHT,
        extent=lengths[:, None] * direction,
        length=light * inside * shares,
        weights=jax.vmap(lambda fraction: profile(energy, fraction))(fractions),
        spread=Spread(zero, zero, zero, zero),
        centres=tuple(centres.tolist()),
        sigmas=tuple(sigmas.tolist()),
    )
