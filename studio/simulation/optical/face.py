"""The face of a flat round sensor: its exact solid angle, and how it blurs the angle under which it sees a track."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax.lax import erfc
from jaxtyping import Array, Float
from numpy.polynomial import Chebyshev, Polynomial
from scipy.special import erfcx

_NODES = 4
_NEAREST = 0.65  # square of the deepest dipole over that of the distance


def disc_solid_angle(
    height: Float[Array, "..."], lateral_squared: Float[Array, "..."], radius: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Solid angle in sr of a disc of `radius` seen from `height` above its plane, √`lateral_squared` off its axis (mm).

    The solid angle is a harmonic function of the source position. On the axis, 2π(1 − h/√(h²+a²)) is the average of
    πa²/(h − iaτ)² over the semicircle distribution of τ on [−1, 1], so off the axis it is the same average of dipoles
    at imaginary depths, Re[(h − iaτ) / (ρ² + (h − iaτ)²)^(3/2)]. Gauss quadrature with four Chebyshev nodes is exact
    through the 6th power of a/distance: 1e-2 at one radius on the axis, 1e-3 at two radii in any direction, 2e-5 at three,
    1e-9 at ten. Nearer than a radius the depths are held below the distance and the sum below 2π, so that it stays smooth
    and positive, but it is no more than a guess there. Zero behind the plane.
    """
    h = jnp.maximum(height, 0.0)
    limit = _NEAREST * (lateral_squared + h**2 + 1e-6)
    full = jnp.zeros_like(limit)
    # Term by term: an axis of two would be the innermost, and no loop over it fast.
    for angle in (math.pi * k / (_NODES + 1) for k in range(1, _NODES // 2 + 1)):
        depth = jnp.sqrt(limit * held_below_one(math.cos(angle) ** 2 * radius**2 / limit))
        full = full + 4 / (_NODES + 1) * math.sin(angle) ** 2 * _dipole(h, lateral_squared, depth)
    return 2 * math.pi * held_below_one(0.5 * radius**2 * full)


def held_below_one(value: Float[Array, "..."]) -> Float[Array, "..."]:
    """`value` where it is small against 1, to its 8th power, and below 1 everywhere; for positive ones."""
    fourth = (value * value) ** 2
    return value / jnp.sqrt(jnp.sqrt(jnp.sqrt(1 + fourth * fourth)))


def _dipole(h: Array, lateral_squared: Array, depth: Array) -> Array:
    """Re[(h − ib) / R³] with R² = ρ² + (h − ib)², by the half angle of R² so that no inverse function is needed."""
    real = lateral_squared + h**2 - depth**2
    imaginary = 2 * h * depth
    modulus = jnp.sqrt(real**2 + imaginary**2 + 1e-12)
    cosine = real / modulus
    half_cosine = jnp.sqrt(0.5 * (1 + cosine) + 1e-12)
    sine = imaginary / modulus
    half_sine = 0.5 * sine / half_cosine
    numerator = h * (cosine * half_cosine - sine * half_sine) + depth * (sine * half_cosine + cosine * half_sine)
    return numerator / (modulus * jnp.sqrt(modulus))


# The chord distribution of a disc, a semicircle of variance 1, as pairs of Gaussians at ± centre: folding it with another
# Gaussian is then exact in form, and everything is smooth. Fitted to the folded cumulative for shares of the disc in the
# variance from 0.5 to 1: 0.2 % of the full step at most for the bare disc, 0.05 % at a share of 0.96, 0.02 % below 0.9.
_CENTRES = (0.52174326, 1.28584303, 1.72162474)
_WIDTHS = (0.47297143, 0.27777339, 0.14001519)
_WEIGHTS = (0.67684879, 0.23926834, 0.08388287)

# Floor of the root in `unskewed`, in units of the bend: smooth where a skewed variable cannot reach.
_FLOOR = 1.5

# The variable of `_upper` in single precision is 1 / (1 + 0.3 |x|).
_SHORTENED = 0.3


def blurred_part(
    ends: Float[Array, "2 ..."],
    face_variance: Float[Array, "..."],
    other_variance: Float[Array, "..."],
    face_third: Float[Array, "..."] | float = 0.0,
    other_third: Float[Array, "..."] | float = 0.0,
) -> Float[Array, "..."]:
    """Fraction of a disc between two edges, the `ends` being their distances before its centre, smaller first, blurred further.

    `face_variance` and `face_third` are the variance and the third central moment of the disc's own chord distribution, a
    tilted semicircle; `other_variance` and `other_third` those of the other blur, nearly Gaussian. Small fractions far from
    the centre keep their relative precision.
    """
    variance = face_variance + other_variance
    share = face_variance / variance
    bend = bending(face_third, other_third, variance, share)
    scaled = unskewed(ends / jnp.sqrt(variance), bend)
    root = jnp.sqrt(share)
    total = jnp.zeros_like(variance)
    for centre, width, weight in zip(_CENTRES, _WIDTHS, _WEIGHTS, strict=True):
        inverse = math.sqrt(0.5) / jnp.sqrt(1 + share * (width**2 - 1))
        for off in (root * centre, -root * centre):
            total = total + 0.25 * weight * _erf_between((scaled - off) * inverse)
    return total


def _erf_between(ends: Float[Array, "2 ..."]) -> Float[Array, "..."]:
    """The difference of the error function, taken on the side where both are small differences from the limit."""
    above = ends[0] + ends[1] > 0
    tail = _upper(jnp.where(above, ends, -ends[::-1]))
    return tail[0] - tail[1]


@jax.custom_jvp
def _upper(value: Array) -> Array:
    """erfc. In single precision by a polynomial in 1 / (1 + 0.3 |x|) times exp(−x²), to 7e-7 of itself up to x = 3 and to 4e-6
    everywhere: less work than XLA's, and derivatives need that exponential anyway."""
    if value.dtype != jnp.float32:
        return erfc(value)
    size = jnp.abs(value)
    short = 1 / (1 + _SHORTENED * size)
    *lower, highest = _upper_coefficients()
    sum_ = jnp.full_like(value, highest)
    for coefficient in reversed(lower):
        sum_ = sum_ * short + coefficient
    tail = sum_ * short * jnp.exp(-size * size)
    return jnp.where(value < 0, 2 - tail, tail)


@_upper.defjvp
def _upper_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (value,), (change,) = primals, tangents
    return _upper(value), -2 / math.sqrt(math.pi) * jnp.exp(-value * value) * change


@functools.cache
def _upper_coefficients() -> tuple[float, ...]:
    """Those of exp(x²) erfc(x) / t in powers of t = 1 / (1 + 0.3 x), for x from 0 to where exp(−x²) is 0 in single precision."""
    least = 1 / (1 + _SHORTENED * 9.5)
    series = Chebyshev.interpolate(lambda t: erfcx((1 / t - 1) / _SHORTENED) / t, 8, domain=[least, 1])
    return tuple(series.convert(kind=Polynomial).coef.tolist())


def blurred_density(
    distance: Float[Array, "..."], face_variance: Float[Array, "..."], other_variance: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Density at `distance` from the centre of a disc's chord distribution blurred by a Gaussian, the slope of
    `blurred_part`, and its own slope."""
    total, slope = jnp.zeros_like(distance), jnp.zeros_like(distance)
    face = jnp.sqrt(face_variance)
    for centre, width, weight in zip(_CENTRES, _WIDTHS, _WEIGHTS, strict=True):
        inverse = 1 / (other_variance + width**2 * face_variance)
        height = weight * math.sqrt(0.125 / math.pi) * jnp.sqrt(inverse)
        for off in (distance - face * centre, distance + face * centre):
            part = height * jnp.exp(-0.5 * off * off * inverse)
            total, slope = total + part, slope - off * inverse * part
    return total, slope


def bending(face_third: Array | float, other_third: Array | float, variance: Array, share: Array) -> Array:
    """The a of `unskewed` for third central moments of the face's distribution, which has `share` of the `variance`, and of
    the rest.

    A standard x with the fourth moment 3 − share² gets the skewness 3a (2 − share²), which for a semicircle is just the
    effect of a tilt. The skewness of what is folded with it changes the density by its third derivative: by a = γ/6 where
    it is nearly Gaussian, and hardly where the semicircle dominates.
    """
    square = share * share
    return (face_third / (6 - 3 * square) + other_third * (1 - square) / 6) / (variance * jnp.sqrt(variance))


def unskewed(value: Array, bend: Array) -> Array:
    """The standard variable x whose transform x + a (x² − 1), scaled to variance 1, is `value`; a is the `bend`.

    The inverse of that parabola; rising everywhere for any bend, because the root keeps a floor beyond its turning point.
    """
    shifted = value * jnp.sqrt(1 + 2 * bend * bend) + bend
    radicand, floor = 1 + 4 * bend * shifted, (_FLOOR * bend) ** 2
    # radicand + length, which far beyond the turning point is a small difference of two large numbers
    length = jnp.sqrt(radicand**2 + floor)
    below = jnp.minimum(radicand, 0.0)
    lifted = jnp.where(radicand > 0, radicand + length, floor / (length - below))
    return 2 * shifted / (1 + jnp.sqrt(0.5 * lifted))
