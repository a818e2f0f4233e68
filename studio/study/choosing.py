"""Studies that choose among places: the best weights, rounded to sensors that stand or do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import paths
from ..design import Evaluation, audit
from ..design.choice import Choice, choice_gap, heaviest
from ..detector import Detector

WEIGHT = "sensors.weight"


def decided(
    detector: Detector,
    constraints: tuple[Any, ...],
    evaluate: Callable[[Detector, int], Evaluation],
) -> tuple[Detector, Choice]:
    """The detector with weights of 0 and 1, as many places as the weights add up to, and how good that is.

    Where the heaviest of them break a constraint, as few of the lightest as possible are left out.
    """
    weights = np.asarray(paths.get(detector, WEIGHT), dtype=float)
    relaxed = evaluate(detector, 0)
    total = float(np.sum(weights))
    count = min(int(np.round(total)), weights.size)
    kept = heaviest(weights, count)
    chosen = _with(detector, kept)
    while count > 1 and not audit(chosen, constraints).feasible and audit(detector, constraints).feasible:
        count -= 1
        kept = heaviest(weights, count)
        chosen = _with(detector, kept)
    value = float(evaluate(chosen, 0).value)
    gap = choice_gap(weights, relaxed.gradient[WEIGHT], total)
    return chosen, Choice(kept, float(relaxed.value), value, gap)


def _with(detector: Detector, kept: np.ndarray) -> Detector:
    return paths.replace(detector, {WEIGHT: kept.astype(np.asarray(detector.sensors.weight).dtype)})


def choice_report(choice: Choice) -> Mapping[str, Any]:
    """The section of `result.json`."""
    return {
        "places": int(choice.kept.size),
        "standing": int(np.count_nonzero(choice.kept)),
        "relaxed": choice.relaxed,
        "rounded": choice.rounded,
        "loss": choice.loss,
        "gap": choice.gap,
        "bound": choice.bound,
    }
