"""What of a study stands in MLflow: all of it, once, in the right run; told by hand here, so that no physics is needed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from mlflow import MlflowClient

from studio.tracking import MlflowTracker, StudyFacts, tracked_study
from studio.tracking.register import Register
from tests.tracking.stores import artifacts_of, runs, steps_of

BEGUN = 1_700_000_000.0
RESULT = {
    "feasible": True,
    "status": "steps_completed",
    "reason": "all steps were made",
    "best_step": 2,
    "objective": {"baseline": {"value": 1.5}, "optimum": {"value": 1.25, "terms": {"vertex_resolution": 1.25}}},
    "validation": {"events": 20, "measured_gain": {"optimum": {"vertex": {"value": 0.2, "low": 0.1, "high": 0.3}}}},
    "counts": {"steps": 2},
    "constraints": [{"name": "budget", "value": 3.0}],
}


def line(step: int, start: int = 0) -> dict:
    return {
        "step": step,
        "start": start,
        "objective": 2.0 - step / 10,
        "terms": {"vertex_resolution": 1.0},
        "best": 1.8,
    }


class Told:
    """A study that was run by hand, in `directory`."""

    def __init__(self, directory: Path, address: str, starts: int = 1):
        directory.mkdir(exist_ok=True)
        for name in ("study.json", "result.json"):
            (directory / name).write_text(json.dumps(RESULT))
        (directory / "figures").mkdir(exist_ok=True)
        (directory / "figures" / "layout.png").write_bytes(b"picture")
        parameters = {"optimiser": {"steps": 2, "starts": starts}, "free": {"sensors.uv": {}}, "seed": 3}
        tags = {"geometry": "tank", "objective": "vertex_resolution", "directory": str(directory), "host": "here"}
        self.directory, self.address = directory, address
        self.facts = StudyFacts(directory, BEGUN, parameters, tags, [directory / "study.json"])
        self.tracker = MlflowTracker(address)

    def start(self) -> Told:
        self.tracker.start(self.facts)
        return self

    def record(self, *lines: dict) -> Told:
        self.tracker.record(lines, [BEGUN + line["step"] for line in lines])
        return self

    def finish(self, result: dict | None = None) -> list[str]:
        files = sorted(path for path in self.directory.rglob("*") if path.is_file())
        self.tracker.finish(result or RESULT, [file for file in files if file.name != "tracking.jsonl"])
        return self.tracker.notes()


def test_all_of_a_study_is_there(store, tmp_path):
    notes = Told(tmp_path / "first", store).start().record(line(0), line(1)).record(line(2)).finish()
    (run,) = runs(store, "")
    assert notes == [f"recorded as run {run.info.run_id} at {store}"]
    assert run.info.run_name == "first"
    assert run.info.start_time == 1000 * BEGUN
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "optimiser.steps": "2", "optimiser.starts": "1", "free.sensors.uv": "{}", "seed": "3"
    }  # fmt: skip
    assert run.data.tags["geometry"] == "tank"
    assert run.data.tags["status"] == "steps_completed"
    assert "| vertex | +20.0 % | +10.0 % to +30.0 % | measured |" in run.data.tags["mlflow.note.content"]
    history = MlflowClient(store).get_metric_history(run.info.run_id, "objective")
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (step, 2.0 - step / 10, 1000 * (BEGUN + step)) for step in range(3)
    ]
    assert run.data.metrics["objective.optimum.value"] == 1.25
    assert run.data.metrics["validation.measured_gain.optimum.vertex.low"] == 0.1
    assert run.data.metrics["feasible"] == 1.0
    assert artifacts_of(store, run) == {"study.json", "result.json", "figures/layout.png"}


def test_several_starts_are_nested_runs(store, tmp_path):
    """The study's run shows the best of all so far and which start was at work; each start has its own numbers."""
    told = Told(tmp_path / "many", store, starts=2).start()
    told.record(line(0), line(1), line(2, start=1), line(3, start=1)).finish()
    (study,) = runs(store)
    assert steps_of(store, study, "best") == steps_of(store, study, "start") == [0, 1, 2, 3]
    assert "objective" not in study.data.metrics
    children = sorted(runs(store, "tags.kind = 'start'"), key=lambda run: run.data.tags["start"])
    assert [child.data.tags["mlflow.parentRunId"] for child in children] == 2 * [study.info.run_id]
    assert [child.info.run_name for child in children] == ["many start 0", "many start 1"]
    assert [steps_of(store, child, "objective") for child in children] == [[0, 1], [2, 3]]
    assert {child.info.status for child in children} == {"FINISHED"}
    # A start is asked for, its study is found.
    assert tracked_study(children[1].info.run_id, store).directory == tmp_path / "many"


@pytest.mark.parametrize("starts", [1, 2])
def test_told_again_nothing_is_recorded_twice(store, tmp_path, starts):
    """As after a crash: a part is told, then all of it by another tracker, then all of it again; with another clock even."""
    lines = [line(0), line(1), line(2, start=starts - 1)]
    first = Told(tmp_path / "again", store, starts).start().record(*lines[:2])
    first.tracker.stop("interrupted")
    (run,) = runs(store)
    assert run.info.status == "FAILED"
    assert run.data.tags["status"] == "interrupted"
    for _ in range(2):
        told = Told(tmp_path / "again", store, starts).start()
        told.tracker.record(lines, [BEGUN + 1000] * 3)
        told.finish()
    (run,) = runs(store)
    assert run.info.status == "FINISHED"
    assert steps_of(store, run, "best") == [0, 1, 2]
    assert steps_of(store, run, "feasible") == [2]
    assert len(runs(store, "tags.kind = 'start'")) == (0 if starts == 1 else 2)


def test_a_run_that_was_made_but_not_noted_is_found_again(store, tmp_path):
    """The process died between the store's answer and the line in the register."""
    Told(tmp_path / "orphan", store).start().record(line(0)).tracker.stop("interrupted")
    register = tmp_path / "orphan" / "tracking.jsonl"
    lines = register.read_text().splitlines()
    assert '"run": "' in lines[-1]
    register.write_text("\n".join(lines[:-1]) + '\n{"address": "sqli')  # and half of a line was written
    Told(tmp_path / "orphan", store).start().record(line(0), line(1)).finish()
    (run,) = runs(store)
    assert steps_of(store, run, "objective") == [0, 1]
    assert Register(tmp_path / "orphan").run(store) == run.info.run_id


def test_a_run_that_was_deleted_is_recorded_anew(store, tmp_path):
    Told(tmp_path / "deleted", store).start().record(line(0)).tracker.stop("interrupted")
    (before,) = runs(store)
    MlflowClient(store).delete_run(before.info.run_id)
    Told(tmp_path / "deleted", store).start().record(line(0), line(1)).finish()
    (after,) = runs(store)
    assert after.info.run_id != before.info.run_id
    assert steps_of(store, after, "objective") == [0, 1]


def test_more_metrics_than_a_batch_holds(store, tmp_path):
    """300 steps of 5 metrics told at once: MLflow takes 1,000 a call."""
    Told(tmp_path / "long", store).start().record(*(line(step) for step in range(300))).finish()
    (run,) = runs(store)
    for key in ("objective", "best", "terms.vertex_resolution"):
        assert steps_of(store, run, key) == list(range(300))


def test_numbers_that_are_not_finite_and_designs_that_are_not_feasible(store, tmp_path):
    told = Told(tmp_path / "nan", store).start().record({**line(0), "objective": "nan", "gradient_norm": "inf"})
    told.finish({**RESULT, "feasible": False, "status": "infeasible", "reason": "no room"})
    (run,) = runs(store)
    assert math.isnan(run.data.metrics["objective"])
    assert run.data.metrics["gradient_norm"] > 1e308
    assert run.data.metrics["feasible"] == 0.0
    assert run.info.status == "FAILED"
    assert run.data.tags["reason"] == "no room"


def test_a_store_that_never_answers_is_said_and_waited_for_no_longer_than_promised(tmp_path):
    told = Told(tmp_path / "lost", "http://127.0.0.1:9")  # the discard port: nobody listens
    told.tracker.patience = 0.5
    told.start().record(line(0))
    away, rest = told.finish()
    assert "http://127.0.0.1:9 does not answer" in away
    assert "the study goes on" in away
    assert "'studio resume" in rest
    assert Register(tmp_path / "lost").addresses == ["http://127.0.0.1:9"]  # where resuming it records it
