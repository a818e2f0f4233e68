"""The designs a study went through, as lines of its ledger: the free leaves after every step.

A line holds the step's number and, by path, a leaf's shape and its numbers: single precision, little-endian, base64. That is
enough for pictures; results come from the checkpoint and `design.yaml`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import paths
from ..detector import Detector


def trajectory_line(step: int, leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The line of one step: `leaves` are the free leaves by path."""
    return {"step": step, "leaves": {path: _written(np.asarray(leaf)) for path, leaf in leaves.items()}}


def designs(baseline: Detector, lines: Iterable[Mapping[str, Any]]) -> list[tuple[int, Detector]]:
    """Step and design of every line, in order: `baseline` with the leaves of the line."""
    found = []
    for line in lines:
        leaves = {path: _read(leaf, paths.get(baseline, path)) for path, leaf in line["leaves"].items()}
        found.append((int(line["step"]), paths.replace(baseline, leaves)))
    return found


def _written(leaf: np.ndarray) -> dict[str, Any]:
    return {"shape": list(leaf.shape), "float32": base64.b64encode(leaf.astype("<f4").tobytes()).decode()}


def _read(leaf: Mapping[str, Any], like: Any) -> np.ndarray:
    numbers = np.frombuffer(base64.b64decode(leaf["float32"]), "<f4").reshape(leaf["shape"])
    return numbers.astype(np.asarray(like).dtype)
