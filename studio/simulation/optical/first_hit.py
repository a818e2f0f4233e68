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

# Nodes of the integral over the first hit's time, and the width of the reference step in their variable.
_NODES = 18
_REFERENCE = 0.42
# Halvings of the bracket of a quantile: 1e-4 of it, good enough to place nodes, and 1e-12, to draw times.
_ROUGH, _EXACT = 13, 40


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
        share = (self.over_face / (self.over_face + self.other))[:, None]
        scaled = self._standard(time)
        centre = jnp.sqrt(math.sqrt(0.5) * share)
        inverse = math.sqrt(0.5) / jnp.sqrt(1 - math.sqrt(0.5) * share)
        steps = erf((scaled - centre) * inverse) + erf((scaled + centre) * inverse)
        return 0.5 + 0.25 * jnp.sum(self.share[:, None] * steps, axis=-1)

    def _standard(self, time: Float[Array, "n times"]) -> Float[Array, "n times groups"]:
        """The variable without skewness and of variance 1 that has its value at `time`, for each group."""
        variance = self.over_face + self.other
        scaled = (time[..., None] - self.mean[:, None]) * (1 / jnp.sqrt(variance))[:, None]
        bend = bending(0.0, self.third, variance, self.over_face / variance)
        return unskewed(scaled, bend[:, None])

    def bracket(self) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Times in ns before and after which there is no light: six standard deviations off, and more on the side of the
        skewness."""
        variance = self.over_face + self.other
        wide, skewed = 6 * jnp.sqrt(variance), 6 * self.third / variance
        early = self.mean - wide + jnp.minimum(skewed, 0.0)
        late = self.mean + wide + jnp.maximum(skewed, 0.0)
        return jnp.min(early, axis=-1), jnp.max(late, axis=-1)

    def quantile(self, probability: Float[Array, " n"]) -> Float[Array, " n"]:
        """The time in ns by which that part of the light has arrived; not to be differentiated."""
        return self._bisect(lambda time: self.cumulative(time[:, None])[:, 0] < probability, _EXACT)

    def rough_quantile(self, probability: Float[Array, " n"]) -> Float[Array, " n"]:
        """About that time, in ns: the semicircle as a Gaussian, and the error function by 1 + tanh (Page 1977, Applied
        Statistics 26, 75)."""

        def before(time: Array) -> Array:
            z = self._standard(time[:, None])[:, 0]
            return jnp.sum(self.share / (1 + jnp.exp(-1.5958 * z - 0.0714 * z**3)), axis=-1) < probability

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
    They are held fixed in derivatives, for the integral does not depend on them.
    """
    charge = jnp.maximum(charge, 1e-4)
    any_hit = -jnp.expm1(-charge)
    fixed = jax.lax.stop_gradient(pulse)
    probability = jax.lax.stop_gradient(-jnp.log1p(-0.5 * any_hit) / charge)
    early, late = fixed.bracket()
    middle = fixed.rough_quantile(probability)
    _, density = jax.jvp(fixed.cumulative, (middle[:, None],), (jnp.ones_like(middle)[:, None],))
    width = jnp.minimum(probability / jnp.maximum(density[:, 0], 1e-12), 0.1 * (late - early))
    first = jnp.minimum(-jnp.arcsinh((middle - early) / width), -6 * _REFERENCE)
    last = jnp.maximum(jnp.arcsinh((late - middle) / width), 6 * _REFERENCE)
    x = first[:, None] + (last - first)[:, None] * np.linspace(0.0, 1.0, _NODES)
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
