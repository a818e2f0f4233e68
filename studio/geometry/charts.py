"""What the volumes share: distances from inside to circles, spheres and slabs."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def ray_to_circle(
    origins: Float[Array, "... d"], directions: Float[Array, "... d"], radius: Float[Array, ""]
) -> Float[Array, "..."]:
    """Forward distance from inside a circle or sphere of `radius` to it; a huge number where the ray does not move in it."""
    a = jnp.sum(directions**2, axis=-1)
    b = jnp.sum(origins * directions, axis=-1)
    c = jnp.maximum(radius**2 - jnp.sum(origins**2, axis=-1), 0.0)
    moves = a > 1e-12
    safe_a = jnp.where(moves, a, 1.0)
    discriminant = b**2 + safe_a * c
    positive = discriminant > 0
    root = jnp.sqrt(jnp.where(positive, discriminant, 1.0)) * positive
    return jnp.where(moves, (root - b) / safe_a, 1e9)


def exit_from_circle(
    origins: Float[Array, "... d"], directions: Float[Array, "... d"], radius: Float[Array, ""]
) -> Float[Array, "..."]:
    """Distance to the farther crossing with a circle or sphere, wherever the ray starts; of its nearest point where it
    misses, and a huge number where the ray does not move in it."""
    a = jnp.sum(directions**2, axis=-1)
    b = jnp.sum(origins * directions, axis=-1)
    squared = b**2 - a * (jnp.sum(origins**2, axis=-1) - radius**2)
    reach = jnp.sqrt(jnp.where(squared > 0, squared, 1.0)) * (squared > 0)
    return jnp.where(a > 1e-12, (reach - b) / jnp.where(a > 1e-12, a, 1.0), 1e9)


def ray_to_slab(
    position: Float[Array, "..."], direction: Float[Array, "..."], half_width: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Forward distance from inside a slab of ±`half_width` to its faces; a huge number for a ray parallel to them."""
    moves = jnp.abs(direction) > 1e-9
    safe = jnp.where(moves, direction, 1.0)
    ahead = jnp.where(direction > 0, half_width - position, -half_width - position)
    return jnp.where(moves, ahead / safe, 1e9)
