"""Multiple scattering and range straggling of muons in water: how far a real track strays from the mean one."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._interpolation import UniformSpline
from ..constants import BETHE_K, ELECTRON_MASS, MUON_MASS
from ..units import cm
from .energy_loss import HIGHEST_KINETIC_ENERGY, LOWEST_KINETIC_ENERGY, Z_OVER_A, beta, beta_gamma, bethe

RADIATION_LENGTH = 36.08 * cm
"""Radiation length of water (PDG 2022)."""


def scattering_power(kinetic_energy: Float[Array, "..."]) -> Float[Array, "..."]:
    """Mean square of the plane scattering angle per length, in rad²/mm, of a muon in water.

    Highland's formula with its logarithm taken at one radiation length, (13.6 MeV / βp)² / X₀ (PDG 2022, eq. 34.16):
    angles then add in quadrature along the track. The logarithm left out is 8 % of the angle at a tenth of X₀ and at
    10 X₀; the tails of single large scatters are not described.
    """
    momentum = MUON_MASS * beta_gamma(kinetic_energy)
    return (13.6 / (beta(kinetic_energy) * momentum)) ** 2 / RADIATION_LENGTH


def range_straggling(kinetic_energy: Float[Array, "..."]) -> Float[Array, "..."]:
    """Relative standard deviation of the range of a muon in water (Bohr).

    Var(R) = ∫ dΩ²/dx / (dE/dx)³ dE with dΩ²/dx = ½ K (Z/A) Tmax-weighted knock-on variance,
    ξ-term K/2 · Z/A · γ²(1 − β²/2) 2 mₑ (Rossi; ICRU 49, eq. 4.14).
    """
    return jnp.exp(_straggling_spline()(jnp.log(kinetic_energy)))


@functools.cache
def _straggling_spline() -> UniformSpline:
    log_energy = np.linspace(np.log(LOWEST_KINETIC_ENERGY), np.log(HIGHEST_KINETIC_ENERGY), 2001)
    energy = np.exp(log_energy)
    gamma = 1 + energy / MUON_MASS
    squared = 1 - 1 / gamma**2
    loss = bethe(energy)
    # Mean square energy loss per length: ∫ T² d²N/dTdx dT = ½ K Z/A (1/β²) Tmax (1 − β²/2), Tmax ≈ 2 mₑ β²γ².
    ratio = ELECTRON_MASS / MUON_MASS
    transfer = 2 * ELECTRON_MASS * (gamma**2 - 1) / (1 + 2 * gamma * ratio + ratio**2)
    variance_rate = 0.5 * BETHE_K / cm * Z_OVER_A / squared * transfer * (1 - squared / 2)
    integrand = variance_rate / loss**3 * energy
    steps = np.diff(log_energy)
    variance = np.concatenate([[0.0], np.cumsum(0.5 * (integrand[1:] + integrand[:-1]) * steps)])
    inverse = energy / loss
    path = inverse[0] / 1.8 + np.concatenate([[0.0], np.cumsum(0.5 * (inverse[1:] + inverse[:-1]) * steps)])
    variance += (0.03 * path[0]) ** 2
    relative = np.sqrt(variance) / path
    return UniformSpline.fit(log_energy[::20], np.log(relative[::20]))
