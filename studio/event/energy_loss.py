"""How muons slow down in water: stopping power, range, and kinetic energy along the track.

Bethe formula with Sternheimer's density effect, and a small radiative term. Source: PDG 2022, eqs. 34.5 and 34.7;
parameters of liquid water: Groom, Mokhov, Striganov, At. Data Nucl. Data Tables 78 (2001) 183. Valid from 1 MeV to
100 GeV; below, the shell corrections that are left out matter, at 1 % of the range of a Cherenkov-emitting muon or less.
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._interpolation import UniformSpline
from ..constants import BETHE_K, ELECTRON_MASS, MUON_MASS
from ..units import cm

# Liquid water, density 1 g/cm3 (Groom et al. 2001).
Z_OVER_A = 0.55509
MEAN_EXCITATION_ENERGY = 79.7e-6  # MeV
_STERNHEIMER = {"a": 0.09116, "k": 3.4773, "x0": 0.2400, "x1": 2.8004, "c": 3.5017}
_RADIATIVE_B = 1.7e-6  # 1/(g/cm2): b(E) of muons in water near 10 GeV, Groom et al. 2001; 0.1 % of the loss at 1 GeV

LOWEST_KINETIC_ENERGY = 1.0  # MeV
HIGHEST_KINETIC_ENERGY = 1e5  # MeV


def beta_gamma(kinetic_energy: Float[Array, "..."], mass: float = MUON_MASS) -> Float[Array, "..."]:
    """Momentum over mass, βγ, at a kinetic energy in MeV."""
    tau = kinetic_energy / mass
    return jnp.sqrt(tau * (tau + 2))


def beta(kinetic_energy: Float[Array, "..."], mass: float = MUON_MASS) -> Float[Array, "..."]:
    """Velocity over c at a kinetic energy in MeV."""
    tau = kinetic_energy / mass
    return jnp.sqrt(tau * (tau + 2)) / (tau + 1)


def maximum_transfer(kinetic_energy: np.ndarray, mass: float = MUON_MASS) -> np.ndarray:
    """Largest energy in MeV that one collision can give to an electron (PDG 2022, eq. 34.4)."""
    gamma = 1 + kinetic_energy / mass
    ratio = ELECTRON_MASS / mass
    return np.asarray(2 * ELECTRON_MASS * (gamma**2 - 1) / (1 + 2 * gamma * ratio + ratio**2))


def bethe(kinetic_energy: np.ndarray, mass: float = MUON_MASS) -> np.ndarray:
    """Mean energy loss in MeV/mm of a unit-charge particle heavier than the electron in water (NumPy, float64)."""
    gamma = 1 + np.asarray(kinetic_energy) / mass
    squared = 1 - 1 / gamma**2
    bg = np.sqrt(gamma**2 - 1)
    argument = 2 * ELECTRON_MASS * bg**2 * maximum_transfer(kinetic_energy, mass) / MEAN_EXCITATION_ENERGY**2
    log_term = 0.5 * np.log(argument) - squared - 0.5 * _density_effect(np.log10(bg))
    collision = BETHE_K * Z_OVER_A / squared * log_term
    return (collision + _RADIATIVE_B * gamma * mass) / cm


def _density_effect(x: np.ndarray) -> np.ndarray:
    p = _STERNHEIMER
    high = 2 * np.log(10) * x - p["c"]
    middle = high + p["a"] * np.maximum(p["x1"] - x, 0.0) ** p["k"]
    return np.where(x >= p["x1"], high, np.where(x >= p["x0"], middle, 0.0))


@functools.cache
def _splines() -> tuple[UniformSpline, UniformSpline]:
    """log range against log energy, and log energy against log range, for muons in water."""
    log_energy = np.linspace(np.log(LOWEST_KINETIC_ENERGY), np.log(HIGHEST_KINETIC_ENERGY), 4001)
    energy = np.exp(log_energy)
    inverse = energy / bethe(energy)
    # Range at the lowest energy: dE/dx falls as 1/T^0.8 below, so the rest of the path is T/(1.8 dE/dx).
    first = energy[0] / bethe(energy[:1])[0] / 1.8
    increments = 0.5 * (inverse[1:] + inverse[:-1]) * np.diff(log_energy)
    log_range = np.log(first + np.concatenate([[0.0], np.cumsum(increments)]))
    grid = np.linspace(log_range[0], log_range[-1], 161)
    return (
        UniformSpline.fit(log_energy[::25], log_range[::25]),
        UniformSpline.fit(grid, np.interp(grid, log_range, log_energy)),
    )


def csda_range(kinetic_energy: Float[Array, "..."]) -> Float[Array, "..."]:
    """Range in mm of a muon in water in the continuous-slowing-down approximation, kinetic energy in MeV."""
    return jnp.exp(_splines()[0](jnp.log(kinetic_energy)))


def kinetic_energy_at(residual_range: Float[Array, "..."]) -> Float[Array, "..."]:
    """Kinetic energy in MeV of a muon in water that has `residual_range` mm left to go."""
    return jnp.exp(_splines()[1](jnp.log(residual_range)))
