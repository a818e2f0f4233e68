"""The interface between what a simulator records and what inference needs of it."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, Int


class Measured(NamedTuple):
    """Independent measured quantities, one a channel `(n,)` or several `(n, k)`, with their Fisher information about their own
    mean.

    For a Gaussian, `information` is 1/σ²; in general the expected squared score. The information matrix of parameters is
    then Σ (∂mean)(∂mean)ᵀ × information.
    """

    mean: Float[Array, "n *k"]
    information: Float[Array, "n *k"]


class Judged(NamedTuple):
    """Per channel `(n,)`: log likelihood `value`, differentiable, and `pearson`, Σ (observed − mean)² over the variance
    that observations have, for goodness of fit."""

    value: Float[Array, " n"]
    pearson: Float[Array, " n"]


class AbstractLikelihood(eqx.Module):
    """The probability of a readout, channel by channel, and the information it carries."""

    @abc.abstractmethod
    def channel_count(self, detector: Any) -> int:
        """Number of readout channels."""

    @abc.abstractmethod
    def measured(self, detector: Any, received: Any) -> tuple[Measured, ...]:
        """The measured quantities of what some channels received, one `Measured` per kind (charge, time, ...)."""

    @abc.abstractmethod
    def judge(self, detector: Any, readout: Any, measured: tuple[Measured, ...], channels: Int[Array, " n"]) -> Judged:
        """How likely what the channels with indices `channels` recorded is, given what was to be measured."""
