"""Liquid argon: what it does to charge that drifts in it and to light that travels in it."""

from __future__ import annotations

import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from .._arrays import as_number, as_size
from .._checks import InputError
from ..units import cm, eV, m, ms, s
from .base import AbstractMedium
from .recombination import AbstractRecombination, ModifiedBox

REFERENCE_WAVELENGTH = 128.0
"""nm: where `absorption_length` and `rayleigh_length` are stated, the peak of argon's scintillation."""

RADIATION_LENGTH = 19.55
"""Radiation length in g/cm² (PDG 2022, table 6.1)."""

MOLIERE_RADIUS = 12.62
"""Molière radius in g/cm²: 9.04 cm at 1.396 g/cm³ (PDG 2022, atomic and nuclear properties)."""

CRITICAL_ENERGY = 32.84
"""MeV: where an electron loses as much to radiation as to ionisation (PDG 2022, atomic and nuclear properties, liquid)."""

# Lorentz–Lorenz form n² = 1 + 3 x / (3 − x) with x = a₀ + a_UV λ²/(λ² − λ_UV²) + a_IR λ²/(λ² − λ_IR²), λ in nm, at 90 K:
# M. Babicz et al., JINST 15 (2020) P09009. Resonances in nm.
_A0, _A_UV, _A_IR, _UV, _IR = 0.334, 0.100, 0.008, 106.6, 908.3


class LiquidArgon(AbstractMedium):
    """Liquid argon; every number is a leaf, such as `medium.electron_lifetime`.

    **Arguments**

    - `temperature` in K. Density and drift velocity follow from it.
    - `electron_lifetime` in ns: e-folding time of drifting electrons before impurities catch them. 10 ms is what clean
      detectors reach; a property of the purity, not of argon.
    - `longitudinal_diffusion`, `transverse_diffusion` in mm²/ns. Defaults 4.0 and 8.8 cm²/s (SBND, larnd-sim); other
      values in use reach 7.2 and 12.0 or 6.2 and 16.3 cm²/s, a real systematic.
    - `w_ion` in MeV: energy per electron–ion pair, 23.6 eV (M. Miyajima et al., Phys. Rev. A 9 (1974) 1438).
    - `excitation_ratio`: excited atoms per ion, 0.21 (T. Doke et al., Jpn. J. Appl. Phys. 41 (2002) 1538).
    - `recombination`: one of `medium.recombination`; by default the modified box of ArgoNeuT.
    - `absorption_length`, `rayleigh_length` in mm at 128 nm: 20 m, and 99.9 cm (M. Babicz et al., JINST 15 (2020) P09009:
      99.1 ± 2.3 cm).

    **Raises** `InputError` for values that are not positive and a temperature at which argon is no liquid.
    """

    temperature: Float[Array, ""]
    electron_lifetime: Float[Array, ""]
    longitudinal_diffusion: Float[Array, ""]
    transverse_diffusion: Float[Array, ""]
    w_ion: Float[Array, ""]
    excitation_ratio: Float[Array, ""]
    recombination: AbstractRecombination
    absorption_length: Float[Array, ""]
    rayleigh_length: Float[Array, ""]

    def __init__(
        self,
        temperature: float | Array = 87.3,
        electron_lifetime: float | Array = 10 * ms,
        longitudinal_diffusion: float | Array = 4.0 * cm**2 / s,
        transverse_diffusion: float | Array = 8.8 * cm**2 / s,
        w_ion: float | Array = 23.6 * eV,
        excitation_ratio: float | Array = 0.21,
        recombination: AbstractRecombination | None = None,
        absorption_length: float | Array = 20 * m,
        rayleigh_length: float | Array = 99.9 * cm,
    ):
        self.temperature = as_number(temperature, "medium.temperature", positive=True, remedy="give kelvin")
        self.electron_lifetime = as_number(
            electron_lifetime, "medium.electron_lifetime", positive=True, remedy="give ns"
        )
        self.longitudinal_diffusion = as_number(
            longitudinal_diffusion,
            "medium.longitudinal_diffusion",
            positive=True,
            remedy="give mm²/ns, for example 4.0 * cm**2 / s",
        )
        self.transverse_diffusion = as_number(
            transverse_diffusion,
            "medium.transverse_diffusion",
            positive=True,
            remedy="give mm²/ns, for example 8.8 * cm**2 / s",
        )
        self.w_ion = as_number(w_ion, "medium.w_ion", positive=True, remedy="give MeV, for example 23.6 * eV")
        self.excitation_ratio = as_number(
            excitation_ratio, "medium.excitation_ratio", positive=True, remedy="give excited atoms per ion"
        )
        self.recombination = ModifiedBox() if recombination is None else recombination
        self.absorption_length = as_size(absorption_length, "medium.absorption_length")
        self.rayleigh_length = as_size(rayleigh_length, "medium.rayleigh_length")

    def __check_init__(self):
        value = self.temperature
        if not isinstance(value, Tracer) and not 80.0 < float(value) < 120.0:
            raise InputError(
                "argon is no liquid there",
                key="medium.temperature",
                value=float(value),
                remedy="give kelvin; argon melts at 83.8 and boils at 87.3 at one atmosphere",
            )
        if not isinstance(self.recombination, AbstractRecombination):
            raise InputError(
                "not a recombination law",
                key="medium.recombination",
                value=self.recombination,
                remedy="give Birks(), ModifiedBox() or EllipsoidModifiedBox() of studio.medium.recombination",
            )

    @property
    def density(self) -> Float[Array, ""]:
        """Density in g/cm³: 1.928 − 0.00615 T, a line through the values along the boiling curve near 87 K."""
        return 1.928 - 0.00615 * self.temperature

    @property
    def radiation_length(self) -> Float[Array, ""]:
        """Radiation length in mm: 19.55 g/cm² (PDG 2022, table 6.1) over the density."""
        return RADIATION_LENGTH / self.density * cm

    @property
    def w_ph(self) -> Float[Array, ""]:
        """Energy per photon in MeV if every quantum made one: w_ion / (1 + excitation_ratio), 19.5 eV by default."""
        return self.w_ion / (1 + self.excitation_ratio)

    def refractive_index(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.sqrt(_squared_index(wavelength)[0])

    def group_index(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        squared, slope = _squared_index(wavelength)
        # n − λ dn/dλ with dn/dλ = (dn²/dλ) / (2 n)
        index = jnp.sqrt(squared)
        return index - jnp.asarray(wavelength) * slope / (2 * index)

    def absorption_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """1/mm; the same at all wavelengths, for want of a measured spectrum."""
        return jnp.ones_like(jnp.asarray(wavelength)) / self.absorption_length

    def rayleigh_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """1/mm: ∝ [(n² − 1)(n² + 2)]² / λ⁴ (G. M. Seidel et al., Nucl. Instrum. Meth. A 489 (2002) 189)
        scaled to `rayleigh_length` at 128 nm."""
        return _rayleigh_shape(wavelength) / _rayleigh_shape(REFERENCE_WAVELENGTH) / self.rayleigh_length

    def mie_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Zero: a cryogenic liquid that is filtered holds no grains."""
        return jnp.zeros_like(jnp.asarray(wavelength))

    @property
    def asymmetry(self) -> Float[Array, ""]:
        """Of no scattering: zero."""
        return jnp.zeros_like(self.rayleigh_length)


def _squared_index(wavelength: float | Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """n² and its slope against the wavelength in 1/nm."""
    wavelength = jnp.asarray(wavelength)
    square = wavelength**2
    x = _A0 + _A_UV * square / (square - _UV**2) + _A_IR * square / (square - _IR**2)
    slope = -2 * wavelength * (_A_UV * _UV**2 / (square - _UV**2) ** 2 + _A_IR * _IR**2 / (square - _IR**2) ** 2)
    return 1 + 3 * x / (3 - x), 9 / (3 - x) ** 2 * slope


def _rayleigh_shape(wavelength: float | Float[Array, "..."]) -> Float[Array, "..."]:
    squared, _ = _squared_index(wavelength)
    return ((squared - 1) * (squared + 2)) ** 2 / (jnp.asarray(wavelength) / REFERENCE_WAVELENGTH) ** 4
