"""Constraints in physical units: violation, limit and audit."""

from collections.abc import Iterable
from typing import Any

from ..._checks import InputError
from .base import AbstractConstraint, relative_scale
from .function import AtLeast, AtMost, Equal
from .keep_out import Bodies, KeepOut
from .regions import AbstractRegion, BallRegion, BoxRegion, PipeRegion
from .spacing import MinimumSpacing, nearest_pairs, push_apart

__all__ = [
    "AbstractConstraint",
    "AbstractRegion",
    "AtLeast",
    "AtMost",
    "BallRegion",
    "Bodies",
    "BoxRegion",
    "Equal",
    "KeepOut",
    "MinimumSpacing",
    "PipeRegion",
    "nearest_pairs",
    "push_apart",
    "relative_scale",
]


def as_constraints(constraints: Iterable[Any] | Any) -> tuple[AbstractConstraint, ...]:
    """Constraints from what users write: constraints, or callables `tree -> array` that must not be positive.

    **Raises** `InputError` for anything else, and where two constraints share a name.
    """
    given = (
        (constraints,) if isinstance(constraints, AbstractConstraint) or callable(constraints) else tuple(constraints)
    )
    result: list[AbstractConstraint] = []
    for index, item in enumerate(given):
        if isinstance(item, AbstractConstraint):
            result.append(item)
        elif callable(item):
            name = getattr(item, "__name__", "<lambda>")
            taken = name == "<lambda>" or name in [constraint.name for constraint in result]
            result.append(AtMost(item, 0.0, name=f"constraint {index + 1}" if taken else name))
        else:
            remedy = "give a constraint of studio.design or a callable tree -> array that must not be positive"
            raise InputError("not a constraint", key=f"constraints[{index}]", value=item, remedy=remedy)
    names = [constraint.name for constraint in result]
    for name in names:
        if names.count(name) > 1:
            raise InputError("two constraints share a name", key=name, remedy="give each its own name")
    return tuple(result)
