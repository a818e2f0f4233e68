"""A bound for rows that move together: images of a few free ones under rotations, mirrors, shifts."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from ..._checks import InputError
from .base import AbstractBound


class Tied(AbstractBound):
    """Rows of one array that follow a few free rows: row r = `matrix[r]` · free row `orbit[r]` + `offset[r]`.

    The coordinates are those of the free rows alone, so a layout tied by a fourfold rotation and a mirror has an eighth of
    its numbers to find, and a gradient gathers what all images say.

    **Arguments**

    - `bound`: what the m free rows may become, an array (m, c), or (m,) where the leaf has no columns.
    - `free`: (m,) which rows of the leaf are the free ones.
    - `orbit`: (n,) for every row of the leaf the place of its free row in `free`.
    - `matrix`, `offset`: (n, c, c) and (n, c); by default every row is a copy of its free row. A free row has the unit
      matrix and no offset, or those of a projection: one on a mirror stays on it.
    - `slack`: how far rows of a start may be from where the tie puts them, in the leaf's unit; they are moved there.

    **Raises** `InputError` for shapes that do not fit, a free row that is not its own image, and an orbit without one.
    """

    bound: AbstractBound
    free: Int[np.ndarray, " m"]
    orbit: Int[np.ndarray, " n"]
    matrix: Float[np.ndarray, "n c c"]
    offset: Float[np.ndarray, "n c"]
    slack: float

    def __init__(
        self,
        bound: AbstractBound,
        free: ArrayLike,
        orbit: ArrayLike,
        matrix: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        slack: float = 1e-9,
    ):
        self.bound, self.slack = bound, float(slack)
        self.free, self.orbit = np.asarray(free, dtype=int), np.asarray(orbit, dtype=int)
        count = self.orbit.size
        shift = (
            np.zeros(1 if matrix is None else np.asarray(matrix).shape[-1]) if offset is None else np.asarray(offset)
        )
        columns = shift.shape[-1]
        self.matrix = np.broadcast_to(np.eye(columns) if matrix is None else matrix, (count, columns, columns))
        self.offset = np.broadcast_to(shift, (count, columns))
        indices = (self.free, count), (self.orbit, self.free.size)
        if not self.free.size or any(i.ndim != 1 or i.min() < 0 or i.max() >= limit for i, limit in indices):
            remedy = "`free` holds row numbers of the leaf, `orbit` places in `free`, one for every row"
            raise InputError("rows that do not exist are tied", key="tie", remedy=remedy)
        leader = self.free[self.orbit]
        again = (
            self.matrix @ self.matrix[leader],
            np.einsum("rij,rj->ri", self.matrix, self.offset[leader]) + self.offset,
        )
        same = np.allclose(again[0], self.matrix, atol=1e-9) and np.allclose(again[1], self.offset, atol=1e-9)
        if not (same and np.array_equal(self.orbit[self.free], np.arange(self.free.size))):
            raise InputError("a free row must be its own image", key="tie", remedy="give it the unit matrix, no offset")

    def _expanded(self, rows, numbers):
        """All rows from the free ones, with `numbers` numpy or jax.numpy."""
        flat = rows.reshape(rows.shape[0], -1)
        if self.offset.shape[-1] == 1:  # the same factor and shift for all columns
            images = self.matrix[:, 0] * flat[self.orbit] + self.offset
        else:
            images = numbers.einsum("rij,rj->ri", self.matrix, flat[self.orbit]) + self.offset
        return images.reshape(self.orbit.size, *rows.shape[1:])

    def forward(self, coordinates):
        return self._expanded(self.bound.forward(coordinates), jnp)

    def inverse(self, values):
        return self.bound.inverse(jnp.asarray(values)[self.free])

    def retract(self, coordinates):
        return self.bound.retract(coordinates)

    def steepen(self, coordinates, gradient):
        return self.bound.steepen(coordinates, gradient)

    def excess(self, values):
        array = np.asarray(values, dtype=float)
        if array.shape[:1] != self.orbit.shape:
            problem = f"a tie of {self.orbit.size} rows on an array of shape {array.shape}"
            raise InputError(problem, key="tie", remedy="give the orbit of every row of the leaf")
        away = np.abs(array - self._expanded(array[self.free], np)).reshape(len(array), -1).max(axis=-1) - self.slack
        inside = np.asarray(self.bound.excess(array[self.free]))
        inside = inside.reshape(len(inside), -1).max(axis=-1)
        return np.maximum(away, inside[self.orbit])

    def neutral(self, coordinates) -> Array:
        return self.bound.neutral(coordinates)

    def sample(self, uniform, start):
        return self._expanded(self.bound.sample(uniform[self.free], start[self.free]), np)

    def natural_unit(self, start):
        return self.bound.natural_unit(start[self.free])

    def describe(self):
        return (
            f"{self.orbit.size} rows tied to {self.free.size} free ones within {self.slack:g}: {self.bound.describe()}"
        )
