"""An objective from one summary per event and a reducer over the population."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..._checks import InputError
from .base import AbstractObjective
from .reducers import AbstractReducer, MeanLog


class PopulationObjective(AbstractObjective):
    """`reducer` over the events of `summary(tree, event)`.

    **Arguments**

    - `summary`: a function `(tree, event) -> (size,)`, for example the CRLB widths of the wanted quantities. Terms of a
      `WeightedSum` that share one function share its cost.
    - `name`: how the term is called in reports.
    - `size`: how many numbers the summary has.
    - `columns`: which of them this objective uses (default: all).
    - `reducer`: the second stage (default: the mean of the logarithm).
    - `members`: a function `event -> bool`, whether an event belongs to the population of this objective (default: all do).
      It must not depend on the design. Its answer is one more number of the summary, behind the others.
    """

    summary: Callable[[Any, Any], Any]
    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)
    columns: tuple[int, ...] | None = eqx.field(static=True)
    reducer: AbstractReducer
    members: Callable[[Any], Any] | None

    def __init__(
        self,
        summary: Callable[[Any, Any], Any],
        name: str,
        size: int = 1,
        columns: Sequence[int] | None = None,
        reducer: AbstractReducer | None = None,
        members: Callable[[Any], Any] | None = None,
    ):
        if columns is not None and not (len(columns) and all(0 <= column < size for column in columns)):
            raise InputError(
                f"columns of a summary of {size} numbers",
                key=name,
                value=columns,
                remedy=f"name columns between 0 and {size - 1}",
            )
        self.summary, self.name = summary, name
        self.size = size + (members is not None)
        self.columns = None if columns is None else tuple(columns)
        self.reducer = MeanLog() if reducer is None else reducer
        self.members = members

    def summarise(self, tree, event):
        return jnp.concatenate([self.numbers(tree, event), self.membership(event)])

    @property
    def width(self) -> int:
        """How many numbers `numbers` gives."""
        return self.size - (self.members is not None)

    def numbers(self, tree: Any, event: Any) -> Float[Array, " width"]:
        """The summary of one event without its membership.

        **Raises** `InputError` where it has not the size that was announced.
        """
        value = jnp.atleast_1d(jnp.asarray(self.summary(tree, event)))
        if value.shape != (self.width,):
            raise InputError(
                f"a summary of shape {value.shape} where ({self.width},) was announced",
                key=self.name,
                remedy="give `size` as many numbers as the summary returns",
            )
        return value

    def membership(self, event: Any) -> Bool[Array, " flags"]:
        """Whether the event belongs to the population: one flag, none where all events do."""
        if self.members is None:
            return jnp.zeros(0, bool)
        return jnp.asarray(self.members(event), bool).reshape(1)

    def combine(self, summaries):
        numbers = summaries[:, : self.width]
        chosen = numbers if self.columns is None else numbers[:, jnp.asarray(self.columns)]
        return self.reducer(chosen) if self.members is None else self.reducer(chosen, summaries[:, -1] > 0)

    def terms(self, summaries):
        return {self.name: self.combine(summaries)}
