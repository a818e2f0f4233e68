"""Choosing among places: relaxed weights, their rounding, and what any other choice could still gain.

Each place has a weight between 0 and 1 and at most `count` may stand. A convex objective lies above its tangent, so no choice
is then better than what the tangent at the relaxed weights allows. Which objectives of an information that is linear in the
weights are convex, and why, says `studio.study.choosing`.
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
    - `gap`: no choice of as many places has an objective below `relaxed - gap` (Frank–Wolfe; Jaggi 2013, ICML, equation 2); None
      where the objective is not known to be convex.
    - `no_gap`: why there is none; empty where there is one.
    """

    kept: Bool[np.ndarray, " places"]
    relaxed: float
    rounded: float
    gap: float | None
    no_gap: str = ""

    @property
    def loss(self) -> float:
        """What rounding cost."""
        return self.rounded - self.relaxed

    @property
    def bound(self) -> float | None:
        """What no choice can be below; None where there is no gap."""
        return None if self.gap is None else self.relaxed - self.gap

    def __str__(self) -> str:
        if self.bound is None:
            other = f"how good another choice could be is not bounded: {self.no_gap}"
        else:
            other = f"no choice of as many is better by more than {self.rounded - self.bound:.3g}"
        return (
            f"{np.count_nonzero(self.kept)} of {self.kept.size} places: {self.rounded:.6g}, after {self.relaxed:.6g} with "
            f"weights (rounding cost {self.loss:.3g}); {other}"
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
