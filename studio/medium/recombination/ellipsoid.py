"""The modified box law with a column of charge that is an ellipsoid: recombination depends on the track's angle."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._arrays import as_number
from .base import AbstractRecombination, ionisation_density


class EllipsoidModifiedBox(AbstractRecombination):
    """Survival ln(α + ξ) / ξ with ξ = β(φ) (dE/dx) / (ρ ε) and β(φ) = β₉₀ / √(sin²φ + cos²φ / R²), φ the angle between
    track and field: a track along the field loses more.

    **Arguments**: `alpha` and `ratio` R, without unit; `beta_90` in (kV/cm)(g/cm²)/MeV.

    Source: ICARUS, arXiv:2407.12969: α = 0.904 ± 0.008, β₉₀ = 0.204 ± 0.008, R = 1.25 ± 0.02.
    """

    alpha: Float[Array, ""]
    beta_90: Float[Array, ""]
    ratio: Float[Array, ""]

    def __init__(self, alpha: float | Array = 0.904, beta_90: float | Array = 0.204, ratio: float | Array = 1.25):
        self.alpha = as_number(alpha, "recombination.alpha", positive=True)
        self.beta_90 = as_number(beta_90, "recombination.beta_90", positive=True)
        self.ratio = as_number(ratio, "recombination.ratio", positive=True)

    def survival(self, loss, field, density, cosine=0.0):
        along = jnp.asarray(cosine) ** 2
        xi = self.beta_90 / jnp.sqrt(1 - along + along / self.ratio**2) * ionisation_density(loss, field, density)
        return jnp.log(self.alpha + xi) / xi
