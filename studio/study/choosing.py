"""Studies that choose among places: the best weights, rounded to sensors that stand or do not, and what the tangent bounds.

The tangent bounds every choice where the objective is convex in the weights w. The information about all parameters of an
event, nuisances and process noise among them, is M(w) = P + Σ wₙFₙ with priors P and the sensors' Fₙ, none of which depends
on w. Marginalizing takes a block of M⁻¹. Then

- the logarithm of a variance is convex: 1 / vᵀM⁻¹v = min {xᵀMx : vᵀx = 1}, a minimum of functions linear in w, is concave, and
  −log of what is concave and positive is convex.
- So is that of a sum of variances, as the resolutions of vertex and direction and the A-criterion are: sums of functions whose
  logarithm is convex have a convex one (Boyd & Vandenberghe, Convex Optimization, 2004, section 3.5.2).
- So is that of the largest variance along any axis, the E-criterion: a maximum of convex functions (section 3.2.3). Where axes tie,
  the derivative is a subgradient, which bounds as well.
- So is that of the D-criterion, −log det of the marginal information over twice its size: the marginal information is concave
  in M, by the order of matrices (Pukelsheim, Optimal Design of Experiments, 2006, section 3.13), and −log det falls and is convex.

Means of these logarithms over events, logarithms of a mean over events (section 3.5.2 again), sums of terms with positive weights,
and means over detectors as they may be built, whose weights are linear in w, keep convexity; exposure does not depend on w.
That is all that an experiment can ask for but four: quantiles are not convex; of custom terms nothing is known; where other leaves
are free too, M is not linear in them; the worst and the tail, over events or detectors, are convex, but end at kinks, where one
subgradient bounds next to nothing, so none is claimed for them either.

For weights without an upper end, and the D-criterion, the bound is zero at the optimum by the equivalence theorem (Kiefer &
Wolfowitz, Canadian J. Math. 12 (1960) 363); with ends at 0 and 1 it is what Frank and Wolfe's method stops at (Jaggi, ICML 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import paths
from ..design import Evaluation, audit
from ..design.choice import Choice, choice_gap, heaviest
from ..detector import Detector
from .assembly import Assembly
from .config import EventTerm, Experiment
from .experiment_file import ExperimentFile

WEIGHT = "sensors.weight"


def decided(
    detector: Detector, assembly: Assembly, evaluate: Callable[[Detector, int], Evaluation]
) -> tuple[Detector, Choice]:
    """The detector with weights of 0 and 1, as many places as the weights of `detector`, a feasible design of the study, add up
    to, and how good that is.

    Where the heaviest of them break a constraint, as few of the lightest as possible are left out. The gap is that to choices of as
    many places as the weights add up to, or of as many as are kept where rounding made them more.
    """
    weights = np.asarray(paths.get(detector, WEIGHT), dtype=float)
    relaxed = evaluate(detector, 0)
    total = float(np.sum(weights))
    count = min(int(np.round(total)), weights.size)
    kept = heaviest(weights, count)
    chosen = _with(detector, kept)
    while count > 1 and not audit(chosen, assembly.constraints).feasible:
        count -= 1
        kept = heaviest(weights, count)
        chosen = _with(detector, kept)
    value = float(evaluate(chosen, 0).value)
    reason = without_bound(assembly.experiment)
    gap = None if reason else choice_gap(weights, relaxed.gradient[WEIGHT], max(total, count))
    return chosen, Choice(kept, float(relaxed.value), value, gap, reason)


def without_bound(experiment: Experiment) -> str:
    """Why the tangent at the best weights does not bound all choices; empty where it does."""
    others = [path for path in experiment.free_paths if path != WEIGHT]
    if others:
        return f"{', '.join(others)} {'was' if len(others) == 1 else 'were'} free, too"
    for term in experiment.objective:
        if term.kind == "custom":
            return f"nothing is known of the custom term {term.name}"
        if isinstance(term, EventTerm) and term.reduce.kind not in ("mean_log", "log_mean"):
            return f"{term.label} is no mean over events"
    if experiment.robust is not None and experiment.robust.over == "worst":
        return "the worst of the detectors that may be built is no mean over them"
    return ""


def counts_sensors(file: ExperimentFile) -> bool:
    """Whether the weights of an experiment say how many sensors there are, not which places have one."""
    return WEIGHT in file.experiment.free_paths and file.experiment.free[WEIGHT].together is not None


def refuse_choice(file: ExperimentFile, problem: str, remedy: str) -> None:
    """**Raises** `InputError` at the line of an experiment that chooses among places."""
    if WEIGHT in file.experiment.free_paths and not counts_sensors(file):
        raise file.document.error(f"free.{WEIGHT}", problem, remedy=remedy)


def _with(detector: Detector, kept: np.ndarray) -> Detector:
    return paths.replace(detector, {WEIGHT: kept.astype(np.asarray(detector.sensors.weight).dtype)})


def choice_report(choice: Choice) -> Mapping[str, Any]:
    """The section of `result.json`; `gap` and `bound` are None, with the reason as `no_bound`, where nothing bounds other choices."""
    return {
        "places": int(choice.kept.size),
        "standing": int(np.count_nonzero(choice.kept)),
        "relaxed": choice.relaxed,
        "rounded": choice.rounded,
        "loss": choice.loss,
        "gap": choice.gap,
        "bound": choice.bound,
        "no_bound": choice.no_gap or None,
    }
