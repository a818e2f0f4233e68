"""Bounds that act on the last axis as a whole: a disc, unit vectors, a simplex."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

from ..._checks import InputError
from .base import EDGE_FRACTION, EDGE_TOLERANCE, STEEPEST, AbstractBound


class Disc(AbstractBound):
    """Points (..., 2) in a disc around the origin: radius · tanh|w| · w/|w|; one natural unit is the radius.

    **Raises** `InputError` unless the radius is positive and finite.
    """

    radius: float

    def __init__(self, radius: float = 1.0):
        self.radius = float(radius)
        if not (np.isfinite(self.radius) and self.radius > 0):
            raise InputError("the radius of a disc must be positive", value=radius, remedy="give a positive radius")

    def forward(self, coordinates):
        coordinates = jnp.asarray(coordinates)
        square = jnp.sum(coordinates**2, axis=-1, keepdims=True)
        small = square < 1e-4
        length = jnp.sqrt(jnp.where(small, 1.0, square))
        # tanh(s)/s is even in s: its series at the centre (next term 17 s⁶/315 < 1e-13) keeps all derivatives finite.
        ratio = jnp.where(small, 1 - square / 3 + 2 * square**2 / 15, jnp.tanh(length) / length)
        return self.radius * ratio * coordinates

    def inverse(self, values):
        scaled = jnp.asarray(values) / self.radius
        square = jnp.sum(scaled**2, axis=-1, keepdims=True)
        small = square < 1e-4
        length = jnp.sqrt(jnp.where(small, 0.25, square))
        inside = jnp.where(length >= 1 - EDGE_TOLERANCE, 1 - EDGE_FRACTION, length)
        return scaled * jnp.where(small, 1 + square / 3 + square**2 / 5, jnp.arctanh(inside) / length)

    def retract(self, coordinates):
        return jnp.asarray(coordinates)

    def steepen(self, coordinates, gradient):
        coordinates = jnp.asarray(coordinates)
        square = jnp.sum(coordinates**2, axis=-1, keepdims=True)
        length = jnp.sqrt(jnp.where(square > 0, square, 1.0))
        outward = jnp.sum(coordinates * gradient, axis=-1, keepdims=True) * coordinates / length**2
        radial = jnp.minimum(jnp.cosh(jnp.minimum(length, 20)) ** 2, STEEPEST)
        tangential = jnp.where(square > 0, length / jnp.tanh(length), 1.0)
        return radial * outward + tangential * (gradient - outward)

    def excess(self, values):
        return np.linalg.norm(np.asarray(values), axis=-1) - self.radius * (1 + EDGE_TOLERANCE)

    def neutral(self, coordinates):
        return jnp.zeros_like(coordinates)

    def sample(self, uniform, start):
        radius, angle = self.radius * np.sqrt(uniform[..., 0]), 2 * np.pi * uniform[..., 1]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)

    def natural_unit(self, start):
        return 1.0

    def describe(self):
        return f"inside the disc of radius {self.radius:g}"


class UnitVector(AbstractBound):
    """Vectors (..., d) of unit length: coordinates are any vector but zero, divided by their length.

    `retract` brings coordinates back to unit length after every step, so that one natural unit stays one radian.
    """

    def forward(self, coordinates):
        coordinates = jnp.asarray(coordinates)
        return coordinates / jnp.sqrt(jnp.sum(coordinates**2, axis=-1, keepdims=True))

    def inverse(self, values):
        return self.forward(values)

    def retract(self, coordinates):
        return self.forward(coordinates)

    def steepen(self, coordinates, gradient):
        return jnp.asarray(gradient)

    def excess(self, values):
        # Units typed by hand are rounded; they are normalised on entry, so only a clear departure is refused.
        return np.abs(np.linalg.norm(np.asarray(values), axis=-1) - 1.0) - 1e-3

    def neutral(self, coordinates):
        return jnp.zeros_like(coordinates).at[..., -1].set(1.0)

    def sample(self, uniform, start):
        gaussian = ndtri(uniform)
        return gaussian / np.linalg.norm(gaussian, axis=-1, keepdims=True)

    def natural_unit(self, start):
        return 1.0

    def describe(self):
        return "vectors of unit length along the last axis"


class Simplex(AbstractBound):
    """Positive weights (..., n) that add up to one along the last axis: the softmax of the coordinates."""

    def forward(self, coordinates):
        return jax.nn.softmax(jnp.asarray(coordinates), axis=-1)

    def inverse(self, values):
        values = jnp.asarray(values)
        count = values.shape[-1]
        inside = jnp.where(values <= EDGE_TOLERANCE / count, EDGE_FRACTION / count, values)
        return self.retract(jnp.log(inside))

    def retract(self, coordinates):
        coordinates = jnp.asarray(coordinates)
        return coordinates - jnp.mean(coordinates, axis=-1, keepdims=True)

    def steepen(self, coordinates, gradient):
        weights = self.forward(coordinates)
        return gradient / jnp.maximum(weights.shape[-1] * weights, 1 / STEEPEST)

    def excess(self, values):
        array = np.asarray(values)
        return np.maximum(-np.min(array, axis=-1), np.abs(np.sum(array, axis=-1) - 1.0) - 1e-6)

    def neutral(self, coordinates):
        return jnp.zeros_like(coordinates)

    def sample(self, uniform, start):
        exponential = -np.log(uniform)
        return exponential / np.sum(exponential, axis=-1, keepdims=True)

    def natural_unit(self, start):
        return 1.0

    def describe(self):
        return "weights of at least zero that add up to one along the last axis"
