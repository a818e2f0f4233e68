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
    def rayleigh_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Inverse length in 1/mm of scattering by what is small against the wavelength: ∝ 1 + cos² of the angle."""

    @abc.abstractmethod
    def mie_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Inverse length in 1/mm of scattering by grains: by the law of L. Henyey and J. Greenstein, Astrophys. J. 93 (1941) 70,
        with this `asymmetry`. Zero where there are none."""

    @property
    @abc.abstractmethod
    def asymmetry(self) -> Float[Array, ""]:
        """Mean cosine of the angle of scattering by grains, between −1 and 1."""

    def scattering_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Inverse scattering length in 1/mm: by molecules and by grains."""
        return self.rayleigh_coefficient(wavelength) + self.mie_coefficient(wavelength)

    def extinction_coefficient(self, wavelength: Float[Array, "..."]) -> Float[Array, "..."]:
        """Inverse length in 1/mm after which light has left the direct beam: absorption plus scattering."""
        return self.absorption_coefficient(wavelength) + self.scattering_coefficient(wavelength)
