"""From the summaries of all events to one scalar."""

from __future__ import annotations

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractReducer(eqx.Module):
    """Reduces the summaries of a population to one number."""

    @abc.abstractmethod
    def __call__(self, summaries: Float[Array, "events columns"]) -> Float[Array, ""]:
        """The population's number."""


class MeanLog(AbstractReducer):
    """The mean over events and columns of the logarithm: a resolution twice as good everywhere lowers it by log 2.

    The default for resolutions. A single hopeless event cannot rule the mean, as it does in a mean of variances, and
    an easy one cannot hide the others, as it does in the CRLB of pooled information.
    """

    def __call__(self, summaries):
        return jnp.mean(jnp.log(summaries))


class Mean(AbstractReducer):
    """The plain mean over events and columns."""

    def __call__(self, summaries):
        return jnp.mean(summaries)
