"""When to stop: where the best design has not become better for a while."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx

from .._checks import InputError, whole_number


class Patience(eqx.Module):
    """A start ends where its best feasible objective has not fallen by more than a tolerance within so many of its steps.

    The objective is that of designs the loop judges: at every step where all see the same events, else on the reference events
    every tenth step, so there a patience of 25 steps ends at the thirtieth. Small falls add up: the wait begins anew once they exceed
    the tolerance together. It does not begin before a design is feasible.

    **Arguments**

    - `steps`: how many.
    - `relative`, `absolute`: the tolerance is the larger of `relative` times the objective's size, and `absolute`. An objective
      that is a logarithm has no size of its own: give it an absolute one.

    **Raises** `InputError` for a tolerance that is negative or not finite, or steps below one.
    """

    steps: int = eqx.field(static=True)
    relative: float = eqx.field(static=True, default=1e-3)
    absolute: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        whole_number("patience", self.steps)
        for key, value in (("relative", self.relative), ("absolute", self.absolute)):
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise InputError("must be zero or positive", key=f"patience.{key}", value=value)

    def gained(self, value: float, mark: float) -> bool:
        """Whether an objective has fallen by more than the tolerance since it was `mark`, which is infinite at first."""
        return not math.isfinite(mark) or value < mark - max(self.absolute, self.relative * abs(mark))

    def spent(self, step: int, mark: float, marked: int) -> bool:
        """Whether to end at a step, where the last gain, to `mark`, was at step `marked`."""
        return math.isfinite(mark) and step - marked >= self.steps

    def __str__(self) -> str:
        parts = [f"{self.absolute:g}"] if self.absolute or not self.relative else []
        parts += [f"{100 * self.relative:g} %"] if self.relative else []
        return f"no better by more than {' or '.join(parts)} within {self.steps} steps"


def as_patience(description: Any) -> Patience | None:
    """A patience from what users write: a number of steps, a mapping with `steps` and tolerances, a `Patience`, or None.

    **Raises** `InputError` for anything else.
    """
    if description is None or isinstance(description, Patience):
        return description
    options = description if isinstance(description, Mapping) else {"steps": description}
    try:
        return Patience(**options)
    except TypeError as error:
        remedy = "give a number of steps, or a mapping with steps, relative and absolute"
        raise InputError(f"not a patience: {error}", key="patience", value=description, remedy=remedy) from None
