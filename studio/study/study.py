"""A study from beginning to end: check the gradient, optimise, validate, report; resumable at any moment."""

from __future__ import annotations

import dataclasses
import functools
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import paths
from .._checks import StudioError
from ..design import Optimisation, audit
from ..execution import AbstractRunner, LocalRunner
from ..io.geometry import load_detector, save_detector
from ..tracking import AbstractTracker, NoTracker
from .assembly import Assembly, assemble, draw, extremes, fits
from .checking import baseline_words
from .choosing import WEIGHT, choice_report, counts_sensors, decided
from .counting import counted
from .environment import environment, git_state, packages
from .evaluation import BoundEvaluation
from .experiment_file import BASELINE, ExperimentFile, read_begun, read_experiment
from .ledger import HISTORY, RESULT, SHARES, TRAJECTORY, VALIDATION, Ledger
from .objective_shards import PopulationResult, ShardedObjective
from .observer import AbstractObserver, Silent
from .physics import AbstractPhysics, CustomResolutions
from .pictures import StudyPicture, write_figures
from .report import plain, term_rows, write_history_table, write_last_design, write_validation_table
from .sensor_information import sensor_shares
from .tracked import Tracked
from .trajectory import trajectory_line
from .validation import Validation, ValidationShard, event_count, report, validation_key

DESIGN, GRADIENT_CHECK = "design.yaml", "gradient_check.json"


@dataclasses.dataclass(frozen=True)
class StudySolution:
    """What a study found.

    **Fields**: `detector`: the best feasible design; `baseline`: where it started; `history`: one mapping a step; `audit`: the
    constraints of `detector` measured afterwards; `gradient_check`: the report of the Taylor test, None where it was skipped;
    `validation`: the measured gain (the section of `result.json`); `result`: all of `result.json`; `directory`.
    """

    detector: Any
    baseline: Any
    history: list[dict[str, Any]]
    audit: list[dict[str, Any]]
    gradient_check: dict[str, Any] | None
    validation: dict[str, Any]
    result: dict[str, Any]
    directory: Path


class Study:
    """An experiment that can be run in a directory, and taken up again there.

    `Study.from_file(path)` reads an experiment file, `Study.in_directory(directory)` one that was begun before. `physics`
    stands in for the detector family's own simulation and inference where it is given. `objective`, a function
    `(information, event) -> {name: resolution}`, defines the terms `{kind: custom, name: ...}` of the experiment; it must be
    given again where a study is taken up.
    """

    def __init__(
        self,
        file: ExperimentFile,
        physics: AbstractPhysics | None = None,
        objective: CustomResolutions | None = None,
    ):
        self.file = file
        self.physics = physics
        self.objective = objective

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        changes: Mapping[str, Any] | None = None,
        physics: AbstractPhysics | None = None,
        objective: CustomResolutions | None = None,
    ) -> Study:
        """The study an experiment file describes, with other values at the dotted keys of `changes`.

        **Raises** `InputError` naming file, line, key, value and remedy.
        """
        return cls(read_experiment(path).with_values(changes or {}), physics, objective)

    @classmethod
    def in_directory(
        cls,
        directory: str | os.PathLike[str],
        *,
        physics: AbstractPhysics | None = None,
        objective: CustomResolutions | None = None,
    ) -> Study:
        """The study that was begun in a directory. **Raises** `InputError` where there is none."""
        return cls(read_begun(directory), physics, objective)

    def run(
        self,
        directory: str | os.PathLike[str],
        *,
        runner: AbstractRunner | None = None,
        tracker: AbstractTracker | None = None,
        observer: AbstractObserver | None = None,
        check_gradient: bool = True,
    ) -> StudySolution:
        """Runs the study in a new directory, to the end.

        **Raises** `InputError` where the directory holds a study already or cannot be written, `StudioError` where the gradient
        check fails or the work does.
        """
        # Errors are reported against the user's own file.
        baseline = assemble(self.file, self.physics, objective=self.objective).baseline
        with Ledger(Path(directory)) as ledger:
            self._begin(ledger, baseline, check_gradient)
            begun = Study.in_directory(directory, physics=self.physics, objective=self.objective)
            return begun._continue(ledger, runner, tracker, observer)

    def resume(
        self,
        directory: str | os.PathLike[str],
        *,
        runner: AbstractRunner | None = None,
        tracker: AbstractTracker | None = None,
        observer: AbstractObserver | None = None,
    ) -> StudySolution:
        """Takes the study of a directory up where it stopped; every number comes out as if it had never stopped."""
        with Ledger(Path(directory)) as ledger:
            return self._continue(ledger, runner, tracker, observer)

    # ---- stages --------------------------------------------------------------------------------------------------------

    def _begin(self, ledger: Ledger, baseline: Any, check_gradient: bool) -> None:
        """Everything the study depends on goes into its directory first, in one file, so that it needs nothing else."""
        with tempfile.TemporaryDirectory() as folder:
            aside = Path(folder) / BASELINE
            save_detector(baseline, aside)
            text = aside.read_text(encoding="utf-8")
        ledger.begin(
            {
                "format": 1,
                "source": self.file.document.file,
                "geometry": baseline.name,
                "check_gradient": check_gradient,
                **environment(),
                "git": {"package": git_state(Path(__file__)), "experiment": git_state(Path(self.file.document.file))},
                "packages": packages(),
                "experiment": self.file.alone | {"geometry": BASELINE},
                "baseline": text,
            }
        )

    def _continue(
        self,
        ledger: Ledger,
        runner: AbstractRunner | None,
        tracker: AbstractTracker | None,
        observer: AbstractObserver | None,
    ) -> StudySolution:
        watching = observer or Silent()
        with Tracked(tracker or NoTracker(), watching, self.file, ledger) as tracked:
            if ledger.finished:
                return _read_back(ledger, tracked)
            own = runner is None
            working = LocalRunner() if runner is None else runner
            try:
                assembly = assemble(self.file, self.physics, objective=self.objective)
                return _Stages(self.file, assembly, ledger, working, watching).run(tracked)
            finally:
                if own:
                    working.close()


class _Stages:
    """The stages of one run; what they leave behind is in the ledger."""

    def __init__(
        self,
        file: ExperimentFile,
        assembly: Assembly,
        ledger: Ledger,
        runner: AbstractRunner,
        observer: AbstractObserver,
    ):
        self.file, self.assembly, self.ledger, self.runner, self.observer = file, assembly, ledger, runner, observer
        experiment = assembly.experiment
        self.objective = ShardedObjective(
            assembly.objective, assembly.baseline, experiment.free_paths, runner, shard=experiment.optimiser.shard
        )
        self.evaluate = BoundEvaluation(self.objective, assembly.groups, batch=experiment.batch, seed=experiment.seed)
        self.optimisation = self._optimisation(self.evaluate, assembly.constraints)

    def _optimisation(self, evaluate: BoundEvaluation, constraints: tuple[Any, ...]) -> Optimisation:
        experiment = self.assembly.experiment
        return Optimisation(
            self.assembly.baseline,
            self.assembly.free,
            constraints=constraints,
            optimiser=experiment.optimiser.description,
            steps=experiment.optimiser.steps,
            starts=experiment.optimiser.starts,
            patience=experiment.optimiser.stop,
            seed=experiment.seed,
            evaluate=evaluate,
            evaluate_many=evaluate.many,
            value=evaluate.value,
            deterministic=evaluate.deterministic,
            blame=self.evaluate.blame,  # a probe sees some events only; they count through all of them
        )

    def run(self, tracker: Tracked) -> StudySolution:
        words = baseline_words(audit(self.assembly.baseline, self.assembly.constraints, self.optimisation.space))
        if words:
            self.observer.note(f"the baseline {words}")
        judged = self.assembly.experiment.validation.events > 0
        validation = self.validation() if judged else None
        check = self.gradient_check()
        solution = self.optimise(tracker)
        history = self.ledger.lines(HISTORY)
        write_history_table(history, self.ledger.directory)
        write_last_design(solution.last_tree, self.ledger.directory, self.observer)
        if solution.tree is None:
            self.ledger.write_json(RESULT, self.result(solution, None, check, {"events": 0}))
            tracker.finish()
            return _solution(self.ledger)  # raises with the reason
        tree, choice = self.decided(solution.tree)
        save_detector(tree, self.ledger.directory / DESIGN)
        # Read back, so that what is judged is what the file says.
        design = load_detector(self.ledger.directory / DESIGN)
        measured = {"events": 0} if validation is None else self.validate(validation, design)
        result = self.result(solution, design, check, measured) | choice
        write_validation_table(measured, self.ledger.directory)
        with self._timed("pictures"):
            picture = functools.partial(self.picture, validation, design, solution.best_step)
            write_figures(picture, history, self.ledger.directory, self.observer)
        self.ledger.write_json(RESULT, result)
        tracker.finish()
        return _solution(self.ledger)

    def gradient_check(self) -> dict[str, Any] | None:
        """The Taylor test, once a study. **Raises** `StudioError` where the gradient is wrong."""
        if not self.ledger.study()["check_gradient"]:
            return None
        if (self.ledger.directory / GRADIENT_CHECK).exists():
            outcome = self.ledger.read_json(GRADIENT_CHECK)
            if not outcome["passed"]:
                raise StudioError(outcome["message"])
            return outcome
        self.observer.stage("gradient check", 1, 0)
        with self._timed("gradient check"):
            check = self._optimisation(self.evaluate.probe(), ()).check_gradient()
        outcome = plain(check.as_dict())
        self.ledger.write_json(GRADIENT_CHECK, outcome)
        self.observer.advance({})
        check.require()
        return outcome

    def optimise(self, tracker: Tracked) -> Any:
        """All steps that the ledger does not hold yet."""
        optimiser = self.assembly.experiment.optimiser
        state = self.optimisation.initial()
        loaded = self.ledger.load(state)
        if loaded is None:
            self._steps_done(state, [self.optimisation.record(state)])
        else:
            state = loaded
        tracker.history()
        evaluations = self.ledger.lines(HISTORY)[-1]["evaluations"]
        self.observer.stage("optimise", optimiser.steps * optimiser.starts, int(state.step))
        while not self.optimisation.done(state):
            with self._timed("step", first=int(state.step) + 1) as timed:
                state, records = self.optimisation.step(state)
                lines = self._steps_done(state, records)
                timed.details["step"] = int(state.step)
            tracker.steps(lines, timed.at)
            for line in lines:
                self.observer.advance(line | {"events": (line["evaluations"] - evaluations) * self.evaluate.batch})
                evaluations = line["evaluations"]
        return self.optimisation.finish(state)

    def decided(self, tree: Any) -> tuple[Any, dict[str, Any]]:
        """The design with sensors that stand or do not, where places were free, and what that says in `result.json`."""
        if WEIGHT not in self.assembly.experiment.free_paths:
            return tree, {}
        with self._timed("choice"):
            if counts_sensors(self.file):
                layout, count = counted(tree, lambda detector: self.judged(detector).value)
                self.observer.note(f"chose {count}")
                return layout, {"choice": count.report()}
            design, choice = decided(tree, self.assembly, self.evaluate)
        self.observer.note(f"chose {choice}")
        return design, {"choice": choice_report(choice)}

    def judged(self, detector: Any) -> PopulationResult:
        """The objective of a design over all events of the study; it may have another number of sensors than the baseline."""
        if paths.alike(detector, self.assembly.baseline):
            return self.evaluate.whole(detector)
        experiment = self.assembly.experiment
        own = ShardedObjective(
            self.assembly.objective, detector, experiment.free_paths, self.runner, shard=experiment.optimiser.shard
        )
        (found,) = own.values([(detector, self.assembly.groups)])
        return found

    def _steps_done(self, state: Any, records: Sequence[Any]) -> list[dict[str, Any]]:
        """Steps count from here: their lines first, then the checkpoint that says how long the history is."""
        designs = [(record, self.optimisation.leaves(state, record.start)) for record in records]
        self.ledger.append(TRAJECTORY, *(trajectory_line(r.step, r.start, leaves) for r, leaves in designs))
        compilations = {"compilations": self.objective.compilations}
        lines = [plain(record.as_dict()) | compilations for record in records]
        self.ledger.save(state, self.ledger.append(HISTORY, *lines))
        return lines

    def validation(self) -> Validation:
        """Fresh events, and the work on them begun beside the optimisation: compiling takes as long as the steps do."""
        experiment = self.assembly.experiment
        groups = draw(self.file, self.assembly.baseline, validation_key(experiment.seed), experiment.validation.events)
        physics = self.assembly.physics.prepared(extremes(self.assembly.baseline, self.assembly.free), groups)
        work = ValidationShard(physics, experiment.seed, experiment.validation.reconstruct)
        validation = Validation(work, self.runner, groups, experiment.validation.shard)
        if not self.ledger.lines(VALIDATION):
            validation.begin("baseline", self.assembly.baseline)
        return validation

    def validate(self, validation: Validation, design: Any) -> dict[str, Any]:
        """Events for baseline and optimum; pieces that the ledger holds are not computed again."""
        designs = {"baseline": self.assembly.baseline, "optimum": design}
        self.ledger.truncate(VALIDATION)
        done = self.ledger.lines(VALIDATION)
        self.observer.stage("validate", validation.count(len(designs)), len(done))

        def record(line: Mapping[str, Any]) -> None:
            self.ledger.append(VALIDATION, line)
            self.observer.advance({"events": event_count(line)})

        with self._timed("validate"):
            lines = validation.run(designs, done=done, record=record)
        # Where the volume was free, only events that fit into both designs are compared.
        kept = np.concatenate([fits(self.file, design, group) for group in validation.groups])
        if np.count_nonzero(kept) < 2:
            self.observer.note("nothing was measured: no two validation events fit into both designs")
            return {"events": 0}
        return report(lines, tuple(designs), seed=self.assembly.experiment.seed, kept=kept)

    def picture(self, validation: Validation | None, design: Any, best_step: int) -> StudyPicture:
        """What pictures of the study show. The shares of the sensors stay in the ledger: finding them takes a compilation
        where no validation did it before."""
        experiment = self.assembly.experiment
        work = ValidationShard(self.assembly.physics, experiment.seed, False) if validation is None else validation.work
        designs = {"baseline": self.assembly.baseline, "optimum": design}
        shares = sensor_shares(work, self.runner, self.assembly.groups, experiment.validation.shard, designs)
        self.ledger.write_arrays(SHARES, shares)
        pair = (shares["baseline"], shares["optimum"]) if shares["baseline"].size else None
        return StudyPicture(self.assembly.baseline, design, pair, self.ledger.lines(TRAJECTORY), best_step)

    def result(
        self, solution: Any, design: Any | None, check: dict[str, Any] | None, validation: dict[str, Any]
    ) -> dict[str, Any]:
        """Everything of `result.json`; no clock, so that a resumed study writes the same bytes."""
        experiment = self.assembly.experiment
        measured = {"baseline": self.assembly.baseline} | ({} if design is None else {"optimum": design})
        objectives = {name: self.judged(detector) for name, detector in measured.items()}
        # Bounds are about the numbers of the geometry; a layout of another number of sensors has none to keep.
        same = design is not None and paths.alike(design, self.assembly.baseline)
        space = self.optimisation.space if same else None
        audited = solution.audit if design is None else audit(design, self.assembly.constraints, space)
        lines = self.ledger.lines(HISTORY)
        values = {name: {"value": found.value, "terms": found.terms} for name, found in objectives.items()}
        return {
            "format": 1,
            "status": solution.status.name,
            "reason": solution.status.reason,
            "feasible": design is not None and audited.feasible,
            "objective": values,
            "objective_terms": term_rows(experiment.objective, values),
            "best_step": solution.best_step,
            "free": {path: list(np.shape(paths.get(self.assembly.baseline, path))) for path in experiment.free_paths},
            "constraints": plain(audited.as_dicts()),
            "gradient_check": check,
            "validation": validation,
            "counts": {
                "steps": int(lines[-1]["step"]),
                "evaluations": solution.evaluations,
                "compilations": max(line["compilations"] for line in lines),
                "study_events": experiment.events.count,
                "validation_events": 2 * validation["events"],
            },
            "seed": experiment.seed,
            "versions": {key: value for key, value in self.ledger.study().items() if key in environment()},
        }

    def _timed(self, what: str, **details: Any) -> _Timed:
        return _Timed(self.ledger, what, details)


def _read_back(ledger: Ledger, tracker: Tracked) -> StudySolution:
    """A study that is done; a tracker that was away meanwhile is caught up."""
    tracker.history()
    tracker.finish()
    return _solution(ledger)


def _solution(ledger: Ledger) -> StudySolution:
    """What the files of a finished study say. **Raises** `StudioError` where there is no feasible design."""
    result = ledger.read_json(RESULT)
    if not result["feasible"]:
        raise StudioError(f"no feasible design was found: {result['reason']}")
    return StudySolution(
        detector=load_detector(ledger.directory / DESIGN),
        baseline=load_detector(ledger.directory / BASELINE),
        history=ledger.lines(HISTORY),
        audit=result["constraints"],
        gradient_check=result["gradient_check"],
        validation=result["validation"],
        result=result,
        directory=ledger.directory,
    )


class _Timed:
    def __init__(self, ledger: Ledger, what: str, details: Mapping[str, Any]):
        self.ledger, self.what, self.details = ledger, what, dict(details)

    def __enter__(self) -> _Timed:
        self.start = time.perf_counter()
        return self

    def __exit__(self, *_: Any) -> None:
        self.at = self.ledger.note_time(self.what, time.perf_counter() - self.start, **self.details)
