"""Stores that go away and processes that die while a study runs: same numbers, one clear note, nothing lost or twice."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from studio import MlflowTracker, Study
from studio.study.observer import AbstractObserver
from tests.stand_in import StandIn
from tests.tracking.stores import Locked, Server, assert_complete, runs, wait

SAME = ("history.jsonl", "validation.jsonl", "design.yaml", "result.json")
STEPS = 120


class Disturbing(AbstractObserver):
    """Takes the store away at the third step, once it has the first ones, and gives it back once the study has said so."""

    def __init__(self, recorded, take_away, give_back):
        self.recorded, self.take_away, self.give_back = recorded, take_away, give_back
        self.notes: list[str] = []
        self.steps, self.away, self.back_at = 0, False, None

    def stage(self, name, total, done):
        pass

    def advance(self, details):
        if "objective" not in details:
            return
        self.steps += 1
        if self.steps == 3:
            wait(self.recorded, 60, "the first steps are recorded")
            self.take_away()
            self.away = True
        if self.away:
            time.sleep(0.2)  # the study goes on while the store is away: a step is not over in an instant
        if self.away and any("does not answer" in note for note in self.notes):
            self.give_back()
            self.away, self.back_at = False, self.steps

    def note(self, text):
        self.notes.append(text)


def study(experiment: Path) -> Study:
    return Study.from_file(experiment, physics=StandIn(), changes={"optimiser.steps": STEPS})


def assert_undisturbed(experiment: Path, directory: Path, observer: Disturbing) -> None:
    """The numbers of a study without a tracker; and the outage was long enough to mean something."""
    study(experiment).run(directory.parent / "reference", check_gradient=False)
    for name in SAME:
        assert (directory / name).read_bytes() == (directory.parent / "reference" / name).read_bytes(), name
    assert observer.back_at is not None
    assert 3 < observer.back_at < STEPS, "the study did not go on while the store was away"
    away, recorded = observer.notes
    assert "does not answer" in away
    assert "the study goes on" in away
    assert recorded.startswith("recorded as run")


def recorded(file: Path, key: str = "objective") -> int:
    """How many values of a metric an SQLite store has."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute("SELECT COUNT(*) FROM metrics WHERE key = ?", (key,)).fetchone()[0]


def wait_for_rows(process: subprocess.Popen, file: Path, key: str, count: int) -> None:
    wait(lambda: recorded(file, key) >= count or process.poll() is not None, 120, f"{count} of {key}")


def test_the_server_is_stopped_and_started_again(experiment, store, tmp_path, capsys):
    (tmp_path / "server").mkdir()
    file = Path(store.removeprefix("sqlite:///"))
    # The artifacts of this experiment go through the server.
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE experiments SET artifact_location = 'mlflow-artifacts:/1'")
    server = Server(store, tmp_path / "server")
    server.start()
    observer = Disturbing(lambda: recorded(file) > 0, server.stop, server.start)
    try:
        tracker = MlflowTracker(server.address, patience=30)
        study(experiment).run(tmp_path / "run", tracker=tracker, observer=observer, check_gradient=False)
        (run,) = runs(server.address)
        assert_complete(server.address, run, STEPS)
    finally:
        server.stop()
    assert_undisturbed(experiment, tmp_path / "run", observer)
    assert capsys.readouterr().out == ""  # MLflow likes to print the address of the run


def test_the_store_is_locked_by_another_process(experiment, store, tmp_path):
    file = Path(store.removeprefix("sqlite:///"))
    lock = Locked(file)
    observer = Disturbing(lambda: recorded(file) > 0, lock.begin, lock.end)
    tracker = MlflowTracker(store, patience=30)
    study(experiment).run(tmp_path / "run", tracker=tracker, observer=observer, check_gradient=False)
    (run,) = runs(store)
    assert_complete(store, run, STEPS)
    assert_undisturbed(experiment, tmp_path / "run", observer)
    assert "locked" in observer.notes[0]


def test_a_study_that_ended_without_its_store_is_recorded_when_it_is_resumed(experiment, store, tmp_path):
    """The store was locked all the time; `resume` of the finished study records it, and once more changes nothing."""
    lock = Locked(Path(store.removeprefix("sqlite:///")))
    lock.begin()
    small = Study.from_file(experiment, physics=StandIn(), changes={"optimiser.steps": 3, "validation.events": 0})
    small.run(tmp_path / "run", tracker=MlflowTracker(store, patience=0.1), check_gradient=False)
    lock.end()
    assert runs(store) == []
    for _ in range(2):
        finished = Study.in_directory(tmp_path / "run", physics=StandIn())
        finished.resume(tmp_path / "run", tracker=MlflowTracker(store))
        (run,) = runs(store)
        assert_complete(store, run, 3)


def test_killed_while_it_is_recorded_and_resumed(experiment, store, drive, tmp_path):
    """SIGKILL at moments chosen by what the store has by then: some steps, more steps, the final numbers while files are on
    their way (a quick store may have these, too, before the signal comes)."""
    file = Path(store.removeprefix("sqlite:///"))
    text = experiment.read_text().replace("steps: 8", f"steps: {STEPS}")
    experiment.write_text(text)
    for number, (key, count) in enumerate((("objective", 5), ("objective", 60), ("feasible", 1))):
        process = drive(experiment, tmp_path / "run", "resume" if number else "run", store)
        wait_for_rows(process, file, key, count)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert len(runs(store)) == 1
    process = drive(experiment, tmp_path / "run", "resume", store)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    (run,) = runs(store)
    assert_complete(store, run, STEPS)
    assert pytest.approx(run.data.metrics["counts.steps"]) == STEPS
