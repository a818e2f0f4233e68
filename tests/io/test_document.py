"""YAML documents: every key knows its line, and whatever is not plain YAML is refused with file, line and remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from studio._checks import InputError
from studio.io.document import load_document, parse_document, validate
from studio.io.quantities import Fraction, PositiveLength, Quantity, StrictModel, Time

TEXT = """\
# a comment
first: 1

nested:
  list: [a, 2.5, true]
  items:
    - {x: 1}
    - x: 2
      y: ~
  sensors.uv: {}
block: |
  one 1
  two 2
number: 1_000
small: 1e-3
date: 2020-01-01
octal: 010
"""


def test_data_are_plain_and_yaml_1_2():
    data = parse_document(TEXT, "f.yaml").data
    assert data["nested"]["list"] == ["a", 2.5, True]
    assert data["nested"]["items"] == [{"x": 1}, {"x": 2, "y": None}]
    assert data["block"] == "one 1\ntwo 2\n"
    assert (data["number"], data["small"], data["date"], data["octal"]) == (1000, 1e-3, "2020-01-01", 10)
    assert type(data["small"]) is float


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("first", 2),
        ("nested.list", 5),
        ("nested.list.2", 5),
        ("nested.items.1.y", 9),
        (("nested", "items", 0, "x"), 7),
        ("nested.sensors.uv", 10),
        (("nested", "sensors.uv"), 10),
        ("nested.items.1.absent", 8),
        ("absent", None),
    ],
)
def test_every_key_knows_its_line_and_an_absent_one_that_of_its_parent(path, line):
    assert parse_document(TEXT, "f.yaml").line_of(path) == line


def test_rows_of_a_literal_block_have_lines():
    document = parse_document(TEXT, "f.yaml")
    assert [document.text_line("block", row) for row in (0, 1)] == [12, 13]
    assert document.text_line("first", 3) == 2, "other text has only the line of its key"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb:\n\tc: 2\n", 3, ["tab", "spaces"]),
        ("b: 3\na: [1, 2\n", 2, ["not valid YAML", "brackets"]),
        ("a: 1\n  b: 2\n", 2, ["not valid YAML", "indentation"]),
        ("a: b: c\n", 1, ["not valid YAML"]),
        ("a: 'open\n", 1, ["not valid YAML", "quotes"]),
        ("a: @x\n", 1, ["quotes"]),
        ("a: 1\nb: 2\na: 3\n", 3, ["a: given twice", "line 1"]),
        ("a: {b: 1, b: 2}\n", 1, ["a.b: given twice"]),
        ("a: &x 1\nb: *x\n", 1, ["anchors", "write it out"]),
        ("a: {<<: {b: 1}}\n", 1, ["merge keys"]),
        ("a: !!python/object:os.system x\n", 1, ["tags", "remove the tag"]),
        ("a: !mine {b: 1}\n", 1, ["tags"]),
        ("a: 1\n---\nb: 2\n", 2, ["one document"]),
        ("? [1, 2]\n: 3\n", 1, ["a key must be a word"]),
        ("- 1\n- 2\n", 1, ["expected a mapping, found a list"]),
        ("just words\n", 1, ["expected a mapping, found a single value"]),
        ("", None, ["empty"]),
        ("# only a comment\n", None, ["empty"]),
        ("a: 1\nb: \x07\n", 2, ["a character that YAML does not allow"]),
        ("a: " + "[" * 5000, None, ["f.yaml"]),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(text, line, words):
    with pytest.raises(InputError) as caught:
        parse_document(text, "f.yaml")
    message = str(caught.value)
    assert message.startswith(f"f.yaml:{line}: " if line else "f.yaml"), message
    assert caught.value.remedy, message
    for word in words:
        assert word in message


def test_files_that_are_no_text_are_refused_by_name(tmp_path: Path):
    (tmp_path / "good.yaml").write_text("a: 1\n")
    binary, latin = tmp_path / "binary.yaml", tmp_path / "latin.yaml"
    binary.write_bytes(b"\x89HDF\r\n\x1a\n\0\0\0")
    latin.write_bytes("a: 1\nb: µ\n".encode("latin-1"))
    unreadable = "no\0path.yaml"
    cases = {
        str(tmp_path): ["is a directory", "good.yaml"],
        str(tmp_path / "absent.yaml"): ["no such file", "good.yaml"],
        str(binary): ["binary.yaml:3: is not a text file"],
        str(latin): ["latin.yaml:2: is not UTF-8 text"],
        unreadable: ["is not a path"],
        "/dev/null": ["is not a regular file"],
    }
    for path, words in cases.items():
        with pytest.raises(InputError) as caught:
            load_document(path)
        for word in words:
            assert word in str(caught.value)


# ---- validation ------------------------------------------------------------------------------------------------------


class Circle(StrictModel):
    kind: Literal["circle"]
    radius: PositiveLength


class Square(StrictModel):
    kind: Literal["square"]
    side: PositiveLength
    share: Fraction = 1.0


class Model(StrictModel):
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    delays: list[Time] = Field(default=[])
    free: dict[str, Circle | None] = Field(default={})
    several: Circle | list[Circle] | None = None
    count: int = Field(default=1, ge=1)


def _refused(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        validate(parse_document(text, "f.yaml"), Model)
    return caught.value


def test_quantities_become_numbers_in_the_studios_units():
    text = "shape: {kind: square, side: 2 cm, share: 50 %}\ndelays: [1 us, -3ns]\nfree: {a.b: {kind: circle, radius: 1 m}}\n"
    model = validate(parse_document(text, "f.yaml"), Model)
    assert isinstance(model.shape, Square)
    assert (model.shape.side, model.shape.share, model.delays) == (20.0, 0.5, [1000.0, -3.0])
    assert model.free["a.b"] == Circle(kind="circle", radius="1 m")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("shape: {kind: circle, radius: 3}\n", 1, "shape.radius", ["without a unit", "received 3", "mm"]),
        ("shape: {kind: circle, radius: -3 m}\n", 1, "shape.radius", ["must be positive", "'-3 m'"]),
        ("shape: {kind: circle, radius: .nan}\n", 1, "shape.radius", ["nan"]),
        ("shape: {kind: circle, radius: nan m}\n", 1, "shape.radius", ["not a finite number"]),
        ("shape: {kind: circle, radius: 3 ns}\n", 1, "shape.radius", ["not a unit of length", "mm, um"]),
        ("shape:\n  kind: circle\n  radios: 3 m\n", 3, "shape.radios", ["unknown key", "Did you mean 'radius'"]),
        ("shape:\n  kind: circle\n  radius: 3 m\n  radios: 3 m\n", 4, "shape.radios", ["unknown key", "'radius'"]),
        ("shape:\n  kind: circel\n", 2, "shape.kind", ["'circel'", "Did you mean 'circle'", "square"]),
        ("shape:\n  radius: 3 m\n", 1, "shape.kind", ["is missing", "circle, square"]),
        ("shape: circle\n", 1, "shape", ["expected a mapping", "'circle'"]),
        ("shape: {kind: circle, radius: 1 m}\ndelays: 3 ns\n", 2, "delays", ["expected a list", "'3 ns'"]),
        ("shape: {kind: circle, radius: 1 m}\ndelays:\n- 3 ns\n- 4\n", 4, "delays.1", ["time without a unit"]),
        (
            "shape: {kind: circle, radius: 1 m}\nfree:\n  a.b: {kind: circle}\n",
            3,
            "free.a.b.radius",
            ["is missing", "add 'radius"],
        ),
        ("shape: {kind: circle, radius: 1 m}\nseveral: [{kind: circle, r: 1}]\n", 2, "several.0", ["unknown key"]),
        ("shape: {kind: circle, radius: 1 m}\ncount: 0\n", 2, "count", ["at least 1", "received 0"]),
        ("shape: {kind: circle, radius: 1 m}\ncount: '3'\n", 2, "count", ["whole number", "'3'"]),
        ("shape: {kind: circle, radius: 1 m}\ncount:\n", 2, "count", ["whole number", "nothing"]),
        ("shape: {kind: square, side: 1 m, share: 120 %}\n", 1, "shape.share", ["at most 1"]),
    ],
)
def test_a_wrong_value_is_named_with_line_key_value_and_remedy(text, line, key, words):
    error = _refused(text)
    assert (error.file, error.line) == ("f.yaml", line)
    assert error.key is not None
    assert error.key.startswith(key)
    assert error.remedy
    for word in words:
        assert word in str(error)


def test_further_problems_are_listed_behind_the_first_one_of_the_file():
    message = str(_refused("count: 0\nshape: {kind: circle, radius: 3}\ndeleys: []\n"))
    assert message.startswith("f.yaml:1: count")
    assert "line 2: shape.radius" in message
    assert "line 3: deleys: unknown key" in message


def test_schemas_describe_quantities_as_text():
    schema = Model.model_json_schema()["$defs"]["Circle"]["properties"]["radius"]
    assert schema["type"] == "string"
    assert "mm" in schema["description"]
    assert "positive" in schema["description"]


def test_quantity_bounds_are_inclusive_or_exclusive_as_named():
    assert Quantity("fraction", at_least=0.0, at_most=1.0).parse(1) == 1.0
    with pytest.raises(Exception, match="must be positive"):
        Quantity("length", above=0.0).parse("0 m")


def test_reading_and_validating_a_geometry_imports_no_jax():
    geometries = Path(__file__).parents[2] / "geometries"
    program = (
        "import sys; from studio.io import read_geometry, read_positions, geometry_schema;"
        f"read_geometry({str(geometries / 'iwcd.yaml')!r}); geometry_schema();"
        f"read_positions({str(Path(__file__).parent / 'samples' / 'juno.csv')!r});"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, cwd=geometries.parent).returncode == 0
