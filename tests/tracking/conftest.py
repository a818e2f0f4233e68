"""A small experiment, programs compiled once for all processes, and an SQLite store that need not be made anew each time."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from studio.tracking.mlflow_store import Store, configure
from tests.stand_in import TANK
from tests.study.studies import programs_kept_in

ROOT = Path(__file__).parents[2]

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 6}
free: {sensors.uv: {}}
objective: [{kind: vertex_resolution}, {kind: energy_resolution, weight: 0.5}]
constraints: [{kind: minimum_spacing, at_least: 0.6 m}]
optimiser: {kind: adam, learning_rate: 0.03, steps: 8, batch: 3, shard: 3}
validation: {events: 20, shard: 10}
seed: 5
"""


@pytest.fixture(scope="session", autouse=True)
def compilation_cache():
    """Every study runs the same programs: they are compiled once and read back, here and in processes."""
    with tempfile.TemporaryDirectory() as folder, programs_kept_in(Path(folder)):
        yield Path(folder)


@pytest.fixture
def experiment(tmp_path) -> Path:
    (tmp_path / "tank.yaml").write_text(TANK)
    (tmp_path / "tank_study.yaml").write_text(EXPERIMENT)
    return tmp_path / "tank_study.yaml"


@pytest.fixture(scope="session")
def empty_store():
    """An SQLite store with its tables and nothing in them: making one takes seconds."""
    configure()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mlflow.db"
        Store(f"sqlite:///{file}").client()
        yield file


@pytest.fixture
def store(empty_store, tmp_path) -> str:
    """The address of a fresh SQLite store in the test's own directory."""
    file = tmp_path / "runs" / "mlflow.db"
    file.parent.mkdir()
    shutil.copy(empty_store, file)
    with sqlite3.connect(file) as connection:
        place = (file.parent / "mlartifacts").as_uri()
        connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = 'detector-studio'", (place,))
    return f"sqlite:///{file}"


@pytest.fixture
def drive(compilation_cache):
    """Starts a study with the stand-in physics in a process of its own."""
    started: list[subprocess.Popen] = []

    def start(experiment: Path, directory: Path, what: str, *address: str) -> subprocess.Popen:
        program = str(ROOT / "tests" / "drive_study.py")
        command = [sys.executable, program, str(experiment), str(directory), what, "1", *address]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(compilation_cache)}
        environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "STUDIO_TEST_DEVICES": "1"}
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()
