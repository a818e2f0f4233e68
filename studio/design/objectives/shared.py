"""Several objectives that look at the same events: a summary that they share is taken once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .base import AbstractObjective
from .population import PopulationObjective


class SharedSummaries(eqx.Module):
    """The summaries of several objectives in one row per event.

    Population objectives with the same function share its numbers; what says who belongs to a population stands behind them, one
    number for each objective that has one.
    """

    parts: tuple[AbstractObjective, ...]
    #: The part whose summary each part reads: its own, or an earlier one that has the same function.
    sources: tuple[int, ...] = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __init__(self, parts: Iterable[AbstractObjective]):
        self.parts = tuple(parts)
        self.sources = tuple(_source(self.parts, index) for index in range(len(self.parts)))
        flags = sum(part.size - _width(part) for part in self.parts)
        self.size = sum(_width(self.parts[index]) for index in self._read) + flags

    def of(self, tree: Any, event: Any) -> Float[Array, " size"]:
        """The row of one event."""
        shared = [_numbers(self.parts[index], tree, event) for index in self._read]
        return jnp.concatenate([*shared, *(_membership(part, event) for part in self.parts)])

    def combined(self, rows: Float[Array, "events size"]) -> tuple[Float[Array, ""], ...]:
        """Every objective over the population, in order."""
        slices, position = {}, 0
        for index in self._read:
            slices[index] = rows[:, position : position + _width(self.parts[index])]
            position += _width(self.parts[index])
        values = []
        for part, source in zip(self.parts, self.sources, strict=True):
            flags = part.size - _width(part)
            own = jnp.concatenate([slices[source], rows[:, position : position + flags]], axis=1)
            values.append(jnp.asarray(part.combine(own)).reshape(()))
            position += flags
        return tuple(values)

    @property
    def _read(self) -> list[int]:
        """The parts whose summaries are taken, in the order in which these stand in a row."""
        return sorted(set(self.sources))


def _width(part: AbstractObjective) -> int:
    return part.width if isinstance(part, PopulationObjective) else part.size


def _numbers(part: AbstractObjective, tree: Any, event: Any) -> Array:
    return part.numbers(tree, event) if isinstance(part, PopulationObjective) else part.summarise(tree, event)


def _membership(part: AbstractObjective, event: Any) -> Array:
    return part.membership(event) if isinstance(part, PopulationObjective) else jnp.zeros(0, bool)


def _source(parts: tuple[AbstractObjective, ...], index: int) -> int:
    part = parts[index]
    for earlier, other in enumerate(parts[:index]):
        if other is part:
            return earlier
        if not (isinstance(part, PopulationObjective) and isinstance(other, PopulationObjective)):
            continue
        if part.summary is other.summary and part.width == other.width:
            return earlier
    return index
