"""Bounds made of bounds: another one for every row, another one for every column."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ..._checks import InputError
from .base import AbstractBound


class Rowwise(AbstractBound):
    """Rows of one array under different bounds, as sensors on a barrel and on its caps.

    **Arguments**

    - `bounds`: the bounds to choose from.
    - `which`: (rows,) integers; row r is under `bounds[which[r]]`. A bound sees arrays (rows, ...).

    **Raises** `InputError` where `which` points at no bound.
    """

    bounds: tuple[AbstractBound, ...]
    which: np.ndarray

    def __init__(self, bounds: Sequence[AbstractBound], which):
        self.bounds = tuple(bounds)
        self.which = np.asarray(which)
        integral = self.which.ndim == 1 and np.issubdtype(self.which.dtype, np.integer)
        if not integral or (self.which.size and not (self.which.min() >= 0 and self.which.max() < len(self.bounds))):
            raise InputError(
                f"every row needs the index of one of {len(self.bounds)} bounds",
                key="which",
                remedy="give a one-dimensional array of integers",
            )

    def _mask(self, index: int, like):
        return (self.which == index).reshape((-1,) + (1,) * (jnp.ndim(like) - 1))

    def forward(self, coordinates):
        coordinates = jnp.asarray(coordinates)
        result = coordinates
        for index, bound in enumerate(self.bounds):
            mask = self._mask(index, coordinates)
            # Rows of another kind are replaced before the call: a NaN there would survive in the derivative.
            result = jnp.where(mask, bound.forward(jnp.where(mask, coordinates, bound.neutral(coordinates))), result)
        return result

    def inverse(self, values):
        values = jnp.asarray(values)
        result = values
        for index, bound in enumerate(self.bounds):
            mask = self._mask(index, values)
            harmless = bound.forward(bound.neutral(values))
            result = jnp.where(mask, bound.inverse(jnp.where(mask, values, harmless)), result)
        return result

    def retract(self, coordinates):
        coordinates = jnp.asarray(coordinates)
        result = coordinates
        for index, bound in enumerate(self.bounds):
            mask = self._mask(index, coordinates)
            result = jnp.where(mask, bound.retract(jnp.where(mask, coordinates, bound.neutral(coordinates))), result)
        return result

    def steepen(self, coordinates, gradient):
        coordinates, result = jnp.asarray(coordinates), jnp.asarray(gradient)
        for index, bound in enumerate(self.bounds):
            mask = self._mask(index, coordinates)
            own = jnp.where(mask, coordinates, bound.neutral(coordinates))
            result = jnp.where(mask, bound.steepen(own, jnp.where(mask, result, 0.0)), result)
        return result

    def excess(self, values):
        array = np.asarray(values)
        self._check_rows(array)
        result = np.full(array.shape[0], -np.inf)
        for index, bound in enumerate(self.bounds):
            rows = self.which == index
            if np.any(rows):
                outside = np.asarray(bound.excess(array[rows]))
                result[rows] = outside.reshape(outside.shape[0], -1).max(axis=-1)
        return result

    def _check_rows(self, array: np.ndarray) -> None:
        if array.ndim < 1 or array.shape[0] != self.which.size:
            raise InputError(
                f"bounds for {self.which.size} rows on an array of shape {array.shape}",
                key="which",
                remedy="give one index per row of the leaf",
            )

    def neutral(self, coordinates):
        coordinates = jnp.asarray(coordinates)
        result = coordinates
        for index, bound in enumerate(self.bounds):
            result = jnp.where(self._mask(index, coordinates), bound.neutral(coordinates), result)
        return result

    def sample(self, uniform, start):
        result = np.array(start, dtype=float)
        for index, bound in enumerate(self.bounds):
            rows = self.which == index
            if np.any(rows):
                result[rows] = bound.sample(uniform[rows], result[rows])
        return result

    def natural_unit(self, start):
        result = np.ones(np.shape(start))
        for index, bound in enumerate(self.bounds):
            rows = self.which == index
            result[rows] = bound.natural_unit(start[rows])
        return result

    def describe(self):
        return "by row: " + "; ".join(bound.describe() for bound in self.bounds)


class Columnwise(AbstractBound):
    """The columns (last axis) of an array under one bound each, as (angle, height) on a barrel.

    Columns hold single numbers, so only elementwise bounds fit.
    """

    bounds: tuple[AbstractBound, ...]

    def __init__(self, *bounds: AbstractBound):
        self.bounds = bounds

    def _columns(self, function, array, stack):
        if array.shape[-1] != len(self.bounds):
            raise InputError(
                f"bounds for {len(self.bounds)} columns on an array of shape {array.shape}",
                remedy="give one bound per column of the leaf's last axis",
            )
        return stack([function(bound, array[..., i]) for i, bound in enumerate(self.bounds)], axis=-1)

    def forward(self, coordinates):
        return self._columns(lambda bound, column: bound.forward(column), jnp.asarray(coordinates), jnp.stack)

    def inverse(self, values):
        return self._columns(lambda bound, column: bound.inverse(column), jnp.asarray(values), jnp.stack)

    def retract(self, coordinates):
        return self._columns(lambda bound, column: bound.retract(column), jnp.asarray(coordinates), jnp.stack)

    def steepen(self, coordinates, gradient):
        coordinates, gradient = jnp.asarray(coordinates), jnp.asarray(gradient)
        columns = [b.steepen(coordinates[..., i], gradient[..., i]) for i, b in enumerate(self.bounds)]
        return jnp.stack(columns, axis=-1)

    def excess(self, values):
        return self._columns(lambda bound, column: bound.excess(column), np.asarray(values), np.stack).max(axis=-1)

    def neutral(self, coordinates):
        return self._columns(lambda bound, column: bound.neutral(column), jnp.asarray(coordinates), jnp.stack)

    def sample(self, uniform, start):
        samples = [bound.sample(uniform[..., i], start[..., i]) for i, bound in enumerate(self.bounds)]
        return np.stack(samples, axis=-1)

    def natural_unit(self, start):
        columns = [np.broadcast_to(b.natural_unit(start[..., i]), start.shape[:-1]) for i, b in enumerate(self.bounds)]
        return np.stack(columns, axis=-1)

    def describe(self):
        return "by column: " + "; ".join(bound.describe() for bound in self.bounds)
