"""Recombination at work: the electrons and photons that deposits make.

The laws themselves are part of the medium (`studio.medium.recombination`), so that their parameters are leaves of the
detector.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...medium import LiquidArgon
from ...units import MeV, cm

POINT_LOSS = 2.1 * MeV / cm
"""Energy loss at which a deposit without length is counted: that of a minimum-ionising particle. Simulations write a few
such steps, 3e-4 of the energy of a muon; their true length is that of electrons of some keV."""


class Ionisation(NamedTuple):
    """Mean numbers of `electrons (n,)` that escape recombination and of scintillation `photons (n,)` of each deposit."""

    electrons: Float[Array, " n"]
    photons: Float[Array, " n"]


def ionise(
    energy: Float[Array, " n"],
    length: Float[Array, " n"],
    cosine: Float[Array, " n"],
    field: Float[Array, " n"],
    medium: LiquidArgon,
) -> Ionisation:
    """Electrons and photons of deposits.

    **Arguments**: `energy` in MeV, `length` in mm, `cosine` of the angle between segment and field, `field` in V/mm.

    Every ion pair ends as a free electron or, recombined, as a photon; every excited atom makes a photon. So electrons +
    photons = (1 + N_ex/N_i) · energy / W, whatever the field: charge and light are anticorrelated.
    """
    pairs = energy / medium.w_ion
    survival = medium.recombination.survival(energy_loss(energy, length), field, medium.density, cosine)
    electrons = pairs * survival
    return Ionisation(electrons, pairs * (1 + medium.excitation_ratio) - electrons)


def energy_loss(energy: Float[Array, " n"], length: Float[Array, " n"]) -> Float[Array, " n"]:
    """dE/dx in MeV/mm; `POINT_LOSS` where there is no length."""
    extended = length > 0
    return jnp.where(extended, energy / jnp.where(extended, length, 1.0), POINT_LOSS)
