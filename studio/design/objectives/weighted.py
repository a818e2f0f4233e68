"""The algebra of objectives: a sum of weighted, named terms."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp

from ..._checks import InputError
from .base import AbstractObjective
from .shared import SharedSummaries


class WeightedSum(AbstractObjective):
    """Σ weight · term. Its `terms` are reported unweighted, each under its own name.

    **Raises** `InputError` where two terms share a name or a weight is not finite.
    """

    weights: tuple[float, ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)
    shared: SharedSummaries

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
        self.weights = tuple(weight for weight, _ in flat)
        self.name = name
        self.shared = SharedSummaries(part for _, part in flat)
        self.size = self.shared.size

    @property
    def parts(self) -> tuple[AbstractObjective, ...]:
        """The terms."""
        return self.shared.parts

    def summarise(self, tree, event):
        return self.shared.of(tree, event)

    def combine(self, summaries):
        values = self.terms(summaries)
        return sum(weight * values[part.name] for weight, part in zip(self.weights, self.parts, strict=True))

    def terms(self, summaries):
        values = self.shared.combined(summaries)
        return {part.name: value for part, value in zip(self.parts, values, strict=True)}
