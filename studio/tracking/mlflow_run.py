"""The record of one study in an MLflow store, brought up to what the ledger says as often as one likes."""

from __future__ import annotations

import collections
import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import StudyFacts
from .entries import (
    METRICS_A_BATCH,
    PARAMETERS_A_BATCH,
    flat,
    parameters_of,
    result_metrics,
    step_metrics,
    summary,
    tags_of,
)
from .mlflow_store import Store
from .register import Register

if TYPE_CHECKING:
    from mlflow.entities import Run

Step = tuple[float, Mapping[str, Any]]  # when it was made (seconds since 1970), and its line of the history

STUDY, START = "study", "start"  # the kinds of runs
_COMPLETE = "complete"  # the tag that is set last
_making: dict[str, threading.Lock] = collections.defaultdict(threading.Lock)  # by study
_SEVERAL = (
    "best",
    "start",
)  # what the run of a study with several starts has for every step; the rest is in its children


@dataclasses.dataclass(frozen=True)
class Ending:
    """How and when (seconds since 1970) a study ended: with a `result` and its files, or, without one, for a `reason`."""

    at: float
    result: Mapping[str, Any] | None = None
    artifacts: Sequence[Path] = ()
    reason: str = ""


class StudyRun:
    """The run of one study, and the nested runs of its starts where it has several.

    Everything that is recorded is asked from the store first, so nothing is recorded twice, whatever was interrupted where.
    `alive` is called after every answer of the store.
    """

    def __init__(self, store: Store, facts: StudyFacts, alive: Callable[[], None]):
        self._store, self._facts, self._alive = store, facts, alive
        # Noted before the store is asked: where it is away until the study's end, resuming the study records it there.
        register = Register(facts.directory)
        self._study = register.open(store.address)
        self._client = store.client()
        self._alive()
        store.check()
        self._several = int(flat(facts.parameters).get("optimiser.starts") or 1) > 1
        # One at a time: the thread of an earlier attempt may still be about to make the run of the same study.
        with _making[self._study]:
            self._alive()
            self._experiment, self._runs = self._found(store, register.run(store.address))
            if STUDY not in self._runs:
                self._runs[STUDY] = self._created(STUDY, facts.directory.absolute().name, {})
        self._id = self._runs[STUDY].info.run_id
        register.enter(store.address, self._id)
        self._logged = {name: self._steps_of(name, run.info.run_id) for name, run in self._runs.items()}
        self._complete = _COMPLETE in self._runs[STUDY].data.tags
        if not self._complete:
            self._describe()

    def catch_up(self, steps: Sequence[Step], ending: Ending | None) -> None:
        """Records what is missing of the steps, and the end. A run that is complete stays as it is."""
        if self._complete:
            return
        self._store.check()
        for name, missing in self._missing(steps).items():
            self._record(name, missing)
        if ending is not None and ending.result is not None:
            self._finish(ending.result, ending)
        elif ending is not None:
            self._client.log_batch(self._id, tags=_tags({"status": "interrupted", "reason": ending.reason}))
            self._terminate("FAILED", ending.at)

    # ---- runs ----------------------------------------------------------------------------------------------------------

    def _found(self, store: Store, known: str | None) -> tuple[str, dict[str, Run]]:
        """The experiment and the runs that the study has in it already, by `study` or the number of the start."""
        from mlflow.exceptions import MlflowException

        experiment = None
        if known is not None:
            try:
                experiment = self._client.get_run(known).info.experiment_id
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        experiment = experiment or store.experiment()
        runs = self._client.search_runs([experiment], f"tags.{STUDY} = '{self._study}'")
        self._alive()
        return experiment, {run.data.tags.get(START, STUDY): run for run in runs}

    def _created(self, kind: str, name: str, tags: Mapping[str, str]) -> Run:
        everything = {"kind": kind, STUDY: self._study, "status": "running"} | dict(self._facts.tags) | dict(tags)
        begun = _milliseconds(self._facts.begun)
        run = self._client.create_run(self._experiment, begun, tags_of(everything), name)
        self._alive()
        return run

    def _child(self, start: str) -> str:
        if start not in self._runs:
            name = f"{self._runs[STUDY].info.run_name} start {start}"
            self._runs[start] = self._created(START, name, {START: start, "mlflow.parentRunId": self._id})
            self._logged[start] = set()
        return self._runs[start].info.run_id

    def _describe(self) -> None:
        """Parameters, tags and first files, as far as they are missing."""
        data = self._runs[STUDY].data
        missing = [(k, v) for k, v in parameters_of(self._facts.parameters).items() if k not in data.params]
        tags = tags_of({**self._facts.tags, "status": "running"})
        for batch in _batches(missing, PARAMETERS_A_BATCH):
            self._client.log_batch(self._id, params=_parameters(batch))
        changed = {key: text for key, text in tags.items() if data.tags.get(key) != text}
        if changed:
            self._client.log_batch(self._id, tags=_tags(changed))
        if self._runs[STUDY].info.status != "RUNNING":
            self._client.update_run(self._id, status="RUNNING")
        present = {Path(file.path).name for file in self._client.list_artifacts(self._id)}
        self._upload([file for file in self._facts.artifacts if file.name not in present])

    # ---- steps ---------------------------------------------------------------------------------------------------------

    def _steps_of(self, name: str, run_id: str) -> set[int]:
        marker = "start" if self._several and name == STUDY else "objective"
        steps = {metric.step for metric in self._client.get_metric_history(run_id, marker)}
        self._alive()
        return steps

    def _missing(self, steps: Sequence[Step]) -> dict[str, list[Any]]:
        """Metrics that are not recorded yet, by the run they belong to and by step."""
        found: dict[str, list[Any]] = {}
        for at, line in steps:
            for name in (STUDY, str(line["start"])) if self._several else (STUDY,):
                if line["step"] not in self._logged.get(name, ()):
                    found.setdefault(name, []).append((line["step"], self._metrics_of(name, line, at)))
        return found

    def _metrics_of(self, name: str, line: Mapping[str, Any], at: float) -> list[Any]:
        numbers = step_metrics(line)
        if self._several and name == STUDY:
            overview = numbers | {"start": float(line["start"])}
            numbers = {key: overview[key] for key in _SEVERAL if key in overview}
        return _metrics(numbers, at, line["step"])

    def _record(self, name: str, steps: list[Any]) -> None:
        run_id = self._id if name == STUDY else self._child(name)
        # A step is never split: the store takes a batch whole or not at all.
        for batch in _filled(steps, METRICS_A_BATCH):
            self._client.log_batch(run_id, metrics=[metric for _, metrics in batch for metric in metrics])
            self._logged[name] |= {step for step, _ in batch}
            self._alive()

    # ---- the end -------------------------------------------------------------------------------------------------------

    def _finish(self, result: Mapping[str, Any], ending: Ending) -> None:
        """Final numbers, files and status; the mark that all of it is there comes last."""
        present = self._client.get_run(self._id).data.metrics
        numbers = {key: value for key, value in result_metrics(result).items() if key not in present}
        last = max(self._logged[STUDY], default=0)
        for batch in _batches(_metrics(numbers, ending.at, last), METRICS_A_BATCH):
            self._client.log_batch(self._id, metrics=batch)
        self._upload(ending.artifacts)
        words = {"status": result["status"], "reason": result["reason"], "mlflow.note.content": summary(result)}
        self._client.log_batch(self._id, tags=_tags(words))
        self._terminate("FINISHED" if result["feasible"] else "FAILED", ending.at)
        self._client.set_tag(self._id, _COMPLETE, "yes")
        self._complete = True

    def _terminate(self, status: str, at: float) -> None:
        for run in self._runs.values():
            self._client.set_terminated(run.info.run_id, status, _milliseconds(at))
            self._alive()

    def _upload(self, files: Iterable[Path]) -> None:
        for file in files:
            folder = file.parent.relative_to(self._facts.directory).as_posix()
            self._client.log_artifact(self._id, str(file), None if folder == "." else folder)
            self._alive()


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _filled(steps: Sequence[tuple[int, list[Any]]], size: int) -> Iterator[list[tuple[int, list[Any]]]]:
    """Whole steps, together at most `size` metrics at a time."""
    batch: list[tuple[int, list[Any]]] = []
    for step in steps:
        if batch and sum(len(metrics) for _, metrics in batch) + len(step[1]) > size:
            yield batch
            batch = []
        batch.append(step)
    if batch:
        yield batch


def _metrics(numbers: Mapping[str, float], at: float, step: int) -> list[Any]:
    from mlflow.entities import Metric

    return [Metric(key, value, _milliseconds(at), step) for key, value in numbers.items()]


def _parameters(items: Iterable[tuple[str, str]]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(key, text) for key, text in items]


def _tags(tags: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(key, text) for key, text in tags_of(tags).items()]


def _milliseconds(at: float) -> int:
    return round(1000 * at)
