"""No space charge."""

from __future__ import annotations

import jax.numpy as jnp

from .base import AbstractSpaceCharge


class UniformField(AbstractSpaceCharge):
    """A drift field without distortion."""

    def displacement(self, position):
        return jnp.zeros_like(position)

    def distortion(self, position):
        return jnp.zeros_like(position)
