"""A box with faces across the coordinate axes, centred at the origin."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._arrays import as_size
from .base import AbstractVolume
from .charts import ray_to_slab

# For each face: the axis it stands across, its side, and the two axes of its chart.
_AXIS = np.array([0, 0, 1, 1, 2, 2])
_SIDE = np.array([-1, 1, -1, 1, -1, 1])
_CHART_AXES = np.array([[1, 2], [1, 2], [2, 0], [2, 0], [0, 1], [0, 1]])


class Box(AbstractVolume):
    """A box of full `size (3,)` in mm, centred at the origin.

    Charts: on each face the two other coordinates divided by their half size, in cyclic order, each in [-1, 1].
    **Raises** `InputError` for sizes that are not positive and finite.
    """

    chart_size: ClassVar[int] = 2

    size: Float[Array, "3"]

    def __init__(self, size: Array | tuple[float, float, float]):
        self.size = as_size(jnp.asarray(size, jnp.result_type(float)), "volume.size", (3,))

    @property
    def patches(self) -> tuple[str, ...]:
        return ("x_low", "x_high", "y_low", "y_high", "z_low", "z_high")

    @property
    def convex(self) -> bool:
        return True

    @property
    def half_extents(self) -> Float[Array, "3"]:
        return self.size / 2

    @property
    def volume(self) -> Float[Array, ""]:
        return self.inner_volume(0.0)

    def inner_volume(self, margin: float) -> Float[Array, ""]:
        return jnp.prod(jnp.maximum(self.size - 2 * margin, 0))

    @property
    def area(self) -> Float[Array, ""]:
        x, y, z = self.size
        return 2 * (x * y + y * z + z * x)

    @property
    def longest_chord(self) -> Float[Array, ""]:
        return jnp.sqrt(jnp.sum(self.size**2))

    def contains(self, points: Float[Array, "... 3"]) -> Bool[Array, "..."]:
        return jnp.all(jnp.abs(points) < self.size / 2, axis=-1)

    def distance_to_wall(
        self, origins: Float[Array, "... 3"], directions: Float[Array, "... 3"]
    ) -> Float[Array, "..."]:
        return jnp.min(ray_to_slab(origins, directions, self.size / 2), axis=-1)

    @property
    def patch_areas(self) -> Float[Array, " patches"]:
        across = jnp.prod(self.size) / self.size
        return across[jnp.asarray(_AXIS)]

    def crossing(
        self, origins: Float[Array, "n 3"], directions: Float[Array, "n 3"]
    ) -> tuple[Int[Array, " n"], Float[Array, "n 2"]]:
        half = self.size / 2
        distances = ray_to_slab(origins, directions, half)
        axis, rows = jnp.argmin(distances, axis=-1), jnp.arange(len(origins))
        point = origins + distances[rows, axis][:, None] * directions
        patch = 2 * axis + (directions[rows, axis] > 0)
        return patch, (point / half)[rows[:, None], jnp.asarray(_CHART_AXES)[patch]]

    def surface_point(self, patch: Int[Array, " n"], uv: Float[Array, "n 2"]) -> Float[Array, "n 3"]:
        across = jnp.asarray(_SIDE)[patch][:, None] * _unit_rows(_AXIS, patch, uv.dtype)
        first = uv[:, :1] * _unit_rows(_CHART_AXES[:, 0], patch, uv.dtype)
        second = uv[:, 1:] * _unit_rows(_CHART_AXES[:, 1], patch, uv.dtype)
        return (across + first + second) * self.size / 2

    def normal(self, patch: Int[Array, " n"], uv: Float[Array, "n 2"]) -> Float[Array, "n 3"]:
        return -jnp.asarray(_SIDE)[patch][:, None] * _unit_rows(_AXIS, patch, uv.dtype)

    def edge_clearance(self, patch: Int[Array, " n"], uv: Float[Array, "n 2"]) -> Float[Array, " n"]:
        half = (self.size / 2)[jnp.asarray(_CHART_AXES)[patch]]
        return jnp.min((1 - jnp.abs(uv)) * half, axis=-1)

    def chart(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        half = np.asarray(self.size) / 2
        off = np.abs(points) - half
        axis = np.argmin(np.abs(off), axis=-1)
        rows = np.arange(len(points))
        patch = 2 * axis + (points[rows, axis] > 0)
        return patch, (points / half)[rows[:, None], _CHART_AXES[patch]], off[rows, axis]


def _unit_rows(axes: np.ndarray, patch: Int[Array, " n"], dtype: jnp.dtype) -> Float[Array, "n 3"]:
    return jnp.asarray(np.eye(3)[axes], dtype)[patch]
