"""Optimisers: first-order ones of optax, and L-BFGS where the objective is deterministic."""

from collections.abc import Mapping
from typing import Any

import optax

from ..._checks import InputError
from .base import AbstractOptimiser, Advance
from .first_order import FirstOrder, first_order
from .noise import GradientNoise
from .quasi_newton import QuasiNewton

__all__ = [
    "AbstractOptimiser",
    "Advance",
    "FirstOrder",
    "GradientNoise",
    "QuasiNewton",
    "first_order",
]


def as_optimiser(description: Any, steps: int) -> AbstractOptimiser:
    """An optimiser from what users write.

    A name (`"adam"`, `"sgd"`, `"lbfgs"`), a mapping with `kind` and options, an optimiser of this package, or a bare
    optax transformation. **Raises** `InputError` for anything else.
    """
    if isinstance(description, AbstractOptimiser):
        return description
    if isinstance(description, optax.GradientTransformation):
        return FirstOrder(description)
    if isinstance(description, str):
        description = {"kind": description}
    if not isinstance(description, Mapping) or not isinstance(description.get("kind"), str):
        remedy = "give a name such as 'adam' or 'lbfgs', a mapping with `kind`, or an optax transformation"
        raise InputError("not an optimiser", key="optimiser", value=description, remedy=remedy)
    options = {key: value for key, value in description.items() if key not in ("kind", "steps")}
    if description["kind"] != "lbfgs":
        return first_order(description["kind"], steps=steps, **options)
    try:
        return QuasiNewton(**options)
    except TypeError as error:
        raise InputError(f"the optimiser lbfgs refuses its options: {error}", key="optimiser", value=options) from None
