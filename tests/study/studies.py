"""What tests of studies share: experiments, their objective without a runner, the files that must come out the same, and a study
in a process of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from studio import LocalRunner, Study
from studio.study import StudySolution
from studio.study.ledger import Ledger
from tests.stand_in import TANK, StandIn

ROOT = Path(__file__).parents[2]
SAME = (
    "history.jsonl", "trajectory.jsonl", "validation.jsonl", "gradient_check.json", "design.yaml", "result.json",
    "history.parquet", "sensor_information.npz",
)  # fmt: skip

#: A study of positions within a budget, with batches.
BATCHED = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 12}
free: {sensors.uv: {}}
objective: [{kind: vertex_resolution}, {kind: energy_resolution, weight: 0.5}]
constraints: [{kind: budget, at_most: baseline}, {kind: minimum_spacing, at_least: 0.6 m}]
optimiser: {kind: adam, learning_rate: 0.03, steps: 8, batch: 6, shard: 3}
validation: {events: 60, shard: 10}
seed: 5
"""

#: A study of positions that ends in seconds, for what is asked of its design afterwards.
SHORT = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 6}
free: {sensors.uv: {}}
objective: [{kind: vertex_resolution}, {kind: energy_resolution, weight: 0.5}]
constraints: [{kind: minimum_spacing, at_least: 0.9 m}]
optimiser: {kind: adam, learning_rate: 0.03, steps: 3, shard: 3}
validation: {events: 0}
seed: 5
"""


def written(folder: Path, text: str, name: str = "study.yaml") -> Path:
    """An experiment as a file beside the geometry that all of these name."""
    (folder / "tank.yaml").write_text(TANK)
    (folder / name).write_text(text)
    return folder / name


def ran(file: Path, directory: Path, lanes: int = 1) -> StudySolution:
    """The study of a file with the stand-in, run in a directory."""
    with LocalRunner(lanes) as runner:
        return Study.from_file(file, physics=StandIn()).run(directory, runner=runner)


def objective_at(assembly, design):
    """The objective of a design over the events of an experiment of one particle: no shards, no runner, differentiable."""
    (events,) = assembly.groups
    return assembly.objective.combine(jax.vmap(lambda event: assembly.objective.summarise(design, event))(events))


def content(directory: Path) -> dict[str, bytes]:
    """The files of a study whose bytes are decided by its experiment alone."""
    return {name: (directory / name).read_bytes() for name in SAME}


@contextlib.contextmanager
def programs_kept_in(folder: Path) -> Iterator[None]:
    """JAX keeps every program that it compiles in a folder meanwhile, and reads it back from there."""
    settings = {"jax_compilation_cache_dir": str(folder), "jax_persistent_cache_min_compile_time_secs": 0.0}
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def drive(
    experiment: Path, directory: Path, what: str, cache: Path, devices: int = 1, runner: str = "local"
) -> subprocess.Popen:
    """`tests/drive_study.py` with two lanes on a runner; `devices`: how many CPU devices JAX shows."""
    script = str(ROOT / "tests" / "drive_study.py")
    command = [sys.executable, script, str(experiment), str(directory), what, "2", "none", runner]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(cache)}
    environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "STUDIO_TEST_DEVICES": str(devices)}
    return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE)


def lines(directory: Path) -> int:
    """Number of complete lines in the ledger."""
    files = [directory / name for name in ("history.jsonl", "validation.jsonl")]
    return sum(file.read_bytes().count(b"\n") for file in files if file.exists())


class Interrupted(BaseException):
    """Stands for a crash at one place in the code."""


def interrupt_and_resume(experiment: Path, directory: Path, monkeypatch, method: str, call: int) -> None:
    """The study of a file, stopped right after the n-th call of a ledger method, then resumed to its end."""
    calls, original = itertools.count(1), getattr(Ledger, method)

    def stops(self, *arguments):
        result = original(self, *arguments)
        if next(calls) == call:
            raise Interrupted
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, method, stops)
        with pytest.raises(Interrupted):
            Study.from_file(experiment, physics=StandIn()).run(directory)
    assert not (directory / "result.json").exists()
    Study.in_directory(directory, physics=StandIn()).resume(directory)
