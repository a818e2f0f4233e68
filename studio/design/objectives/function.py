"""An objective from a plain function of the tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ..._checks import InputError
from .base import AbstractObjective


class FunctionObjective(AbstractObjective):
    """A function `tree -> scalar` that looks at no events.

    **Raises** `InputError`, when it is evaluated, where the function returns anything but one real number.
    """

    function: Callable[[Any], Any]
    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __init__(self, function: Callable[[Any], Any], name: str = "objective"):
        self.function, self.name, self.size = function, name, 1

    def summarise(self, tree, event):
        value = jnp.asarray(self.function(tree))
        if value.shape not in ((), (1,)) or not jnp.issubdtype(value.dtype, jnp.floating):
            raise InputError(
                f"an objective must return one real number, not shape {value.shape} of {value.dtype}",
                key=self.name,
                remedy="reduce it to a floating-point scalar, for example with jnp.mean",
            )
        return value.reshape(1)

    def combine(self, summaries):
        return jnp.mean(summaries)

    def terms(self, summaries):
        return {self.name: self.combine(summaries)}


def as_objective(objective: Any, name: str = "objective", key: str = "objective") -> AbstractObjective:
    """An objective from what users give. **Raises** `InputError` for anything else."""
    if isinstance(objective, AbstractObjective):
        return objective
    if callable(objective):
        return FunctionObjective(objective, name)
    remedy = "give a callable tree -> scalar, or an objective of studio.design"
    raise InputError("not an objective", key=key, value=objective, remedy=remedy)
