"""What the volumes share: checked sizes and distances from inside to circles, spheres and slabs."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._checks import InputError


def as_size(value: float | Array, key: str, shape: tuple[int, ...] = ()) -> Array:
    """`value` as a floating array of `shape`; concrete values must be positive and finite.

    **Raises** `InputError` naming `key`. Traced values are trusted: bounds hold them.
    """
    array = jnp.asarray(value, dtype=jnp.result_type(float) if not hasattr(value, "dtype") else None)
    if array.shape != shape:
        raise InputError(f"expected shape {shape}, got {array.shape}", key=key, remedy="give lengths in mm")
    if not isinstance(array, Tracer):
        numbers = np.asarray(array)
        if not np.all(np.isfinite(numbers) & (numbers > 0)):
            raise InputError(
                "must be positive and finite", key=key, value=numbers.tolist(), remedy="give a length in mm"
            )
    return array


def as_number(value: object, key: str, *, positive: bool = False) -> Float[Array, ""]:
    """`value` as one floating number; a concrete one must be finite, and more than zero where asked.

    **Raises** `InputError` naming `key`. Traced values are trusted: bounds hold them.
    """
    array = jnp.asarray(value, dtype=jnp.result_type(float) if not hasattr(value, "dtype") else None)  # pyright: ignore[reportArgumentType]
    if array.shape != ():
        raise InputError(f"shape {array.shape}", key=key, remedy="give one number")
    if not isinstance(array, Tracer):
        if not np.isfinite(array):
            raise InputError("must be finite", key=key, value=float(array))
        if positive and not array > 0:
            raise InputError("must be positive", key=key, value=float(array))
    return array


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


def ray_to_slab(
    position: Float[Array, "..."], direction: Float[Array, "..."], half_width: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Forward distance from inside a slab of ±`half_width` to its faces; a huge number for a ray parallel to them."""
    moves = jnp.abs(direction) > 1e-9
    safe = jnp.where(moves, direction, 1.0)
    ahead = jnp.where(direction > 0, half_width - position, -half_width - position)
    return jnp.where(moves, ahead / safe, 1e9)
