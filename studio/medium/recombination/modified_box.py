"""The modified box law."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._arrays import as_number
from .base import AbstractRecombination, ionisation_density


class ModifiedBox(AbstractRecombination):
    """Survival ln(α + ξ) / ξ with ξ = β (dE/dx) / (ρ ε); the angle of the track does not enter.

    **Arguments**: `alpha`, without unit; `beta` in (kV/cm)(g/cm²)/MeV.

    Source: ArgoNeuT, R. Acciarri et al., JINST 8 (2013) P08005: α = 0.93 ± 0.02, β = 0.212 ± 0.002.
    """

    alpha: Float[Array, ""]
    beta: Float[Array, ""]

    def __init__(self, alpha: float | Array = 0.93, beta: float | Array = 0.212):
        self.alpha = as_number(alpha, "recombination.alpha", positive=True)
        self.beta = as_number(beta, "recombination.beta", positive=True)

    def survival(self, loss, field, density, cosine=0.0):
        xi = self.beta * ionisation_density(loss, field, density)
        return jnp.log(self.alpha + xi) / xi
