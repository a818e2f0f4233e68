"""Light of the knock-on electrons ("delta rays") of muons in water, as smooth functions of the muon's kinetic energy.

Spectrum and kinematics: PDG 2022, equations 34.4 and 34.8 (`knock_on.py`). The light of every electron, with its secondaries,
and its angles: the package's shower Monte Carlo (`shower.py`). Equivalent length means mm of beta = 1 track with as
many photons in 300 to 600 nm; angles are those at 400 nm. Kinetic energies in MeV.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import roots_legendre

from .._interpolation import UniformSpline
from . import energy_loss, knock_on, shower
from .shower import AngularBasis

LOWEST, HIGHEST, NODES = 20.0, 20000.0, 120  # MeV, of the muon


def light_per_length(kinetic_energy: float | Float[Array, "..."]) -> Float[Array, "..."]:
    """Mean light of knock-on electrons per length of a muon's track, equivalent mm per mm."""
    return jnp.maximum(_splines().light(_log_energy(kinetic_energy)), 0.0)


def light_variance_per_length(kinetic_energy: float | Float[Array, "..."]) -> Float[Array, "..."]:
    """Variance of that light per length of track, mm^2 per mm: the spectrum's integral over the mean squared light.

    Knock-on electrons are a Poisson process along the track. The distribution has a long tail (its largest electrons
    carry most of the variance), so over a few metres it is not Gaussian.
    """
    return jnp.exp(_splines().variance(_log_energy(kinetic_energy)))


def angular_basis() -> AngularBasis:
    """The fixed basis of `angular_profile`: Gaussians in the cosine of the angle to the muon."""
    data = shower.table()
    return AngularBasis(data["delta_centres"], data["delta_sigmas"])


def angular_profile(kinetic_energy: float | Float[Array, ""]) -> Float[Array, " basis"]:
    """Weights of `angular_basis()` in the density of the photons in x = cos(theta) to the muon; positive, sum 1."""
    return jax.nn.softmax(_splines().logits(_log_energy(kinetic_energy)))


class _Splines(NamedTuple):
    light: UniformSpline
    variance: UniformSpline
    logits: UniformSpline


@functools.cache
def _splines() -> _Splines:
    data = shower.table()
    low, high, count = data["delta_grid_mev"]
    grid = np.log(np.geomspace(LOWEST, HIGHEST, NODES))
    light, square = _moments(np.exp(grid))
    return _Splines(
        light=UniformSpline.fit(grid, light),
        variance=UniformSpline.fit(grid, np.log(square)),
        logits=UniformSpline.fit(np.log(np.geomspace(low, high, int(count))), data["delta_logits"]),
    )


def _moments(muons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of the knock-on spectrum over mean light and mean squared light, Gauss-Legendre in ln electron energy."""
    nodes, weights = roots_legendre(96)
    low, high = np.log(shower.LIGHT_THRESHOLD), np.log(energy_loss.maximum_transfer(muons))[:, None]
    log_electron = low + 0.5 * (high - low) * (nodes + 1.0)
    electrons = np.exp(log_electron)
    with jax.ensure_compile_time_eval():
        length = np.asarray(shower.equivalent_length(jnp.asarray(electrons)), np.float64)
        spread = np.asarray(shower.fluctuations(jnp.asarray(electrons)).light, np.float64)
    measure = 0.5 * (high - low) * weights * electrons * knock_on.spectrum(electrons, muons[:, None])
    return np.sum(measure * length, axis=1), np.sum(measure * length**2 * (1.0 + spread**2), axis=1)


def _log_energy(kinetic_energy: float | Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.log(jnp.maximum(shower.strong(kinetic_energy), LOWEST))
