"""Tables inside YAML files: one row of text a sensor, a point or a node, readable, compact and exact."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from .._checks import InputError

_CHART_COLUMNS = ("patch", "u", "v", "w", "radius/mm", "type", "weight")
_CHART_EXAMPLE = "begin with a line naming the columns, for example 'patch u v', then one row a sensor"
_POSITION_EXAMPLE = "write one row a sensor: three numbers x y z"
_SPACE_CHARGE_EXAMPLE = "write one row a node: three displacements in mm, three distortions in V/mm"
_VERTEX_EXAMPLE = "write one row a vertex: three numbers x y z"
_TRIANGLE_EXAMPLE = "write one row a triangle: three vertices by their numbers, from 0"
_EFFICIENCY_EXAMPLE = "begin with the line 'wavelength/nm efficiency', then one row a point, for example '400 0.3'"


@dataclasses.dataclass(frozen=True, eq=False)
class RowTable:
    """Rows of a text block.

    - `numbers (sensors, 2 or 3)`: positions, or chart coordinates; or points of a quantum efficiency, or six numbers a node of
      a space-charge map, or vertices and triangles of a mesh.
    - `offsets (sensors,)`: the row of the block, from 0, that each sensor or point stands in.
    - `patches`, `types (sensors,)`: names, or None without such a column; `radius (sensors,)` in mm or None; `weight
      (sensors,)`: see `PhotosensorArray`, or None.
    """

    numbers: np.ndarray
    offsets: np.ndarray
    patches: list[str] | None = None
    radius: np.ndarray | None = None
    types: list[str] | None = None
    weight: np.ndarray | None = None

    @property
    def count(self) -> int:
        """Number of sensors."""
        return len(self.numbers)


def parse_position_rows(text: object) -> RowTable:
    """Rows "x y z". **Raises** `InputError` whose `line` is the row of the block, from 0."""
    return _plain_rows(text, 3, _POSITION_EXAMPLE, "holds no sensor")


def parse_space_charge_rows(text: object) -> RowTable:
    """Rows of six numbers, displacement and distortion. **Raises** `InputError` as above."""
    return _plain_rows(text, 6, _SPACE_CHARGE_EXAMPLE, "holds no nodes")


def parse_vertex_rows(text: object) -> RowTable:
    """Rows "x y z", the vertices of a mesh. **Raises** `InputError` as above."""
    return _plain_rows(text, 3, _VERTEX_EXAMPLE, "holds no vertices")


def parse_triangle_rows(text: object) -> RowTable:
    """Rows of three whole numbers, the vertices at the corners of a triangle. **Raises** `InputError` as above."""
    table = _plain_rows(text, 3, _TRIANGLE_EXAMPLE, "holds no triangles")
    broken = (table.numbers != np.round(table.numbers)).any(axis=1)
    if broken.any():
        row = int(np.argmax(broken))
        raise _row_error(int(table.offsets[row]), "not whole numbers", table.numbers[row].tolist(), _TRIANGLE_EXAMPLE)
    return table


def _plain_rows(text: object, columns: int, example: str, nothing: str) -> RowTable:
    """Rows of `columns` numbers each, without a line that names them."""
    rows = _rows(text, example)
    if not rows:
        raise InputError(nothing, remedy=example)
    numbers = _numbers([words for _, words in rows], [offset for offset, _ in rows], columns, example)
    return RowTable(numbers, _offsets(rows))


def parse_efficiency_rows(text: object) -> RowTable:
    """Rows "wavelength efficiency" under a line that names these columns. **Raises** `InputError` as above."""
    rows = _rows(text, _EFFICIENCY_EXAMPLE)
    if not rows:
        raise InputError("holds no points", remedy=_EFFICIENCY_EXAMPLE)
    (first, names), body = rows[0], rows[1:]
    if names != ["wavelength/nm", "efficiency"]:
        raise _row_error(first, "does not name the columns", " ".join(names), _EFFICIENCY_EXAMPLE)
    if not body:
        raise _row_error(first, "holds no points", None, "add one row a point below the column names")
    numbers = _numbers([words for _, words in body], [offset for offset, _ in body], 2, _EFFICIENCY_EXAMPLE)
    return RowTable(numbers, _offsets(body))


def parse_chart_rows(text: object) -> RowTable:
    """Rows of chart coordinates under a line that names the columns. **Raises** `InputError` as above."""
    rows = _rows(text, _CHART_EXAMPLE)
    if not rows:
        raise InputError("holds no sensor", remedy=_CHART_EXAMPLE)
    (first, names), body = rows[0], rows[1:]
    unknown = [name for name in names if name not in _CHART_COLUMNS]
    if unknown or len(set(names)) != len(names) or not {"u", "v"} <= set(names):
        remedy = f"{_CHART_EXAMPLE}; columns: {', '.join(_CHART_COLUMNS)}"
        raise _row_error(first, "does not name the columns", " ".join(names), remedy)
    if not body:
        raise _row_error(first, "holds no sensor", None, "add one row a sensor below the column names")
    for offset, words in body:
        if len(words) != len(names):
            problem = f"{len(words)} columns where {len(names)} belong"
            raise _row_error(offset, problem, " ".join(words), f"the columns are: {' '.join(names)}")
    columns = {name: [words[number] for _, words in body] for number, name in enumerate(names)}
    offsets = [offset for offset, _ in body]
    axes = [name for name in ("u", "v", "w") if name in columns]
    coordinates = [list(row) for row in zip(*(columns[name] for name in axes), strict=True)]
    numbers = _numbers(coordinates, offsets, len(axes), "surface coordinates are plain finite numbers")
    radius = None
    if "radius/mm" in columns:
        radius = _numbers([[word] for word in columns["radius/mm"]], offsets, 1, "give radii in mm")[:, 0]
        if (radius <= 0).any():
            row = int(np.argmax(radius <= 0))
            raise _row_error(offsets[row], "a radius must be positive", columns["radius/mm"][row], "give radii in mm")
    weight = None
    if "weight" in columns:
        weight = _numbers([[word] for word in columns["weight"]], offsets, 1, "give weights from 0 to 1")[:, 0]
        if (weight < 0).any():
            row = int(np.argmax(weight < 0))
            raise _row_error(offsets[row], "a weight is negative", columns["weight"][row], "give weights from 0 to 1")
    return RowTable(numbers, np.array(offsets), columns.get("patch"), radius, columns.get("type"), weight)


def format_rows(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """The lines of a table: names, then rows, aligned."""
    widths = {name: max(len(name), *(len(word) for word in words)) for name, words in columns.items()}
    header = "  ".join(name.ljust(widths[name]) for name in columns).rstrip()
    rows = zip(*columns.values(), strict=True)
    body = ["  ".join(w.ljust(widths[n]) for n, w in zip(columns, row, strict=True)).rstrip() for row in rows]
    return [header, *body]


def exact(number: float | np.floating) -> str:
    """The shortest text that reads back as the same double."""
    return repr(float(number))


def _rows(text: object, example: str) -> list[tuple[int, list[str]]]:
    if not isinstance(text, str):
        raise InputError("expected a block of text", value=text, remedy=f"write 'rows: |' and {example}")
    found = [(offset, row.split("#", 1)[0].split()) for offset, row in enumerate(text.split("\n"))]
    return [(offset, words) for offset, words in found if words]


def _numbers(rows: list[list[str]], offsets: list[int], columns: int, remedy: str) -> np.ndarray:
    try:
        numbers = np.array(rows, dtype=np.float64)
        if numbers.shape == (len(rows), columns) and np.isfinite(numbers).all():
            return numbers
    except ValueError:
        pass
    for offset, words in zip(offsets, rows, strict=True):  # something is wrong: find the row
        if len(words) != columns:
            raise _row_error(offset, f"{len(words)} numbers where {columns} belong", " ".join(words), remedy)
        for word in words:
            try:
                finite = np.isfinite(float(word))
            except ValueError:
                raise _row_error(offset, "not a number", word, remedy) from None
            if not finite:
                raise _row_error(offset, "not a finite number", word, remedy)
    raise InputError("not a table of numbers", remedy=remedy)


def _offsets(rows: list[tuple[int, list[str]]]) -> np.ndarray:
    return np.array([offset for offset, _ in rows])


def _row_error(offset: int, problem: str, value: object, remedy: str) -> InputError:
    return InputError(problem, line=offset, value=value, remedy=remedy)
