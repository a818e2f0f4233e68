"""An MLflow store made ready: the client, its patience, and the one experiment that all studies stand in."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .address import server_place, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "detector-studio"
THREAD = "studio-tracking"

# MLflow reads these whenever it asks a server; what the user has set stays. Its own patience is minutes a call, which is
# for programs that cannot go on without the server.
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_BUSY = 5.0  # seconds to wait for other writers of an SQLite file
_CONNECT = 5.0  # seconds to wait for a database server


def configure() -> None:
    """Sets what MLflow reads from the environment. Called from the main thread, before MLflow is imported."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


class Store:
    """The MLflow store at `address`; every method raises where it cannot be reached."""

    def __init__(self, address: str):
        self.address = address
        self.experiment_name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        self._client: MlflowClient | None = None

    def check(self) -> None:
        """Raises at once where the store is away or locked: MLflow itself would wait for long, without a word."""
        path, place = sqlite_file(self.address), server_place(self.address)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(path, timeout=_BUSY)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
        elif place is not None:
            socket.create_connection(place, timeout=_CONNECT).close()

    def client(self) -> MlflowClient:
        """A client of the store, whose tables exist."""
        if self._client is None:
            self._client = self._opened()
        return self._client

    def experiment(self) -> str:
        """The identity of the experiment that studies stand in, made where it is missing."""
        from mlflow.exceptions import MlflowException

        client = self.client()
        found = client.get_experiment_by_name(self.experiment_name)
        if found is not None:
            return found.experiment_id
        path = sqlite_file(self.address)
        location = None if path is None else (path.parent / "mlartifacts").absolute().as_uri()
        try:
            return client.create_experiment(self.experiment_name, artifact_location=location)
        except MlflowException:  # another study was faster
            found = client.get_experiment_by_name(self.experiment_name)
            if found is None:
                raise
            return found.experiment_id

    def _opened(self) -> MlflowClient:
        from mlflow import MlflowClient

        _quiet_in_background()
        path = sqlite_file(self.address)
        if path is None or self._prepared(path):
            self.check()
            return MlflowClient(self.address)
        with _alone(path):
            self.check()
            self._client = MlflowClient(self.address)
            self.experiment()
        return self._client

    def _prepared(self, path: Path) -> bool:
        """Whether an earlier study completed the tables: its experiment is the last that is written."""
        if not path.is_file():
            return False
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY)) as connection:
            try:
                rows = connection.execute("SELECT 1 FROM experiments WHERE name = ?", (self.experiment_name,))
                return rows.fetchone() is not None
            except sqlite3.OperationalError:  # no such table yet, or somebody is writing it
                return False


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time sets up an SQLite store: several at once break it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _quiet_in_background() -> None:
    """Tracebacks of attempts that are repeated anyway are not for the user's terminal."""
    for handler in logging.getLogger("mlflow").handlers:
        if _in_foreground not in handler.filters:
            handler.addFilter(_in_foreground)


def _in_foreground(record: logging.LogRecord) -> bool:
    return record.threadName != THREAD
