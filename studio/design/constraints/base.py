"""What a constraint is: numbers in physical units that must not be positive, and an audit of its own."""

import abc
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from ..audit import AuditRow


class AbstractConstraint(eqx.Module):
    """Something a design must satisfy.

    `violation(tree)` is an array in physical units: at most zero where an inequality is satisfied, zero for an
    equality. `limit` is the number it is judged by, or None where there is none. A constraint may look at the design
    before the compiled work, outside any trace: `prepare` returns arrays of fixed shape, such as lists of neighbours.
    """

    name: eqx.AbstractVar[str]
    unit: eqx.AbstractVar[str]
    equality: eqx.AbstractVar[bool]
    limit: eqx.AbstractVar[float | None]

    @abc.abstractmethod
    def prepare(self, tree: Any) -> Any:
        """Arrays of fixed shape that `violation` reads; empty for most."""

    @abc.abstractmethod
    def violation(self, tree: Any, prepared: Any = None) -> Float[Array, " rows"]:
        """The violation of every row, in `unit`; `prepared` comes from `prepare` and is made anew where it is None."""

    @abc.abstractmethod
    def transfer(self, multipliers: Float[np.ndarray, " rows"], before: Any, after: Any) -> Float[np.ndarray, " rows"]:
        """Multipliers of rows prepared `before`, carried over to the rows prepared `after`."""

    @abc.abstractmethod
    def audit(self, tree: Any, tolerance: float = 1e-3) -> AuditRow:
        """The constraint measured independently of the optimisation, with nothing left out.

        `tolerance` is the violation that still counts as satisfied, as a fraction of the limit (of `unit` where the
        limit is None or zero).
        """


def relative_scale(constraint: AbstractConstraint) -> float:
    """What a violation is compared with: the size of the limit, or one unit where there is no limit."""
    return abs(constraint.limit) if constraint.limit else 1.0
