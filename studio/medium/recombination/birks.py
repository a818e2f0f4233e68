"""Birks' law."""

from __future__ import annotations

from jaxtyping import Array, Float

from ..._arrays import as_number
from .base import AbstractRecombination, ionisation_density


class Birks(AbstractRecombination):
    """Survival A / (1 + k (dE/dx) / (ρ ε)); the angle of the track does not enter.

    **Arguments**: `amplitude` A, without unit; `constant` k in (kV/cm)(g/cm²)/MeV.

    Source: ICARUS, S. Amoruso et al., Nucl. Instrum. Meth. A 523 (2004) 275: A = 0.800 ± 0.003, k = 0.0486 ± 0.0006.
    """

    amplitude: Float[Array, ""]
    constant: Float[Array, ""]

    def __init__(self, amplitude: float | Array = 0.800, constant: float | Array = 0.0486):
        self.amplitude = as_number(amplitude, "recombination.amplitude", positive=True)
        self.constant = as_number(constant, "recombination.constant", positive=True)

    def survival(self, loss, field, density, cosine=0.0):
        return self.amplitude / (1 + self.constant * ionisation_density(loss, field, density))
