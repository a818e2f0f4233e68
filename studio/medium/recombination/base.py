"""The interface of a recombination law, and the quantities that all laws share."""

from __future__ import annotations

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...units import MeV, V, cm, kV

LOWEST_LOSS = 1.0 * MeV / cm
"""Energy loss below which no law is applied: a particle at its minimum loses 2.1 MeV/cm, laws were fitted above 1.7, and
the box laws, whose α is below 1, turn negative near zero."""

_JOIN = 0.5 * MeV / cm  # half width of the passage from the constant to the true loss: exact above 1.5 MeV/cm
_LOWEST_FIELD = 1e-3 * V / cm  # keeps a vanishing field finite: nothing survives there


class AbstractRecombination(eqx.Module):
    """The share of ionisation electrons that survives recombination."""

    @abc.abstractmethod
    def survival(
        self,
        loss: Float[Array, "..."],
        field: Float[Array, "..."],
        density: Float[Array, "..."] | float,
        cosine: Float[Array, "..."] | float = 0.0,
    ) -> Float[Array, "..."]:
        """Surviving share `(...)`.

        **Arguments**: `loss`, energy loss per length in MeV/mm; `field`, magnitude of the electric field in V/mm;
        `density` in g/cm³; `cosine` of the angle between track and field, 0 for a track across it.
        """


def ionisation_density(
    loss: Float[Array, "..."], field: Float[Array, "..."], density: Float[Array, "..."] | float
) -> Float[Array, "..."]:
    """(dE/dx) / (ρ ε) in (MeV/cm) / (g/cm³ · kV/cm), the variable of all laws; the loss is taken as constant below
    `LOWEST_LOSS`, joined smoothly (C²) so that it is exact from 1.5 MeV/cm on."""
    field = jnp.maximum(field, _LOWEST_FIELD)
    return (_bounded(jnp.asarray(loss)) / (MeV / cm)) / (density * field / (kV / cm))


def _bounded(loss: Float[Array, "..."]) -> Float[Array, "..."]:
    """max(loss, LOWEST_LOSS) with a C² join: the integral of the cubic step 3u² − 2u³."""
    u = jnp.clip((loss - LOWEST_LOSS + _JOIN) / (2 * _JOIN), 0.0, 1.0)
    joined = LOWEST_LOSS + 2 * _JOIN * u**3 * (1 - u / 2)
    return jnp.where(loss > LOWEST_LOSS + _JOIN, loss, joined)
