"""Readers of sensor position files of other programs. NumPy only; lengths come out in mm, the cylinder's axis along z.

Formats:

- `wcsim_geofile`: the text file WCSim writes beside its output, in cm. Header "radius height count sensor-radius", an offset
  line, then one row a tube: number, module, channel, x, y, z, direction, and location (0 top, 1 barrel, 2 bottom).
  Source: WCSim src/WCSimConstructCylinder.cc and sample-root-scripts.
- `wcsim_mpmt_table`: the table WCSim reads for custom placement, in mm, axis along z. After a line "#DATASTART" one row a
  module: type, identifier, section (0 barrel, 1 top, 2 top border ring, 3 bottom, 4 bottom border ring), x, y, z,
  direction, rotation, use. Modules with use = 0 are left out.
- `juno_csv`: comma-separated PMTID, x, y, z, R, theta, phi in mm and degrees, with that header.
"""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .._checks import InputError, choice_remedy
from ..units import cm, mm


@dataclasses.dataclass(frozen=True)
class PositionTable:
    """Sensor positions as a file gives them.

    - `format`: one of `position_formats()`.
    - `positions (sensors, 3)` in mm; `directions (sensors, 3)` where the file has them, not all zero, else None.
    - `types (sensors,)`: the file's own type number of each sensor, 0 where it has none.
    - `lines (sensors,)`: line in the file, from 1.
    - `cylinder`: radius and height in mm of the volume the file states, or None.
    - `sensor_radius`: in mm as stated in the file, or None.
    """

    format: str
    positions: np.ndarray
    directions: np.ndarray | None
    types: np.ndarray
    lines: np.ndarray
    cylinder: tuple[float, float] | None = None
    sensor_radius: float | None = None

    @property
    def count(self) -> int:
        """Number of sensors."""
        return len(self.positions)


def position_formats() -> tuple[str, ...]:
    """The names of the formats `read_positions` knows."""
    return tuple(_READERS)


def read_positions(path: str | os.PathLike[str], format: str | None = None) -> PositionTable:
    """Read a position file; the format is recognised from its first lines unless given.

    **Raises** `InputError` with file and line for a missing, binary, foreign or truncated file and for bad numbers.
    """
    file = os.fspath(path)
    rows = _text_rows(file)
    if format is None:
        format = _recognised(rows, file)
    elif format not in _READERS:
        raise InputError("unknown format", key="format", value=format, remedy=choice_remedy(format, _READERS))
    table = _READERS[format](rows, file)
    if table.count == 0:
        raise InputError("holds no sensor", file=file, remedy="the file may be truncated: fetch it again")
    return table


def along_z(vectors: np.ndarray, axis: str) -> np.ndarray:
    """`vectors (n, 3)` turned by a cyclic permutation (a proper rotation) so that `axis`, "x", "y" or "z", becomes z."""
    return np.roll(vectors, 2 - "xyz".index(axis), axis=-1)


# ---- formats ---------------------------------------------------------------------------------------------------------


def _read_geofile(rows: list[str], file: str) -> PositionTable:
    header = _numbers(rows, 0, file, at_least=4)
    offset = _numbers(rows, 1, file, at_least=3)[:3]
    count = int(header[2]) if header[2].is_integer() else 0
    if count < 1:
        raise InputError(
            "the header states no number of tubes", file=file, line=1, value=rows[0].strip(), remedy=_FOREIGN
        )
    data, lines = _table(rows, 2, len(rows), 10, file)
    if len(data) != count:
        word = "truncated" if len(data) < count else "longer than its header says"
        problem = f"holds {len(data)} tubes, the header says {count}: {word}"
        raise InputError(problem, file=file, line=len(rows), remedy="fetch the file again or correct the header")
    _require_whole(data[:, 9], (0, 1, 2), lines, file, "location", "0 top, 1 barrel, 2 bottom")
    return PositionTable(
        format="wcsim_geofile",
        positions=(data[:, 3:6] - offset) * cm,
        directions=_directions(data[:, 6:9]),
        types=np.zeros(len(data), dtype=int),
        lines=lines,
        cylinder=(header[0] * cm, header[1] * cm),
        sensor_radius=header[3] * cm,
    )


def _read_mpmt_table(rows: list[str], file: str) -> PositionTable:
    starts = [number for number, row in enumerate(rows) if row.strip() == _DATA_START]
    if not starts:
        raise InputError(f"has no line '{_DATA_START}'", file=file, remedy=_FOREIGN)
    data, lines = _table(rows, starts[0] + 1, len(rows), 11, file)
    _require_whole(data[:, 2], (0, 1, 2, 3, 4), lines, file, "section", "0 to 4")
    _require_whole(data[:, 10], (0, 1), lines, file, "use", "0 or 1")
    used = data[:, 10] == 1
    data, lines = data[used], lines[used]
    return PositionTable(
        format="wcsim_mpmt_table",
        positions=data[:, 3:6] * mm,
        directions=_directions(data[:, 6:9]),
        types=data[:, 0].astype(int),
        lines=lines,
    )


def _read_juno(rows: list[str], file: str) -> PositionTable:
    header = [name.strip() for name in next(csv.reader(rows[:1]), [])]
    if header[:4] != _JUNO_HEADER:
        raise InputError("has no header 'PMTID,x,y,z,...'", file=file, line=1, value=(rows or [""])[0], remedy=_FOREIGN)
    data, lines = _table(rows, 1, len(rows), len(header), file, separator=",")
    if "R" in header:
        stated = data[:, header.index("R")]
        wrong = np.abs(np.linalg.norm(data[:, 1:4], axis=-1) - stated) > 1.0 * mm
        if wrong.any():
            row = int(np.argmax(wrong))
            problem = "R differs from the length of (x, y, z)"
            raise InputError(problem, file=file, line=int(lines[row]), value=stated[row], remedy="fetch the file again")
    return PositionTable(
        format="juno_csv",
        positions=data[:, 1:4] * mm,
        directions=None,
        types=np.zeros(len(data), dtype=int),
        lines=lines,
    )


_READERS: dict[str, Callable[[list[str], str], PositionTable]] = {
    "wcsim_geofile": _read_geofile,
    "wcsim_mpmt_table": _read_mpmt_table,
    "juno_csv": _read_juno,
}
_DATA_START = "#DATASTART"
_JUNO_HEADER = ["PMTID", "x", "y", "z"]
_FOREIGN = "give a file in one of these formats: " + ", ".join(_READERS)


def _recognised(rows: list[str], file: str) -> str:
    if any(row.strip() == _DATA_START for row in rows[:200]):
        return "wcsim_mpmt_table"
    if rows and [name.strip() for name in rows[0].split(",")[:4]] == _JUNO_HEADER:
        return "juno_csv"
    if len(rows) > 1 and _all_numbers(rows[0]) >= 4 and _all_numbers(rows[1]) == 3:
        return "wcsim_geofile"
    raise InputError(
        "is in no position format that is known", file=file, line=1, value=(rows or [""])[0][:60], remedy=_FOREIGN
    )


# ---- text ------------------------------------------------------------------------------------------------------------


def _text_rows(file: str) -> list[str]:
    try:
        content = Path(file).read_bytes()
    except IsADirectoryError:
        raise InputError("is a directory", file=file, remedy="name a position file") from None
    except FileNotFoundError:
        raise InputError("no such position file", file=file, remedy="paths are relative to the geometry file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=file, remedy="check the path and its permissions") from None
    if not content.strip():
        raise InputError("is empty", file=file, remedy=_FOREIGN)
    try:
        if b"\0" in content:
            raise UnicodeDecodeError("utf-8", content, content.index(b"\0"), content.index(b"\0") + 1, "binary")
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError("is not a text file", file=file, line=line, remedy=_FOREIGN) from None


def _all_numbers(row: str) -> int:
    """How many numbers stand in a row; 0 where anything else stands there."""
    words = row.split()
    try:
        return len([float(word) for word in words])
    except ValueError:
        return 0


def _numbers(rows: list[str], index: int, file: str, *, at_least: int) -> np.ndarray:
    row = rows[index] if index < len(rows) else ""
    if _all_numbers(row) < at_least:
        problem = f"expected {at_least} numbers in the header"
        raise InputError(problem, file=file, line=index + 1, value=row.strip(), remedy=_FOREIGN)
    return np.array([float(word) for word in row.split()])


def _table(
    rows: list[str], start: int, stop: int, columns: int, file: str, *, separator: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of numbers from `start` on, `(rows, columns)`, and their lines; empty rows are passed over."""
    values: list[list[float]] = []
    lines: list[int] = []
    for index in range(start, stop):
        words = rows[index].split(separator)
        if not rows[index].strip():
            continue
        if len(words) != columns:
            remedy = "the file may be truncated: fetch it again" if index == len(rows) - 1 else "correct the row"
            problem = f"{len(words)} columns where {columns} belong"
            raise InputError(problem, file=file, line=index + 1, value=rows[index].strip(), remedy=remedy)
        try:
            values.append([float(word) for word in words])
        except ValueError:
            problem = "not a row of numbers"
            raise InputError(
                problem, file=file, line=index + 1, value=rows[index].strip(), remedy="correct the row"
            ) from None
        lines.append(index + 1)
    data, numbers = np.array(values).reshape(-1, columns), np.array(lines, dtype=int)
    bad = ~np.isfinite(data).all(axis=-1)
    if bad.any():
        index = int(numbers[np.argmax(bad)]) - 1
        raise InputError(
            "not a finite number", file=file, line=index + 1, value=rows[index].strip(), remedy="correct the row"
        )
    return data, numbers


def _require_whole(
    column: np.ndarray, allowed: tuple[int, ...], lines: np.ndarray, file: str, name: str, words: str
) -> None:
    bad = ~np.isin(column, allowed)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"unknown {name}", file=file, line=int(lines[row]), value=column[row].item(), remedy=f"allowed: {words}"
        )


def _directions(vectors: np.ndarray) -> np.ndarray | None:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / length if len(vectors) and (length > 0).all() else None
