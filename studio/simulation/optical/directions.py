"""Directions: unit vectors and the two tangent coordinates in which fits and information matrices move them."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def unit(vectors: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
    """`vectors` scaled to length 1."""
    return vectors / jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True))


def tangent_basis(direction: Float[Array, "*batch 3"]) -> Float[Array, "*batch 2 3"]:
    """Two unit vectors across a unit direction and across each other.

    A fixed orthonormal frame (c, f₁, f₂) turned along the great circle from c to the direction d:
    eᵢ = fᵢ − (d·fᵢ)(c + d)/(1 + c·d). Smooth but at d = −c, which is chosen along no axis of any detector: a jump of the
    basis would change what an event's latent kinks mean.
    """
    centre, *frame = (jnp.asarray(axis, direction.dtype) for axis in _FRAME)
    towards = (centre + direction) / (1 + jnp.sum(direction * centre, axis=-1, keepdims=True))
    return jnp.stack([f - jnp.sum(direction * f, axis=-1, keepdims=True) * towards for f in frame], axis=-2)


# An orthonormal frame of rational numbers.
_FRAME = ((0.48, 0.60, 0.64), (0.80, 0.0, -0.60), (-0.36, 0.80, -0.48))


def turned(direction: Float[Array, "*batch 3"], tangent: Float[Array, "*batch 2"]) -> Float[Array, "*batch 3"]:
    """`direction` turned by small angles (rad) along its tangent basis: the unit vector along d + t₁e₁ + t₂e₂."""
    return unit(direction + jnp.einsum("...i,...ij->...j", tangent, tangent_basis(direction)))
