"""Constraints from functions of the tree: at most, at least, equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..._checks import InputError
from ..audit import AuditRow
from ..tracing import traced
from .base import AbstractConstraint, relative_scale


class AtMost(AbstractConstraint):
    """`function(tree)` must not exceed `limit` in any element, for example a cost and its budget.

    **Arguments**: `function` is `tree -> array` and differentiable; `limit` and `unit` are what the function returns.
    """

    function: Callable[[Any], Any]
    limit: float
    name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)
    equality: bool = eqx.field(static=True)

    def __init__(self, function: Callable[[Any], Any], limit: float, name: str = "constraint", unit: str = ""):
        self.function, self.limit, self.name, self.unit = function, _finite_limit(limit, name), name, unit
        self.equality = False

    def prepare(self, tree):
        return ()

    def violation(self, tree, prepared=None):
        return _values(self, tree) - self.limit

    def transfer(self, multipliers, before, after):
        return multipliers

    def audit(self, tree, tolerance=1e-3):
        value = _extreme(self, tree, np.max)
        return _row(self, value, self.limit - value, tolerance)


class AtLeast(AbstractConstraint):
    """`function(tree)` must reach `limit` in every element, for example a collected fraction.

    **Arguments**: as for `AtMost`.
    """

    function: Callable[[Any], Any]
    limit: float
    name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)
    equality: bool = eqx.field(static=True)

    def __init__(self, function: Callable[[Any], Any], limit: float, name: str = "constraint", unit: str = ""):
        self.function, self.limit, self.name, self.unit = function, _finite_limit(limit, name), name, unit
        self.equality = False

    def prepare(self, tree):
        return ()

    def violation(self, tree, prepared=None):
        return self.limit - _values(self, tree)

    def transfer(self, multipliers, before, after):
        return multipliers

    def audit(self, tree, tolerance=1e-3):
        value = _extreme(self, tree, np.min)
        return _row(self, value, value - self.limit, tolerance)


class Equal(AbstractConstraint):
    """`function(tree)` must equal `limit` in every element, for example a fixed volume.

    **Arguments**: as for `AtMost`.
    """

    function: Callable[[Any], Any]
    limit: float
    name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)
    equality: bool = eqx.field(static=True)

    def __init__(self, function: Callable[[Any], Any], limit: float, name: str = "constraint", unit: str = ""):
        self.function, self.limit, self.name, self.unit = function, _finite_limit(limit, name), name, unit
        self.equality = True

    def prepare(self, tree):
        return ()

    def violation(self, tree, prepared=None):
        return _values(self, tree) - self.limit

    def transfer(self, multipliers, before, after):
        return multipliers

    def audit(self, tree, tolerance=1e-3):
        value = _extreme(self, tree, lambda values: values[np.argmax(np.abs(values - self.limit))])
        return _row(self, value, -abs(value - self.limit), tolerance)


def _finite_limit(limit: float, name: str) -> float:
    if not np.isfinite(limit):
        raise InputError("a limit must be finite", key=name, value=limit, remedy="give a number")
    return float(limit)


def _values(constraint: Any, tree: Any):
    values = jnp.asarray(constraint.function(tree))
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise InputError(
            f"a constraint must return real numbers, not {values.dtype}",
            key=constraint.name,
            remedy="return the amount by which the limit is missed, not whether it is",
        )
    return values.reshape(-1)


@eqx.filter_jit
def _compiled_values(constraint: Any, tree: Any):
    traced("constraint_values")
    return _values(constraint, tree)


def _extreme(constraint: Any, tree: Any, choose: Callable) -> float:
    values = np.asarray(_compiled_values(constraint, tree), dtype=float)
    return float(choose(values)) if np.all(np.isfinite(values)) else float("nan")


def _row(constraint: AbstractConstraint, value: float, margin: float, tolerance: float) -> AuditRow:
    limit = constraint.limit or 0.0
    satisfied = bool(margin >= -tolerance * relative_scale(constraint))
    return AuditRow(constraint.name, float(limit), value, constraint.unit, satisfied, float(margin))
