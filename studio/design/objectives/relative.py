"""An objective relative to its value at a reference design."""

from __future__ import annotations

import math

import equinox as eqx

from ..._checks import InputError
from .base import AbstractObjective


class Relative(AbstractObjective):
    """An objective divided by a positive `reference`, such as its value at the baseline: 1 there, and 0.99 where it is one
    per cent smaller.

    So a mean in mm or a cost in any currency can be weighed against terms that are logarithms, whose differences are
    relative anyway. `studio.design.relative_to` finds the reference.

    **Raises** `InputError` for a reference that is not positive and finite.
    """

    objective: AbstractObjective
    reference: float = eqx.field(static=True)
    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __init__(self, objective: AbstractObjective, reference: float):
        if not (reference > 0 and math.isfinite(reference)):
            raise InputError(
                "not a reference to divide by",
                key=objective.name,
                value=reference,
                remedy="it must be positive and finite; terms that are logarithms need none",
            )
        self.objective, self.reference = objective, float(reference)
        self.name, self.size = objective.name, objective.size

    def summarise(self, tree, event):
        return self.objective.summarise(tree, event)

    def combine(self, summaries):
        return self.objective.combine(summaries) / self.reference

    def terms(self, summaries):
        return {name: value / self.reference for name, value in self.objective.terms(summaries).items()}
