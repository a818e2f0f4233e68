"""Photons as they leave a particle, for the analog Monte Carlo: one draw a photon, from the laws of the particle.

Only wavelengths that a sensor can detect are drawn, in proportion to emission × detection efficiency, so that a photon
that reaches a sensor counts as one photoelectron. Everything else is proposed from a simple law and kept or dropped.
Vectors are `(3, photons)` in single precision; mm, ns, nm; times count from the primary's own.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# NumPy arrays stand where annotations say JAX's: at run time both are taken.
from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ...constants import FINE_STRUCTURE
from ...detector import Detector
from ...event import Primary
from ...medium import AbstractMedium

WAVELENGTHS = np.linspace(250.0, 790.0, 10801)
"""nm: grid on which spectra are integrated."""

_BINS = 8192  # of equal probability, in wavelength
_PHOTONS_PER_UNIT = 1000.0  # of a point source, per unit of its kinetic energy
_REFERENCE = 400.0  # nm, at which angular profiles of showers are stated
_FLAT = (300.0, 700.0)  # nm, spectrum of a point source


class Photons(NamedTuple):
    """Photons at emission: `position`, `direction (3, n)`; `time`, `group_index`, `colour`: place in the spectrum's table,
    and `made`: whether the proposed photon exists, `(n,)` each."""

    position: Float[Array, "3 n"]
    direction: Float[Array, "3 n"]
    time: Float[Array, " n"]
    group_index: Float[Array, " n"]
    colour: Float[Array, " n"]
    made: Bool[Array, " n"]


class Spectrum(eqx.Module):
    """Detectable light, in bins of equal probability.

    **Fields**: `optics (bins + 1, 2)`: refractive index and group index at the bins' edges; `losses (bins + 1, 3)`:
    absorption, scattering by molecules and by grains in 1/mm; `share (bins + 1, types)`: efficiency of each sensor type
    over the largest of any type, or over 1 where light that is not detected goes on; `light`: photons drawn per unit of
    source (mm of track with β = 1, or one emitted photon); `reference`: refractive index at 400 nm.
    """

    optics: Float[Array, "edges 2"]
    losses: Float[Array, "edges 3"]
    share: Float[Array, "edges types"]
    light: Float[Array, ""]
    reference: Float[Array, ""]

    @classmethod
    def of(cls, detector: Detector, emitted: np.ndarray) -> Spectrum:
        """The detectable part of `emitted` photons per nm and unit at `WAVELENGTHS`."""
        sensors = detector.sensors
        relative = np.asarray(sensors.efficiency, float)
        efficiency = np.stack(
            [r * kind.detection_efficiency(WAVELENGTHS) for r, kind in zip(relative, sensors.types, strict=True)],
            axis=-1,
        )
        best = efficiency.max(axis=-1)
        # Where sensors reflect what they do not detect, it is decided at the sensor, not in the draw.
        envelope = best if sensors.glass is None else (best > 0).astype(float)
        cumulative = running_integral(emitted * envelope, WAVELENGTHS)
        rising = np.concatenate([[True], np.diff(cumulative) > 0])
        edges = np.interp(np.linspace(0, cumulative[-1], _BINS + 1), cumulative[rising], WAVELENGTHS[rising])
        edges[0] = WAVELENGTHS[np.argmax(cumulative > 0) - 1]
        share = efficiency / np.where(envelope > 0, envelope, 1.0)[:, None]
        medium = detector.medium
        optics, losses = (
            np.stack([np.asarray(function(edges), float) for function in functions], axis=-1)
            for functions in (
                (medium.refractive_index, medium.group_index),
                (medium.absorption_coefficient, medium.rayleigh_coefficient, medium.mie_coefficient),
            )
        )
        by_type = np.stack([np.interp(edges, WAVELENGTHS, column) for column in share.T], axis=-1)
        reference = single(medium.refractive_index(_REFERENCE))
        return cls(single(optics), single(losses), single(by_type), single(cumulative[-1]), reference)

    def at(self, colour: Float[Array, " n"]) -> Float[Array, "2 n"]:
        """Refractive index and group index of photons at places `colour` in [0, 1) of the table."""
        return between(self.optics, colour * _BINS).T

    def losses_at(self, colour: Float[Array, " n"]) -> Float[Array, "3 n"]:
        """Absorption, scattering by molecules and by grains in 1/mm, of photons at places `colour` in [0, 1)."""
        return between(self.losses, colour * _BINS).T

    def dispersed(self, cosine: Float[Array, " n"], index: Float[Array, " n"]) -> Float[Array, " n"]:
        """cos θ of light of refractive `index`, given that at 400 nm, for the law of `sources.dispersion`."""
        of_ring = (1 - cosine**2) / (1 - 1 / self.reference**2)
        return cosine - (1 / index - 1 / self.reference) * jnp.expm1(-2 * of_ring * (1 + of_ring))

    def detects(
        self, kind: Int[Array, " n"], colour: Float[Array, " n"], level: Float[Array, " n"]
    ) -> Bool[Array, " n"]:
        """Whether sensors of type `kind` detect photons of the spectrum, for even random numbers `level`."""
        return level < self.share[(colour * _BINS).astype(jnp.int32), kind]


class Emitter(NamedTuple):
    """How one primary emits: `draw(source, spectrum, key, count)` proposes `count` photons; `proposed`: mean number of
    proposals an event."""

    draw: Callable[..., Photons]
    source: eqx.Module
    spectrum: Spectrum
    proposed: float


class PointSource(eqx.Module):
    """An isotropic source."""

    vertex: Float[Array, "3"]


def point_emitter(detector: Detector, primary: Primary) -> Emitter:
    """Photons of a point source: isotropic, of a flat spectrum."""
    lowest, highest = _FLAT
    inside = (lowest < WAVELENGTHS) & (highest > WAVELENGTHS)
    spectrum = Spectrum.of(detector, inside / (highest - lowest))
    photons = _PHOTONS_PER_UNIT * float(primary.kinetic_energy)
    return Emitter(_draw_point, PointSource(single(primary.vertex)), spectrum, photons * float(spectrum.light))


def _draw_point(source: PointSource, spectrum: Spectrum, key: PRNGKeyArray, count: int) -> Photons:
    colour, level, azimuth = jax.random.uniform(key, (3, count), jnp.float32)
    up = jnp.broadcast_to(jnp.asarray([[0.0], [0.0], [1.0]], jnp.float32), (3, count))
    direction = around(up, 2 * level - 1, azimuth)
    position = jnp.broadcast_to(source.vertex[:, None], direction.shape)
    _, group_index = spectrum.at(colour)
    return Photons(position, direction, jnp.zeros_like(colour), group_index, colour, jnp.ones(count, bool))


def cherenkov_spectrum(medium: AbstractMedium) -> np.ndarray:
    """Photons per mm and nm of a particle with β = 1 at `WAVELENGTHS`: 2πα sin²θ / λ² (PDG 2022, eq. 34.45)."""
    index = np.asarray(medium.refractive_index(WAVELENGTHS), float)
    return 2 * math.pi * FINE_STRUCTURE * 1e6 / WAVELENGTHS**2 * (1 - 1 / index**2)


class Angles(eqx.Module):
    """Angular profiles, each a mixture of Gaussians in cos θ that are cut off at ±1 and normalised there: `cosines
    (profiles, bins + 1)` at even cumulative probability."""

    cosines: Float[Array, "profiles edges"]

    @classmethod
    def of(cls, centres: np.ndarray, sigmas: np.ndarray, weights: np.ndarray, bins: int = 8192) -> Angles:
        """Profiles of `weights (profiles, c)` on the basis of Gaussians with `centres` and `sigmas (c,)`."""
        cosine = np.linspace(-1.0, 1.0, 20001)
        basis = np.exp(-0.5 * ((cosine - centres[:, None]) / sigmas[:, None]) ** 2)
        basis = basis / np.trapezoid(basis, cosine, axis=1)[:, None]
        level = np.linspace(0, 1, bins + 1)
        rows = []
        for profile in weights @ basis:
            cumulative = running_integral(profile, cosine)
            rows.append(np.interp(level, cumulative / cumulative[-1], cosine))
        return cls(single(np.stack(rows)))

    def draw(
        self, place: Float[Array, " n"], choice: Float[Array, " n"], level: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """cos θ for places between profiles: one of the two neighbours is drawn by `choice`, in proportion to nearness,
        which mixes their densities linearly; `level` places the photon in it."""
        profiles, edges = self.cosines.shape
        row = jnp.clip((place + choice).astype(jnp.int32), 0, profiles - 1)
        position = level * (edges - 1)
        column = jnp.minimum(position.astype(jnp.int32), edges - 2)
        low, high = self.cosines[row, column], self.cosines[row, column + 1]
        return low + (position - column) * (high - low)


def around(axis: Float[Array, "3 n"], cosine: Float[Array, " n"], turn: Float[Array, " n"]) -> Float[Array, "3 n"]:
    """Unit vectors at an angle to `axis`, `turn` in [0, 1) of the way around it."""
    first, second = across(axis)
    sine = jnp.sqrt(jnp.maximum(1 - cosine * cosine, 0.0))
    on_circle = circle(turn)
    return cosine * axis + sine * (on_circle[0] * first + on_circle[1] * second)


def across(axis: Float[Array, "3 n"]) -> tuple[Float[Array, "3 n"], Float[Array, "3 n"]]:
    """Two unit vectors across a unit `axis` and across each other (Duff et al., J. Comput. Graph. Tech. 6 (2017) 1)."""
    x, y, z = axis
    sign = jnp.where(z >= 0, 1.0, -1.0).astype(jnp.float32)
    a = -1 / (sign + z)
    b = x * y * a
    return jnp.stack([1 + sign * x * x * a, sign * b, -sign * x]), jnp.stack([b, sign + y * y * a, -y])


def circle(turn: Float[Array, " n"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Points on the unit circle, `turn` in [0, 1) of the way around: (−cos 2πt, −sin 2πt).

    Power series of the half angle, to 1e-7, then doubled: ten times faster than the library's sine and cosine.
    """
    half = math.pi * (turn - 0.5)
    squared = half * half
    cosine = sum_powers(squared, [(-1) ** k / math.factorial(2 * k) for k in range(7)])
    sine = half * sum_powers(squared, [(-1) ** k / math.factorial(2 * k + 1) for k in range(7)])
    return 1 - 2 * sine * sine, 2 * sine * cosine


def sum_powers(x: Float[Array, " n"], coefficients: list[float]) -> Float[Array, " n"]:
    """Σ cₖ xᵏ."""
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def between(table: Float[Array, "rows *values"], place: Float[Array, " n"]) -> Float[Array, "n *values"]:
    """Values at `place`, counted in rows of the table; straight between neighbours."""
    row = jnp.clip(place.astype(jnp.int32), 0, table.shape[0] - 2)
    part = (place - row).reshape(-1, *(1,) * (table.ndim - 1))
    return table[row] * (1 - part) + table[row + 1] * part


def running_integral(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Integral of `values` from the first `x` to each, by trapezoids."""
    return np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]) * np.diff(x))])


def single(value) -> Array:
    """`value` in single precision."""
    return jnp.asarray(np.asarray(value), jnp.float32)
