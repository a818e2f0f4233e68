"""An objective from one summary per event and a reducer over the population."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp

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
    """

    summary: Callable[[Any, Any], Any]
    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)
    columns: tuple[int, ...] | None = eqx.field(static=True)
    reducer: AbstractReducer

    def __init__(
        self,
        summary: Callable[[Any, Any], Any],
        name: str,
        size: int = 1,
        columns: Sequence[int] | None = None,
        reducer: AbstractReducer | None = None,
    ):
        if columns is not None and not (len(columns) and all(0 <= column < size for column in columns)):
            raise InputError(
                f"columns of a summary of {size} numbers",
                key=name,
                value=columns,
                remedy=f"name columns between 0 and {size - 1}",
            )
        self.summary, self.name, self.size = summary, name, size
        self.columns = None if columns is None else tuple(columns)
        self.reducer = MeanLog() if reducer is None else reducer

    def summarise(self, tree, event):
        value = jnp.atleast_1d(jnp.asarray(self.summary(tree, event)))
        if value.shape != (self.size,):
            raise InputError(
                f"a summary of shape {value.shape} where ({self.size},) was announced",
                key=self.name,
                remedy="give `size` as many numbers as the summary returns",
            )
        return value

    def combine(self, summaries):
        chosen = summaries if self.columns is None else summaries[:, jnp.asarray(self.columns)]
        return self.reducer(chosen)

    def terms(self, summaries):
        return {self.name: self.combine(summaries)}
