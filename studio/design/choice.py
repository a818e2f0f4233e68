"""Choosing among places: relaxed weights, their rounding, and what any other choice could still gain.

Each place has a weight between 0 and 1 and at most `count` may stand. The relaxed problem is convex where the objective is a
convex function of an information that is linear in the weights, as σ² of a parameter, its logarithm and −log det are
(Pukelsheim, Optimal Design of Experiments, 2006, sections 3.13 and 5.16); no choice is then better than its lower bound.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import ArrayLike, Bool, Float

from .._checks import InputError


@dataclasses.dataclass(frozen=True)
class Choice:
    """A choice with what rounding cost and what is left to gain.

    - `kept (places,)`: which places stand.
    - `relaxed`, `rounded`: the objective with weights, and with the choice.
    - `gap`: no weights of the same total have an objective below `relaxed - gap` (Frank–Wolfe; Jaggi 2013, ICML, equation 2).
    """

    kept: Bool[np.ndarray, " places"]
    relaxed: float
    rounded: float
    gap: float

    @property
    def loss(self) -> float:
        """What rounding cost."""
        return self.rounded - self.relaxed

    @property
    def bound(self) -> float:
        """What no choice can be below, where the relaxed problem is convex."""
        return self.relaxed - self.gap

    def __str__(self) -> str:
        left = self.rounded - self.bound
        return (
            f"{np.count_nonzero(self.kept)} of {self.kept.size} places: {self.rounded:.6g}, after {self.relaxed:.6g} with "
            f"weights (rounding cost {self.loss:.3g}); no choice of as many is better by more than {left:.3g}"
        )


def heaviest(weights: Float[ArrayLike, " places"], count: int) -> Bool[np.ndarray, " places"]:
    """The `count` places of the largest weights; of equal ones the first. **Raises** `InputError` where there are fewer."""
    array = np.asarray(weights, dtype=float)
    if not 0 <= count <= array.size:
        raise InputError(f"{count} of {array.size} places", key="count", value=count, remedy="choose fewer")
    kept = np.zeros(array.size, dtype=bool)
    kept[np.argsort(-array, kind="stable")[:count]] = True
    return kept


def choice_gap(weights: Float[ArrayLike, " places"], gradient: Float[ArrayLike, " places"], count: float) -> float:
    """The Frank–Wolfe gap of weights in [0, 1] whose sum is at most `count`: the largest fall of the objective's tangent.

    `gradient`: of the objective by the weights. For a convex objective nothing that is allowed lies lower by more.
    """
    slope, weight = np.asarray(gradient, dtype=float), np.asarray(weights, dtype=float)
    best = np.sort(np.minimum(slope, 0.0))
    whole = int(min(count, slope.size))
    part = (count - whole) * best[whole] if whole < slope.size else 0.0
    return max(0.0, float(slope @ weight - np.sum(best[:whole]) - part))
