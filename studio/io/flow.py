"""Pieces of YAML that are written on one line."""

from __future__ import annotations

from .._checks import InputError


def flow(entries: dict[str, str]) -> str:
    """A mapping `{key: value, ...}` of texts that are YAML already."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"


def quoted(text: str) -> str:
    """Any text as a YAML text."""
    return "'" + text.replace("'", "''") + "'"


def cannot(key: str, value: object, remedy: str) -> InputError:
    """The error for a detector that no file can describe."""
    return InputError("a geometry file cannot describe this", key=key, value=value, remedy=remedy)
