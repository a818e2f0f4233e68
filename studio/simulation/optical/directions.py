"""Directions: unit vectors and the two tangent coordinates in which fits and information matrices move them."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def unit(vectors: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
    """`vectors` scaled to length 1."""
    return vectors / jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True))


def tangent_basis(direction: Float[Array, "*batch 3"]) -> Float[Array, "*batch 2 3"]:
    """Two unit vectors across a unit direction and across each other.

    The form of Duff et al., Journal of Computer Graphics Techniques 6 (2017) 1: smooth but for the sign at z = 0.
    """
    x, y, z = direction[..., 0], direction[..., 1], direction[..., 2]
    sign = jnp.where(z >= 0, 1.0, -1.0).astype(direction.dtype)
    a = -1 / (sign + z)
    b = x * y * a
    first = jnp.stack([1 + sign * x * x * a, sign * b, -sign * x], axis=-1)
    second = jnp.stack([b, sign + y * y * a, -y], axis=-1)
    return jnp.stack([first, second], axis=-2)


def turned(direction: Float[Array, "*batch 3"], tangent: Float[Array, "*batch 2"]) -> Float[Array, "*batch 3"]:
    """`direction` turned by small angles (rad) along its tangent basis: the unit vector along d + t₁e₁ + t₂e₂."""
    return unit(direction + jnp.einsum("...i,...ij->...j", tangent, tangent_basis(direction)))
