"""How heavy charged particles slow down in argon: stopping power, range, straggling and scattering.

Bethe formula with Sternheimer's density effect (PDG 2022, eqs. 34.5 and 34.7), shell corrections, and a small radiative
term. Lengths are in g/cm², so that the density of the liquid stays a parameter; see `Particle` for which particles.
Ranges follow the published tables within 1 % (see the tests). Hadronic interactions are not part of this: protons and
pions simply slow down.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import InputError, choice_remedy
from .._interpolation import UniformSpline
from ..constants import BETHE_K, ELECTRON_MASS, MUON_MASS, PION_MASS, PROTON_MASS
from ..medium.liquid_argon import RADIATION_LENGTH

# Liquid argon (Groom, Mokhov, Striganov, At. Data Nucl. Data Tables 78 (2001) 183, table 289 of the PDG's muon tables).
Z = 18
Z_OVER_A = 0.45059
MEAN_EXCITATION_ENERGY = 188.0e-6  # MeV
_STERNHEIMER = {"a": 0.19559, "k": 3.0, "x0": 0.2, "x1": 3.0, "c": 5.2146}
# 1/(g/cm²): b of muons, as the difference of the published ranges at 40 and 4 GeV asks for; 0.3 % of the loss at 1 GeV.
# Other particles radiate as 1/m².
_RADIATIVE_B = 4.4e-6

_LOWEST_BETA_GAMMA = 0.13  # where the shell corrections end; ranges go on below as a power of energy
_HIGHEST_BETA_GAMMA = 1e3
_BELOW = (
    1.71  # range ∝ T^1.71 below: what PSTAR's range of protons of 10 MeV in argon, 0.1887 g/cm², leaves below 7.9 MeV
)


class Particle(NamedTuple):
    """A particle that slows down: `mass` in MeV, and its number `pdg` in the scheme of the Particle Data Group."""

    mass: float
    pdg: int


HEAVY = {
    "mu-": Particle(MUON_MASS, 13),
    "mu+": Particle(MUON_MASS, -13),
    "pi-": Particle(PION_MASS, -211),
    "pi+": Particle(PION_MASS, 211),
    "proton": Particle(PROTON_MASS, 2212),
}
"""The particles that leave one track, by name."""


def heavy(name: str) -> Particle:
    """The particle of that name. **Raises** `InputError` for one that leaves no single track."""
    if name not in HEAVY:
        raise InputError("leaves no single track", key="particle", value=name, remedy=choice_remedy(name, HEAVY))
    return HEAVY[name]


def mass_stopping_power(kinetic_energy: float | np.ndarray, mass: float) -> float | np.ndarray:
    """Mean energy loss in MeV cm²/g of a unit-charge particle of `mass` MeV (NumPy, float64), for βγ above 0.13."""
    gamma = 1 + kinetic_energy / mass
    squared = 1 - 1 / gamma**2
    bg = np.sqrt(gamma**2 - 1)
    transfer = _maximum_transfer(gamma, mass)
    log_term = 0.5 * np.log(2 * ELECTRON_MASS * bg**2 * transfer / MEAN_EXCITATION_ENERGY**2)
    log_term += -squared - 0.5 * _density_effect(np.log10(bg)) - _shell_correction(bg) / Z
    collision = BETHE_K * Z_OVER_A / squared * log_term
    return collision + _RADIATIVE_B * (MUON_MASS / mass) ** 2 * gamma * mass


def _maximum_transfer(gamma: float | np.ndarray, mass: float) -> float | np.ndarray:
    ratio = ELECTRON_MASS / mass
    return 2 * ELECTRON_MASS * (gamma**2 - 1) / (1 + 2 * gamma * ratio + ratio**2)


def _density_effect(x: np.ndarray) -> np.ndarray:
    p = _STERNHEIMER
    high = 2 * np.log(10) * x - p["c"]
    middle = high + p["a"] * np.maximum(p["x1"] - x, 0.0) ** p["k"]
    return np.where(x >= p["x1"], high, np.where(x >= p["x0"], np.maximum(middle, 0.0), 0.0))


def _shell_correction(bg: np.ndarray) -> np.ndarray:
    """C of Barkas and Berger (NASA SP-3013, 1964), as in Groom et al. 2001; for βγ ≥ 0.13."""
    excitation = MEAN_EXCITATION_ENERGY * 1e6  # eV
    inverse = 1 / np.maximum(bg, _LOWEST_BETA_GAMMA) ** 2
    second = (0.422377 * inverse + 0.0304043 * inverse**2 - 0.00038106 * inverse**3) * 1e-6 * excitation**2
    third = (3.858019 * inverse - 0.1667989 * inverse**2 + 0.00157955 * inverse**3) * 1e-9 * excitation**3
    return second + third


class _Table(NamedTuple):
    """Splines over ln energy (MeV) of ln range (g/cm²) and of ln relative straggling; and ln energy over ln range."""

    log_range: UniformSpline
    log_energy: UniformSpline
    log_straggling: UniformSpline


@functools.cache
def _table(mass: float) -> _Table:
    lowest = mass * (np.hypot(1.0, _LOWEST_BETA_GAMMA) - 1)
    log_energy = np.linspace(np.log(lowest), np.log(mass * _HIGHEST_BETA_GAMMA), 4001)
    energy = np.exp(log_energy)
    gamma = 1 + energy / mass
    loss = np.asarray(mass_stopping_power(energy, mass))
    first = energy[0] / loss[0] / _BELOW
    path = first + _running(energy / loss, log_energy)
    # Bohr: Var(R) = ∫ (dΩ²/dx) / (dE/dx)³ dE, with the mean square loss ½ K (Z/A) Tmax (1 − β²/2) / β² (PDG 2022, eq. 34.12 ff.)
    squared = 1 - 1 / gamma**2
    square_loss = 0.5 * BETHE_K * Z_OVER_A / squared * _maximum_transfer(gamma, mass) * (1 - squared / 2)
    variance = (_low_straggling(mass) * first) ** 2 + _running(square_loss / loss**3 * energy, log_energy)
    grid = np.linspace(np.log(path[0]), np.log(path[-1]), 201)
    return _Table(
        UniformSpline.fit(log_energy[::20], np.log(path[::20])),
        UniformSpline.fit(grid, np.interp(grid, np.log(path), log_energy)),
        UniformSpline.fit(log_energy[::20], 0.5 * np.log(variance[::20]) - np.log(path[::20])),
    )


def _low_straggling(mass: float) -> float:
    """Relative straggling of the path that is left at the lowest energy: 0.03 of a muon, falling as 1/√mass."""
    return 0.03 * float(np.sqrt(MUON_MASS / mass))


def _running(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]) * np.diff(x))])


# MeV and g/cm²: below, functions are constant, so that a particle at rest has finite derivatives.
_AT_REST, _NO_RANGE = 1e-9, 1e-30


def mass_range(kinetic_energy: Float[Array, "..."], mass: float) -> Float[Array, "..."]:
    """Range in g/cm² in the continuous-slowing-down approximation, kinetic energy in MeV; 0 at rest."""
    moves = kinetic_energy > _AT_REST
    return jnp.where(moves, jnp.exp(_table(mass).log_range(jnp.log(jnp.where(moves, kinetic_energy, 1.0)))), 0.0)


def kinetic_energy_at(residual_range: Float[Array, "..."], mass: float) -> Float[Array, "..."]:
    """Kinetic energy in MeV of a particle with `residual_range` g/cm² left to go; 0 at the end."""
    moves = residual_range > _NO_RANGE
    safe = jnp.where(moves, residual_range, 1.0)
    return jnp.where(moves, jnp.exp(_table(mass).log_energy(jnp.log(safe))), 0.0)


def range_straggling(kinetic_energy: Float[Array, "..."], mass: float) -> Float[Array, "..."]:
    """Relative standard deviation of the range (Bohr), kinetic energy in MeV."""
    moves = kinetic_energy > _AT_REST
    return jnp.exp(_table(mass).log_straggling(jnp.log(jnp.where(moves, kinetic_energy, 1.0))))


def scattering_power(kinetic_energy: Float[Array, "..."], mass: float) -> Float[Array, "..."]:
    """Mean square of the plane scattering angle in rad² per g/cm²: (13.6 MeV / βp)² / X₀ (PDG 2022, eq. 34.16).

    Highland's logarithm is taken at one radiation length, so that angles add in quadrature along the track. Kinetic
    energies below 1 keV count as 1 keV.
    """
    energy = jnp.maximum(kinetic_energy, 1e-3)
    beta_momentum = energy * (energy + 2 * mass) / (energy + mass)
    return (13.6 / beta_momentum) ** 2 / RADIATION_LENGTH


def velocity(kinetic_energy: Float[Array, "..."], mass: float) -> Float[Array, "..."]:
    """β at a kinetic energy in MeV; energies below 1 keV count as 1 keV."""
    tau = jnp.maximum(kinetic_energy, 1e-3) / mass
    return jnp.sqrt(tau * (tau + 2)) / (tau + 1)
