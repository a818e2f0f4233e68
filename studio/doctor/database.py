"""The store that studies are tracked in: SQLite of this Python, or what MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from .finding import Finding

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_CONSEQUENCE = "studies run and keep their own ledger; tracking catches up once the store answers"


def sqlite() -> Finding:
    """SQLite, which holds what is tracked unless a server is named."""
    try:
        import sqlite3
    except ImportError as error:
        return Finding(
            name="sqlite",
            state="missing",
            detail=str(error),
            consequence="studies can only be tracked by a server",
            remedy="use a Python that was built with SQLite, or set MLFLOW_TRACKING_URI to a server",
        )
    version = sqlite3.sqlite_version
    return Finding(name="sqlite", state="ok", detail=version, values={"version": version})


def store(timeout: float) -> list[Finding]:
    """Whether the store of MLFLOW_TRACKING_URI answers; nothing to say where none is named."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        return []
    shown, problem = _without_password(uri), _problem(uri, timeout)
    if not problem:
        return [Finding(name="tracking store", state="ok", detail=f"{shown} answers", values={"uri": shown})]
    remedy = "start it, or correct MLFLOW_TRACKING_URI"
    return [
        Finding(
            name="tracking store",
            state="warning",
            detail=f"{shown}: {problem}",
            consequence=_CONSEQUENCE,
            remedy=remedy,
            values={"uri": shown},
        )
    ]


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@", 1)).geturl()


def _problem(uri: str, timeout: float) -> str:
    """What keeps a store from being reached, in a line; empty where nothing does."""
    parts = urlsplit(uri)
    kind = parts.scheme.partition("+")[0]
    try:
        if kind in ("http", "https"):
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=timeout):
                return ""
        if kind in _PORTS:
            with socket.create_connection((parts.hostname or "localhost", parts.port or _PORTS[kind]), timeout):
                return ""
    except (OSError, ValueError) as error:
        return str(error.reason if type(error) is urllib.error.URLError else error)  # not of its kind HTTPError
    if kind not in ("sqlite", "file", ""):
        return "a kind of store that is not known here"
    # sqlite:///relative.db and sqlite:////absolute.db; file:///folder and plain paths.
    path = Path(parts.path[1:] if kind == "sqlite" else parts.path)
    there = path if path.exists() else path.absolute().parent
    if not there.exists():
        return f"no such folder: {there}"
    return "" if os.access(there, os.W_OK) else f"{there} cannot be written to"
