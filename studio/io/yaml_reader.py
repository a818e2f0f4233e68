"""YAML text as plain data in which every key has a line; whatever is not plain YAML is refused with a remedy."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path
from typing import Any

import ruamel.yaml
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .._checks import InputError

KeyPath = tuple[str | int, ...]
"""Where a value stands in a document: keys of mappings and indices of sequences."""

_DEEPEST = 60
_MAPPING_REMEDY = "write 'key: value' lines at the top level; docs and `studio new` show an example"


def dotted(path: KeyPath) -> str:
    """`("sensors", 0, "type")` as the text `sensors.0.type`."""
    return ".".join(str(step) for step in path)


@dataclasses.dataclass(frozen=True)
class Parsed:
    """Plain `data`, the line (from 1) of every key and item, and the paths of literal blocks (`key: |`)."""

    data: dict[str, Any]
    lines: dict[KeyPath, int]
    blocks: set[KeyPath]


def parse_yaml(text: str, file: str) -> Parsed:
    """The mapping written in `text`; `file` names it in errors. **Raises** `InputError` with the line."""
    reader = _Reader(file)
    try:
        root = ruamel.yaml.YAML(typ="rt").compose(text)
        if root is None:
            raise InputError("the file is empty", file=file, remedy=_MAPPING_REMEDY)
        if not isinstance(root, MappingNode):
            problem = f"expected a mapping, found a {_node_word(root)}"
            raise InputError(problem, file=file, line=root.start_mark.line + 1, remedy=_MAPPING_REMEDY)
        data = reader.convert(root, ())
    except YAMLError as error:
        raise _yaml_error(error, text, file) from None
    except RecursionError:
        raise InputError("nested too deeply", file=file, remedy=f"use at most {_DEEPEST} levels") from None
    return Parsed(data, reader.lines, reader.blocks)


def read_text(file: str) -> str:
    """The text of a UTF-8 file. **Raises** `InputError` for a directory, a missing, unreadable or binary file."""
    path = Path(file)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError("is a directory", file=file, remedy=f"name a YAML file{_yaml_files_in(path)}")
        if not stat.S_ISREG(mode):
            raise InputError("is not a regular file", file=file, remedy="name a YAML file")
        with path.open("rb") as stream:
            start = stream.read(65536)
            if b"\0" in start:
                raise InputError(
                    "is not a text file", file=file, line=_line_at(start, b"\0"), remedy="name a YAML file"
                )
            content = start + stream.read()
    except FileNotFoundError:
        raise InputError("no such file", file=file, remedy=f"check the path{_yaml_files_in(path.parent)}") from None
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise InputError(problem, file=file, remedy="check the path and its permissions") from None
    except ValueError as error:
        raise InputError(f"is not a path: {error}", file=file.replace("\0", "\\0"), remedy="name a YAML file") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        value = content[error.start : error.start + 4]
        remedy = "name a YAML file; save text as UTF-8"
        raise InputError("is not UTF-8 text", file=file, line=line, value=value, remedy=remedy) from None


def _yaml_files_in(folder: Path) -> str:
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml"))
    except OSError:
        return ""
    return f"; YAML files in {folder}: {', '.join(names[:8])}" if names else ""


def _line_at(content: bytes, found: bytes) -> int:
    return content[: content.index(found)].count(b"\n") + 1


def _yaml_error(error: YAMLError, text: str, file: str) -> InputError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if not isinstance(error, MarkedYAMLError) or mark is None:
        position = getattr(error, "position", None)
        character = getattr(error, "character", None)
        line = None if position is None else text[:position].count("\n") + 1
        if isinstance(character, int):
            character = chr(character)
        return InputError(
            "a character that YAML does not allow", file=file, line=line, value=character, remedy="remove it"
        )
    if "end of stream" in str(error.problem) or "stream end" in str(error.problem):
        mark = error.context_mark or mark  # where the quote or bracket was opened
    rows = text.splitlines()
    row = rows[mark.line] if mark.line < len(rows) else ""
    problem = f"not valid YAML: {error.problem}"
    remedy = "check indentation, colons, quotes and brackets on this line and the one before"
    if "\t" in row[: mark.column + 1]:
        problem, remedy = "a tab in the indentation", "indent with spaces"
    elif "another document" in problem:
        remedy = "keep one document per file: remove the '---' line"
    elif row.lstrip().startswith(("@", "`", "%")) or "cannot start any token" in problem:
        remedy = "put text with special characters in quotes"
    return InputError(problem, file=file, line=mark.line + 1, value=row.strip() or None, remedy=remedy)


class _Reader:
    """Turns YAML nodes into plain data and notes the line of every key and item."""

    def __init__(self, file: str):
        self.file = file
        self.lines: dict[KeyPath, int] = {}
        self.blocks: set[KeyPath] = set()

    def convert(self, node: Node, path: KeyPath) -> Any:
        if len(path) > _DEEPEST:
            raise self._error(node, path, "nested too deeply", remedy=f"use at most {_DEEPEST} levels")
        if node.anchor is not None:
            raise self._error(node, path, "anchors and aliases are not used here", f"&{node.anchor}", "write it out")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self._item(child, (*path, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        self._refuse_tag(node, path, "tag:yaml.org,2002:map")
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            here = (*path, key)
            if key in result:
                problem = f"given twice, first on line {self.lines[here]}"
                raise self._error(key_node, here, problem, remedy="keep one of them")
            self.lines[here] = key_node.start_mark.line + 1
            result[key] = self.convert(value_node, here)
        return result

    def _key(self, node: Node, path: KeyPath) -> str:
        if not isinstance(node, ScalarNode) or node.anchor is not None:
            raise self._error(node, path, "a key must be a word", remedy="write 'key: value'")
        if node.tag == "tag:yaml.org,2002:merge":
            raise self._error(node, path, "merge keys are not used here", value=node.value, remedy="write the keys out")
        return str(node.value)

    def _item(self, node: Node, path: KeyPath) -> Any:
        self.lines[path] = node.start_mark.line + 1
        return self.convert(node, path)

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        text = str(node.value)
        if node.style == "|":
            self.blocks.add(path)
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return text.lower() == "true"
            if kind == "int":
                digits = text.replace("_", "")
                return int(digits, 0 if digits.lstrip("+-").lower().startswith(("0x", "0o", "0b")) else 10)
            if kind == "float":
                return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan").replace(".NaN", "nan"))
        except ValueError:
            raise self._error(node, path, f"not a valid {kind}", value=text, remedy="put text in quotes") from None
        if kind in ("str", "timestamp"):
            return text
        raise self._error(node, path, "tags are not used here", value=str(node.tag), remedy="remove the tag")

    def _refuse_tag(self, node: Node, path: KeyPath, plain: str) -> None:
        if str(node.tag) != plain:
            raise self._error(node, path, "tags are not used here", value=str(node.tag), remedy="remove the tag")

    def _error(
        self, node: Node, path: KeyPath, problem: str, value: object = None, remedy: str | None = None
    ) -> InputError:
        line = node.start_mark.line + 1
        return InputError(problem, file=self.file, line=line, key=dotted(path) or None, value=value, remedy=remedy)


def _node_word(node: Node) -> str:
    return "list" if isinstance(node, SequenceNode) else "single value"
