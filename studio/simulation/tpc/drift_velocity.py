"""How fast electrons drift in liquid argon."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...units import V, cm, kV, s

# Mobility µ = (a₀ + a₁E + a₂E^1.5 + a₃E^2.5) / (1 + (a₁/a₀)E + a₄E² + a₅E³) · (T/89 K)^−1.5 in cm²/(V s), E in kV/cm.
_A = (551.6, 7158.3, 4440.43, 4.29, 43.63, 0.2053)
_REFERENCE_TEMPERATURE = 89.0
_EXPONENT = -1.5


def drift_velocity(
    field: float | Float[Array, "..."], temperature: float | Float[Array, ""] = 87.3
) -> Float[Array, "..."]:
    """Drift velocity in mm/ns of electrons in liquid argon.

    **Arguments**: `field`, magnitude in V/mm; `temperature` in K.

    Source: Brookhaven's global fit of the mobility, Y. Li et al., Nucl. Instrum. Meth. A 816 (2016) 160, eq. 8 and 9, from
    0 to 13 kV/cm and near 87 K. The first derivative is finite at zero field, the second is not.
    """
    field = jnp.asarray(field)
    strength = field / (kV / cm)
    root = jnp.sqrt(jnp.where(strength > 0, strength, 1.0)) * (strength > 0)
    a0, a1, a2, a3, a4, a5 = _A
    above = a0 + a1 * strength + a2 * strength * root + a3 * strength**2 * root
    below = 1 + a1 / a0 * strength + a4 * strength**2 + a5 * strength**3
    mobility = above / below * (temperature / _REFERENCE_TEMPERATURE) ** _EXPONENT * cm**2 / (V * s)
    return mobility * field
