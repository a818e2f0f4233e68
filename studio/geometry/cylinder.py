"""A cylinder along z, centred at the origin."""

from __future__ import annotations

import math
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._arrays import as_size
from .base import AbstractVolume
from .charts import exit_from_circle, ray_to_circle, ray_to_slab

BARREL, TOP, BOTTOM = 0, 1, 2


class Cylinder(AbstractVolume):
    """A cylinder of `radius` and full `height` (mm) along z, centred at the origin.

    Charts: on the barrel (azimuth in rad, z / half height); on the caps (x, y) / radius, a unit disc. All three preserve
    area up to a constant. **Raises** `InputError` for sizes that are not positive and finite.
    """

    chart_size: ClassVar[int] = 2

    radius: Float[Array, ""]
    height: Float[Array, ""]

    def __init__(self, radius: float | Array, height: float | Array):
        self.radius = as_size(radius, "volume.radius")
        self.height = as_size(height, "volume.height")

    @property
    def patches(self) -> tuple[str, ...]:
        return ("barrel", "top", "bottom")

    @property
    def convex(self) -> bool:
        return True

    @property
    def half_extents(self) -> Float[Array, "3"]:
        return jnp.stack([self.radius, self.radius, self.height / 2])

    @property
    def volume(self) -> Float[Array, ""]:
        return self.inner_volume(0.0)

    def inner_volume(self, margin: float) -> Float[Array, ""]:
        return math.pi * jnp.maximum(self.radius - margin, 0) ** 2 * jnp.maximum(self.height - 2 * margin, 0)

    @property
    def area(self) -> Float[Array, ""]:
        return 2 * math.pi * self.radius * (self.radius + self.height)

    @property
    def longest_chord(self) -> Float[Array, ""]:
        return jnp.sqrt(4 * self.radius**2 + self.height**2)

    def contains(self, points: Float[Array, "... 3"]) -> Bool[Array, "..."]:
        within_radius = points[..., 0] ** 2 + points[..., 1] ** 2 < self.radius**2
        return within_radius & (jnp.abs(points[..., 2]) < self.height / 2)

    def distance_to_wall(
        self, origins: Float[Array, "... 3"], directions: Float[Array, "... 3"]
    ) -> Float[Array, "..."]:
        barrel = ray_to_circle(origins[..., :2], directions[..., :2], self.radius)
        caps = ray_to_slab(origins[..., 2], directions[..., 2], self.height / 2)
        return jnp.minimum(barrel, caps)

    @property
    def patch_areas(self) -> Float[Array, " patches"]:
        cap = math.pi * self.radius**2
        return jnp.stack([2 * math.pi * self.radius * self.height, cap, cap])

    def crossing(
        self, origins: Float[Array, "n 3"], directions: Float[Array, "n 3"]
    ) -> tuple[Int[Array, " n"], Float[Array, "n 2"]]:
        half = self.height / 2
        barrel = exit_from_circle(origins[:, :2], directions[:, :2], self.radius)
        caps = ray_to_slab(origins[:, 2], directions[:, 2], half)
        x, y, z = (origins + jnp.minimum(barrel, caps)[:, None] * directions).T
        patch = jnp.where(barrel <= caps, BARREL, jnp.where(directions[:, 2] > 0, TOP, BOTTOM))
        on_barrel = jnp.stack([jnp.arctan2(y, x), z / half], axis=-1)
        on_cap = jnp.stack([x, y], axis=-1) / self.radius
        return patch, jnp.where((patch == BARREL)[:, None], on_barrel, on_cap)

    def surface_point(self, patch: Int[Array, " n"], uv: Float[Array, "n 2"]) -> Float[Array, "n 3"]:
        u, v = uv[:, 0], uv[:, 1]
        half = self.height / 2
        barrel = jnp.stack([self.radius * jnp.cos(u), self.radius * jnp.sin(u), half * v], axis=-1)
        level = jnp.where(patch == TOP, half, -half)
        cap = jnp.stack([self.radius * u, self.radius * v, jnp.broadcast_to(level, u.shape)], axis=-1)
        return jnp.where((patch == BARREL)[:, None], barrel, cap)

    def normal(self, patch: Int[Array, " n"], uv: Float[Array, "n 2"]) -> Float[Array, "n 3"]:
        u = uv[:, 0]
        zero = jnp.zeros_like(u)
        barrel = jnp.stack([-jnp.cos(u), -jnp.sin(u), zero], axis=-1)
        cap = jnp.stack([zero, zero, jnp.where(patch == TOP, -1.0, 1.0).astype(u.dtype)], axis=-1)
        return jnp.where((patch == BARREL)[:, None], barrel, cap)

    def edge_clearance(self, patch: Int[Array, " n"], uv: Float[Array, "n 2"]) -> Float[Array, " n"]:
        on_barrel = (1 - jnp.abs(uv[:, 1])) * self.height / 2
        squared = uv[:, 0] ** 2 + uv[:, 1] ** 2
        on_cap = (1 - jnp.sqrt(jnp.where(squared > 0, squared, 1.0)) * (squared > 0)) * self.radius
        return jnp.where(patch == BARREL, on_barrel, on_cap)

    def chart(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        radius, half = float(self.radius), float(self.height) / 2
        rho = np.hypot(points[:, 0], points[:, 1])
        off_barrel, off_cap = rho - radius, np.abs(points[:, 2]) - half
        on_barrel = np.abs(off_barrel) <= np.abs(off_cap)
        patch = np.where(on_barrel, BARREL, np.where(points[:, 2] > 0, TOP, BOTTOM))
        azimuth = np.arctan2(points[:, 1], points[:, 0])
        barrel = np.stack([azimuth, points[:, 2] / half], axis=-1)
        uv = np.where(on_barrel[:, None], barrel, points[:, :2] / radius)
        return patch, uv, np.where(on_barrel, off_barrel, off_cap)
