"""The address of an MLflow store: as it is given, as it is kept, and as it is shown."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

from .._checks import InputError

OFF = "none"
DEFAULT = "sqlite:///runs/mlflow.db"

_SQLITE = "sqlite:///"
_HIDDEN = "***"


def tracking_address(given: str | None) -> str | None:
    """Where to record, as a user says: relative paths made absolute; without a word `DEFAULT`; None for `none`, no tracking.

    **Raises** `InputError` for what is no address.
    """
    if given == OFF:
        return None
    given = given or DEFAULT
    if "://" not in given and not re.match(r"(file|databricks):?", given):
        remedy = f"write for example {DEFAULT}, http://server:5000, or '{OFF}' for no tracking"
        raise InputError("not the address of an MLflow store", key="tracking-uri", value=given, remedy=remedy)
    path = sqlite_file(given)
    return given if path is None else f"{_SQLITE}{path.absolute()}"


def lookup_address(given: str | None) -> str:
    """Where to look runs up, as a user says; where that is nowhere, at `DEFAULT`. **Raises** as `tracking_address`."""
    return tracking_address(given) or f"{_SQLITE}{Path(DEFAULT.removeprefix(_SQLITE)).absolute()}"


def sqlite_file(address: str) -> Path | None:
    """The file of an SQLite store, None for any other."""
    return Path(address.removeprefix(_SQLITE)) if address.startswith(_SQLITE) else None


def server_place(address: str) -> tuple[str, int] | None:
    """Host and port of a database server, None for files, sockets and MLflow servers."""
    ports = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
    parts = urllib.parse.urlsplit(address)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in ports or not parts.hostname:
        return None
    return parts.hostname, parts.port or ports[scheme]


def shown(address: str) -> str:
    """The address without its password, for messages and files."""
    parts = urllib.parse.urlsplit(address)
    if parts.password is None:
        return address
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:{_HIDDEN}@{host}").geturl()


def usable(address: str) -> bool:
    """Whether an address that was kept can be used as it stands: its password was not hidden."""
    return f":{_HIDDEN}@" not in address
