"""Stores that tests record in: SQLite files, MLflow servers, PostgreSQL; and what stands in them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

ROOT = Path(__file__).parents[2]


def runs(address: str, query: str = "tags.kind = 'study'") -> list[Run]:
    """All runs that a search finds in the experiment of the studio."""
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("detector-studio")
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id], query, max_results=1000))


def steps_of(address: str, run: Run, key: str) -> list[int]:
    """The steps for which a metric was recorded, in order; a step that was recorded twice stands there twice."""
    return sorted(metric.step for metric in MlflowClient(address).get_metric_history(run.info.run_id, key))


def assert_complete(address: str, run: Run, steps: int) -> None:
    """Every metric of every step stands there once, the end is recorded once, and the run says so."""
    numbers = MlflowClient(address)
    for key in run.data.metrics:
        found = [metric.step for metric in numbers.get_metric_history(run.info.run_id, key)]
        assert max(Counter(found).values()) == 1, f"{key}: recorded twice"
        if key in ("objective", "gradient_norm", "violation", "terms.vertex_resolution", "evaluations"):
            assert sorted(found) == list(range(steps + 1)), key
        elif key.startswith(("objective.", "validation.", "counts.", "feasible")):
            assert len(found) == 1, key
    assert {"objective", "gradient_norm", "feasible", "objective.optimum.value"} <= set(run.data.metrics)
    assert run.data.tags["complete"] == "yes"
    assert run.info.status == "FINISHED"


def artifacts_of(address: str, run: Run, folder: str | None = None) -> set[str]:
    """The paths of all files of a run."""
    found: set[str] = set()
    for file in MlflowClient(address).list_artifacts(run.info.run_id, folder):
        found |= artifacts_of(address, run, file.path) if file.is_dir else {file.path}
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(reached, seconds: float, what: str) -> None:
    """Until `reached()`; fails after so many seconds."""
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.05)


class Server:
    """An MLflow server that can be stopped and started again at the same address."""

    def __init__(self, backend: str, folder: Path):
        self.backend, self.folder, self.port = backend, folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.backend]
        command += ["--artifacts-destination", str(self.folder / "artifacts"), "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        # Without the workers for jobs that MLflow would start as well, it is up in half the time.
        settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        environment = {**os.environ, **settings}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        wait(self.answers, 90, f"MLflow server (see {self.folder / 'server.log'})")

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        try:
            return urllib.request.urlopen(f"{self.address}/health", timeout=5).status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Stops the server with all its workers."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 15)
            self.process.wait(30)
            self.process = None


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of its own; gives the address of its database. Skips where it is not installed."""
    places = [Path(name).parent for name in [shutil.which("initdb") or ""] if name]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not any((place / "postgres").exists() for place in places):
        pytest.skip("PostgreSQL is not installed (Debian and Ubuntu: apt-get install postgresql)")
    programs = next(place for place in places if (place / "postgres").exists())
    pytest.importorskip("psycopg2", reason="MLflow's PostgreSQL driver is missing: pip install psycopg2-binary")
    # PostgreSQL refuses to run as root, and the test's own directory is closed to others.
    other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    folder, port = Path(tempfile.mkdtemp(prefix="studio-postgresql-")), free_port()
    data = folder / "data"
    if other:
        shutil.chown(folder, "nobody", "nogroup")

    def run(*command: str | Path) -> None:
        done = subprocess.run(
            [*other, *command], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        run(programs / "initdb", "-D", data, "-U", "studio", "--auth=trust", "--encoding=UTF8", "--no-sync")
        options = f"-p {port} -h 127.0.0.1 -k '{folder}' -F"
        run(programs / "pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start")
        try:
            yield f"postgresql+psycopg2://studio@127.0.0.1:{port}/postgres"
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


class Locked:
    """Another process holds an SQLite file for itself, from `begin` to `end`."""

    CODE = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None); "
        "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
    )

    def __init__(self, file: Path):
        self.file = file

    def begin(self) -> None:
        command = [sys.executable, "-c", self.CODE, str(self.file)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def end(self) -> None:
        self.process.communicate()
