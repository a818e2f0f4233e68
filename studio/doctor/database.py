"""The store that studies are tracked in: SQLite of this Python, or what the environment names."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from ..tracking.address import OFF, server_place, shown, sqlite_file
from .finding import Finding

_VARIABLES = ("STUDIO_TRACKING_URI", "MLFLOW_TRACKING_URI")  # the first one that is set counts
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
    """Whether the store that the environment names answers; nothing to say where it names none."""
    variable = next((name for name in _VARIABLES if os.environ.get(name)), None)
    uri = os.environ[variable] if variable else OFF
    if uri == OFF:
        return []
    address, problem = shown(uri), _problem(uri, timeout)
    if not problem:
        return [Finding(name="tracking store", state="ok", detail=f"{address} answers", values={"uri": address})]
    remedy = f"start it, or correct {variable}"
    return [
        Finding(
            name="tracking store",
            state="warning",
            detail=f"{address}: {problem}",
            consequence=_CONSEQUENCE,
            remedy=remedy,
            values={"uri": address},
        )
    ]


def _problem(uri: str, timeout: float) -> str:
    """What keeps a store from being reached, in a line; empty where nothing does."""
    kind, place = urlsplit(uri).scheme, server_place(uri)
    try:
        if kind in ("http", "https"):
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=timeout):
                return ""
        if place is not None:
            with socket.create_connection(place, timeout):
                return ""
    except (OSError, ValueError) as error:
        return str(error.reason if type(error) is urllib.error.URLError else error)  # not of its kind HTTPError
    if kind not in ("sqlite", "file", ""):
        return "a kind of store that is not known here"
    path = sqlite_file(uri) or Path(urlsplit(uri).path)
    there = path if path.exists() else path.absolute().parent
    if not there.exists():
        return f"no such folder: {there}"
    return "" if os.access(there, os.W_OK) else f"{there} cannot be written to"
