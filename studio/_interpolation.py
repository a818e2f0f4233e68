"""Tables as twice differentiable functions: cubic splines on a uniform grid, evaluated in JAX.

The information objective differentiates the physics twice, so no table is ever interpolated linearly.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.interpolate import CubicSpline


class UniformSpline(eqx.Module):
    """A C2 cubic spline through values on a uniform grid; beyond the ends it goes on as a straight line.

    **Fields**: `start`, `step`: the grid. `coefficients (4, intervals, ...)`: powers 3, 2, 1, 0 of the distance from
    the left knot in units of the step, in float64 NumPy; evaluation follows the argument's dtype.
    """

    start: float = eqx.field(static=True)
    step: float = eqx.field(static=True)
    coefficients: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray) -> UniformSpline:
        """The not-a-knot spline through `y (n, ...)` at the uniform grid `x (n,)`, extended linearly by one interval a side."""
        x = np.asarray(x, dtype=np.float64)
        step = (x[-1] - x[0]) / (len(x) - 1)
        if not np.allclose(np.diff(x), step, rtol=1e-6, atol=0.0):
            raise ValueError("the grid must be uniform")
        spline = CubicSpline(x, np.asarray(y, dtype=np.float64))
        powers = step ** np.arange(3, -1, -1).reshape((4,) + (1,) * (spline.c.ndim - 1))
        inner = spline.c * powers
        left = _straight(np.asarray(spline(x[0]) - step * spline(x[0], 1)), np.asarray(step * spline(x[0], 1)))
        right = _straight(np.asarray(spline(x[-1])), np.asarray(step * spline(x[-1], 1)))
        coefficients = np.concatenate([left, inner, right], axis=1)
        return cls(float(x[0] - step), float(step), coefficients)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... *values"]:
        x = jnp.asarray(x)
        # A Python number counts in the default precision, not in the lowest.
        dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.result_type(float)
        intervals = self.coefficients.shape[1]
        position = (x - self.start) / self.step
        index = jnp.clip(jnp.floor(position), 0, intervals - 1).astype(jnp.int32)
        distance = position - index
        cubic = jnp.asarray(self.coefficients, dtype)[:, index]
        distance = distance.reshape(distance.shape + (1,) * (cubic.ndim - 1 - distance.ndim))
        return ((cubic[0] * distance + cubic[1]) * distance + cubic[2]) * distance + cubic[3]


def _straight(value: np.ndarray, slope: np.ndarray) -> np.ndarray:
    zero = np.zeros_like(value)
    return np.stack([zero, zero, slope, value])[:, None]
