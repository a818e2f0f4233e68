"""The first hit: what a tube's clock records when many photoelectrons arrive.

With a mean of Q photoelectrons whose arrival times follow a density with cumulative F, the first one is later than t
with probability exp(−Q F(t)); given that there is one at all, (exp(−Q F) − exp(−Q)) / (1 − exp(−Q)).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import erf
from jaxtyping import Array, Float

from .face import bending, unskewed

# Share of the light below which a group's own end does not count.
_UNSEEN = 1e-8
# Nodes of the integral over the first hit's time, and the width of the reference step in their variable.
_NODES = 18
_REFERENCE = 0.42
# Halvings of the bracket of a quantile: 1e-4 of it, good enough to place nodes, and 1e-12, to draw times.
_ROUGH, _EXACT = 13, 40
# Steps of Newton's method after it.
_POLISH = 4


class Pulse(NamedTuple):
    """When light arrives at sensors, as a sum of groups; `(n, groups)` each.

    `share` of the light; `mean` arrival time in ns; variances in ns² of the time: `over_face` of the sensor, where the
    paths to a flat disc follow a semicircle, and `other`; `third`: third central moment in ns³.
    """

    share: Float[Array, "n groups"]
    mean: Float[Array, "n groups"]
    over_face: Float[Array, "n groups"]
    other: Float[Array, "n groups"]
    third: Float[Array, "n groups"]

    def moments(self) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Mean arrival time in ns of all light, and its variance in ns²."""
        mean = jnp.sum(self.share * self.mean, axis=-1)
        square = self.over_face + self.other + (self.mean - mean[:, None]) ** 2
        return mean, jnp.sum(self.share * square, axis=-1)

    def cumulative(self, time: Float[Array, "n times"]) -> Float[Array, "n times"]:
        """Part of each sensor's light that has arrived by each `time` in ns.

        A group's times are the semicircle of the face folded with a normal distribution, made skew by a parabola. The
        folded one is taken as two equal Gaussians with its variance and its fourth moment: the first of 100 photoelectrons
        is then off by 0.07 of the width of a pulse that is the face's to nine tenths, where one Gaussian would be by 0.5.
        """
        # Groups come first, so that the innermost axis is a long one.
        share, mean, over_face, other, third = (field.T[..., None] for field in self)
        variance = over_face + other
        of_face = over_face / variance
        scaled = unskewed((time - mean) / jnp.sqrt(variance), bending(0.0, third, variance, of_face))
        centre = jnp.sqrt(math.sqrt(0.5) * of_face)
        inverse = math.sqrt(0.5) / jnp.sqrt(1 - math.sqrt(0.5) * of_face)
        # Each step from 0 by itself: rounding of their sum long before the pulse would count times the charge in `first_hit`, and
        # with the square of how long before.
        steps = (1 + erf((scaled - centre) * inverse)) + (1 + erf((scaled + centre) * inverse))
        return 0.25 * jnp.sum(share * steps, axis=0)

    def with_density(self, time: Float[Array, " n"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """`cumulative` at one time each, and its slope per ns, both above 1e-12."""
        below, density = jax.jvp(self.cumulative, (time[:, None],), (jnp.ones_like(time)[:, None],))
        return jnp.maximum(below[:, 0], 1e-12), jnp.maximum(density[:, 0], 1e-12)

    def ends(self) -> tuple[Float[Array, "n groups"], Float[Array, "n groups"]]:
        """Times in ns before and after which a group has no light: six standard deviations off, and more where it is skew, up to
        the 26 that the parabola of `unskewed` reaches at six of its own variable.

        A group that has no light itself, whose moments are those of rounding errors, is drawn in to the mean of all.
        """
        variance = self.over_face + self.other
        skew = (1.5 * self.third / variance) ** 2 / variance
        reach = 6 * jnp.sqrt(variance * (1 + skew / (1 + skew / 18)))
        centre = jnp.sum(self.share * self.mean, axis=-1, keepdims=True)
        seen = self.share / (self.share + _UNSEEN)
        return centre + seen * (self.mean - reach - centre), centre + seen * (self.mean + reach - centre)

    def bracket(self) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Times in ns before and after which there is no light at all."""
        early, late = self.ends()
        return jnp.min(early, axis=-1), jnp.max(late, axis=-1)

    def quantile(self, probability: Float[Array, " n"]) -> Float[Array, " n"]:
        """The time in ns by which that part of the light has arrived; not to be differentiated."""
        return self._bisect(lambda time: self.cumulative(time[:, None])[:, 0] < probability, _EXACT)

    def rough_quantile(self, probability: Float[Array, " n"]) -> Float[Array, " n"]:
        """About that time, in ns: the semicircle as a Gaussian, and the error function by 1 + tanh (Page 1977, Applied
        Statistics 26, 75)."""
        share, mean, over_face, other, third = (field.T for field in self)
        variance = over_face + other
        bend = bending(0.0, third, variance, over_face / variance)

        def before(time: Array) -> Array:
            z = unskewed((time - mean) / jnp.sqrt(variance), bend)
            return jnp.sum(share / (1 + jnp.exp(-1.5958 * z - 0.0714 * z**3)), axis=0) < probability

        return self._bisect(before, _ROUGH)

    def _bisect(self, before: Callable[[Array], Array], halvings: int) -> Array:
        def halve(bounds: tuple[Array, Array], _) -> tuple[tuple[Array, Array], None]:
            low, high = bounds
            middle = 0.5 * (low + high)
            late = before(middle)
            return (jnp.where(late, middle, low), jnp.where(late, high, middle)), None

        low, high = jax.lax.scan(halve, self.bracket(), length=halvings)[0]
        return 0.5 * (low + high)


def first_hit(charge: Float[Array, " n"], pulse: Pulse) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Mean in ns and variance in ns² of the first hit, where there is one, of `charge` photoelectrons with times of `pulse`.

    Integrals of the first hit's survival function by the trapezoidal rule in x, t = t₀ + w sinh x, with t₀ its median
    and w its width there: fine at the first hit, and as far as there is light. What is summed is the difference from a
    normal step in x, which is known, so that it vanishes at both ends and the rule converges exponentially: 1e-5 of the
    first hit's width with these nodes for most pulses, 5e-3 for the longest, 3e-2 for one with a detached faint start.
    The nodes move with the pulse, in derivatives too, which are therefore those of the sum.
    """
    charge = jnp.sqrt(charge**2 + 1e-8)  # of a sensor without light the first hit is that of a single photoelectron
    any_hit = -jnp.expm1(-charge)
    probability = -jnp.log1p(-0.5 * any_hit) / charge
    middle = _quantile(pulse, probability)
    early, late = pulse.ends()
    before, after = _largest(middle[:, None] - early), _largest(late - middle[:, None])
    # Without a kink anywhere, since a kink here is a jump in what the Fisher matrix is made of.
    width = probability / pulse.with_density(middle)[1]
    width = width / jnp.sqrt(jnp.sqrt(1 + (10 * width / (before + after)) ** 4))
    least = jnp.full_like(width, 5 * _REFERENCE)
    first = -_largest(jnp.stack([jnp.arcsinh(before / width), least], axis=-1))
    last = _largest(jnp.stack([jnp.arcsinh(after / width), least], axis=-1))
    x = first[:, None] + (last - first)[:, None] * np.linspace(0.0, 1.0, _NODES, dtype=charge.dtype)
    step = (last - first) / (_NODES - 1)
    offset = width[:, None] * jnp.sinh(x)
    reference = 0.5 - 0.5 * erf(x / (_REFERENCE * math.sqrt(2)))
    weights = (step * width)[:, None] * jnp.cosh(x)
    arrived = charge[:, None] * pulse.cumulative(middle[:, None] + offset)
    survival = (jnp.exp(-arrived) - jnp.exp(-charge)[:, None]) / any_hit[:, None]
    part = weights * (survival - reference)
    mean = jnp.sum(part, axis=-1)
    square = 0.5 * width**2 * math.expm1(2 * _REFERENCE**2) + 2 * jnp.sum(offset * part, axis=-1)
    return middle + mean, square - mean**2


def _largest(lengths: Float[Array, "n groups"]) -> Float[Array, " n"]:
    """A smooth upper bound of the largest positive one."""
    positive = jnp.maximum(lengths, 0.0)
    scale = jax.lax.stop_gradient(jnp.max(positive, axis=-1, keepdims=True)) + 1e-9
    return scale[:, 0] * jnp.sqrt(jnp.sqrt(jnp.sqrt(jnp.sum((positive / scale) ** 8, axis=-1))))


@jax.custom_jvp
def _quantile(pulse: Pulse, probability: Array) -> Array:
    """A quantile below the median, with derivatives: from near it, by Newton's method for the logarithm of the cumulative,
    which is concave for a single group."""
    time = pulse.rough_quantile(probability)
    early, late = pulse.bracket()
    # Between two groups, where there is hardly any light, no step is to lead far away.
    longest = 0.02 * (late - early)
    for _ in range(_POLISH):
        below, density = pulse.with_density(time)
        time = time - jnp.clip(jnp.log(below / probability) * below / density, -longest, longest)
    return time


@_quantile.defjvp
def _quantile_jvp(primals: tuple[Pulse, Array], tangents: tuple[Pulse, Array]) -> tuple[Array, Array]:
    pulse, probability = primals
    time = _quantile(pulse, probability)
    _, change = jax.jvp(lambda moved: moved.cumulative(time[:, None])[:, 0], primals[:1], tangents[:1])
    return time, (tangents[1] - change) / pulse.with_density(time)[1]
