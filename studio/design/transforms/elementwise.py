"""Bounds that act on every element alone: unbounded, positive, an interval, an angle."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

from ..._checks import InputError
from .base import EDGE_FRACTION, EDGE_TOLERANCE, STEEPEST, AbstractBound


def magnitude(values: np.ndarray) -> float:
    """The root mean square of an array, or 1 where it is zero or empty: the natural unit of a leaf without a width."""
    array = np.asarray(values, dtype=float)
    size = float(np.sqrt(np.mean(array**2))) if array.size else 0.0
    return size if size > 0 and np.isfinite(size) else 1.0


class Unbounded(AbstractBound):
    """Any real number; the natural unit is the magnitude of the start."""

    def forward(self, coordinates):
        return jnp.asarray(coordinates)

    def inverse(self, values):
        return jnp.asarray(values)

    def retract(self, coordinates):
        return jnp.asarray(coordinates)

    def steepen(self, coordinates, gradient):
        return jnp.asarray(gradient)

    def excess(self, values):
        return np.full(np.shape(values), -np.inf)

    def neutral(self, coordinates):
        return jnp.zeros_like(coordinates)

    def sample(self, uniform, start):
        return start + magnitude(start) * ndtri(uniform)

    def natural_unit(self, start):
        return magnitude(start)

    def describe(self):
        return "any number"


class Positive(AbstractBound):
    """Numbers above zero, moved in their logarithm: one natural unit is a factor e."""

    def forward(self, coordinates):
        return jnp.exp(coordinates)

    def inverse(self, values):
        return jnp.log(values)

    def retract(self, coordinates):
        return jnp.asarray(coordinates)

    def steepen(self, coordinates, gradient):
        return jnp.asarray(gradient)

    def excess(self, values):
        array = np.asarray(values)
        return np.where(array > 0, -array, np.maximum(-array, np.finfo(float).tiny))

    def neutral(self, coordinates):
        return jnp.zeros_like(coordinates)

    def sample(self, uniform, start):
        return start * np.exp(0.5 * ndtri(uniform))

    def natural_unit(self, start):
        return 1.0

    def describe(self):
        return "above zero"


class Interval(AbstractBound):
    """Numbers between `lower` and `upper`: middle + half-width · tanh(coordinate), a scaled logistic curve.

    One natural unit is the half-width. **Raises** `InputError` unless `lower < upper`, both finite.
    """

    lower: float
    upper: float

    def __init__(self, lower: float, upper: float):
        self.lower, self.upper = float(lower), float(upper)
        if not (np.isfinite(self.lower) and np.isfinite(self.upper) and self.lower < self.upper):
            raise InputError(
                "an interval needs two finite numbers in rising order",
                value=[self.lower, self.upper],
                remedy="write the lower one first",
            )

    def forward(self, coordinates):
        coordinates = jnp.asarray(coordinates)
        # Written from the nearer edge, so that a value close to an edge keeps its relative precision.
        width = self.upper - self.lower
        below = self.lower + width * jax.nn.sigmoid(2 * coordinates)
        above = self.upper - width * jax.nn.sigmoid(-2 * coordinates)
        return jnp.where(coordinates < 0, below, above)

    def inverse(self, values):
        fraction = (jnp.asarray(values) - self.lower) / (self.upper - self.lower)
        fraction = jnp.where(fraction <= EDGE_TOLERANCE, EDGE_FRACTION, fraction)
        fraction = jnp.where(fraction >= 1 - EDGE_TOLERANCE, 1 - EDGE_FRACTION, fraction)
        return 0.5 * (jnp.log(fraction) - jnp.log1p(-fraction))

    def retract(self, coordinates):
        return jnp.asarray(coordinates)

    def steepen(self, coordinates, gradient):
        return gradient * jnp.minimum(jnp.cosh(jnp.clip(coordinates, -20, 20)) ** 2, STEEPEST)

    def excess(self, values):
        array = np.asarray(values)
        slack = EDGE_TOLERANCE * (self.upper - self.lower)
        return np.maximum(self.lower - array, array - self.upper) - slack

    def neutral(self, coordinates):
        return jnp.zeros_like(coordinates)

    def sample(self, uniform, start):
        return self.lower + (self.upper - self.lower) * uniform

    def natural_unit(self, start):
        return 1.0

    def describe(self):
        return f"between {self.lower:g} and {self.upper:g}"


class Angle(AbstractBound):
    """An angle in radian, periodic: nothing bounds it and nothing wraps it; one natural unit is one radian."""

    def forward(self, coordinates):
        return jnp.asarray(coordinates)

    def inverse(self, values):
        return jnp.asarray(values)

    def retract(self, coordinates):
        return jnp.asarray(coordinates)

    def steepen(self, coordinates, gradient):
        return jnp.asarray(gradient)

    def excess(self, values):
        return np.full(np.shape(values), -np.inf)

    def neutral(self, coordinates):
        return jnp.zeros_like(coordinates)

    def sample(self, uniform, start):
        return 2 * np.pi * uniform - np.pi

    def natural_unit(self, start):
        return 1.0

    def describe(self):
        return "any angle in radian"
