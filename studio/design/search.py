"""What every search without gradients shares: its budget of evaluations, feasible candidates, the best design, the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from .. import paths
from .._checks import StudioError, whole_number
from .audit import Audit, audit
from .constraints import as_constraints
from .evaluation import Evaluation, LocalEvaluation
from .feasibility import Feasibility
from .objectives import AbstractObjective, as_objective
from .problem import Problem, finite
from .solution import Record, Solution, Status
from .space import DesignSpace, coordinates_of, leaves_at, retracted
from .together import Request

#: So many candidates in a row that cannot be restored to feasibility end a search.
_FAILURES = 200

#: Quasi-random designs come in blocks of so many, each with a scrambling of its own.
_BLOCK = 256

Coordinates = dict[str, np.ndarray]


class Search:
    """A search without gradients under way.

    Every candidate is restored to feasibility before it is evaluated, as designs of the gradient optimisers are, so both see
    the same feasible set; no more than `evaluations` candidates are ever evaluated, the start among them. All of them are
    judged on the events of step 0, so that their values compare.

    **Arguments**: `evaluations`: of the objective, at most. The others as for `Optimisation`; the gradients in what `evaluate`
    and `evaluate_many` return are not looked at and may be left out.
    """

    def __init__(
        self,
        tree: Any,
        free: str | Iterable[str] | Mapping[str, Any],
        objective: AbstractObjective | Callable[[Any], Any] | None = None,
        constraints: Any = (),
        *,
        evaluations: int,
        seed: int = 0,
        evaluate: Callable[[Any, int], Evaluation] | None = None,
        evaluate_many: Callable[[list[tuple[Any, int]]], Sequence[Evaluation]] | None = None,
        events: Any = None,
        chunk: int | None = None,
        callback: Callable[[Record], None] | None = None,
    ):
        self.allowed, self.seed = whole_number("evaluations", evaluations), seed
        self.tree, self.space = tree, DesignSpace.of(tree, free)
        if evaluate is None and evaluate_many is None:
            evaluate = LocalEvaluation(
                as_objective(objective), self.space.names, events, seed=seed, chunk=chunk
            ).forward
        one = evaluate or (lambda tree, step: evaluate_many([(tree, step)])[0])  # pyright: ignore[reportOptionalCall]
        self.constraints = as_constraints(constraints)
        self.problem = Problem(tree, self.space, self.constraints, one, None, evaluate_many)
        self._tell = callback or (lambda record: None)
        self.history: list[Record] = []
        self.best: tuple[Coordinates, Evaluation] | None = None
        self._best_step, self._failures, self._not_finite = 0, 0, 0
        self._start: Evaluation | None = None
        self._explanation = ""

    # ---- the way -------------------------------------------------------------------------------------------------------

    def begin(self) -> Coordinates | None:
        """Evaluates the tree as it was given, or restored where it breaks a constraint; None where that cannot be done.

        **Raises** `StudioError` where the objective is not finite at the tree.
        """
        given = coordinates_of(self.space, self.problem.tree)
        self._scales = self.problem.scales(given, self.problem.prepare(given))
        self._shown = given
        (self._start,) = self._evaluated([given])
        if not finite(self._start):
            value = float(self._start.value)
            raise StudioError(f"the objective cannot be used at the start: it is {value:g}, no finite value")
        if self.problem.worst(given, self.problem.prepare(given), self._scales) <= self.problem.tolerance:
            self._consider([(given, self._start)])
            return given
        feasibility = Feasibility(self.problem, given, self._scales, self.seed)
        start = dict(feasibility.nearest().coordinates)
        if not feasibility.reached():
            self._explanation = feasibility.explain()
            return None
        if self.left:
            self._consider(list(zip([start], self._evaluated([start]), strict=True)), "start restored to feasibility")
        return start

    @property
    def left(self) -> int:
        """How many evaluations may still be made."""
        return self.allowed - self.problem.evaluations

    @property
    def stuck(self) -> bool:
        """Whether candidates cannot be restored to feasibility any more."""
        return self._failures >= _FAILURES

    def feasible(self, coordinates: Mapping[str, Any]) -> Coordinates | None:
        """The nearest feasible design in coordinates in good condition; None where there is none within reach."""
        like = {name: np.asarray(array) for name, array in coordinates.items()}
        restored = self.problem.restore(retracted(self.space, like, like), self._scales)
        if restored.worst > self.problem.acceptable:
            self._failures += 1
            return None
        self._failures = 0
        return {name: np.asarray(array, like[name].dtype) for name, array in restored.coordinates.items()}

    def quasi_random(self, number: int) -> Coordinates:
        """Design number 0, 1, … of a quasi-random sequence over the bounds; not restored."""
        block, index = divmod(number, _BLOCK)
        return jax.device_get(self.space.start(self.problem.tree, self.seed + block, index + 1))

    def judge(self, candidates: Sequence[Coordinates]) -> np.ndarray:
        """The objective of feasible candidates, side by side, as far as the budget goes: infinite where it is not finite.

        One record of the history, of the best of them.
        """
        taken = list(candidates[: self.left])
        if not taken:
            return np.zeros(0)
        found = self._evaluated(taken)
        values = np.array([float(one.value) if finite(one) else np.inf for one in found])
        self._not_finite += int(np.count_nonzero(np.isinf(values)))
        self._consider(list(zip(taken, found, strict=True)))
        return values

    def finish(self, converged: str = "") -> Solution:
        """The solution as it stands, audited. `converged`: why nothing more was to be gained, empty where the budget ended."""
        assert self._start is not None, "a search is finished after it was begun"
        best, value = self.best, None
        tree = last = paths.replace(self.tree, self._leaves(self._shown))
        if best is not None:
            tree, value = paths.replace(self.tree, self._leaves(best[0])), float(best[1].value)
        return Solution(
            tree=None if best is None else tree,
            objective=value,
            terms_start=_terms(self._start),
            terms_end={} if best is None else _terms(best[1]),
            objective_start=float(self._start.value),
            history=tuple(self.history),
            audit=self._audit(tree, with_bounds=True),
            gradient_check=None,
            status=self._status(converged),
            start_values=(float("nan") if value is None else value,),
            best_step=self._best_step,
            evaluations=self.problem.evaluations,
            last_tree=last,
        )

    # ---- free numbers as one vector ------------------------------------------------------------------------------------

    def vector(self, coordinates: Mapping[str, Any]) -> np.ndarray:
        """The free numbers of a design, `(space.size,)`."""
        rows = zip(self.space.leaders, self.space.masks, strict=True)
        parts = [np.asarray(coordinates[n], float)[... if m is None else m].ravel() for n, m in rows]
        return np.concatenate(parts)

    def coordinates(self, vector: np.ndarray, like: Mapping[str, Any]) -> Coordinates:
        """The design of a vector; what is held and the precision are those of `like`."""
        found, position = {}, 0
        for name, mask in zip(self.space.leaders, self.space.masks, strict=True):
            array = np.array(like[name])
            chosen = np.ones(array.shape, bool) if mask is None else mask
            count = int(np.count_nonzero(chosen))
            array[chosen] = vector[position : position + count]
            found[name], position = array, position + count
        return found

    # ---- inside --------------------------------------------------------------------------------------------------------

    def _evaluated(self, candidates: Sequence[Coordinates]) -> list[Evaluation]:
        return self.problem.values([Request(candidate, 0) for candidate in candidates])

    def _consider(self, judged: Sequence[tuple[Coordinates, Evaluation]], note: str = "") -> None:
        """The best of the judged designs becomes the best of all where it is better and passes the audit; one more record."""
        step = len(self.history)
        order = sorted(range(len(judged)), key=lambda i: float(judged[i][1].value) if finite(judged[i][1]) else np.inf)
        for coordinates, evaluation in (judged[i] for i in order):
            better = self.best is None or float(evaluation.value) < float(self.best[1].value)
            if not (finite(evaluation) and better):
                break
            # No design counts as feasible without the audit, which sees all rows and every pair.
            if self._audit(paths.replace(self.tree, self._leaves(coordinates))).feasible:
                self.best, self._best_step = (coordinates, evaluation), step
                break
        self._record(*judged[order[0]], note)

    def _record(self, coordinates: Coordinates, evaluation: Evaluation, note: str) -> None:
        prepared = self.problem.prepare(coordinates)
        record = Record(
            step=len(self.history),
            start=0,
            objective=float(evaluation.value),
            terms=_terms(evaluation),
            gradient_norm=float("nan"),
            violation=self.problem.worst(coordinates, prepared, self._scales),
            violations=self.problem.worst_rows(coordinates, prepared),
            best=None if self.best is None else float(self.best[1].value),
            step_length=max(float(np.max(np.abs(coordinates[n] - self._shown[n]), initial=0.0)) for n in coordinates),
            penalty=0.0,
            evaluations=self.problem.evaluations,
            note=note,
        )
        self._shown = coordinates
        self.history.append(record)
        self._tell(record)

    def _status(self, converged: str) -> Status:
        spent = f"made {self.problem.evaluations} of {self.allowed} evaluations"
        if self._explanation:
            return Status("infeasible", self._explanation)
        if self.best is None:
            if self._not_finite:
                return Status("not_finite", f"{spent}; the objective was not finite at any feasible design")
            return Status("infeasible", f"{spent}; none of the designs satisfied the constraints")
        if converged:
            return Status("converged", f"{converged}, after {self.problem.evaluations} evaluations")
        if self.stuck:
            words = f"{spent}; the last {_FAILURES} candidates could not be restored to feasibility"
            return Status("steps_completed", words)
        return Status("steps_completed", f"made all {self.problem.evaluations} evaluations")

    def _audit(self, tree: Any, with_bounds: bool = False) -> Audit:
        return audit(tree, self.constraints, self.space if with_bounds else None)

    def _leaves(self, coordinates: Coordinates) -> dict[str, Any]:
        return jax.device_get(leaves_at(self.space, coordinates))


def _terms(evaluation: Evaluation) -> dict[str, float]:
    return {name: float(term) for name, term in evaluation.terms.items()}
