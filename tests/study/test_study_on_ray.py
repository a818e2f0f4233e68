"""A study on Ray comes out as on this process's own runner, bit by bit, whatever dies meanwhile."""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from studio import RayRunner, Study
from tests.stand_in import StandIn
from tests.study.studies import ROOT, content, drive, lines

pytestmark = pytest.mark.usefixtures("compilation_cache")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One local cluster for all runners of this file."""
    with RayRunner(4) as first:
        yield first


def run(experiment: Path, directory: Path, runner: Any) -> dict[str, bytes]:
    Study.from_file(experiment, physics=StandIn()).run(directory, runner=runner)
    return content(directory)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_gives_the_same_bits(reference, experiment, tmp_path, workers):
    with RayRunner(workers) as runner:
        assert run(experiment, tmp_path / "run", runner) == content(reference.directory)


class _Counting(RayRunner):
    """A runner that notes how many items each stream of work had."""

    def stream(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        pieces = list(items)
        self.counts.append(len(pieces))
        return super().stream(function, pieces)


def test_independent_starts_are_worked_on_at_once(several, tmp_path):
    """A step of one start is a single piece of work; those of three starts go to the workers together."""
    experiment, reference = several
    with _Counting(2) as runner:
        runner.counts = []
        assert run(experiment, tmp_path / "run", runner) == content(reference.directory)
    assert runner.counts.count(3) >= 7  # eight steps, of which one may be judged on all events


class _Watched:
    """Does something once, in a thread, when the ledger of a study has grown to so many lines."""

    def __init__(self, directory: Path, goal: int, action: Callable[[], None]):
        self.directory, self.goal, self.action, self.done = directory, goal, action, False
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while lines(self.directory) < self.goal:
            time.sleep(0.002)
        self.action()
        self.done = True

    def __enter__(self) -> _Watched:
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.thread.join(5)
        assert self.done, "the study ended before the fault"


@pytest.mark.parametrize("goal", [4, 15])  # among the steps, and among the pieces of validation
@pytest.mark.parametrize("victims", ["one", "all"])
def test_killed_workers_change_nothing(reference, experiment, tmp_path, victims, goal):
    with RayRunner(2) as runner:

        def kill() -> None:
            for facts in runner.workers[: 1 if victims == "one" else None]:
                os.kill(facts.pid, signal.SIGKILL)

        with _Watched(tmp_path / "run", goal, kill):
            assert run(experiment, tmp_path / "run", runner) == content(reference.directory)


@dataclasses.dataclass
class _Faulty:
    """A shard's function that goes wrong once, at the n-th item or just after that any worker takes."""

    function: Callable[[Any], Any]
    folder: Path
    fault: str
    at: int

    def __call__(self, item: Any) -> Any:
        result = self.function(item)
        (self.folder / f"{time.time_ns()}-{os.getpid()}").touch()
        if sum(1 for _ in self.folder.iterdir()) < self.at or not self._first():
            return result
        if self.fault == "hang":
            time.sleep(3600)
        return jax.tree.map(lambda array: np.full_like(array, np.nan), result)

    def _first(self) -> bool:
        """Whether nobody has come here before: a folder is made once."""
        try:
            (self.folder / "fault").mkdir()
        except FileExistsError:
            return False
        return True


class _FaultyRunner(RayRunner):
    """A runner with a fault in what its workers do."""

    def sabotage(self, folder: Path, fault: str, at: int) -> None:
        self.plan, self.wrapped = (folder, fault, at), {}

    def stream(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        wrapped = self.wrapped.setdefault(id(function), _Faulty(function, *self.plan))
        return super().stream(wrapped, items)


@pytest.mark.parametrize("fault", ["hang", "nan"])
def test_a_shard_that_hangs_or_returns_no_number_once_changes_nothing(reference, experiment, tmp_path, fault):
    notes = []
    # Long enough for a worker to start and compile beside other tests: 20 s were not, on two cores that three processes shared.
    with _FaultyRunner(2, time_out=40.0 if fault == "hang" else None, note=notes.append) as runner:
        runner.sabotage(tmp_path / "calls", fault, at=7)
        (tmp_path / "calls").mkdir()
        assert run(experiment, tmp_path / "run", runner) == content(reference.directory)
    assert (tmp_path / "calls" / "fault").is_dir()
    assert any("did not answer" in note for note in notes) == (fault == "hang")


def test_a_killed_driver_leaves_no_worker_and_the_study_resumes(reference, experiment, tmp_path, compilation_cache):
    process = drive(experiment, tmp_path / "run", "run", compilation_cache, runner="ray")
    while process.poll() is None and lines(tmp_path / "run") < 5:
        time.sleep(0.01)
    # Ray's two small agents end by themselves a minute later.
    family = [pid for pid in _family(process.pid) if b"Agent" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
    process.kill()
    process.communicate()
    assert len(family) > 3  # raylet, store and workers at least
    deadline = time.monotonic() + 30
    while _alive(family) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not _alive(family)
    process = drive(experiment, tmp_path / "run", "resume", compilation_cache, runner="ray")
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    assert content(tmp_path / "run") == content(reference.directory)


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]


def _family(root: int) -> list[int]:
    """Processes below one, without it."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(status.parent.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


FULL = """
import sys
from tests.stand_in import StandIn
from studio import RayRunner, Study, StudioError
with RayRunner(1) as runner:
    try:
        Study.from_file(sys.argv[1], physics=StandIn()).run(sys.argv[2], runner=runner)
    except StudioError as error:
        sys.exit(f"studio: error: {error}")
"""


def test_a_full_folder_stops_with_a_clear_message_and_the_study_resumes(
    reference, experiment, tmp_path, compilation_cache, cluster
):
    """From the fifth line on no file may grow: what a full disk says, for one process alone."""
    directory = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_ENABLE_X64": "1"}
    environment |= {"JAX_COMPILATION_CACHE_DIR": str(compilation_cache)}
    command = [sys.executable, "-c", FULL, str(experiment), str(directory)]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and lines(directory) < 5:
        time.sleep(0.002)
    size = (directory / "history.jsonl").stat().st_size
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
    _, errors = process.communicate()
    assert process.returncode == 1, errors
    assert "cannot be written" in errors
    assert "studio resume" in errors
    assert "Traceback" not in errors
    assert not (directory / "result.json").exists()
    Study.in_directory(directory, physics=StandIn()).resume(directory, runner=cluster)
    assert content(directory) == content(reference.directory)
