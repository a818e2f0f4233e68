"""From an event to the charge that arrives at the anodes, whatever reads it out there."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..._checks import InputError
from ...detector.abstract_tpc import AbstractTPC
from ...event import Primary
from ...event.deposits import Deposits
from ...event.tracks import track_deposits, track_latent_count
from .drift import AnodeCharge, drift

#: Fano factor of ionisation in liquid argon: T. Doke et al., Nucl. Instrum. Meth. 134 (1976) 353.
_FANO = 0.107


def latents_of(event: Primary | Deposits, segments: int) -> int:
    """Number of latents of an event in so many segments: deposits have none."""
    return 0 if isinstance(event, Deposits) else track_latent_count(segments)


def deposits_of(
    detector: AbstractTPC, event: Primary | Deposits, segments: int, latents: Float[Array, " latents"] | None = None
) -> Deposits:
    """The deposits of an event; those of a particle are made here, with `latents` the fluctuations of its track.

    **Raises** `InputError` for a stack of events.
    """
    if isinstance(event, Deposits):
        if event.energy.ndim != 1:
            raise InputError("a stack of events", key="event", remedy="give one event, or use jax.vmap")
        return event
    longest = 2 * detector.volume.longest_chord
    return track_deposits(event, detector.medium, segments, latents=latents, longest=longest)


@eqx.filter_jit
def arriving_charge(
    detector: AbstractTPC, event: Primary | Deposits, segments: int, latents: Float[Array, " latents"] | None = None
) -> AnodeCharge:
    """Mean charge at the anodes, for given `latents`."""
    deposits = deposits_of(detector, event, segments, None if isinstance(event, Deposits) else latents)
    return drift(deposits, detector.volumes, detector.medium, detector.space_charge)


@eqx.filter_jit
def fluctuating_charge(
    detector: AbstractTPC, event: Primary | Deposits, segments: int, key: PRNGKeyArray
) -> AnodeCharge:
    """Charge at the anodes with the fluctuations of the particle and of its ionisation."""
    of_track, of_charge = jax.random.split(key)
    latents = None
    if not isinstance(event, Deposits):
        size = (track_latent_count(segments),)
        latents = jax.random.normal(of_track, size, event.kinetic_energy.dtype)
    deposits = deposits_of(detector, event, segments, latents)
    charge = drift(deposits, detector.volumes, detector.medium, detector.space_charge)
    return _fluctuating(of_charge, charge, deposits, detector)


def _fluctuating(key: PRNGKeyArray, charge: AnodeCharge, deposits: Deposits, detector: AbstractTPC) -> AnodeCharge:
    """Charge as it comes: ionisation fluctuates with the Fano factor, and each electron survives or does not.

    A normal density with the variance n (1 − s (1 − F)) of n electrons of which the part s survived.
    """
    made = deposits.energy[charge.deposit] * charge.share * deposits.weight[charge.deposit] / detector.medium.w_ion
    survived = charge.electrons / jnp.where(made > 0, made, 1.0)
    variance = charge.electrons * (1 - survived * (1 - _FANO))
    step = jnp.sqrt(jnp.maximum(variance, 0.0)) * jax.random.normal(key, variance.shape, variance.dtype)
    return eqx.tree_at(lambda tree: tree.electrons, charge, jnp.maximum(charge.electrons + step, 0.0))
