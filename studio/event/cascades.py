"""Electromagnetic cascades in liquid argon: electrons, positrons and photons as deposits, smooth in everything.

A mean cascade, and a simple one. An electron ionises along a straight trunk, where it loses CRITICAL_ENERGY per radiation
length (Rossi's definition) besides what it radiates, ∝ its energy, so that it stops after X₀ ln(1 + T/Ec). What it radiated
follows along the axis with the gamma profile of Longo and Sestili (PDG 2022, eq. 34.36) and across it with the profile of
Grindhammer and Peters (arXiv:hep-ex/0001020). A photon travels, makes a pair, and both halves are such electrons: twice the
ionisation at the start, which is what tells a photon from an electron.
"""

from __future__ import annotations

import functools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import gammaincinv

from .._checks import InputError, choice_remedy, whole_number
from .._interpolation import UniformSpline
from ..constants import SPEED_OF_LIGHT
from ..medium.liquid_argon import CRITICAL_ENERGY, MOLIERE_RADIUS, LiquidArgon
from ..units import cm
from .deposits import Deposits
from .primary import Primary
from .tracks import frame_along

CONVERSION = 9 / 7
"""Mean way of a photon of high energy before it makes a pair, in radiation lengths (PDG 2022, section 34.4.3)."""

PDG = {"e-": 11, "e+": -11, "gamma": 22}
"""The particles that make cascades, by name, and their numbers in the scheme of the Particle Data Group."""

# The radiated energy's gamma profile, with y = T/Ec and depths in radiation lengths from the start of the trunk: shape
# 1 + (1 + ln(1+y))/2, mean depth ln(1+y) + 1.5 + 3.7 y/(1+y)^1.65. The last term makes the mean depth of all energy, the
# trunk's included, the PDG's ln y + 1.5 within 3 % from 0.3 to 30 GeV, and goes to 1.5, a soft photon's way, at low energy.
_DEPTH, _EXTRA, _FALL = 1.5, 3.7, 1.65
_GOLDEN = np.pi * (3 - np.sqrt(5))
_LOWEST, _HIGHEST = 1e-3, 1e4  # y between which the profile's quantiles are tabulated


def cascade_deposits(
    primary: Primary, medium: LiquidArgon, segments: int = 200, *, conversion: float | Array = CONVERSION
) -> Deposits:
    """The mean deposits of one electron, positron or photon in liquid argon that fills all space.

    **Arguments**

    - `primary`: one particle, "e-", "e+" or "gamma"; use `jax.vmap` for a stack.
    - `medium`: its density scales all lengths.
    - `segments`: how many, fixed; a quarter of them make the trunk.
    - `conversion`: for a photon, where it makes its pair, in radiation lengths; exponential with mean 9/7 over events, so
      9/7 · −ln(1 − Φ(z)) for a standard normal latent z.

    Energies of the segments add up to the primary's energy. Every segment loses energy as a minimum-ionising particle does;
    the two tracks of a pair lie on each other.

    **Raises** `InputError` for another particle and for fewer than 16 segments.
    """
    if primary.particle not in PDG:
        remedy = choice_remedy(primary.particle, PDG)
        raise InputError("makes no electromagnetic cascade", key="particle", value=primary.particle, remedy=remedy)
    if jnp.ndim(primary.kinetic_energy):
        raise InputError("one particle is needed", key="primary", remedy="use jax.vmap over the stack")
    return _cascade(primary, medium, whole_number("segments", segments, least=16), jnp.asarray(conversion))


@eqx.filter_jit
def _cascade(primary: Primary, medium: LiquidArgon, count: int, conversion: Array) -> Deposits:
    photon = primary.particle == "gamma"
    tracks = 2 if photon else 1
    steps = count // (4 * tracks)
    y = jnp.maximum(primary.kinetic_energy, 0.0) / tracks / CRITICAL_ENERGY
    start = conversion if photon else 0.0

    reach = jnp.log1p(y)  # of one trunk, in radiation lengths
    trunk_depth = jnp.tile((jnp.arange(steps) + 0.5) / steps * reach, tracks)
    trunk_energy = jnp.full(steps * tracks, 1.0) * reach * CRITICAL_ENERGY / steps
    radiated = tracks * CRITICAL_ENERGY * jnp.maximum(y - reach, 0.0)
    others = count - steps * tracks
    depth, radius = _profile(y, others)
    energy = jnp.concatenate([trunk_energy, jnp.full(others, 1.0) * radiated / others])

    unit = medium.radiation_length
    moliere = MOLIERE_RADIUS / medium.density * cm
    axis, *across = frame_along(primary.direction)
    azimuth = _GOLDEN * np.arange(others)
    sideways = jnp.cos(azimuth)[:, None] * across[0] + jnp.sin(azimuth)[:, None] * across[1]
    on_axis = (start + jnp.concatenate([trunk_depth, depth])) * unit
    off_axis = jnp.concatenate([jnp.zeros(steps * tracks), radius]) * moliere
    spread = jnp.concatenate([jnp.zeros((steps * tracks, 3), sideways.dtype), sideways])
    # Away from the axis particles have come from up the cascade, on average two radiation lengths before.
    leaning = axis + (off_axis / (2 * unit))[:, None] * spread
    return Deposits(
        primary.vertex + on_axis[:, None] * axis + off_axis[:, None] * spread,
        energy,
        energy / CRITICAL_ENERGY * unit,
        primary.time + jnp.sqrt(on_axis**2 + off_axis**2 + 1e-12) / SPEED_OF_LIGHT,
        leaning,
        jnp.concatenate([_signs(primary.particle, steps), jnp.full(others, 11, jnp.int32)]),
    )


def _signs(particle: str, steps: int) -> Array:
    names = ("e-", "e+") if particle == "gamma" else (particle,)
    return jnp.concatenate([jnp.full(steps, PDG[name], jnp.int32) for name in names])


def _profile(y: Float[Array, ""], count: int) -> tuple[Float[Array, " count"], Float[Array, " count"]]:
    """Depths in radiation lengths and distances from the axis in Molière radii of `count` equal shares of what was radiated.

    Share j stands at the quantile (j + ½)/count in depth, and across at quantiles that fill [0, 1] evenly for any part of
    the depth (van der Corput). Across, the share within r is r²/(r² + R²), so that R = 1/3 holds 90 % within one Molière
    radius; R grows with depth from 0 at the start to 1/3 at the mean.
    """
    log_y = jnp.log(jnp.clip(y, _LOWEST, _HIGHEST))
    shape = 1 + 0.5 * (1 + jnp.log1p(y))
    mean = jnp.log1p(y) + _DEPTH + _EXTRA * y / (1 + y) ** _FALL
    depth = jnp.exp(_quantiles(count)(log_y)) / shape * mean
    level = _van_der_corput(count)
    core = 1 / 3 * 2 * depth / (depth + mean)
    return depth, core * jnp.asarray(np.sqrt(level / (1 - level)))


@functools.cache
def _quantiles(count: int) -> UniformSpline:
    """ln of the gamma distribution's quantiles (scale 1) over ln y."""
    grid = np.linspace(np.log(_LOWEST), np.log(_HIGHEST), 65)
    shapes = 1 + 0.5 * (1 + np.log1p(np.exp(grid)))
    return UniformSpline.fit(grid, np.log(gammaincinv(shapes[:, None], (np.arange(count) + 0.5) / count)))


def _van_der_corput(count: int) -> np.ndarray:
    """Points of (0, 1) that fill it evenly in any run of consecutive ones (base 2, shifted off zero)."""
    numbers, values, factor = np.arange(count), np.zeros(count), 0.5
    while numbers.any():
        values += factor * (numbers % 2)
        numbers, factor = numbers // 2, factor / 2
    return values + 0.5 / 2 ** np.ceil(np.log2(max(count, 2)))
