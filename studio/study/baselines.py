"""What a gradient is worth: other ways to a design, on the same objective, events, constraints and simulated events.

The ways: `as_built`, the geometry as it is; `uniform`, as many sensors spread evenly; `random`, the best of random designs;
`greedy`, one sensor at a time; `cma_es`, a black box; `gradient`, the optimiser of the experiment. What a way spends is
counted in simulated events: an event whose derivative is taken as well counts `gradient_cost` times.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._checks import InputError
from ..design import Evaluation, Optimisation, Record, Solution, audit, black_box, greedy, random_designs
from ..design.loop import REFERENCE_INTERVAL
from ..design.search import Search
from ..execution import AbstractRunner
from ..io.geometry import load_detector, save_detector
from .assembly import Assembly, assemble
from .bounds import natural_bound
from .choosing import WEIGHT
from .environment import environment
from .evaluation import BoundEvaluation
from .experiment_file import BASELINE, ExperimentFile
from .ledger import Ledger
from .objective_shards import ShardedObjective
from .observer import AbstractObserver, Silent
from .physics import AbstractPhysics, CustomResolutions
from .report import plain
from .uniform import uniform_layout

METHODS = ("as_built", "uniform", "random", "greedy", "cma_es", "gradient")
PLAN, REPORT, FIGURE = "plan.json", "baselines.json", "baselines.png"

#: What an event with its derivative costs, in events without. Measured: 2.7 to 2.8 in processor time, with all modules of IWCD
#: free (docs/benchmarks.md), rounded against the gradient. A number, not a clock, so that the same command does the same work.
GRADIENT_COST = 3.0

_SEARCHES: dict[str, Callable[..., Solution]] = {"random": random_designs, "greedy": greedy, "cma_es": black_box}


def compare_ways(
    file: ExperimentFile,
    directory: Path,
    *,
    runner: AbstractRunner,
    observer: AbstractObserver | None = None,
    budget: int | None = None,
    gradient_cost: float = GRADIENT_COST,
    physics: AbstractPhysics | None = None,
    objective: CustomResolutions | None = None,
) -> dict[str, Any]:
    """Every way to a design of an experiment within the same budget; what `baselines.json` in `directory` holds.

    **Arguments**: `budget`: simulated events of each way (default: what the experiment's own optimiser spends). A way whose
    result lies in `directory` already is not computed again. `physics` and `objective` as for `Study`.

    **Raises** `InputError` where the budget does not suffice for a step or two designs, `directory` holds something else, or
    `sensors.weight` is free: designs with parts of sensors are none that could be compared.
    """
    if WEIGHT in file.experiment.free_paths:
        problem = "ways are compared by their designs, but only `studio optimise` rounds weights to sensors"
        remedy = "run `studio optimise` and see `choice` in its result.json, or free other leaves, such as sensors.uv"
        raise file.document.error(f"free.{WEIGHT}", problem, remedy=remedy)
    assembly = assemble(file, physics, objective=objective)
    with Ledger(Path(directory)) as ledger:
        _begin(ledger, file, assembly, budget, gradient_cost)
        work = _Work(assembly, ledger, runner, observer or Silent(), gradient_cost)
        report = work.run(budget)
        ledger.write_json(REPORT, report)
        _draw(report, ledger.directory, observer or Silent())
        return report


def _begin(ledger: Ledger, file: ExperimentFile, assembly: Assembly, budget: int | None, gradient_cost: float) -> None:
    """Writes down what is compared. **Raises** `InputError` where the directory holds another comparison, or a study."""
    with tempfile.TemporaryDirectory() as folder:
        save_detector(assembly.baseline, Path(folder) / BASELINE)
        text = (Path(folder) / BASELINE).read_text(encoding="utf-8")
    plan = {
        "format": 1,
        "experiment": dict(file.document.data) | {"geometry": BASELINE},
        "baseline": text,
        "budget": budget,
        "gradient_cost": gradient_cost,
    }
    remedy = "name another directory with --out"
    if ledger.begun:
        raise InputError("holds a study", file=ledger.directory, remedy=remedy)
    if not (ledger.directory / PLAN).exists():
        ledger.write_json(PLAN, plan)
    elif ledger.read_json(PLAN) != json.loads(json.dumps(plan)):
        problem = "holds the baselines of another experiment, geometry, seed or budget"
        raise InputError(problem, file=ledger.directory, remedy=remedy)


class _SpentError(Exception):
    """The budget does not suffice for the next evaluation."""


@dataclasses.dataclass
class _Meter:
    """An evaluation that counts the events it simulates, and ends where they would exceed what is `allowed`.

    `seconds` and `timed` leave the first call of each kind out, which compiles.
    """

    evaluation: BoundEvaluation
    cost: float
    allowed: float = math.inf
    forward_events: int = 0
    gradient_events: int = 0
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    timed: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def spent(self) -> float:
        """Simulated events, those with derivatives counted by their cost."""
        return self.forward_events + self.cost * self.gradient_events

    def forward(self, wanted: Sequence[tuple[Any, int]]) -> list[Evaluation]:
        """Values alone."""
        self.forward_events += len(wanted) * self.evaluation.count
        return self._timed("forward", self.evaluation.forward, wanted)

    def with_gradients(self, wanted: Sequence[tuple[Any, int]]) -> list[Evaluation]:
        """Values and gradients. **Raises** `_SpentError` where they cannot be paid for."""
        events = sum(self._events(step) for _, step in wanted)
        if self.spent + self.cost * events > self.allowed:
            raise _SpentError
        self.gradient_events += events
        return self._timed("with_gradient", self.evaluation.many, wanted)

    def counts(self) -> dict[str, float]:
        """What was simulated."""
        return {"forward": self.forward_events, "with_gradient": self.gradient_events, "weighted": self.spent}

    def _events(self, step: int) -> int:
        return sum(group.count for group in self.evaluation.events_at(step))

    def _timed(self, kind: str, function: Callable[..., list[Evaluation]], wanted: Sequence[tuple[Any, int]]) -> Any:
        begun = time.perf_counter()
        found = function(wanted)
        if kind in self.seconds:
            self.seconds[kind] += time.perf_counter() - begun
            self.timed[kind] += sum(self._events(step) for _, step in wanted)
        else:
            self.seconds[kind], self.timed[kind] = 0.0, 0
        return found


class _Work:
    """The ways of one comparison; those that are done lie in the ledger."""

    def __init__(
        self, assembly: Assembly, ledger: Ledger, runner: AbstractRunner, observer: AbstractObserver, cost: float
    ):
        self.assembly, self.ledger, self.runner, self.observer, self.cost = assembly, ledger, runner, observer, cost
        self.evaluation = self._bound(assembly.baseline)
        self.count = self.evaluation.count
        self._restores = not audit(assembly.baseline, assembly.constraints, tolerance=0.0).feasible

    def run(self, budget: int | None) -> dict[str, Any]:
        """All ways, in the order of `METHODS`; the gradient goes first, since its spending may be the budget."""
        if budget is not None:
            self._check(budget)
        found = {"gradient": self._once("gradient", lambda: self._gradient(budget))}
        allowed = math.floor(found["gradient"]["simulated_events"]["weighted"]) if budget is None else budget
        found["as_built"] = self._once("as_built", self._as_built)
        found["uniform"] = self._once("uniform", self._uniform)
        for name, search in _SEARCHES.items():
            found[name] = self._once(name, lambda name=name, search=search: self._searched(name, search, allowed))
        return self._report({name: found[name] for name in METHODS}, allowed, budget is None)

    # ---- ways ----------------------------------------------------------------------------------------------------------

    def _as_built(self) -> dict[str, Any]:
        meter = _Meter(self.evaluation, self.cost)
        (evaluation,) = meter.forward([(self.assembly.baseline, 0)])
        curve = [(meter.spent, float(evaluation.value))]
        return self._kept("as_built", self.assembly.baseline, "as_built", "the geometry as it is", meter, curve, 1)

    def _uniform(self) -> dict[str, Any]:
        """One layout, restored to feasibility where it breaks a constraint."""
        try:
            layout = uniform_layout(self.assembly.baseline)
            bound = natural_bound(layout, "sensors.uv")
        except InputError as error:
            return {"status": "not_available", "reason": error.problem, "feasible": False}
        meter = _Meter(self._bound(layout, ("sensors.uv",)), self.cost)
        search = Search(
            layout,
            {"sensors.uv": bound},
            constraints=self.assembly.constraints,
            evaluations=2,
            seed=self.assembly.experiment.seed,
            evaluate_many=meter.forward,
        )
        search.begin()
        solution = search.finish()
        restored = ", restored to feasibility" if solution.evaluations > 1 else ""
        reason = solution.status.reason if solution.tree is None else "as many sensors spread evenly" + restored
        curve = [] if solution.objective is None else [(meter.spent, solution.objective)]
        status = solution.status.name if solution.tree is None else "uniform"
        return self._kept("uniform", solution.tree, status, reason, meter, curve, solution.evaluations)

    def _searched(self, name: str, search: Callable[..., Solution], allowed: int) -> dict[str, Any]:
        meter, evaluations, curve = _Meter(self.evaluation, self.cost), allowed // self.count, []
        self.observer.stage(name, evaluations, 0)
        told = 0

        def tell(record: Record) -> None:
            nonlocal told
            for _ in range(record.evaluations - told):
                self.observer.advance(plain({"objective": record.objective, "events": self.count}))
            told = record.evaluations
            curve.append((record.evaluations * self.count, record.best))

        solution = search(
            self.assembly.baseline,
            self.assembly.free,
            constraints=self.assembly.constraints,
            evaluations=evaluations,
            seed=self.assembly.experiment.seed,
            evaluate_many=meter.forward,
            callback=tell,
        )
        return self._solved(name, solution, meter, curve)

    def _gradient(self, budget: int | None) -> dict[str, Any]:
        """The optimiser of the experiment: with its own steps, or with as many as the budget allows."""
        optimiser = self.assembly.experiment.optimiser
        steps = optimiser.steps if budget is None else self._affordable(budget)
        meter = _Meter(self.evaluation, self.cost, math.inf if budget is None else budget)
        optimisation = Optimisation(
            self.assembly.baseline,
            self.assembly.free,
            constraints=self.assembly.constraints,
            optimiser=optimiser.description,
            steps=steps,
            starts=optimiser.starts,
            patience=optimiser.stop,
            seed=self.assembly.experiment.seed,
            evaluate_many=meter.with_gradients,
            evaluate=lambda tree, step: meter.with_gradients([(tree, step)])[0],
            deterministic=self.evaluation.deterministic,
            blame=self.evaluation.blame,
        )
        self.observer.stage("gradient", steps * optimiser.starts, 0)
        state, before = optimisation.initial(), 0.0
        curve = [(meter.spent, optimisation.record(state).best)]
        while not optimisation.done(state):
            try:
                state, records = optimisation.step(state)
            except _SpentError:
                break
            curve.append((meter.spent, records[-1].best))
            for number, record in enumerate(records):
                events = 0 if number else meter.gradient_events - before
                self.observer.advance(plain(record.as_dict()) | {"events": events})
            before = meter.gradient_events
        return self._solved("gradient", optimisation.finish(state), meter, curve)

    # ---- budget --------------------------------------------------------------------------------------------------------

    def _check(self, budget: int) -> None:
        steps = self._affordable(budget)
        needed = max(2 * self.count, math.ceil(self._price(1)))
        if budget < needed or steps < 1:
            problem = f"does not suffice for two designs of {self.count} events and one step of the optimiser"
            raise InputError(problem, key="--budget", value=budget, remedy=f"allow {needed} simulated events or more")

    def _affordable(self, budget: int) -> int:
        """The largest number of steps whose price is within the budget; one that chooses its evaluations itself may make fewer."""
        steps = 0
        while self._price(steps + 1) <= budget:
            steps += 1
        return steps

    def _price(self, steps: int) -> float:
        """Simulated events of a run of so many steps: the start, and again where it is restored to feasibility, one evaluation a
        step, and designs judged on all events."""
        evaluation = self.evaluation
        batch = sum(group.count for group in evaluation.events_at(1))
        judged = 0 if evaluation.deterministic else math.ceil(steps / REFERENCE_INTERVAL)
        events = (1 + self._restores + judged) * self.count + steps * batch
        return self.cost * events * self.assembly.experiment.optimiser.starts

    # ---- results -------------------------------------------------------------------------------------------------------

    def _once(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a way, computed where the ledger does not hold it."""
        file = f"{name}.json"
        if not (self.ledger.directory / file).exists():
            self.ledger.write_json(file, plain(compute()))
        return self.ledger.read_json(file)

    def _solved(self, name: str, solution: Solution, meter: _Meter, curve: list) -> dict[str, Any]:
        status = solution.status
        ended = ("steps_completed", "the budget is spent") if status.name == "running" else (status.name, status.reason)
        return self._kept(name, solution.tree, *ended, meter, curve, solution.evaluations)

    def _kept(
        self, name: str, design: Any, status: str, reason: str, meter: _Meter, curve: list, evaluations: int
    ) -> dict[str, Any]:
        """A design on disk, judged as the file says it, on all events; `curve`: (simulated events, best objective) pairs."""
        found = {
            "status": status,
            "reason": reason,
            "feasible": False,
            "evaluations": evaluations,
            "simulated_events": meter.counts(),
            "curve": [[events, best] for events, best in curve if best is not None],
            "seconds": meter.seconds,
            "timed_events": meter.timed,
        }
        if design is None:
            return found
        path = self.ledger.directory / f"{name}.yaml"
        save_detector(design, path)
        read = load_detector(path)
        (judged,) = meter.evaluation.forward([(read, 0)])
        audited = audit(read, self.assembly.constraints)
        return found | {
            "feasible": audited.feasible,
            "objective": {"value": float(judged.value), "terms": judged.terms},
            "constraints": audited.as_dicts(),
            "design": path.name,
        }

    def _report(self, found: Mapping[str, Any], allowed: int, own: bool) -> dict[str, Any]:
        start = found["as_built"]["objective"]["value"]
        methods = {name: dict(result) for name, result in found.items()}
        for result in methods.values():
            if "objective" in result:
                result["gain"] = start - result["objective"]["value"]
        forward, with_gradient = (_seconds_per_event(found.values(), kind) for kind in ("forward", "with_gradient"))
        for result in methods.values():
            for key in ("seconds", "timed_events"):
                result.pop(key, None)
        feasible = [name for name in METHODS if methods[name]["feasible"]]
        best = min(feasible, key=lambda name: methods[name]["objective"]["value"], default=None)
        ratio = with_gradient / forward if forward and with_gradient else None
        return plain(
            {
                "format": 1,
                "geometry": self.assembly.baseline.name,
                "events": self.count,
                "budget": {
                    "simulated_events": allowed,
                    "from": "the experiment's own optimiser" if own else "--budget",
                    "gradient_cost": self.cost,
                },
                "methods": methods,
                "best": best,
                "seconds_per_event": {"forward": forward, "with_gradient": with_gradient},
                "measured_gradient_cost": ratio,
                "seed": self.assembly.experiment.seed,
                "versions": environment(),
            }
        )

    def _bound(self, tree: Any, free: Sequence[str] | None = None) -> BoundEvaluation:
        """The objective over the events of the experiment, for designs that differ from `tree` in the free leaves."""
        experiment = self.assembly.experiment
        paths = experiment.free_paths if free is None else tuple(free)
        sharded = ShardedObjective(self.assembly.objective, tree, paths, self.runner, shard=experiment.optimiser.shard)
        return BoundEvaluation(sharded, self.assembly.groups, batch=experiment.batch, seed=experiment.seed)


def _seconds_per_event(results: Any, kind: str) -> float | None:
    """Of all ways together, what was compiled left out; None where nothing is left."""
    events = sum(result.get("timed_events", {}).get(kind, 0) for result in results)
    seconds = sum(result.get("seconds", {}).get(kind, 0.0) for result in results)
    return seconds / events if events else None


def _draw(report: Mapping[str, Any], directory: Path, observer: AbstractObserver) -> None:
    """`baselines.png`: the best objective against simulated events."""
    from ..rendering.figures import search_plot

    curves = {name: result["curve"] for name, result in report["methods"].items() if result.get("curve")}
    try:
        search_plot(curves, directory / FIGURE, report["budget"]["gradient_cost"])
    except OSError as error:
        observer.note(f"no picture was written: {error}")
