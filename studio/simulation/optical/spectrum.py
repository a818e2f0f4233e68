"""Wavelengths: how much of the light of a source is left, and how it is coloured, after a distance.

Light is integrated over wavelength once per call on a few distances; between them, smooth polynomials in the distance
serve every pair of segment and sensor. Wavelengths are in nm, lengths in mm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...constants import FINE_STRUCTURE
from ...detector import SensorType
from ...medium import AbstractMedium
from ...units import nm

SHORTEST, LONGEST = 280.0, 700.0
"""nm: range in which sensors detect light."""

REFERENCE = 400.0
"""nm: where angular profiles of showers and δ rays are stated."""


class Wavelengths(eqx.Module):
    """Midpoint quadrature over wavelength: `nodes (k,)` in nm, `width` of a bin in nm, `efficiency (types, k)`."""

    nodes: np.ndarray
    width: float = eqx.field(static=True)
    efficiency: np.ndarray

    @classmethod
    def of(cls, types: Sequence[SensorType], count: int) -> Wavelengths:
        """`count` nodes between 280 and 700 nm with the detection efficiency of each sensor type."""
        width = (LONGEST - SHORTEST) / count
        nodes = SHORTEST + width * (np.arange(count) + 0.5)
        return cls(nodes, width, np.stack([entry.detection_efficiency(nodes) for entry in types]))


def cherenkov_yield(
    beta: Float[Array, "..."], medium: AbstractMedium, wavelength: Float[Array, " k"]
) -> Float[Array, "... k"]:
    """Cherenkov photons per mm of path and nm of wavelength, 2πα/λ² (1 − 1/(β²n²)), 0 below threshold (PDG 2022, 34.45)."""
    index = medium.refractive_index(wavelength)
    sine_squared = 1 - 1 / (jnp.asarray(beta)[..., None] * index) ** 2
    return 2 * math.pi * FINE_STRUCTURE * nm / (wavelength * nm) ** 2 * jnp.maximum(sine_squared, 0.0)


class DistanceTable(eqx.Module):
    """A function of distance as a polynomial on [0, `longest`], for many things at once.

    **Fields**: `longest` in mm; `coefficients`, highest power first, each of the shape of the things. They are one array a
    power, so that the derivative with respect to them is not put together from slices.
    """

    longest: Float[Array, ""]
    coefficients: tuple[Float[Array, "..."], ...]

    @staticmethod
    def nodes(longest: Float[Array, ""], degree: int) -> Float[Array, " nodes"]:
        """Distances in mm at which the function must be given: Chebyshev nodes."""
        return longest * jnp.asarray(0.5 * (1 + _chebyshev(degree)), longest.dtype)

    @classmethod
    def fit(cls, longest: Float[Array, ""], values: Float[Array, "*shape nodes"]) -> DistanceTable:
        """The polynomials through `values` at `nodes`, the node axis last."""
        inverse = np.linalg.inv(np.vander(_chebyshev(values.shape[-1] - 1)))
        coefficients = values @ jnp.asarray(inverse.T, values.dtype)
        return cls(longest, tuple(jnp.moveaxis(coefficients, -1, 0)))

    def __getitem__(self, index) -> DistanceTable:
        """The functions at `index` of the leading axes."""
        return DistanceTable(self.longest, tuple(coefficient[index] for coefficient in self.coefficients))

    def __call__(self, distance: Float[Array, "..."]) -> Float[Array, "..."]:
        """Values at distances whose trailing axes broadcast with the table's own."""
        x = 2 * distance / self.longest - 1
        value = self.coefficients[0]
        for coefficient in self.coefficients[1:]:
            value = value * x + coefficient
        return value


class Moments(NamedTuple):
    """Mean, variance and third central moment over a detected spectrum, as functions of distance."""

    mean: DistanceTable
    variance: DistanceTable
    third: DistanceTable


def _chebyshev(degree: int) -> np.ndarray:
    return np.cos(math.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))


class Colour(eqx.Module):
    """What a distance does to the detected Cherenkov spectrum of a source, per sensor type.

    **Fields**: `log_light`, a `DistanceTable` with leading axes `(types, *pieces)`: log of the detected photons per
    emitting unit and full solid angle, transmission included; `inverse_index`, moments of 1/n with the same axes; `(types,)`: `reference`, 1/n at 400 nm, to which
    angular profiles refer; `group_index` of the detected light, and `group_slope`, its change with 1/n.
    """

    log_light: DistanceTable
    inverse_index: Moments
    reference: Float[Array, " types"]
    group_index: Float[Array, " types"]
    group_slope: Float[Array, " types"]


class Optics(eqx.Module):
    """A medium and sensor types prepared for sources: wavelength nodes, emission and transmission on distance nodes.

    `transmitted (types, distances, k)` is transmission × efficiency × wavelength step; `longest` the longest distance
    in mm that can occur.
    """

    nodes: Float[Array, " k"]
    inverse_index: Float[Array, " k"]
    group_index: Float[Array, " k"]
    transmitted: Float[Array, "types distances k"]
    longest: Float[Array, ""]
    medium: AbstractMedium

    @classmethod
    def of(cls, medium: AbstractMedium, wavelengths: Wavelengths, longest: Float[Array, ""], degree: int) -> Optics:
        """Prepare `medium` for distances up to `longest`, functions of distance being polynomials of `degree`."""
        nodes = jnp.asarray(wavelengths.nodes, longest.dtype)
        distances = DistanceTable.nodes(longest, degree)
        transmission = jnp.exp(-distances[:, None] * medium.extinction_coefficient(nodes))
        efficiency = jnp.asarray(wavelengths.efficiency, longest.dtype) * wavelengths.width
        transmitted = efficiency[:, None, :] * transmission
        return cls(nodes, 1 / medium.refractive_index(nodes), medium.group_index(nodes), transmitted, longest, medium)

    def colour(self, spectrum: Float[Array, "*pieces k"]) -> Colour:
        """Tables for light of `spectrum` (photons per nm and unit)."""
        total, mean, variance, third = self._moments(spectrum, self.inverse_index)
        index = self._tables(mean, jnp.maximum(variance, 1e-10), third)
        reference = 1 / self.medium.refractive_index(jnp.full(total.shape[:1], REFERENCE, self.nodes.dtype))
        return Colour(DistanceTable.fit(self.longest, jnp.log(total)), index, reference, *self._group())

    def _group(self) -> tuple[Float[Array, " types"], Float[Array, " types"]]:
        """Mean group index and its regression on 1/n over the detected Cherenkov spectrum near its source, per type."""
        weights = self.transmitted[:, -1] * cherenkov_yield(jnp.ones((), self.nodes.dtype), self.medium, self.nodes)
        weights = weights / jnp.sum(weights, axis=-1, keepdims=True)
        mean = weights @ self.group_index
        offset = self.inverse_index - (weights @ self.inverse_index)[:, None]
        slope = jnp.sum(weights * offset * self.group_index, axis=-1) / jnp.sum(weights * offset**2, axis=-1)
        return mean, slope

    def delay(self, spectrum: Float[Array, " k"]) -> Moments:
        """Moments of the group index of detected light, axes `(types,)`."""
        return self._tables(*self._moments(spectrum, self.group_index)[1:])

    def _tables(self, *moments: Array) -> Moments:
        return Moments(*(DistanceTable.fit(self.longest, moment) for moment in moments))

    def _moments(self, spectrum: Array, quantity: Array) -> tuple[Array, Array, Array, Array]:
        # As products of matrices: XLA 0.10 on CPUs gets a product of broadcast float32 arrays summed over its last axis
        # wrong where it makes a `__ynn_fusion` of it.
        offset = quantity - jnp.mean(quantity)
        weights = jnp.stack([offset**power for power in range(4)])
        sums = jnp.einsum("...k,tdk,mk->mt...d", spectrum, self.transmitted, weights)
        total = jnp.maximum(sums[0], 1e-30)
        first, second, third = sums[1] / total, sums[2] / total, sums[3] / total
        mean = jnp.mean(quantity) + first
        return total, mean, second - first**2, third - 3 * first * second + 2 * first**3
