"""A sphere centred at the origin."""

from __future__ import annotations

import math
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._arrays import as_size
from .base import AbstractVolume
from .charts import exit_from_circle, ray_to_circle


class Sphere(AbstractVolume):
    """A sphere of `radius` (mm) centred at the origin; its one patch has unit vectors as chart, so there is no pole.

    **Raises** `InputError` for a radius that is not positive and finite.
    """

    chart_size: ClassVar[int] = 3

    radius: Float[Array, ""]

    def __init__(self, radius: float | Array):
        self.radius = as_size(radius, "volume.radius")

    @property
    def patches(self) -> tuple[str, ...]:
        return ("sphere",)

    @property
    def convex(self) -> bool:
        return True

    @property
    def half_extents(self) -> Float[Array, "3"]:
        return jnp.stack([self.radius] * 3)

    @property
    def volume(self) -> Float[Array, ""]:
        return self.inner_volume(0.0)

    def inner_volume(self, margin: float) -> Float[Array, ""]:
        return 4 / 3 * math.pi * jnp.maximum(self.radius - margin, 0) ** 3

    @property
    def area(self) -> Float[Array, ""]:
        return 4 * math.pi * self.radius**2

    @property
    def longest_chord(self) -> Float[Array, ""]:
        return 2 * self.radius

    def contains(self, points: Float[Array, "... 3"]) -> Bool[Array, "..."]:
        return jnp.sum(points**2, axis=-1) < self.radius**2

    def distance_to_wall(
        self, origins: Float[Array, "... 3"], directions: Float[Array, "... 3"]
    ) -> Float[Array, "..."]:
        return ray_to_circle(origins, directions, self.radius)

    @property
    def patch_areas(self) -> Float[Array, " patches"]:
        return self.area[None]

    def crossing(
        self, origins: Float[Array, "n 3"], directions: Float[Array, "n 3"]
    ) -> tuple[Int[Array, " n"], Float[Array, "n 3"]]:
        distance = exit_from_circle(origins, directions, self.radius)
        return jnp.zeros(len(origins), jnp.int32), _unit(origins + distance[:, None] * directions)

    def surface_point(self, patch: Int[Array, " n"], uv: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        return self.radius * _unit(uv)

    def normal(self, patch: Int[Array, " n"], uv: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        return -_unit(uv)

    def edge_clearance(self, patch: Int[Array, " n"], uv: Float[Array, "n 3"]) -> Float[Array, " n"]:
        return jnp.full(uv.shape[0], jnp.inf, uv.dtype)

    def chart(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        distance = np.linalg.norm(points, axis=-1)
        uv = points / np.where(distance > 0, distance, 1.0)[:, None]
        return np.zeros(len(points), dtype=int), uv, distance - float(self.radius)


def _unit(vectors: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
    return vectors / jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True))
