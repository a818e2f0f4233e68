"""What a study leaves behind beside its ledger: history as a table, everything as what JSON holds."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from .._checks import InputError
from ..io.atomic import replace_file
from ..io.geometry import save_detector
from .observer import AbstractObserver


def plain(value: Any) -> Any:
    """Arrays, modules, dataclasses and enumerations as what JSON holds; numbers that are not finite as text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, eqx.Enumeration | type(None)):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(np.asarray(value).tolist())
    return str(value)


def term_rows(terms: Sequence[Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The terms of an objective from start to end: name, statistic, weight, value by design, and the change.

    `values`: what the result says of each design. All terms are logarithms, so `change` is relative: exp(optimum − baseline) − 1,
    negative where the resolution became smaller.
    """
    rows = []
    for term in terms:
        row = {"name": term.label, "statistic": term.statistic, "weight": term.weight}
        row |= {design: found["terms"][term.label] for design, found in values.items()}
        if "optimum" in row:
            row["change"] = math.expm1(row["optimum"] - row["baseline"])
        rows.append(row)
    return rows


def write_history_table(lines: Sequence[Mapping[str, Any]], directory: Path) -> None:
    """`history.parquet`: one row a step, nested numbers as columns such as `terms.vertex_resolution`."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = [_columns(line) for line in lines]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    replace_file(directory / "history.parquet", lambda aside: parquet.write_table(table, aside))


def _columns(line: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for key, value in line.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            columns |= _columns(value, f"{name}.")
        elif isinstance(value, str) and value in ("nan", "inf", "-inf"):
            columns[name] = float(value)
        else:
            columns[name] = value
    return columns


def write_validation_table(validation: Mapping[str, Any], directory: Path) -> None:
    """`validation.csv`: a row for each design and quantity, with 95 % intervals; gains are against the baseline.

    `crlb` and `measured` are in the `unit` of the row, gains are fractions.
    """
    rows = []
    for design, bounds in validation.get("crlb", {}).items():
        for quantity, crlb in bounds.items():
            row = {"design": design, "quantity": quantity, "unit": validation["units"][quantity], "crlb": crlb}
            for name in ("measured", "predicted_gain", "measured_gain"):
                found = validation.get(name, {}).get(design, {}).get(quantity, {})
                row |= {name: found.get("value"), f"{name}_low": found.get("low"), f"{name}_high": found.get("high")}
            rows.append(row)

    def write(aside: Path) -> None:
        with aside.open("w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)

    if rows:
        replace_file(directory / "validation.csv", write)


def write_last_design(design: Any, directory: Path, observer: AbstractObserver) -> None:
    """`last.yaml`: where the loop stopped. It need not be feasible, nor something that a file can describe."""
    try:
        save_detector(design, directory / "last.yaml")
    except InputError as error:
        observer.note(f"the last design was not written: {error}")
