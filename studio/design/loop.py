"""The optimisation as a stepper: every step a pure function of a state that can be stored and resumed bit by bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from .. import paths
from .._checks import StudioError, whole_number
from .audit import audit
from .constraints import as_constraints
from .evaluation import Evaluation, LocalEvaluation
from .feasibility import Feasibility
from .gradient_check import GradientCheck, check_gradient
from .objectives import AbstractObjective, as_objective
from .optimisers import Advance, as_optimiser
from .patience import Patience, as_patience
from .problem import Iterate, Problem, finite
from .solution import RUNNING, STATUS, Record, Solution, Status
from .space import DesignSpace, coordinates_of, leaves_at
from .state import Best, Start, State
from .together import Asking, Request, together

#: How often a design is judged on the reference events where every step draws its own.
REFERENCE_INTERVAL = 10


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
    - `starts`: how many starts; the first is the tree, the others are quasi-random over the bounds. All of them step
      together, each as if it were alone.
    - `patience`: a start ends where so many steps brought no gain worth the name, see `Patience`; None: never.
    - `evaluate`: `(tree, step) -> Evaluation` from somewhere else, for example from workers. It must not depend on
      anything but its arguments.
    - `evaluate_many`: the same for a list of `(tree, step)`, where several designs are evaluated faster side by side.
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
        patience: int | Mapping[str, Any] | Patience | None = None,
        seed: int = 0,
        evaluate: Callable[[Any, int], Evaluation] | None = None,
        evaluate_many: Callable[[list[tuple[Any, int]]], Sequence[Evaluation]] | None = None,
        value: Callable[[Any, int], float] | None = None,
        deterministic: bool | None = None,
        events: Any = None,
        chunk: int | None = None,
        blame: Callable[[Any], str] | None = None,
    ):
        self.steps, self.starts, self.seed = whole_number("steps", steps), whole_number("starts", starts), seed
        self.patience = as_patience(patience)
        self.tree, self.space = tree, DesignSpace.of(tree, free)
        self.local = None
        if evaluate is None:
            self.local = LocalEvaluation(as_objective(objective), self.space.names, events, seed=seed, chunk=chunk)
            evaluate, value, blame = self.local, self.local.value, self.local.blame
            deterministic = self.local.deterministic
        self.deterministic = True if deterministic is None else deterministic
        self.constraints = as_constraints(constraints)
        self.problem = Problem(tree, self.space, self.constraints, evaluate, value, evaluate_many, self.deterministic)
        self._blame = blame
        self._search: Feasibility | None = None
        strong = "lbfgs" if self.local is not None and self.deterministic else "adam"
        self.optimiser = as_optimiser(strong if optimiser is None else optimiser, self.steps)

    def check_gradient(self, seed: int | None = None, tolerance: float = 0.05) -> GradientCheck:
        """The Taylor test of the objective around the start, one direction per free leaf and one for all."""
        point = coordinates_of(self.space, self.problem.tree)
        masks = dict(zip(self.space.leaders, self.space.masks, strict=True))
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
        iterate = _on_host(self._begin(coordinates, evaluation))
        best = Best(
            found=np.asarray(False),
            leaves=self._leaves(coordinates),
            value=np.asarray(np.inf),
            terms=dict(evaluation.terms),
            start=np.asarray(0),
            step=np.asarray(0),
        )
        start = Start(
            iterate=iterate,
            step=np.asarray(0),
            status=np.asarray(RUNNING),
            value=np.asarray(np.nan),
            mark=np.asarray(np.inf),
            marked=np.asarray(0),
        )
        state = State(
            seed=np.asarray(seed),
            step=np.asarray(0),
            evaluations=np.asarray(1),
            starts=(start,) * self.starts,
            best=best,
            first_value=evaluation.value,
            first_terms=dict(evaluation.terms),
        )
        before = self.problem.evaluations
        if self._worst(iterate) <= self.problem.tolerance:
            state = self._considered(state, 0, iterate.coordinates, evaluation)
        else:
            feasibility = self._feasibility(iterate.constraint_scales, int(seed))
            restored = feasibility.nearest()
            if not feasibility.reached():
                return _with_starts(state, [self._ended(start, "infeasible")] * self.starts)
            state = self._begun(state, 0, dict(restored.coordinates), self.problem.evaluate(restored.coordinates, 0))
        wanted = [Request(self._quasi_random(number, state), 0) for number in range(1, self.starts)]
        for number, found in enumerate(self.problem.evaluate_all(wanted) if wanted else (), start=1):
            state = self._begun(state, number, dict(wanted[number - 1].coordinates), found)
        return dataclasses.replace(state, evaluations=state.evaluations + (self.problem.evaluations - before))

    def done(self, state: State) -> bool:
        """Whether there is nothing left to step."""
        return not self._running(state)

    def record(self, state: State) -> Record:
        """The record of the initial state."""
        moved = float(state.starts[0].iterate.evaluation.value) != float(state.first_value)
        return dataclasses.replace(self._record(state, 0), note="start restored to feasibility" if moved else "")

    def leaves(self, state: State, start: int = 0) -> dict[str, Any]:
        """The free leaves of the design where a start stands, by path; not always a feasible one."""
        return self._leaves(state.starts[start].iterate.coordinates)

    def step(self, state: State) -> tuple[State, list[Record]]:
        """One step of every start that has not ended, with a record of each, in order.

        **Raises** `StudioError` where the optimisation is done.
        """
        running = self._running(state)
        if not running:
            raise StudioError("this optimisation is finished: call finish(state)")
        stepped = together([self._stepped(state.starts[start]) for start in running], self.problem.evaluate_all)
        records = []
        for number, ((advance, candidate), asked) in zip(running, stepped, strict=True):
            start = state.starts[number]
            start = dataclasses.replace(start, iterate=_on_host(advance.iterate), step=start.step + 1)
            state = dataclasses.replace(state, step=state.step + 1, evaluations=state.evaluations + asked)
            state = _with_start(state, number, start)
            if candidate is not None:
                state = self._considered(state, number, *candidate)
            ended = self._ending(state.starts[number], advance, judged=candidate is not None)
            state = _with_start(state, number, ended)
            record = dataclasses.replace(
                self._record(state, number),
                step_length=advance.step_length,
                note=advance.converged or advance.failed or advance.given_up or advance.note,
                batches=advance.batches,
                signal_to_noise=advance.signal_to_noise,
            )
            records.append(record)
        return state, records

    def finish(
        self, state: State, history: Iterable[Record] = (), gradient_check: GradientCheck | None = None
    ) -> Solution:
        """The solution as it stands: audited, and without a design where none is feasible."""
        status = self._status(state)
        found = bool(state.best.found)
        last = paths.replace(self.tree, self.leaves(state, int(state.best.start)))
        tree = paths.replace(self.tree, state.best.leaves) if found else last
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
            start_values=tuple(float(start.value) for start in state.starts),
            best_step=int(state.best.step),
            evaluations=int(state.evaluations),
            last_tree=last,
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

    def _quasi_random(self, number: int, state: State) -> dict[str, Any]:
        """Where a start other than the first begins, restored to feasibility as far as that is possible."""
        coordinates = jax.device_get(self.space.start(self.problem.tree, int(state.seed), number))
        scales = state.starts[0].iterate.constraint_scales
        return dict(self.problem.restore(coordinates, scales).coordinates)

    def _begun(self, state: State, number: int, coordinates: dict[str, Any], evaluation: Evaluation) -> State:
        """The state with a start that begins at `coordinates`; where the objective is not finite there, it has ended."""
        start = state.starts[number]
        if not finite(evaluation):
            return _with_start(state, number, self._ended(start, "not_finite"))
        iterate = _on_host(self._begin(coordinates, evaluation))
        state = _with_start(state, number, dataclasses.replace(start, iterate=iterate))
        if self._worst(iterate) > self.problem.acceptable:
            return state
        return self._considered(state, number, coordinates, evaluation)

    def _feasibility(self, scales: tuple[Any, ...], seed: int) -> Feasibility:
        if self._search is None or self._search.seed != seed:
            start = coordinates_of(self.space, self.problem.tree)
            self._search = Feasibility(self.problem, start, scales, seed)
        return self._search

    def _leaves(self, coordinates: dict[str, Any]) -> dict[str, Any]:
        return jax.device_get(leaves_at(self.space, coordinates))

    def _worst(self, iterate: Iterate) -> float:
        return self.problem.worst(iterate.coordinates, iterate.prepared, iterate.constraint_scales)

    def _stepped(self, start: Start) -> Asking[tuple[Advance, tuple[dict[str, Any], Evaluation] | None]]:
        """One step of a start, and the design with its evaluation that may be the best one now."""
        number = int(start.step) + 1
        advance = yield from self.optimiser.advance(self.problem, start.iterate, number)
        iterate = advance.iterate
        if advance.failed:
            return advance, None
        last = number >= self.steps or bool(advance.converged or advance.given_up)
        if self.deterministic:
            allowed = self.problem.acceptable if advance.restored else self.problem.tolerance
            if self._worst(iterate) <= allowed:
                return advance, (iterate.coordinates, iterate.evaluation)
            if not (advance.settled or last):
                return advance, None
        elif not (last or number % REFERENCE_INTERVAL == 0):
            return advance, None
        restored = self.problem.restore(iterate.coordinates, iterate.constraint_scales)
        if restored.worst > self.problem.acceptable:
            return advance, None
        evaluation = yield Request(restored.coordinates, 0)
        return advance, (restored.coordinates, evaluation)

    def _considered(self, state: State, number: int, coordinates: dict[str, Any], evaluation: Evaluation) -> State:
        """The state after a design of a start was compared with the best ones, of that start and of all."""
        start, value = state.starts[number], float(evaluation.value)
        best_of_start, best_of_all = not value >= float(start.value), value < float(state.best.value)
        if not np.isfinite(value) or not (best_of_start or best_of_all):
            return state
        leaves = self._leaves(coordinates)
        # No design counts as feasible without the audit, which sees all rows and every pair.
        if self.constraints and not audit(paths.replace(self.tree, leaves), self.constraints).feasible:
            return state
        start = dataclasses.replace(start, value=np.fmin(start.value, value))
        if self.patience is not None and self.patience.gained(float(start.value), float(start.mark)):
            start = dataclasses.replace(start, mark=start.value, marked=start.step)
        state = _with_start(state, number, start)
        if not best_of_all:
            return state
        terms = {name: np.asarray(term) for name, term in evaluation.terms.items()}
        best = Best(np.asarray(True), leaves, np.asarray(value), terms, np.asarray(number), state.step)
        return dataclasses.replace(state, best=best)

    def _ending(self, start: Start, advance: Advance, judged: bool) -> Start:
        """The start, ended where its last step was the last one; `judged`: whether a design was after that step."""
        step = int(start.step)
        if advance.failed:
            return self._ended(start, "not_finite")
        if advance.converged:
            return self._ended(start, "converged")
        if advance.given_up:
            return self._ended(start, "penalty_limit")
        if step >= self.steps:
            return self._ended(start, "steps_completed")
        if judged and self.patience is not None and self.patience.spent(step, float(start.mark), int(start.marked)):
            return self._ended(start, "stalled")
        return start

    def _ended(self, start: Start, status: str) -> Start:
        return dataclasses.replace(start, status=np.asarray(STATUS.index(status)))

    def _running(self, state: State) -> list[int]:
        return [number for number, start in enumerate(state.starts) if int(start.status) == RUNNING]

    def _record(self, state: State, number: int) -> Record:
        """Where a start stands; what its last step says of itself is not in it."""
        iterate = state.starts[number].iterate
        gradient = self.problem.gradient(iterate.coordinates, iterate.evaluation)
        found = bool(state.best.found)
        return Record(
            step=int(state.step),
            start=number,
            objective=float(iterate.evaluation.value),
            terms={name: float(term) for name, term in iterate.evaluation.terms.items()},
            gradient_norm=float(np.sqrt(sum(np.sum(np.asarray(g, float) ** 2) for g in gradient.values()))),
            violation=self.problem.worst(iterate.coordinates, iterate.prepared, iterate.constraint_scales),
            violations=self.problem.worst_rows(iterate.coordinates, iterate.prepared),
            best=float(state.best.value) if found else None,
            step_length=0.0,
            penalty=float(iterate.penalty),
            evaluations=int(state.evaluations),
        )

    def _status(self, state: State) -> Status:
        endings = [STATUS[int(start.status)] for start in state.starts]
        if "running" in endings:
            return Status("running", f"stopped after {int(state.step)} steps, before the end")
        if set(endings) == {"infeasible"}:
            scales = state.starts[0].iterate.constraint_scales
            return Status("infeasible", self._feasibility(scales, int(state.seed)).explain())
        words = self._endings(endings, state)
        if bool(state.best.found):
            ending = endings[int(state.best.start)]
            return Status(ending if ending in ("converged", "stalled", "penalty_limit") else "steps_completed", words)
        if "not_finite" in endings:
            return Status("not_finite", f"{words}; no feasible design was found before")
        return Status("infeasible", f"{words}; none of the designs satisfied the constraints")

    def _endings(self, endings: list[str], state: State) -> str:
        """How the starts ended, in words."""
        after = f" after {int(state.step)} steps" if self.starts == 1 else ""
        words = {
            "converged": f"converged{after}",
            "steps_completed": f"made all {self.steps} steps",
            "stalled": f"stopped{after}, {self.patience}",
            "not_finite": f"ended where the objective is not finite{after}",
            "penalty_limit": f"ended at the largest penalty{after}, with constraints broken",
        }
        if self.starts == 1:
            return words[endings[0]]
        parts = [f"{endings.count(ending)} {said}" for ending, said in words.items() if ending in endings]
        found = f"; the best design is of start {int(state.best.start)}" if bool(state.best.found) else ""
        return f"of {self.starts} starts {', '.join(parts)}{found}"


def _with_starts(state: State, starts: Sequence[Start]) -> State:
    return dataclasses.replace(state, starts=tuple(starts))


def _with_start(state: State, number: int, start: Start) -> State:
    return _with_starts(state, [*state.starts[:number], start, *state.starts[number + 1 :]])


def _on_host(tree: Any) -> Any:
    """The same values as numpy arrays: pickled, stored and compared without a device."""
    return jax.tree.map(np.asarray, jax.device_get(tree))
