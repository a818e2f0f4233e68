"""Cross sections of electrons, positrons and photons in water, for the offline shower Monte Carlo (NumPy, no JAX).

Everything is per millimetre of water of density 1 g/cm3, energies in MeV. Sources:

* collision loss: Berger and Seltzer, NBSIR 82-2550 (1982), with Sternheimer's density effect and I = 78 eV (ICRU 90);
* knock-on electrons: Moller and Bhabha cross sections, as in ICRU 37;
* bremsstrahlung: Born approximation without screening (formula 3BN of Koch and Motz, Rev. Mod. Phys. 31 (1959) 920),
  the difference that screening makes from Tsai's functions (Rev. Mod. Phys. 46 (1974) 815, equations 3.38 to 3.41)
  and his Coulomb correction;
* elastic scattering: Rutherford, Moliere's screening angle, the Mott factor 1 - beta^2 sin^2(theta/2) and Z(Z + 1);
* Compton scattering: Klein and Nishina, free electrons at rest;
* pairs: total cross section of Hubbell, Gimm and Overbo (1980) in the form fitted by L. Urban (Geant4 Physics
  Reference Manual, "Gamma conversion"), energy split by Tsai's screened formula;
* annihilation in flight: Heitler's formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..constants import ELECTRON_MASS, FINE_STRUCTURE

CLASSICAL_ELECTRON_RADIUS = 2.8179403e-12  # mm
MOLECULES = 3.342796e19  # water molecules per mm3 at 1 g/cm3
ELECTRONS = 10.0 * MOLECULES  # per mm3
ATOMS = ((1.0, 2.0 * MOLECULES), (8.0, MOLECULES))  # charge, number per mm3
IONISATION_ENERGY = 78.0e-6  # MeV, ICRU 90
PLASMA_ENERGY = 21.469e-6  # MeV, Sternheimer, Berger and Seltzer (1984)
DENSITY_X0, DENSITY_X1, DENSITY_POWER = 0.2400, 2.8004, 3.4773  # Sternheimer, Berger and Seltzer (1984)

_THOMSON = 2.0 * np.pi * CLASSICAL_ELECTRON_RADIUS**2 * ELECTRONS  # 1/mm


def density_effect(beta_gamma: np.ndarray) -> np.ndarray:
    """Sternheimer's density correction of water, with its constants made consistent with the ionisation energy used."""
    limit = 1.0 + 2.0 * np.log(IONISATION_ENERGY / PLASMA_ENERGY)
    bend = (limit - 2.0 * np.log(10.0) * DENSITY_X0) / (DENSITY_X1 - DENSITY_X0) ** DENSITY_POWER
    x = np.log10(beta_gamma)
    asymptote = 2.0 * np.log(10.0) * x - limit
    return np.where(
        x < DENSITY_X0, 0.0, asymptote + bend * np.clip(DENSITY_X1 - x, 0.0, None) ** DENSITY_POWER * (x < DENSITY_X1)
    )


def collision_loss(kinetic_energy: np.ndarray, positron: bool) -> np.ndarray:
    """Unrestricted collision stopping power, MeV/mm (Berger and Seltzer 1982, equations 4 to 8)."""
    tau = kinetic_energy / ELECTRON_MASS
    gamma = 1.0 + tau
    beta2 = 1.0 - 1.0 / gamma**2
    if positron:
        t = tau + 2.0
        shape = 2.0 * np.log(2.0) - beta2 / 12.0 * (23.0 + 14.0 / t + 10.0 / t**2 + 4.0 / t**3)
    else:
        shape = (1.0 - beta2) * (1.0 + tau**2 / 8.0 - (2.0 * tau + 1.0) * np.log(2.0))
    logarithm = 2.0 * np.log(kinetic_energy / IONISATION_ENERGY) + np.log1p(tau / 2.0)
    beta_gamma = np.sqrt(gamma**2 * beta2)
    return _THOMSON * ELECTRON_MASS / beta2 * (logarithm + shape - density_effect(beta_gamma))


def moller(fraction: np.ndarray, kinetic_energy: np.ndarray) -> np.ndarray:
    """Moller cross section per unit energy fraction given to the slower electron (fraction <= 1/2), 1/mm."""
    gamma = 1.0 + kinetic_energy / ELECTRON_MASS
    beta2 = 1.0 - 1.0 / gamma**2
    mix = (2.0 * gamma - 1.0) / gamma**2
    rest = 1.0 - fraction
    bracket = ((gamma - 1.0) / gamma) ** 2 + (1.0 / fraction - mix) / fraction + (1.0 / rest - mix) / rest
    return _THOMSON / (beta2 * (gamma - 1.0)) * bracket


def bhabha(fraction: np.ndarray, kinetic_energy: np.ndarray) -> np.ndarray:
    """Bhabha cross section per unit energy fraction given to the electron, 1/mm."""
    gamma = 1.0 + kinetic_energy / ELECTRON_MASS
    beta2 = 1.0 - 1.0 / gamma**2
    y = 1.0 / (gamma + 1.0)
    b1 = 2.0 - y**2
    b2 = (1.0 - 2.0 * y) * (3.0 + y**2)
    b4 = (1.0 - 2.0 * y) ** 3
    b3 = b4 + (1.0 - 2.0 * y) ** 2
    e = fraction
    return _THOMSON / (gamma - 1.0) * (1.0 / (beta2 * e**2) - b1 / e + b2 - b3 * e + b4 * e**2)


def annihilation(kinetic_energy: np.ndarray) -> np.ndarray:
    """Annihilation in flight into two photons, 1/mm (Heitler)."""
    gamma = 1.0 + kinetic_energy / ELECTRON_MASS
    root = np.sqrt(gamma**2 - 1.0)
    logarithm = (gamma**2 + 4.0 * gamma + 1.0) / root**2 * np.log(gamma + root)
    return 0.5 * _THOMSON / (gamma + 1.0) * (logarithm - (gamma + 3.0) / root)


def annihilation_split(fraction: np.ndarray, kinetic_energy: np.ndarray) -> np.ndarray:
    """Relative probability that one photon of annihilation in flight takes this fraction of the total energy."""
    gamma = 1.0 + kinetic_energy / ELECTRON_MASS
    return (1.0 - fraction + (2.0 * gamma * fraction - 1.0) / (fraction * (gamma + 1.0) ** 2)) / fraction


def screening(gamma: np.ndarray, epsilon: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tsai's Thomas-Fermi-Moliere functions phi1, phi2 (nucleus) and psi1, psi2 (electrons), his equations 3.38 to 3.41."""
    phi1 = (
        20.863
        - 2.0 * np.log1p((0.55846 * gamma) ** 2)
        - 4.0 * (1.0 - 0.6 * np.exp(-0.9 * gamma) - 0.4 * np.exp(-1.5 * gamma))
    )
    phi2 = phi1 - 2.0 / 3.0 / (1.0 + 6.5 * gamma + 6.0 * gamma**2)
    psi1 = (
        28.340
        - 2.0 * np.log1p((3.621 * epsilon) ** 2)
        - 4.0 * (1.0 - 0.7 * np.exp(-8.0 * epsilon) - 0.3 * np.exp(-29.2 * epsilon))
    )
    psi2 = psi1 - 2.0 / 3.0 / (1.0 + 40.0 * epsilon + 400.0 * epsilon**2)
    return phi1, phi2, psi1, psi2


def coulomb_correction(charge: float) -> float:
    """Davies, Bethe and Maximon's f(Z), as in Tsai's equation 3.3."""
    a = (charge * FINE_STRUCTURE) ** 2
    return a * (1.0 / (1.0 + a) + 0.20206 - 0.0369 * a + 0.0083 * a**2 - 0.002 * a**3)


def bremsstrahlung(photon_energy: np.ndarray, kinetic_energy: np.ndarray) -> np.ndarray:
    """Bremsstrahlung cross section k dSigma/dk, 1/mm."""
    before = 1.0 + kinetic_energy / ELECTRON_MASS
    k = photon_energy / ELECTRON_MASS
    after = np.clip(before - k, 1.0 + 1e-9, None)
    total = np.zeros(np.broadcast(photon_energy, kinetic_energy).shape)
    for charge, number in ATOMS:
        inverse = 100.0 * k / (before * after)
        phi1, phi2, psi1, psi2 = screening(inverse / charge ** (1.0 / 3.0), inverse / charge ** (2.0 / 3.0))
        ratio = after / before
        bare_nucleus = 19.19331 - 4.0 * np.log(inverse / charge ** (1.0 / 3.0))
        bare_electron = 19.19331 - 4.0 * np.log(inverse / charge ** (2.0 / 3.0))
        slope = 2.0 / 3.0 * ratio
        nucleus = (1.0 + ratio**2) * (phi1 - bare_nucleus) - slope * (phi2 - bare_nucleus)
        electron = (1.0 + ratio**2) * (psi1 - bare_electron) - slope * (psi2 - bare_electron)
        nucleus = nucleus - 4.0 * coulomb_correction(charge) * (1.0 + ratio**2 - slope)
        born = _born_bremsstrahlung(before, after, k)
        atom = charge**2 * np.clip(born + nucleus, 0.0, None) + charge * np.clip(born + electron, 0.0, None)
        total = total + number * FINE_STRUCTURE * CLASSICAL_ELECTRON_RADIUS**2 * atom
    return np.where(photon_energy < kinetic_energy, total, 0.0)


def _born_bremsstrahlung(before: np.ndarray, after: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Koch and Motz 3BN without its prefactor Z^2 r0^2 alpha / k; the high-energy limit above 50 MeV (cancellation)."""
    p0, p = np.sqrt(before**2 - 1.0), np.sqrt(after**2 - 1.0)
    e0, e = 2.0 * np.log(before + p0), 2.0 * np.log(after + p)
    product = before * after
    logarithm = 2.0 * np.log((product + p0 * p - 1.0) / k)
    bracket = (
        8.0 * product / (3.0 * p0 * p)
        + k**2 * (product**2 + (p0 * p) ** 2) / (p0 * p) ** 3
        + k
        / (2.0 * p0 * p)
        * ((product + p0**2) / p0**3 * e0 - (product + p**2) / p**3 * e + 2.0 * k * product / (p * p0) ** 2)
    )
    full = (
        p
        / p0
        * (
            4.0 / 3.0
            - 2.0 * product * (p**2 + p0**2) / (p * p0) ** 2
            + e0 * after / p0**3
            + e * before / p**3
            - e * e0 / (p * p0)
            + logarithm * bracket
        )
    )
    ratio = after / before
    limit = (1.0 + ratio**2 - 2.0 / 3.0 * ratio) * (4.0 * np.log(2.0 * product / k) - 2.0)
    return np.where(before < 2000.0, full, limit)


def elastic(kinetic_energy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The elastic cross section K (1 - beta^2 mu) / (mu + A)^2 per unit mu = (1 - cos theta)/2: K (1/mm), A, beta^2."""
    gamma = 1.0 + kinetic_energy / ELECTRON_MASS
    beta2 = 1.0 - 1.0 / gamma**2
    momentum = np.sqrt(gamma**2 - 1.0)
    strength, logarithm = 0.0, 0.0
    for charge, number in ATOMS:
        weight = number * charge * (charge + 1.0)
        angle2 = (FINE_STRUCTURE * charge ** (1.0 / 3.0) / 0.885 / momentum) ** 2
        angle2 = angle2 * (1.13 + 3.76 * (FINE_STRUCTURE * charge) ** 2 / beta2)
        strength = strength + weight
        logarithm = logarithm + weight * np.log(angle2 / 4.0)
    factor = np.pi * CLASSICAL_ELECTRON_RADIUS**2 / (beta2 * momentum) ** 2 * beta2
    return factor * strength, np.exp(logarithm / strength), beta2


def klein_nishina(photon_energy: np.ndarray) -> np.ndarray:
    """Total Compton cross section, 1/mm."""
    k = photon_energy / ELECTRON_MASS
    first = (1.0 + k) / k**2 * (2.0 * (1.0 + k) / (1.0 + 2.0 * k) - np.log1p(2.0 * k) / k)
    return _THOMSON * (first + np.log1p(2.0 * k) / (2.0 * k) - (1.0 + 3.0 * k) / (1.0 + 2.0 * k) ** 2)


def klein_nishina_split(fraction: np.ndarray, photon_energy: np.ndarray) -> np.ndarray:
    """Relative probability that the scattered photon keeps this fraction of its energy."""
    k = photon_energy / ELECTRON_MASS
    cosine = 1.0 - (1.0 / fraction - 1.0) / k
    return 1.0 / fraction + fraction - (1.0 - cosine**2)


_PAIR_FIT = np.array(
    [
        [8.7842e2, -1.9625e3, 1.2949e3, -2.0028e2, 1.2575e1, -2.8333e-1],
        [-1.0342e1, 1.7692e1, -8.2381, 1.3063, -9.0815e-2, 2.3586e-3],
        [-4.5263e2, 1.1161e3, -8.6749e2, 2.1773e2, -2.0467e1, 6.5372e-1],
    ]
)  # microbarn


def pair_production(photon_energy: np.ndarray) -> np.ndarray:
    """Pairs and triplets, total, 1/mm: good to 5 % from 1.5 MeV to 100 GeV; below, proportional to (k - 2m)^2."""
    threshold = 2.0 * ELECTRON_MASS
    x = np.log(np.clip(photon_energy, 1.5, None) / ELECTRON_MASS)
    f1, f2, f3 = (np.polynomial.polynomial.polyval(x, row) for row in _PAIR_FIT)
    low = np.clip((photon_energy - threshold) / (1.5 - threshold), 0.0, 1.0) ** 2
    total = sum(number * (charge + 1.0) * (f1 * charge + f2 * charge**2 + f3) for charge, number in ATOMS)
    return np.asarray(total * low * 1e-28)  # 1 microbarn = 1e-28 mm2


def pair_split(fraction: np.ndarray, photon_energy: np.ndarray) -> np.ndarray:
    """Relative probability that one of the pair takes this fraction of the photon's energy (oxygen's screening)."""
    inverse = 100.0 * ELECTRON_MASS / (photon_energy * fraction * (1.0 - fraction))
    phi1, phi2, _, _ = screening(inverse / 2.0, inverse / 4.0)
    constant = 4.0 / 3.0 * np.log(8.0) + 4.0 * coulomb_correction(8.0)
    split = fraction**2 + (1.0 - fraction) ** 2
    value = split * np.clip(phi1 - constant, 0.0, None)
    value = value + 2.0 / 3.0 * fraction * (1.0 - fraction) * np.clip(phi2 - constant, 0.0, None)
    return value + 1e-3


@dataclass(frozen=True)
class Sampler:
    """Inverse distribution functions of a variable on [0, 1] on a uniform grid of log energy, drawn between neighbours.

    **Fields**: `start`, `step`: of the grid of ln(energy / MeV). `quantiles (energies, levels)`.
    """

    start: float
    step: float
    quantiles: np.ndarray

    @classmethod
    def build(
        cls, energies: np.ndarray, density: Callable[[np.ndarray, np.ndarray], np.ndarray], levels: int = 513
    ) -> Sampler:
        """From an unnormalised `density(v (n, 1), energy (1, m))` of v on [0, 1]."""
        v = np.linspace(0.0, 1.0, 4001)
        middle = 0.5 * (v[1:] + v[:-1])
        values = (
            density(middle[:, None], energies[None, :]) + 1e-30
        )  # never used below a cut, where the density is empty
        cumulative = np.concatenate([np.zeros((1, len(energies))), np.cumsum(values, axis=0)])
        levels_at = np.linspace(0.0, 1.0, levels)
        quantiles = np.stack([np.interp(levels_at, column / column[-1], v) for column in cumulative.T])
        return cls(float(np.log(energies[0])), float(np.log(energies[1] / energies[0])), quantiles)

    def __call__(self, energy: np.ndarray, random: np.random.Generator) -> np.ndarray:
        position = (np.log(energy) - self.start) / self.step
        row = np.clip(np.floor(position + random.random(len(energy))).astype(int), 0, len(self.quantiles) - 1)
        level = random.random(len(energy)) * (self.quantiles.shape[1] - 1)
        column = level.astype(int)
        part = level - column
        return self.quantiles[row, column] * (1.0 - part) + self.quantiles[row, column + 1] * part
