"""What pydantic finds wrong in a document, said to people: line, dotted key, value, what is allowed, the nearest key."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pydantic
from pydantic_core import ErrorDetails

from .._checks import InputError, choice_remedy, nearest
from .yaml_reader import KeyPath

if TYPE_CHECKING:
    from .document import Document


_MISSING, _UNKNOWN_KEY = "is missing", "unknown key"
_WORDS = {
    "missing": (_MISSING, "add it"),
    "string_type": ("expected text", "write text"),
    "int_type": ("expected a whole number", "write a whole number"),
    "int_parsing": ("expected a whole number", "write a whole number"),
    "int_from_float": ("expected a whole number", "write a whole number"),
    "float_type": ("expected a number", "write a number"),
    "float_parsing": ("expected a number", "write a number"),
    "finite_number": ("not a finite number", "write a finite number"),
    "bool_type": ("expected true or false", "write true or false"),
    "bool_parsing": ("expected true or false", "write true or false"),
    "too_short": ("expected at least {min_length} items, found {actual_length}", "add what is missing"),
    "too_long": ("expected at most {max_length} items, found {actual_length}", "remove what is too much"),
    "greater_than": ("must be greater than {gt}", "write a larger number"),
    "greater_than_equal": ("must be at least {ge}", "write a larger number"),
    "less_than": ("must be less than {lt}", "write a smaller number"),
    "less_than_equal": ("must be at most {le}", "write a smaller number"),
    "list_type": ("expected a list", "write [first, second] or one '- item' per line"),
    "tuple_type": ("expected a list", "write [first, second]"),
    "dict_type": ("expected a mapping", "write {key: value} or indented 'key: value' lines"),
    "model_type": ("expected a mapping", "write {key: value} or indented 'key: value' lines"),
    "model_attributes_type": ("expected a mapping", "write {key: value} or indented 'key: value' lines"),
}


def problems(document: Document, model: type[pydantic.BaseModel], errors: Sequence[ErrorDetails]) -> list[InputError]:
    """The errors of a pydantic validation as `InputError`s with line, key, value and remedy, in the order of the file."""
    found: dict[KeyPath, InputError] = {}
    for details in errors:
        path, problem = _one_problem(document, model, details)
        known = found.get(path)
        if known is not None and known.problem != problem.problem:  # the members of a plain union, one after another
            both = f"{known.problem}, or {problem.problem}"
            problem = document.error(path, both, value=known.value, remedy=known.remedy or problem.remedy)
        found[path] = problem
    shown = {path: error for path, error in found.items() if not _said_better(path, error, found)}
    return [shown[path] for path in sorted(shown, key=lambda path: document.line_of(path) or math.inf)]


def _said_better(path: KeyPath, error: InputError, found: Mapping[KeyPath, InputError]) -> bool:
    """Whether another error says the same more exactly: one deeper in a union's member, or a misspelt key for a missing one."""
    below = any(len(other) > len(path) and other[: len(path)] == path for other in found)
    siblings = [
        str(other[-1]) for other, its in found.items() if other[:-1] == path[:-1] and its.problem == _UNKNOWN_KEY
    ]
    misspelt = any(nearest(name, [str(path[-1])]) for name in siblings) if path else False
    return (below and error.problem.startswith("expected")) or (misspelt and error.problem == _MISSING)


def _one_problem(
    document: Document, model: type[pydantic.BaseModel], details: ErrorDetails
) -> tuple[KeyPath, InputError]:
    kind, context = details["type"], details.get("ctx", {})
    path = _path_of(document.data, details["loc"], missing=kind == "missing")
    line, value = document.line_of(path) or 1, _shown(details["input"])
    problem, remedy = _WORDS.get(kind, (details["msg"], None))
    problem = problem.format(**context) if kind in _WORDS else problem
    if kind == "extra_forbidden":
        parent = list(_models_at(model, document.data, path[:-1]))
        names = sorted({name for one in parent for name in _field_names(one)})
        problem, remedy = _UNKNOWN_KEY, choice_remedy(str(path[-1]), names)
    elif kind == "missing":
        path_names = [name for one in _models_at(model, document.data, path[:-1]) for name in _field_names(one)]
        remedy = _missing_remedy(path, value, path_names)
        value = None
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        path, problem, value, remedy = _tag_problem(document, model, path, value, context)
        line = document.line_of(path)
    elif kind in ("literal_error", "enum"):
        allowed = _quoted(str(context.get("expected", "")))
        problem, remedy = "not one of the allowed values", choice_remedy(str(value), allowed)
    elif kind == "value_error" and isinstance(context.get("error"), InputError):
        error = context["error"]
        problem, remedy, value = error.problem, error.remedy, value if error.value is None else error.value
    elif "remedy" in context:
        remedy = str(context["remedy"])
    if "row" in context:  # a row of a text block
        value = context.get("value")
        line = line if context["row"] is None else document.text_line(path, context["row"])
        return path, document.error(path, problem, value=value, remedy=remedy, line=line)
    return path, document.error(path, problem, value=value, remedy=remedy, line=line)


def _path_of(data: Any, location: Sequence[str | int], *, missing: bool) -> KeyPath:
    """The keys of `location` that stand in the document: pydantic also names there the union member it tried."""
    path: list[str | int] = []
    node = data
    for number, step in enumerate(location):
        if _stands_in(node, step) and not _is_tag(node, step, location[number + 1 :]):
            path.append(step)
            node = item_at(node, step)
        elif missing and number == len(location) - 1:
            path.append(step)
    return tuple(path)


def _stands_in(node: Any, step: str | int) -> bool:
    if isinstance(node, Mapping):
        return step in node
    return isinstance(node, list) and isinstance(step, int) and step < len(node)


def _is_tag(node: Any, step: str | int, rest: Sequence[str | int]) -> bool:
    """Whether `step` is the kind of a union's member rather than a key of the same name."""
    if not isinstance(node, Mapping) or node.get("kind") != step:
        return False
    return bool(rest) and rest[0] in node and not isinstance(node[str(step)], Mapping)


def _tag_problem(
    document: Document, model: type[pydantic.BaseModel], path: KeyPath, value: object, context: Mapping[str, Any]
) -> tuple[KeyPath, str, object, str]:
    name = str(context.get("discriminator", "'kind'")).strip("'")
    members = _models_at(model, document.data, path)
    kinds = [typing.get_args(member.model_fields[name].annotation) for member in members if name in member.model_fields]
    allowed = _quoted(str(context.get("expected_tags", ""))) or [str(kind) for some in kinds for kind in some]
    if not isinstance(value, Mapping):
        return path, f"expected a mapping with the key '{name}'", value, choice_remedy("", allowed)
    if name not in value:
        remedy = f"add '{name}: ...'. {choice_remedy('', allowed)}"
        return (*path, name), _MISSING, None, remedy
    return (*path, name), "not one of the allowed values", value[name], choice_remedy(str(value[name]), allowed)


def _missing_remedy(path: KeyPath, parent: object, names: Sequence[str]) -> str:
    written = list(parent) if isinstance(parent, Mapping) else []
    unknown = [name for name in written if name not in names]
    hint = f"; written here: {', '.join(map(str, written))}" if unknown else ""
    return f"add '{path[-1]}: ...'{hint}"


def _quoted(text: str) -> list[str]:
    """The names in pydantic's "'a', 'b' or 'c'"."""
    return [part for number, part in enumerate(text.split("'")) if number % 2 == 1]


def _shown(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return "nothing" if value is None else value


def _models_at(model: Any, data: Any, path: KeyPath) -> Iterator[type[pydantic.BaseModel]]:
    """The models that the schema allows at `path`, following what `data` says where there is a choice of kind."""
    for member in _members(model, data):
        if not path:
            yield member
            continue
        step, rest = path[0], path[1:]
        field = next((f for name, f in member.model_fields.items() if step in (name, f.alias)), None)
        if field is not None:
            yield from _models_below(field.annotation, item_at(data, step), rest)


def _models_below(annotation: Any, data: Any, path: KeyPath) -> Iterator[type[pydantic.BaseModel]]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _models_below(arguments[0], data, path)
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _models_below(argument, data, path)
    elif origin in (list, tuple, Sequence) and path and isinstance(path[0], int):
        for argument in arguments[:1]:
            yield from _models_below(argument, item_at(data, path[0]), path[1:])
    elif origin in (dict, Mapping) and path:
        yield from _models_below(arguments[1], item_at(data, path[0]), path[1:])
    else:
        yield from _models_at(annotation, data, path)


def _members(annotation: Any, data: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        kind = annotation.model_fields.get("kind")
        allowed = typing.get_args(kind.annotation) if kind is not None else ()
        if not allowed or not isinstance(data, Mapping) or "kind" not in data or data["kind"] in allowed:
            yield annotation


def _field_names(model: type[pydantic.BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def item_at(node: Any, step: str | int) -> Any:
    """The child of a mapping or list, or None where there is none."""
    if isinstance(node, Mapping):
        return node.get(step)
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step]
    return None
