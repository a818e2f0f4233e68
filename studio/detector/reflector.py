"""What a surface does with light that meets it."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class Reflector(eqx.Module):
    """A surface that reflects into a lobe and diffusely.

    **Arguments**: `specular`: reflectance r₀ of the lobe at normal incidence; at the cosine c of incidence it is
    r₀ + (1 − r₀)(1 − c)⁵ (Schlick 1994); `diffuse`: albedo of what is left, sent out by Lambert's cosine; `lobe`: width in
    rad of the lobe about the mirrored direction.
    """

    specular: Float[Array, "*types"]
    diffuse: Float[Array, "*types"]
    lobe: Float[Array, "*types"]

    def __init__(self, specular, diffuse, lobe):
        self.specular, self.diffuse, self.lobe = (
            jnp.asarray(x, jnp.result_type(float)) for x in (specular, diffuse, lobe)
        )
