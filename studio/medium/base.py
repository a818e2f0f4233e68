"""The interface of a transparent medium. Wavelengths are in nm throughout, lengths in mm."""

from __future__ import annotations

import abc

import equinox as eqx
from jaxtyping import Array, Float


class AbstractMedium(eqx.Module):
    """A medium in which charged particles make light and light travels."""

    @abc.abstractmethod
    def refractive_index(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Phase refractive index at wavelengths in nm."""

    @abc.abstractmethod
    def group_index(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Group index n − λ dn/dλ: the light's path in mm takes `path × group_index / c` ns."""

    @abc.abstractmethod
    def absorption_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Inverse absorption length in 1/mm."""

    @abc.abstractmethod
    def scattering_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Inverse scattering length in 1/mm."""

    def rayleigh_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Inverse length of scattering by molecules in 1/mm."""
        return self.scattering_coefficient(wavelength)

    def mie_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Inverse length of scattering by grains in 1/mm."""
        return 0 * wavelength

    @property
    def mie_asymmetry(self) -> float:
        """Mean cosine of scattering by grains."""
        return 0.9

    def extinction_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Inverse length in 1/mm after which light has left the direct beam: absorption plus scattering."""
        return self.absorption_coefficient(wavelength) + self.scattering_coefficient(wavelength)
