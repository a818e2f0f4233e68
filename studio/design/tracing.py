"""Counts of compilations: a value that changes must never cost another one."""

from __future__ import annotations

from collections import Counter

_TRACES: Counter[str] = Counter()


def traced(name: str) -> None:
    """Count one trace of the function `name`; call it inside the traced function, where it runs once per compilation."""
    _TRACES[name] += 1


def trace_counts() -> dict[str, int]:
    """How often each of the design layer's compiled functions was traced in this process."""
    return dict(_TRACES)
