"""Space charge on a regular grid, interpolated twice differentiably."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ..._checks import InputError
from .base import AbstractSpaceCharge


class GridSpaceCharge(AbstractSpaceCharge):
    """Displacement and field distortion at the nodes of a regular grid; a tricubic spline (C²) between them.

    **Arguments**

    - `lower (3,)`, `upper (3,)`: corners of the grid in mm.
    - `displacements (nx, ny, nz, 3)` in mm and `distortions (nx, ny, nz, 3)` in V/mm at the nodes, at least four along each
      axis. They are leaves: a calibration may free them.

    Beyond the grid the value at its nearest face is taken.

    **Raises** `InputError` for shapes that do not fit and corners that are not in order.
    """

    lower: Float[Array, "3"]
    upper: Float[Array, "3"]
    displacements: Float[Array, "nx ny nz 3"]
    distortions: Float[Array, "nx ny nz 3"]

    def __init__(self, lower, upper, displacements, distortions):
        self.lower = jnp.asarray(lower, jnp.result_type(float) if not hasattr(lower, "dtype") else None)
        self.upper = jnp.asarray(upper, jnp.result_type(float) if not hasattr(upper, "dtype") else None)
        self.displacements = jnp.asarray(displacements)
        self.distortions = jnp.asarray(distortions)

    def __check_init__(self):
        for name in ("lower", "upper"):
            if getattr(self, name).shape != (3,):
                raise InputError(f"shape {getattr(self, name).shape}", key=name, remedy="give a corner (x, y, z) in mm")
        shape = self.displacements.shape
        for name in ("displacements", "distortions"):
            array = getattr(self, name)
            if array.ndim != 4 or array.shape[-1] != 3 or min(array.shape[:3]) < 4 or array.shape != shape:
                remedy = "give both with one shape (nx, ny, nz, 3), at least four nodes along each axis"
                raise InputError(f"shape {array.shape}", key=name, remedy=remedy)
            if not isinstance(array, Tracer) and not np.isfinite(array).all():
                raise InputError("holds numbers that are not finite", key=name, remedy="fill the gaps of the map")
        traced = isinstance(self.lower, Tracer) or isinstance(self.upper, Tracer)
        if not traced and not (np.asarray(self.upper) > np.asarray(self.lower)).all():
            raise InputError("must lie above lower in x, y and z", key="upper", value=np.asarray(self.upper).tolist())

    def displacement(self, position):
        return self._interpolate(self.displacements, position)

    def distortion(self, position):
        return self._interpolate(self.distortions, position)

    def _interpolate(self, values: Float[Array, "nx ny nz 3"], position: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        counts = values.shape[:3]
        coefficients = values
        for axis, count in enumerate(counts):
            matrix = jnp.asarray(_to_coefficients(count), values.dtype)
            coefficients = jnp.moveaxis(jnp.tensordot(matrix, coefficients, axes=(1, axis)), 0, axis)
        spacing = (self.upper - self.lower) / (jnp.asarray(counts) - 1)
        where = (jnp.clip(position, self.lower, self.upper) - self.lower) / spacing
        left = jnp.clip(jnp.floor(where), 0, jnp.asarray(counts) - 2).astype(jnp.int32)
        weights = _cardinal(where - left)
        nodes = left[..., None] + jnp.arange(4)
        i, j, k = nodes[..., 0, :], nodes[..., 1, :], nodes[..., 2, :]
        corners = coefficients[i[:, :, None, None], j[:, None, :, None], k[:, None, None, :]]
        return jnp.einsum("na,nb,nc,nabcd->nd", weights[:, 0], weights[:, 1], weights[:, 2], corners)


def _cardinal(u: Float[Array, "..."]) -> Float[Array, "... 4"]:
    """The four cubic B-splines that are not zero at the fraction `u` of an interval."""
    v = 1 - u
    return jnp.stack([v**3, 4 - 6 * u**2 + 3 * u**3, 4 - 6 * v**2 + 3 * v**3, u**3], axis=-1) / 6


@functools.cache
def _to_coefficients(count: int) -> np.ndarray:
    """Matrix `(count + 2, count)` from values at the nodes to B-spline coefficients, with the not-a-knot condition at both
    ends (the third derivative goes on across the second node), so that cubic polynomials come back exactly."""
    system = np.zeros((count + 2, count + 2))
    for node in range(count):
        system[node, node : node + 3] = np.array([1, 4, 1]) / 6
    system[count, :5] = [-1, 4, -6, 4, -1]
    system[count + 1, -5:] = [-1, 4, -6, 4, -1]
    return np.linalg.inv(system)[:, :count]
