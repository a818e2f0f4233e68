"""YAML documents whose every key knows its line, and their validation by pydantic models.

Read without jax, so that errors of a file are reported before anything heavy is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from .._checks import InputError
from .pydantic_errors import item_at, problems
from .yaml_reader import KeyPath, Parsed, dotted, parse_yaml, read_text

_Model = TypeVar("_Model", bound=pydantic.BaseModel)


class Document:
    """A parsed YAML file.

    - `file`: its path as given.
    - `data`: plain dicts, lists, text, numbers, booleans and None.
    """

    def __init__(self, file: str, parsed: Parsed):
        self.file = file
        self.data = parsed.data
        self._lines = parsed.lines
        self._blocks = parsed.blocks

    @property
    def directory(self) -> Path:
        """The folder the file stands in; relative paths inside the file are relative to it."""
        return Path(self.file).parent

    def line_of(self, path: KeyPath | str) -> int | None:
        """The line, from 1, of the key at `path`, or of its nearest ancestor that is written in the file.

        `path` is a tuple of keys and indices or a dotted text. Keys that contain dots themselves are found too.
        """
        steps = self.split(path) if isinstance(path, str) else path
        for length in range(len(steps), 0, -1):
            if steps[:length] in self._lines:
                return self._lines[steps[:length]]
        return None

    def text_line(self, path: KeyPath | str, offset: int) -> int | None:
        """The line of row `offset` (from 0) inside the literal block (`key: |`) at `path`; of its key in other text."""
        steps = self.split(path) if isinstance(path, str) else path
        start = self.line_of(steps)
        return start if start is None or steps not in self._blocks else start + 1 + offset

    def split(self, path: str) -> KeyPath:
        """The keys of a dotted text, as far as they stand in the document; the rest is split at its dots."""
        steps: list[str | int] = []
        node: Any = self.data
        words = path.split(".")
        while words:
            step, taken = _first_step(node, words)
            steps.append(step)
            words = words[taken:]
            node = item_at(node, step)
        return tuple(steps)

    def with_data(self, data: dict[str, Any]) -> Document:
        """The same file with other content; keys that are written in the file keep their lines."""
        return Document(self.file, Parsed(data, self._lines, self._blocks))

    def error(
        self,
        path: KeyPath | str,
        problem: str,
        *,
        value: object = None,
        remedy: str | None = None,
        line: int | None = None,
    ) -> InputError:
        """An `InputError` placed at the key at `path`."""
        key = path if isinstance(path, str) else dotted(path)
        place = self.line_of(path) if line is None else line
        return InputError(problem, file=self.file, line=place, key=key or None, value=value, remedy=remedy)


def load_document(path: str | os.PathLike[str]) -> Document:
    """Read a YAML file.

    **Raises** `InputError` with the line where there is one: for a missing or unreadable file, a directory, binary or
    empty content, tabs and other YAML errors, duplicate keys, anchors, tags, several documents, a top level that is no
    mapping.
    """
    return parse_document(read_text(os.fspath(path)), os.fspath(path))


def parse_document(text: str, file: str) -> Document:
    """As `load_document`, for text at hand; `file` names it in errors."""
    return Document(file, parse_yaml(text, file))


def validate(document: Document, model: type[_Model]) -> _Model:
    """The document as an instance of `model`, a pydantic model.

    **Raises** `InputError` for the first problem in the file: with its line, dotted key, value, what is allowed and the
    nearest valid key. Further problems are listed behind it.
    """
    try:
        return model.model_validate(document.data)
    except InputError as error:
        raise error.located(file=document.file, line=document.line_of(error.key or ())) from None
    except pydantic.ValidationError as error:
        found = problems(document, model, error.errors(include_url=False))
    first, *others = found
    if others:
        shown = "; ".join(f"line {other.line}: {other.key}: {other.problem}" for other in others[:5])
        more = f"; and {len(others) - 5} more" if len(others) > 5 else ""
        remedy = f"{first.remedy}. " if first.remedy else ""
        first = document.error(
            first.key or (), first.problem, value=first.value, line=first.line, remedy=f"{remedy}Also: {shown}{more}"
        )
    raise first


def _first_step(node: Any, words: list[str]) -> tuple[str | int, int]:
    if isinstance(node, Mapping):
        for taken in range(len(words), 0, -1):
            if ".".join(words[:taken]) in node:
                return ".".join(words[:taken]), taken
    if isinstance(node, list) and words[0].isdigit():
        return int(words[0]), 1
    return words[0], 1
