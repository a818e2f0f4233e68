"""What an objective is: two stages, one per event and one over the population."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float


class AbstractObjective(eqx.Module):
    """A number to be made small, in two stages.

    `summarise` looks at one event and returns `size` numbers; `combine` turns the summaries of all events into one
    scalar. So means of logs, quantiles, worst cases and spectra have the same shape, and events can be spread over
    workers: the driver gathers summaries, differentiates `combine`, and sends cotangents out.

    `2.0 * a + b` is a `WeightedSum`.
    """

    name: eqx.AbstractVar[str]
    size: eqx.AbstractVar[int]

    @abc.abstractmethod
    def summarise(self, tree: Any, event: Any) -> Float[Array, " size"]:
        """The summary of one event as seen by the design `tree`."""

    @abc.abstractmethod
    def combine(self, summaries: Float[Array, "events size"]) -> Float[Array, ""]:
        """The objective over the population."""

    @abc.abstractmethod
    def terms(self, summaries: Float[Array, "events size"]) -> dict[str, Float[Array, ""]]:
        """The named parts of the objective, unweighted, as they are printed from start to end."""

    def __mul__(self, weight: float) -> "AbstractObjective":
        from .weighted import WeightedSum

        return WeightedSum((self,), (float(weight),))

    def __rmul__(self, weight: float) -> "AbstractObjective":
        return self * weight

    def __add__(self, other: "AbstractObjective") -> "AbstractObjective":
        from .weighted import WeightedSum

        return WeightedSum((self, other), (1.0, 1.0))
