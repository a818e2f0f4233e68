"""The designs a study went through, as lines of its ledger: the free leaves after every step.

A line holds the step's number, its start's and, by path, a leaf's shape and its numbers: single precision, little-endian, base64. That is
enough for pictures; results come from the checkpoint and `design.yaml`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import paths


def trajectory_line(step: int, start: int, leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The line of one step of a start: `leaves` are the free leaves by path."""
    return {"step": step, "start": start, "leaves": {path: _written(np.asarray(leaf)) for path, leaf in leaves.items()}}


def designs(baseline: Any, lines: Sequence[Mapping[str, Any]], best_step: int) -> list[tuple[int, Any]]:
    """Step and design of every line of the start that made the step `best_step`, in order: `baseline` with the leaves of
    the line."""
    starts = {line["step"]: line["start"] for line in lines}
    found = []
    for line in lines:
        if line["start"] != starts.get(best_step, 0):
            continue
        leaves = {path: _read(leaf, paths.get(baseline, path)) for path, leaf in line["leaves"].items()}
        found.append((int(line["step"]), paths.replace(baseline, leaves)))
    return found


def _written(leaf: np.ndarray) -> dict[str, Any]:
    return {"shape": list(leaf.shape), "float32": base64.b64encode(leaf.astype("<f4").tobytes()).decode()}


def _read(leaf: Mapping[str, Any], like: Any) -> np.ndarray:
    numbers = np.frombuffer(base64.b64decode(leaf["float32"]), "<f4").reshape(leaf["shape"])
    return numbers.astype(np.asarray(like).dtype)
