"""From the summaries of all events to one scalar: means. Worst cases and tails are in `tails`."""

from __future__ import annotations

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class AbstractReducer(eqx.Module):
    """Reduces the summaries of a population to one number.

    `members (events,)` says which events belong to the population; None: all of them. Events that do not belong change
    neither value nor derivative.
    """

    @abc.abstractmethod
    def __call__(
        self, summaries: Float[Array, "events columns"], members: Bool[Array, " events"] | None = None
    ) -> Float[Array, ""]:
        """The population's number."""


class MeanLog(AbstractReducer):
    """The mean over events and columns of the logarithm: a resolution twice as good everywhere lowers it by log 2.

    The default for resolutions. A single hopeless event cannot rule the mean, as it does in a mean of variances, and
    an easy one cannot hide the others, as it does in the CRLB of pooled information.
    """

    def __call__(self, summaries, members=None):
        counted = counting(summaries, members)
        return _mean(jnp.log(jnp.where(counted, summaries, 1.0)), counted)


class Mean(AbstractReducer):
    """The plain mean over events and columns, in their unit."""

    def __call__(self, summaries, members=None):
        return _mean(summaries, counting(summaries, members))


class LogMean(AbstractReducer):
    """The logarithm of the mean over events and columns: large summaries count more than in `MeanLog`.

    Differences are relative changes of the mean, so a weight means the same as beside a `MeanLog`, without a baseline to
    divide by.
    """

    def __call__(self, summaries, members=None):
        return jnp.log(_mean(summaries, counting(summaries, members)))


def counting(
    summaries: Float[Array, "events columns"], members: Bool[Array, " events"] | None
) -> Bool[Array, "events columns"]:
    """Which entries count."""
    if members is None:
        return jnp.ones(summaries.shape, bool)
    return jnp.broadcast_to(members[:, None], summaries.shape)


def _mean(values: Array, counted: Array) -> Array:
    """The mean of what counts; 0 where nothing does, with derivative 0."""
    return jnp.sum(jnp.where(counted, values, 0.0)) / jnp.maximum(jnp.sum(counted), 1)
