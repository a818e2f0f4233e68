"""What of a study becomes parameters, metrics and tags, within the limits that MLflow sets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

KEY_LENGTH, PARAMETER_LENGTH, TAG_LENGTH = 250, 6000, 8000  # characters, as MLflow's servers check them
PARAMETERS_A_BATCH, METRICS_A_BATCH = 100, 1000

_NOT_FINITE = ("nan", "inf", "-inf")  # how the ledger writes numbers that JSON does not have
_RECORDED = (
    "feasible",
    "best_step",
    "objective",
    "validation",
    "counts",
)  # sections of result.json that become metrics


def parameters_of(experiment: Mapping[str, Any]) -> dict[str, str]:
    """The experiment as parameters by path, such as `optimiser.steps` and `free.sensors.uv`."""
    texts = {path: value if isinstance(value, str) else json.dumps(value) for path, value in flat(experiment).items()}
    return {valid_key(path): shortened(text, PARAMETER_LENGTH) for path, text in texts.items()}


def tags_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags within MLflow's limits."""
    return {valid_key(key): shortened(text, TAG_LENGTH) for key, text in tags.items()}


def step_metrics(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a history line by path, such as `objective` and `terms.vertex_resolution`."""
    return _numbers({key: value for key, value in line.items() if key not in ("step", "start")})


def result_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of result.json by their path in it, such as `objective.optimum.value`."""
    return _numbers({key: result[key] for key in _RECORDED if key in result})


def summary(result: Mapping[str, Any]) -> str:
    """The result in a few lines of Markdown, shown by MLflow on the page of the run."""
    lines = [f"**{'Feasible' if result['feasible'] else 'Not feasible'}**: {result['reason']}", ""]
    gains = {
        "measured": result["validation"].get("measured_gain", {}).get("optimum", {}),
        "by the information": result["validation"].get("predicted_gain", {}).get("optimum", {}),
    }
    rows = [(name, kind, gain) for kind, by_name in gains.items() for name, gain in by_name.items()]
    if rows:
        lines += ["| resolution | gain | 95 % interval | |", "|---|---|---|---|"]
    for name, kind, gain in rows:
        value, low, high = (f"{100 * gain[key]:+.1f} %" for key in ("value", "low", "high"))
        lines.append(f"| {name} | {value} | {low} to {high} | {kind} |")
    return "\n".join(lines)


def flat(node: Mapping[str, Any] | Sequence[Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings and lists as one mapping from dotted paths to values; what is empty stays as it is."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node)
    found: dict[str, Any] = {}
    for key, value in items:
        path = f"{prefix}.{key}" if prefix else str(key)
        found |= flat(value, path) if isinstance(value, Mapping | list) and value else {path: value}
    return found


def _numbers(content: Mapping[str, Any]) -> dict[str, float]:
    numbers = {
        path: float(value)
        for path, value in flat(content).items()
        if isinstance(value, int | float) or (isinstance(value, str) and value in _NOT_FINITE)
    }
    return {valid_key(path): value for path, value in numbers.items()}


def valid_key(path: str) -> str:
    """The path with characters that MLflow refuses in keys replaced, and cut to its length."""
    return re.sub(r"[^\w\-. :/]", "_", path)[:KEY_LENGTH]


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning and how long the whole is."""
    if len(text) <= limit:
        return text
    end = f"... (cut: {len(text)} characters, the whole is in the study's files)"
    return text[: limit - len(end)] + end
