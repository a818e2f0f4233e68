"""The first hit: what a tube's clock records when many photoelectrons arrive.

With a mean of Q photoelectrons whose arrival times follow a density with cumulative F, the first one is later than t
with probability exp(−Q F(t)); given that there is one at all, (exp(−Q F) − exp(−Q)) / (1 − exp(−Q)).
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import ndtr

from ..._interpolation import UniformSpline

_LOWEST, _HIGHEST = np.log(1e-4), np.log(1e6)


@functools.cache
def _normal_moments() -> UniformSpline:
    """E[z], E[z²], E[z³], E[z⁴] of the first of Poisson(Q) standard normal times, given one, against log Q."""
    z = np.linspace(-9.0, 9.0, 7201)
    step = z[1] - z[0]
    rows = []
    for charge in np.exp(np.linspace(_LOWEST, _HIGHEST, 231)):
        density = charge * np.exp(-charge * ndtr(z) - 0.5 * z**2) / np.sqrt(2 * np.pi) / -np.expm1(-charge)
        rows.append([np.sum(density * z**power) * step for power in (1, 2, 3, 4)])
    return UniformSpline.fit(np.linspace(_LOWEST, _HIGHEST, 231), np.array(rows))


def first_hit(
    charge: Float[Array, "..."], spread: Float[Array, "..."], skewness: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Shift from the mean arrival time to the mean first hit, and the variance of the first hit.

    **Arguments**: expected `charge` in photoelectrons, `spread` (σ, ns) and `skewness` of single arrival times, whose
    quantiles are taken as z + γ (z² − 1)/6 (Cornish and Fisher, to first order in the skewness γ).
    **Returns** the shift in ns and the variance in ns².
    """
    log_charge = jnp.clip(jnp.log(jnp.maximum(charge, 1e-4)), _LOWEST, _HIGHEST)
    moments = _normal_moments()(log_charge)
    z1, z2, z3, z4 = (moments[..., power] for power in range(4))
    sixth = skewness / 6
    mean = z1 + sixth * (z2 - 1)
    variance = (z2 - z1**2) + 2 * sixth * (z3 - z1 * z2) + sixth**2 * (z4 - z2**2)
    return spread * mean, spread**2 * jnp.maximum(variance, 1e-6)
