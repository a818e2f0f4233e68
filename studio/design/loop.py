"""The optimisation as a stepper: every step a pure function of a state that can be stored and resumed bit by bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import paths
from .._checks import InputError, StudioError
from .audit import audit
from .constraints import as_constraints
from .evaluation import Evaluation, LocalEvaluation
from .feasibility import Feasibility
from .gradient_check import GradientCheck, check_gradient
from .objectives import AbstractObjective, FunctionObjective
from .optimisers import Advance, as_optimiser
from .problem import Iterate, Problem, finite
from .solution import RUNNING, STATUS, Record, Solution, Status
from .space import DesignSpace, coordinates_of, leaves_at

#: How often a design is judged on the reference events where every step draws its own.
_REFERENCE_INTERVAL = 10


class Best(eqx.Module):
    """The best feasible design so far: its leaves, objective and terms, and where it was found."""

    found: Any
    leaves: dict[str, Any]
    value: Any
    terms: dict[str, Any]
    start: Any
    step: Any


class State(eqx.Module):
    """Everything the next step depends on, as arrays: store it, load it, and the run goes on bit by bit."""

    seed: Any
    step: Any
    start: Any
    step_in_start: Any
    evaluations: Any
    status: Any
    iterate: Iterate
    best: Best
    #: Value and terms of the tree as it was given, and the best feasible value of every start (NaN: none).
    first_value: Any
    first_terms: dict[str, Any]
    start_values: Any


class Optimisation:
    """A design problem with its optimiser; `initial`, `step`, `finish`.

    **Arguments**

    - `tree`: any pytree; the start.
    - `free`: path names, or a mapping from names to bounds (see `DesignSpace.of`).
    - `objective`: a callable `tree -> scalar`, or an `AbstractObjective`. May be None where `evaluate` is given.
    - `constraints`: callables `tree -> array` that must not be positive, or constraints.
    - `optimiser`: a name, a mapping, an optimiser, an optax transformation; None chooses `lbfgs` for a deterministic
      objective of this process and `adam` otherwise.
    - `steps`: at most so many steps per start.
    - `starts`: how many starts; the first is the tree, the others are quasi-random over the bounds.
    - `evaluate`: `(tree, step) -> Evaluation` from somewhere else, for example from workers. It must not depend on
      anything but its arguments.
    - `value`: `(tree, step) -> float`, the objective without its gradient, where that is cheaper than `evaluate`.
    - `deterministic`: whether `evaluate` ignores its step (the default), so that values of different steps compare.
    - `events`, `chunk`: for an `AbstractObjective`, see `LocalEvaluation`.
    - `blame`: `tree -> text`, which events make the objective not finite there, for error messages.
    """

    def __init__(
        self,
        tree: Any,
        free: str | Iterable[str] | Mapping[str, Any],
        objective: AbstractObjective | Callable[[Any], Any] | None = None,
        constraints: Any = (),
        *,
        optimiser: Any = None,
        steps: int = 200,
        starts: int = 1,
        seed: int = 0,
        evaluate: Callable[[Any, int], Evaluation] | None = None,
        value: Callable[[Any, int], float] | None = None,
        deterministic: bool | None = None,
        events: Any = None,
        chunk: int | None = None,
        blame: Callable[[Any], str] | None = None,
    ):
        self.steps, self.starts, self.seed = _count("steps", steps), _count("starts", starts), seed
        self.tree, self.space = tree, DesignSpace.of(tree, free)
        self.local = None
        if evaluate is None:
            self.local = LocalEvaluation(_as_objective(objective), self.space.names, events, seed=seed, chunk=chunk)
            evaluate, value, blame = self.local, self.local.value, self.local.blame
            deterministic = self.local.deterministic
        self.deterministic = True if deterministic is None else deterministic
        self.constraints = as_constraints(constraints)
        self.problem = Problem(tree, self.space, self.constraints, evaluate, value)
        self._blame = blame
        self._search: Feasibility | None = None
        strong = "lbfgs" if self.local is not None and self.deterministic else "adam"
        self.optimiser = as_optimiser(strong if optimiser is None else optimiser, self.steps)

    def check_gradient(self, seed: int | None = None, tolerance: float = 0.05) -> GradientCheck:
        """The Taylor test of the objective around the start, one direction per free leaf and one for all."""
        point = coordinates_of(self.space, self.problem.tree)
        masks = dict(zip(self.space.names, self.space.masks, strict=True))
        check = check_gradient(
            lambda coordinates: self.problem.value(coordinates, 0),
            lambda coordinates: self.problem.gradient(coordinates, self.problem.evaluate(coordinates, 0)),
            point,
            masks=masks,
            seed=self.seed if seed is None else seed,
            tolerance=tolerance,
        )
        if not check.passed and np.isnan(check.floor):
            check = dataclasses.replace(check, message=check.message + self._blamed())
        return check

    def _blamed(self) -> str:
        """Which events spoil the objective at the start, in words to be added to a message."""
        words = "" if self._blame is None else self._blame(self.problem.tree)
        return f": {words}" if words else ""

    def initial(self, seed: int | None = None) -> State:
        """The state before the first step: one evaluation, of the start as it was given.

        **Raises** `StudioError` where the objective is not finite there.
        """
        seed = self.seed if seed is None else seed
        coordinates = coordinates_of(self.space, self.problem.tree)
        evaluation = self.problem.evaluate(coordinates, 0)
        if not finite(evaluation):
            faulty = [n for n, g in evaluation.gradient.items() if not np.all(np.isfinite(g))]
            where = f"its derivative by {', '.join(faulty)} is not finite" if faulty else "it has no finite value"
            problem = f"the objective cannot be used at the start: it is {float(evaluation.value):g}, {where}"
            raise StudioError(problem + self._blamed())
        iterate = self._begin(coordinates, evaluation)
        best = Best(
            found=np.asarray(False),
            leaves=self._leaves(coordinates),
            value=np.asarray(np.inf),
            terms=dict(evaluation.terms),
            start=np.asarray(0),
            step=np.asarray(0),
        )
        state = State(
            seed=np.asarray(seed),
            step=np.asarray(0),
            start=np.asarray(0),
            step_in_start=np.asarray(0),
            evaluations=np.asarray(1),
            status=np.asarray(RUNNING),
            iterate=iterate,
            best=best,
            first_value=evaluation.value,
            first_terms=dict(evaluation.terms),
            start_values=np.full(self.starts, np.nan),
        )
        if self._worst(iterate) <= self.problem.tolerance:
            return self._with_candidate(state, iterate.coordinates, evaluation)
        feasibility = self._feasibility(iterate.constraint_scales, int(seed))
        restored = feasibility.nearest()
        if not feasibility.reached():
            return dataclasses.replace(state, status=np.asarray(STATUS.index("infeasible")))
        coordinates = dict(restored.coordinates)
        evaluation = self.problem.evaluate(coordinates, 0)
        state = dataclasses.replace(state, evaluations=np.asarray(2))
        if not finite(evaluation):
            return state
        state = dataclasses.replace(state, iterate=_on_host(self._begin(coordinates, evaluation)))
        return self._with_candidate(state, coordinates, evaluation)

    def done(self, state: State) -> bool:
        """Whether there is nothing left to step."""
        return int(state.status) != RUNNING

    def record(self, state: State) -> Record:
        """The record of a state, for example of the initial one."""
        moved = float(state.iterate.evaluation.value) != float(state.first_value)
        return self._record(state, 0.0, "start restored to feasibility" if moved else "")

    def leaves(self, state: State) -> dict[str, Any]:
        """The free leaves of the design where the optimisation stands, by path; not always a feasible one."""
        return self._leaves(state.iterate.coordinates)

    def step(self, state: State) -> tuple[State, Record]:
        """One step of the current start. **Raises** `StudioError` where the optimisation is done."""
        if self.done(state):
            raise StudioError("this optimisation is finished: call finish(state)")
        before = self.problem.evaluations
        number = int(state.step) + 1
        advance = self.optimiser.advance(self.problem, state.iterate, number)
        best, values = self._judge(state, advance, number)
        state = dataclasses.replace(
            state,
            step=np.asarray(number),
            step_in_start=state.step_in_start + 1,
            iterate=_on_host(advance.iterate),
            best=best,
            start_values=values,
            evaluations=state.evaluations + (self.problem.evaluations - before),
        )
        record = self._record(state, advance.step_length, advance.converged or advance.failed or advance.note)
        return self._next(state, advance), record

    def finish(
        self, state: State, history: Iterable[Record] = (), gradient_check: GradientCheck | None = None
    ) -> Solution:
        """The solution as it stands: audited, and without a design where none is feasible."""
        status = self._status(state)
        found = bool(state.best.found)
        leaves = state.best.leaves if found else self._leaves(state.iterate.coordinates)
        tree = paths.replace(self.tree, leaves)
        return Solution(
            tree=tree if found else None,
            objective=float(state.best.value) if found else None,
            terms_start={name: float(term) for name, term in state.first_terms.items()},
            terms_end={name: float(term) for name, term in state.best.terms.items()} if found else {},
            objective_start=float(state.first_value),
            history=tuple(history),
            audit=audit(tree, self.constraints, self.space),
            gradient_check=gradient_check,
            status=status,
            start_values=tuple(float(value) for value in state.start_values),
            best_step=int(state.best.step),
            evaluations=int(state.evaluations),
            last_tree=tree if not found else paths.replace(self.tree, self._leaves(state.iterate.coordinates)),
        )

    def _begin(self, coordinates: dict[str, Any], evaluation: Evaluation) -> Iterate:
        problem = self.problem
        prepared = problem.prepare(coordinates)
        gradient = problem.gradient(coordinates, evaluation)
        largest = max(float(np.max(np.abs(array))) for array in gradient.values())
        rows = problem.violations(coordinates, prepared)
        return Iterate(
            coordinates=coordinates,
            evaluation=evaluation,
            multipliers=tuple(np.zeros(np.shape(row)) for row in rows),
            prepared=prepared,
            penalty=np.asarray(self.optimiser.initial_penalty()),
            objective_scale=np.asarray(largest if largest > 0 and np.isfinite(largest) else 1.0),
            constraint_scales=problem.scales(coordinates, prepared),
            step_scale=np.asarray(1.0),
            optimiser=self.optimiser.initial(problem, coordinates),
        )

    def _with_candidate(self, state: State, coordinates: dict[str, Any], evaluation: Evaluation) -> State:
        best, values = self._considered(state, coordinates, evaluation)
        return dataclasses.replace(state, best=best, start_values=values)

    def _feasibility(self, scales: tuple[Any, ...], seed: int) -> Feasibility:
        if self._search is None or self._search.seed != seed:
            start = coordinates_of(self.space, self.problem.tree)
            self._search = Feasibility(self.problem, start, scales, seed)
        return self._search

    def _leaves(self, coordinates: dict[str, Any]) -> dict[str, Any]:
        return jax.device_get(leaves_at(self.space, coordinates))

    def _worst(self, iterate: Iterate) -> float:
        return self.problem.worst(iterate.coordinates, iterate.prepared, iterate.constraint_scales)

    def _judge(self, state: State, advance: Advance, number: int) -> tuple[Best, Any]:
        """Compare the new design, restored where needed, with the best feasible one."""
        iterate = advance.iterate
        if advance.failed:
            return state.best, state.start_values
        last = int(state.step_in_start) + 1 >= self.steps or bool(advance.converged)
        moved = dataclasses.replace(state, step=np.asarray(number))
        if self.deterministic:
            allowed = self.problem.acceptable if advance.restored else self.problem.tolerance
            if self._worst(iterate) <= allowed:
                return self._considered(moved, iterate.coordinates, iterate.evaluation)
            if not (advance.settled or last):
                return state.best, state.start_values
        elif not (last or number % _REFERENCE_INTERVAL == 0):
            return state.best, state.start_values
        restored = self.problem.restore(iterate.coordinates, iterate.constraint_scales)
        if restored.worst > self.problem.acceptable:
            return state.best, state.start_values
        return self._considered(moved, restored.coordinates, self.problem.evaluate(restored.coordinates, 0))

    def _considered(self, state: State, coordinates: dict[str, Any], evaluation: Evaluation) -> tuple[Best, Any]:
        values, start = np.array(state.start_values), int(state.start)
        value = float(evaluation.value)
        if not np.isfinite(value):
            return state.best, values
        if not (value < values[start] or np.isnan(values[start])) and value >= float(state.best.value):
            return state.best, values
        leaves = self._leaves(coordinates)
        # No design counts as feasible without the audit, which sees all rows and every pair.
        if self.constraints and not audit(paths.replace(self.tree, leaves), self.constraints).feasible:
            return state.best, values
        values[start] = np.fmin(values[start], value)
        if value >= float(state.best.value):
            return state.best, values
        terms = {name: np.asarray(term) for name, term in evaluation.terms.items()}
        best = Best(np.asarray(True), leaves, np.asarray(value), terms, np.asarray(start), state.step)
        return best, values

    def _next(self, state: State, advance: Advance) -> State:
        """The state after the bookkeeping of a step: the next start, or the end."""
        ended = advance.converged or advance.failed or int(state.step_in_start) >= self.steps
        if not ended:
            return state
        if int(state.start) + 1 < self.starts:
            return self._next_start(state)
        if advance.failed and not bool(state.best.found):
            reason = "not_finite"
        elif not bool(state.best.found):
            reason = "infeasible"
        else:
            reason = "converged" if advance.converged else "steps_completed"
        return dataclasses.replace(state, status=np.asarray(STATUS.index(reason)))

    def _next_start(self, state: State) -> State:
        number = int(state.start) + 1
        coordinates = jax.device_get(self.space.start(self.problem.tree, int(state.seed), number))
        scales = state.iterate.constraint_scales
        if self.constraints:
            coordinates = self.problem.restore(coordinates, scales).coordinates
        evaluation = self.problem.evaluate(coordinates, int(state.step))
        moved = dataclasses.replace(
            state, start=np.asarray(number), step_in_start=np.asarray(0), evaluations=state.evaluations + 1
        )
        if not finite(evaluation):
            skip = Advance(state.iterate, False, False, "", "the start is not finite", 0.0)
            return self._next(moved, skip)
        iterate = self._begin(coordinates, evaluation)
        moved = dataclasses.replace(moved, iterate=_on_host(iterate))
        feasible = self._worst(iterate) <= self.problem.acceptable
        return self._with_candidate(moved, coordinates, evaluation) if self.deterministic and feasible else moved

    def _record(self, state: State, length: float, note: str) -> Record:
        iterate = state.iterate
        gradient = self.problem.gradient(iterate.coordinates, iterate.evaluation)
        rows = self.problem.violations(iterate.coordinates, iterate.prepared)
        found = bool(state.best.found)
        return Record(
            step=int(state.step),
            start=int(state.start),
            objective=float(iterate.evaluation.value),
            terms={name: float(term) for name, term in iterate.evaluation.terms.items()},
            gradient_norm=float(np.sqrt(sum(np.sum(np.asarray(g, float) ** 2) for g in gradient.values()))),
            violation=self.problem.worst(iterate.coordinates, iterate.prepared, iterate.constraint_scales),
            violations={c.name: _worst_row(c, row) for c, row in zip(self.constraints, rows, strict=True)},
            best=float(state.best.value) if found else None,
            step_length=length,
            penalty=float(iterate.penalty),
            evaluations=int(state.evaluations),
            note=note,
        )

    def _status(self, state: State) -> Status:
        name = STATUS[int(state.status)]
        if name == "infeasible":
            return Status(name, self._feasibility(state.iterate.constraint_scales, int(state.seed)).explain())
        reasons = {
            "running": f"stopped after {int(state.step)} steps, before the end",
            "steps_completed": f"all {self.steps} steps of {self.starts} start(s) were made",
            "converged": f"converged after {int(state.step)} steps of {self.starts} start(s)",
            "not_finite": "the objective became not finite and no feasible design was found before",
        }
        return Status(name, reasons[name])


def _as_objective(objective: Any) -> AbstractObjective:
    if isinstance(objective, AbstractObjective):
        return objective
    if callable(objective):
        return FunctionObjective(objective)
    remedy = "give a callable tree -> scalar, an objective of studio.design, or `evaluate`"
    raise InputError("not an objective", key="objective", value=objective, remedy=remedy)


def _count(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError("must be a whole number of at least 1", key=key, value=value)
    return int(value)


def _on_host(tree: Any) -> Any:
    """The same values as numpy arrays: pickled, stored and compared without a device."""
    return jax.tree.map(np.asarray, jax.device_get(tree))


def _worst_row(constraint: Any, row: np.ndarray) -> float:
    return float(np.max(np.abs(row) if constraint.equality else row, initial=-np.inf))
