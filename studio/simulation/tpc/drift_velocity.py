"""Drift velocity of electrons in liquid argon."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...units import V, cm, kV, s

# BNL's fit of the mobility, kV/cm in and cm²/(V s) out at 89 K.
_A0, _A1, _A2, _A3, _A4, _A5 = 551.6, 7158.3, 4440.43, 4.29, 43.63, 0.2053
_REFERENCE_TEMPERATURE = 89.0


def drift_velocity(field: float | Float[Array, "..."], temperature: float | Array = 87.3) -> Float[Array, "..."]:
    """Speed of drifting electrons in mm/ns.

    **Arguments**: `field`: size of the electric field in V/mm, positive. `temperature` in K.

    Source: the mobility of Y. Li et al., Nucl. Instrum. Meth. A 816 (2016) 160, eq. 6, scaled by (T / 89 K)^−1.5.
    """
    E = jnp.asarray(field) / (kV / cm)
    numerator = _A0 + _A1 * E + _A2 * E * jnp.sqrt(E) + _A3 * E**2 * jnp.sqrt(E)
    denominator = 1 + (_A1 / _A0) * E + _A4 * E**2 + _A5 * E**3
    mobility = numerator / denominator * (jnp.asarray(temperature) / _REFERENCE_TEMPERATURE) ** -1.5 * (cm**2 / (V * s))
    return mobility * jnp.asarray(field)
