"""Water as in the WCSim simulation of Super- and Hyper-Kamiokande."""

from __future__ import annotations

import functools
from importlib import resources

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._arrays import as_number, as_size
from .._checks import InputError
from .._interpolation import UniformSpline
from ..units import m
from .base import AbstractMedium

REFERENCE_WAVELENGTH = 400.0
"""nm: where `absorption_length`, `rayleigh_length` and `mie_inverse_length` are stated."""

# Two-term Sellmeier form n² = 1 + A₁λ²/(λ²−B₁) + A₂λ²/(λ²−B₂) − Cλ² (λ in µm), fitted to the index table of
# WCSimConstructMaterials.cc; the largest deviation from the table between 250 and 790 nm is 2.6e-5. The fit rather than
# the five-decimal table, because the group index is its derivative.
_A1, _B1, _A2, _B2, _C = 0.65692619, 0.00522535, 0.11068114, 0.02460659, 0.01911423

_IN_PER_MM = "give 1/mm at 400 nm, for example 1 / (5120 * m), or 0 for none"
_IN_RANGE = "give the mean cosine, for example 0.4"


class Water(AbstractMedium):
    """Water; the spectral shapes are WCSim's, the numbers scale them.

    **Arguments**

    - `absorption_length`, `rayleigh_length` in mm at 400 nm. The defaults are WCSim's tables with its default factors
      abwff = 1.30 and rayff = 0.75: 553.1 m and 131.9 m.
    - `mie_inverse_length` in 1/mm at 400 nm: scattering by grains, ∝ 1/λ⁴ as in WCSim's table. An inverse length, so that water
      without grains is an ordinary value, 0: the default, as in WCSim. Its table, from SKDETSIM, has 1 / (5120 m).
    - `mie_asymmetry`: mean cosine of that scattering. The default, 0.4, is WCSim's.

    **Raises** `InputError` for lengths that are not positive, a negative inverse length and an asymmetry not between −1 and 1.

    Source: WCSim (MIT), src/WCSimConstructMaterials.cc and WCSimTuningParameters.cc. Valid from 250 to 790 nm.
    """

    absorption_length: Float[Array, ""]
    rayleigh_length: Float[Array, ""]
    mie_inverse_length: Float[Array, ""]
    mie_asymmetry: Float[Array, ""]

    def __init__(
        self,
        absorption_length: float | Array = 553.1 * m,
        rayleigh_length: float | Array = 131.9 * m,
        mie_inverse_length: float | Array = 0.0,
        mie_asymmetry: float | Array = 0.4,
    ):
        self.absorption_length = as_size(absorption_length, "medium.absorption_length")
        self.rayleigh_length = as_size(rayleigh_length, "medium.rayleigh_length")
        self.mie_inverse_length = as_number(mie_inverse_length, "medium.mie_inverse_length", remedy=_IN_PER_MM)
        self.mie_asymmetry = as_number(mie_asymmetry, "medium.mie_asymmetry", remedy=_IN_RANGE)

    def __check_init__(self):
        inverse, asymmetry = self.mie_inverse_length, self.mie_asymmetry
        if not isinstance(inverse, Tracer) and inverse < 0:
            key = "medium.mie_inverse_length"
            raise InputError("must not be negative", key=key, value=float(inverse), remedy=_IN_PER_MM)
        if not isinstance(asymmetry, Tracer) and not -1 < asymmetry < 1:
            key = "medium.mie_asymmetry"
            raise InputError("must lie between -1 and 1", key=key, value=float(asymmetry), remedy=_IN_RANGE)

    @property
    def asymmetry(self) -> Float[Array, ""]:
        return self.mie_asymmetry

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

    def rayleigh_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.exp(-_log_length_splines()[1](jnp.asarray(wavelength))) / self.rayleigh_length

    def mie_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.mie_inverse_length * (REFERENCE_WAVELENGTH / jnp.asarray(wavelength)) ** 4


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
