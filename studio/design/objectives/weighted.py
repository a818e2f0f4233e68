"""The algebra of objectives: a sum of weighted, named terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..._checks import InputError
from .base import AbstractObjective
from .population import PopulationObjective


class WeightedSum(AbstractObjective):
    """Σ weight · term. Its `terms` are reported unweighted, each under its own name.

    **Raises** `InputError` where two terms share a name or a weight is not finite.
    """

    parts: tuple[AbstractObjective, ...]
    weights: tuple[float, ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)
    #: The part whose summary each part reads: its own, or an earlier one that has the same function.
    sources: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, parts: Sequence[AbstractObjective], weights: Sequence[float], name: str = "objective"):
        flat: list[tuple[float, AbstractObjective]] = []
        for part, weight in zip(parts, weights, strict=True):
            inner = zip(part.weights, part.parts, strict=True) if isinstance(part, WeightedSum) else [(1.0, part)]
            flat += [(float(weight) * factor, term) for factor, term in inner]
        names = [part.name for _, part in flat]
        for term_name in names:
            if names.count(term_name) > 1:
                raise InputError("two terms of the objective share a name", key=term_name, remedy="rename one of them")
        if not flat or not all(jnp.isfinite(weight) for weight, _ in flat):
            raise InputError(
                "the weights must be finite and at least one term is needed",
                key=name,
                value=[weight for weight, _ in flat],
                remedy="give one finite weight per term",
            )
        self.parts = tuple(part for _, part in flat)
        self.weights = tuple(weight for weight, _ in flat)
        self.name = name
        self.sources = tuple(_source(self.parts, index) for index in range(len(self.parts)))
        flags = sum(part.size - _width(part) for part in self.parts)
        self.size = sum(_width(self.parts[index]) for index in self._read) + flags

    def summarise(self, tree, event):
        shared = [_numbers(self.parts[index], tree, event) for index in self._read]
        return jnp.concatenate([*shared, *(_membership(part, event) for part in self.parts)])

    def combine(self, summaries):
        values = self.terms(summaries)
        return sum(weight * values[part.name] for weight, part in zip(self.weights, self.parts, strict=True))

    def terms(self, summaries):
        slices, position = {}, 0
        for index in self._read:
            slices[index] = summaries[:, position : position + _width(self.parts[index])]
            position += _width(self.parts[index])
        values = {}
        for part, source in zip(self.parts, self.sources, strict=True):
            flags = part.size - _width(part)
            rows = jnp.concatenate([slices[source], summaries[:, position : position + flags]], axis=1)
            values[part.name] = part.combine(rows)
            position += flags
        return values

    @property
    def _read(self) -> list[int]:
        """The parts whose summaries are taken, in the order in which these stand in a row; memberships stand behind them."""
        return sorted(set(self.sources))


def _width(part: AbstractObjective) -> int:
    return part.width if isinstance(part, PopulationObjective) else part.size


def _numbers(part: AbstractObjective, tree: Any, event: Any) -> Array:
    return part.numbers(tree, event) if isinstance(part, PopulationObjective) else part.summarise(tree, event)


def _membership(part: AbstractObjective, event: Any) -> Array:
    return part.membership(event) if isinstance(part, PopulationObjective) else jnp.zeros(0, bool)


def _source(parts: Sequence[AbstractObjective], index: int) -> int:
    part = parts[index]
    for earlier in range(index):
        other = parts[earlier]
        if not (isinstance(part, PopulationObjective) and isinstance(other, PopulationObjective)):
            continue
        if part.summary is other.summary and part.width == other.width:
            return earlier
    return index
