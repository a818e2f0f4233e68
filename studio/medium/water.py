"""Water as in the WCSim simulation of Super- and Hyper-Kamiokande."""

from __future__ import annotations

import functools
from importlib import resources

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arrays import as_size
from .._interpolation import UniformSpline
from ..units import m
from .base import AbstractMedium

REFERENCE_WAVELENGTH = 400.0
"""nm: where `absorption_length` and `rayleigh_length` are stated."""

# Two-term Sellmeier form n² = 1 + A₁λ²/(λ²−B₁) + A₂λ²/(λ²−B₂) − Cλ² (λ in µm), fitted to the index table of
# WCSimConstructMaterials.cc; the largest deviation from the table between 250 and 790 nm is 2.6e-5. The fit rather than
# the five-decimal table, because the group index is its derivative.
_A1, _B1, _A2, _B2, _C = 0.65692619, 0.00522535, 0.11068114, 0.02460659, 0.01911423


class Water(AbstractMedium):
    """Pure water; the spectral shapes are WCSim's, the two lengths scale them.

    **Arguments**: `absorption_length`, `rayleigh_length` in mm at 400 nm. The defaults are WCSim's tables with its
    default factors abwff = 1.30 and rayff = 0.75: 553.1 m and 131.9 m.

    Source: WCSim (MIT), src/WCSimConstructMaterials.cc and WCSimTuningParameters.cc. Valid from 250 to 790 nm.
    """

    absorption_length: Float[Array, ""]
    rayleigh_length: Float[Array, ""]

    def __init__(self, absorption_length: float | Array = 553.1 * m, rayleigh_length: float | Array = 131.9 * m):
        self.absorption_length = as_size(absorption_length, "medium.absorption_length")
        self.rayleigh_length = as_size(rayleigh_length, "medium.rayleigh_length")

    def refractive_index(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.sqrt(_sellmeier(wavelength)[0])

    def group_index(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        squared, slope = _sellmeier(wavelength)
        index = jnp.sqrt(squared)
        # n − λ dn/dλ with dn/dλ = (dn²/dx)(dx/dλ)/(2n), x = λ²
        x = (wavelength / 1000) ** 2
        return index - x * slope / index

    def absorption_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.exp(-_log_length_splines()[0](jnp.asarray(wavelength))) / self.absorption_length

    def scattering_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.exp(-_log_length_splines()[1](jnp.asarray(wavelength))) / self.rayleigh_length


def _sellmeier(wavelength: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    x = (jnp.asarray(wavelength) / 1000) ** 2
    squared = 1 + _A1 * x / (x - _B1) + _A2 * x / (x - _B2) - _C * x
    slope = -_A1 * _B1 / (x - _B1) ** 2 - _A2 * _B2 / (x - _B2) ** 2 - _C
    return squared, slope


@functools.cache
def _log_length_splines() -> tuple[UniformSpline, UniformSpline]:
    """Log of the absorption and Rayleigh lengths relative to 400 nm, against wavelength in nm."""
    path = resources.files("studio.medium") / "tables" / "water_wcsim.csv"
    with path.open() as lines:
        wavelength, absorption, rayleigh = np.loadtxt(lines, delimiter=",", comments="#", unpack=True)
    grid = np.arange(200.0, 791.0, 10.0)
    splines = []
    for length in (absorption, rayleigh):
        values = np.interp(grid, wavelength, np.log(length))
        splines.append(UniformSpline.fit(grid, values - values[grid == REFERENCE_WAVELENGTH]))
    return splines[0], splines[1]
