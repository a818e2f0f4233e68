"""Malformed geometry files: each is refused with file, line, key, value and remedy, as one `InputError`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from studio._checks import InputError
from studio.io import check_geometry, load_detector

SAMPLES = Path(__file__).parent / "samples"
VOLUME = "volume: {kind: cylinder, radius: 2 m, height: 3 m}\n"
MEDIUM = "medium: {kind: water}\n"
HEAD = VOLUME + MEDIUM  # two lines
SENSORS = HEAD + "sensors: {kind: photosensor_array, type: r14374_3_inch, layout: "  # the third
TABLE = (
    HEAD + "sensors:\n  kind: photosensor_array\n  type: r14374_3_inch\n  layout:\n    kind: table\n    rows: |\n"
)  # 8 lines
GRID = "{kind: grid, spacing: 50 cm}}\n"


class Case(NamedTuple):
    """A file's text, and what the message must say: the line, the key, and words of value and remedy."""

    text: str
    line: int | None
    key: str | None
    words: tuple[str, ...]


CASES = {
    # YAML itself
    "empty file": Case("", None, None, ("empty", "key: value")),
    "list on top": Case("- 1\n", 1, None, ("expected a mapping",)),
    "tab": Case("volume:\n\tkind: cylinder\n", 2, None, ("tab", "indent with spaces")),
    "duplicate key": Case(VOLUME + VOLUME + MEDIUM, 2, "volume", ("given twice", "line 1")),
    "anchor": Case("volume: &v {kind: sphere, radius: 1 m}\n" + MEDIUM, 1, "volume", ("&v", "write it out")),
    # keys and kinds
    "unknown key": Case(HEAD.replace("height", "hight") + "sensors: 3\n", 1, "volume.hight", ("'height'",)),
    "missing key": Case(HEAD.replace(", height: 3 m", ""), 1, "volume.height", ("is missing", "add 'height")),
    "missing section": Case(HEAD, 1, "sensors", ("is missing", "add 'sensors")),
    "unknown volume": Case(
        SENSORS.replace("cylinder", "cylindre") + GRID, 1, "volume.kind", ("'cylindre'", "'cylinder'")
    ),
    "unknown medium": Case(SENSORS.replace("water", "wine") + GRID, 2, "medium.kind", ("'wine'", "water")),
    "unknown sensor type": Case(
        SENSORS.replace("r14374_3_inch", "r14374") + GRID,
        3,
        "sensors.type",
        ("'r14374'", "Did you mean 'r14374_3_inch'"),
    ),
    "unknown layout": Case(SENSORS + "{kind: grit, spacing: 1 m}}\n", 3, "sensors.layout.kind", ("'grit'", "'grid'")),
    "layout without kind": Case(SENSORS + "{spacing: 1 m}}\n", 3, "sensors.layout.kind", ("is missing", "fibonacci")),
    "unknown top key": Case(SENSORS + GRID + "sensor: 3\n", 4, "sensor", ("unknown key", "Did you mean 'sensors'")),
    # quantities
    "no unit": Case(SENSORS.replace("2 m,", "2,") + GRID, 1, "volume.radius", ("received 2", "without a unit", "mm")),
    "wrong unit": Case(SENSORS.replace("2 m,", "2 ns,") + GRID, 1, "volume.radius", ("'2 ns'", "Allowed: mm")),
    "negative radius": Case(SENSORS.replace("2 m,", "-2 m,") + GRID, 1, "volume.radius", ("'-2 m'", "positive")),
    "zero radius": Case(SENSORS.replace("2 m,", "0 m,") + GRID, 1, "volume.radius", ("'0 m'", "positive")),
    "not a number": Case(SENSORS.replace("2 m,", ".nan,") + GRID, 1, "volume.radius", ("nan", "text with a unit")),
    "not finite": Case(SENSORS.replace("2 m,", "inf m,") + GRID, 1, "volume.radius", ("'inf m'", "finite")),
    "null": Case(SENSORS.replace("2 m,", "~,") + GRID, 1, "volume.radius", ("'nothing'", "text with a unit")),
    "text for a mapping": Case("volume: round\n" + MEDIUM, 1, "volume", ("'round'", "mapping")),
    "box with two sizes": Case(
        "volume: {kind: box, size: [1 m, 2 m]}\n" + MEDIUM, 1, "volume.size", ("at least 3 items", "found 2")
    ),
    # layouts that cannot be
    "zero count": Case(
        "volume: {kind: sphere, radius: 1 m}\n" + SENSORS[len(VOLUME) :] + "{kind: fibonacci, count: 0}}\n",
        3,
        "sensors.layout.count",
        ("received 0", "greater than 0"),
    ),
    "Fibonacci on a cylinder": Case(
        SENSORS + "{kind: fibonacci, count: 9}}\n", 3, "sensors.layout.kind", ("needs a sphere",)
    ),
    "rings on a cylinder": Case(
        SENSORS + "{kind: rings, spacing: 1 m}}\n", 3, "sensors.layout.kind", ("needs a sphere",)
    ),
    "tile of unequal rows": Case(
        SENSORS + "{kind: grid, spacing: 1 m, tile: [x., x]}}\n", 3, "sensors.layout", ("not a tile", "[x., .x]")
    ),
    "tile with another letter": Case(
        SENSORS + "{kind: grid, spacing: 1 m, tile: [xo, ox]}}\n", 3, "sensors.layout", ("not a tile",)
    ),
    "tile without a sensor": Case(
        SENSORS + "{kind: grid, spacing: 1 m, tile: ['..']}}\n", 3, "sensors.layout", ("not a tile",)
    ),
    "grid on a sphere": Case(
        "volume: {kind: sphere, radius: 1 m}\n" + SENSORS[len(VOLUME) :] + GRID,
        3,
        "sensors.layout.kind",
        ("fibonacci",),
    ),
    "patch that is not there": Case(
        SENSORS + "{kind: grid, spacing: 1 m, patches: [barel]}}\n",
        3,
        "sensors.layout.patches.0",
        ("'barel'", "'barrel'"),
    ),
    "sensors larger than the tank": Case(
        SENSORS.replace("r14374_3_inch", "r14374_3_inch, radius: 5 m") + GRID,
        3,
        "sensors.layout.spacing",
        ("no sensor",),
    ),
    "grid finer than the sensors": Case(
        SENSORS + "{kind: grid, spacing: 5 cm}}\n",
        3,
        "sensors.layout.spacing",
        ("pairs of sensors overlap", "tolerance.overlap"),
    ),
    "two types without a column": Case(
        SENSORS.replace("r14374_3_inch", "[r14374_3_inch, multi_pmt_19]") + GRID,
        3,
        "sensors",
        ("several types", "column"),
    ),
    # positions
    "empty array": Case(
        SENSORS + "{kind: positions, points: []}}\n", 3, "sensors.layout.points", ("holds no sensor", "add")
    ),
    "empty group list": Case(HEAD + "sensors: []\n", 3, "sensors", ("at least 1 items", "found 0")),
    "point without unit": Case(
        SENSORS + "{kind: positions, points: [[2 m, 0 m, 1]]}}\n",
        3,
        "sensors.layout.points.0.2",
        ("received 1", "unit"),
    ),
    "point in the plane": Case(
        SENSORS + "{kind: positions, points: [[2 m, 0 m]]}}\n", 3, "sensors.layout.points.0", ("at least 3 items",)
    ),
    "sensor outside the tank": Case(
        SENSORS + "{kind: positions, points: [\n  [2 m, 0 m, 0 m],\n  [0 m, 2.4 m, 0 m]]}}\n",
        5,
        "sensors.layout.points.1",
        ("400 mm outside the wall", "(0, 2.4, 0) m", "tolerance.off_wall"),
    ),
    "sensor amid the tank": Case(
        SENSORS + "{kind: positions, points: [[0 m, 0 m, 0 m]]}}\n", 3, "sensors.layout.points.0", ("1500 mm inside",)
    ),
    "sensor over the rim": Case(
        SENSORS + "{kind: positions, points: [[2 m, 0 m, 1.49 m]]}}\n",
        3,
        "sensors.layout.points.0",
        ("30 mm across the edge of patch 'barrel'", "tolerance.across_edge"),
    ),
    "overlapping sensors": Case(
        SENSORS + "{kind: positions, points: [\n  [2 m, 0 m, 0 m],\n  [2 m, 0 m, 1 m],\n  [2 m, 0 m, 5 cm]]}}\n",
        6,
        "sensors.layout.points.2",
        ("0 and 2, 50 mm apart, overlap by 30 mm", "tolerance.overlap"),
    ),
    "rows without a unit": Case(
        SENSORS + "{kind: positions, rows: '2 0 0'}}\n", 3, "sensors.layout", ("'rows' without a 'unit'", "unit: mm")
    ),
    "points and rows": Case(
        SENSORS + "{kind: positions, unit: m, rows: '2 0 0', points: [[2 m, 0 m, 0 m]]}}\n",
        3,
        "sensors.layout",
        ("either",),
    ),
    # tables
    "table without names": Case(
        TABLE + "      barrel 0 0\n", 9, "sensors.layout.rows", ("barrel 0 0", "naming the columns")
    ),
    "table without rows": Case(
        TABLE + "      patch u v\n", 9, "sensors.layout.rows", ("holds no sensor", "add one row")
    ),
    "table with a short row": Case(
        TABLE + "      patch u v\n      # a comment\n      barrel 0\n",
        11,
        "sensors.layout.rows",
        ("2 columns", "patch u v"),
    ),
    "table with a NaN": Case(
        TABLE + "      patch u v\n      barrel 0 nan\n", 10, "sensors.layout.rows", ("'nan'", "finite")
    ),
    "table with a word": Case(
        TABLE + "      patch u v\n      barrel 0 up\n", 10, "sensors.layout.rows", ("'up'", "numbers")
    ),
    "table with an unknown patch": Case(
        TABLE + "      patch u v\n      barrel 0 0\n      lid 0 0\n",
        11,
        "sensors.layout.rows",
        ("'lid'", "top, bottom"),
    ),
    "table off the chart": Case(
        TABLE + "      patch u v\n      top 0 0\n      top 0.9 0.9\n",
        11,
        "sensors.layout.rows",
        ("outside patch 'top'", "(0.9, 0.9)"),
    ),
    "table of a sphere": Case(
        TABLE + "      patch u v w\n      barrel 0 0 1\n",
        9,
        "sensors.layout.rows",
        ("3 surface coordinates", "columns u v"),
    ),
    "table with a negative radius": Case(
        TABLE + "      patch u v radius/mm\n      barrel 0 0 -4\n",
        10,
        "sensors.layout.rows",
        ("'-4'", "positive", "mm"),
    ),
    "table with types unasked": Case(
        TABLE + "      patch u v type\n      barrel 0 0 r14374_3_inch\n",
        3,
        "sensors",
        ("'type' column", "type: [first"),
    ),
    # other files
    "position file that is not there": Case(
        SENSORS + "{kind: file, path: absent.txt}}\n", None, None, ("absent.txt: no such position file", "relative")
    ),
    "position file of another volume": Case(
        SENSORS + "{kind: file, path: juno.csv}}\n", 3, "sensors.layout.path", ("line 2 of juno.csv", "1500 mm outside")
    ),
    "position file with its axis along x": Case(
        SENSORS.replace("3 m}", "4 m}") + "{kind: file, path: geofile.txt, axis: x}}\n",
        3,
        "sensors.layout.path",
        ("geofile.txt", "off"),
    ),
    "type number that is not in the file": Case(
        SENSORS + "{kind: file, path: mpmt_table.txt, only_type: 7}}\n",
        3,
        "sensors.layout.only_type",
        ("types there: 1, 2",),
    ),
    "efficiencies that do not fit": Case(
        SENSORS.replace("layout:", "efficiency: [1, 2], layout:") + GRID, 3, "sensors", ("2 efficiencies for 1 types",)
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_malformed_file_is_refused_with_file_line_key_value_and_remedy(name, tmp_path):
    case = CASES[name]
    for sample in SAMPLES.iterdir():
        shutil.copy(sample, tmp_path)
    path = tmp_path / "tank.yaml"
    path.write_text(case.text)
    with pytest.raises(InputError) as caught:
        load_detector(path)
    error, message = caught.value, str(caught.value)
    if not name.startswith("position file that"):
        place = f"{path}:{case.line}: " if case.line else f"{path}: "
        assert message.startswith(place + (f"{case.key}: " if case.key else "")), message
    for word in case.words:
        assert word in message, message
    assert error.remedy, message
    assert "Traceback" not in message
    with pytest.raises(InputError):
        check_geometry(path)


def test_there_are_cases_enough():
    assert len(CASES) >= 25


def test_tolerances_let_pass_what_they_say(tmp_path):
    path = tmp_path / "tank.yaml"
    points = "{kind: positions, points: [[2 m, 0 m, 1.49 m], [2 m, 0 m, 1.44 m]]}}\n"
    loose = SENSORS.replace("layout:", "tolerance: {overlap: 30 mm, across_edge: 30 mm}, layout:") + points
    path.write_text(loose)
    report = check_geometry(path)
    assert any("overlap, by 30.0 mm" in warning for warning in report["warnings"])
    for tight in ("overlap: 29", "across_edge: 29"):
        path.write_text(loose.replace(tight.replace("29", "30"), tight))
        with pytest.raises(InputError, match=tight.split(":")[0]):
            load_detector(path)
