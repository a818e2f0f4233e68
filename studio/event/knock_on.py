"""Knock-on electrons of muons in water: spectrum, kinematics, and the angles of their light (NumPy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..constants import BETHE_K, ELECTRON_MASS, MUON_MASS
from ..units import cm
from .energy_loss import Z_OVER_A, maximum_transfer

DELTA_GRID = (40.0, 20000.0, 19)  # MeV, kinetic energy of the muon, uniform in the logarithm
LIGHT_THRESHOLD = 0.2425  # MeV, electrons at 300 nm

Array = NDArray[np.float64]
Number = float | NDArray[np.float64]


def spectrum(electron_energy: Number, kinetic_energy: Number) -> Array:
    """Knock-on electrons per MeV and mm (PDG 2022, equation 34.8, with the factor of spin 1/2)."""
    gamma = 1.0 + kinetic_energy / MUON_MASS
    beta2 = 1.0 - 1.0 / gamma**2
    total = kinetic_energy + MUON_MASS
    limit = maximum_transfer(np.asarray(kinetic_energy))
    spin = 1.0 - beta2 * electron_energy / limit + 0.5 * (electron_energy / total) ** 2
    per_length = 0.5 * BETHE_K * Z_OVER_A / cm / beta2
    return np.where(electron_energy < limit, per_length * spin / electron_energy**2, 0.0)


def emission_cosine(electron_energy: Number, kinetic_energy: Number) -> Array:
    """Cosine of the angle between the muon and its knock-on electron (two-body kinematics, electron at rest)."""
    electron_momentum = np.sqrt(electron_energy * (electron_energy + 2.0 * ELECTRON_MASS))
    muon_momentum = np.sqrt(kinetic_energy * (kinetic_energy + 2.0 * MUON_MASS))
    cosine = electron_energy * (kinetic_energy + MUON_MASS + ELECTRON_MASS) / (electron_momentum * muon_momentum)
    return np.clip(cosine, 0.0, 1.0)


def delta_profiles(energies: Array, light: Array, about_axis: Array, azimuths: int = 48) -> Array:
    """Distributions `(muon energies, cosines)` of the cosine between the muon and the light of its knock-on electrons.

    `energies (n,)` of electrons, uniform in the logarithm, their `light (n,)` and the histograms `about_axis
    (n, cosines)` of the photons' cosine to the electron's initial direction.
    """
    bins = about_axis.shape[1]
    shapes = about_axis / about_axis.sum(axis=1, keepdims=True)
    centre = (np.arange(bins) + 0.5) * (2.0 / bins) - 1.0
    sine = np.sqrt(1.0 - centre**2)
    step = np.log(energies[1] / energies[0])
    phase = np.cos(np.pi * (np.arange(azimuths) + 0.5) / azimuths)
    profiles = []
    for muon in np.geomspace(*DELTA_GRID[:2], int(DELTA_GRID[2])):
        limit = float(maximum_transfer(muon))
        edges = np.linspace(np.log(LIGHT_THRESHOLD + 0.02), np.log(limit), 241)
        electron = np.exp(0.5 * (edges[1:] + edges[:-1]))
        position = np.clip((np.log(electron) - np.log(energies[0])) / step, 0.0, len(energies) - 1.001)
        lower = position.astype(int)
        part = position - lower
        lit = np.exp(np.interp(np.log(electron), np.log(energies), np.log(light))) * (electron > LIGHT_THRESHOLD)
        weight = spectrum(electron, muon) * electron * lit
        cosine = emission_cosine(electron, muon)
        total = np.zeros(bins)
        for e in range(len(electron)):
            shape = shapes[lower[e]] * (1.0 - part[e]) + shapes[lower[e] + 1] * part[e]
            x = centre[:, None] * cosine[e] + sine[:, None] * np.sqrt(1.0 - cosine[e] ** 2) * phase
            column = np.clip(((x + 1.0) * (0.5 * bins)).astype(int), 0, bins - 1)
            total += np.bincount(column.ravel(), np.repeat(weight[e] * shape / azimuths, azimuths), minlength=bins)
        profiles.append(total)
    return np.stack(profiles)
