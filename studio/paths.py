"""Everything is a leaf with a path: the same text names it in Python, YAML, the tracker and error messages.

A path is a dotted name: attributes of modules, keys of mappings, indices of sequences, as in `volume.radius`,
`sensors.uv`, `planes.0.pitch`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ._checks import InputError, choice_remedy


def get(tree: Any, path: str) -> Any:
    """What stands at `path` in `tree`. **Raises** `InputError` with the nearest valid path where nothing does."""
    node = tree
    for step in path.split("."):
        try:
            node = _child(node, step)
        except (KeyError, IndexError, AttributeError, ValueError):
            raise InputError("no such path", key=path, remedy=choice_remedy(path, leaf_paths(tree))) from None
    return node


def replace(tree: Any, values: Mapping[str, Any]) -> Any:
    """`tree` with the leaves at the given paths replaced; the tree itself is unchanged.

    A plain number or sequence takes the dtype of the array it replaces. **Raises** `InputError` for a path that does
    not exist or a value whose shape differs from the leaf's.
    """
    for path, value in values.items():
        old = get(tree, path)
        tree = _set(tree, path.split("."), _like(old, value, path))
    return tree


def leaf_paths(tree: Any) -> list[str]:
    """The paths of all array and number leaves of `tree`, in tree order."""
    return [path for path, _ in _leaves(tree, "")]


def alike(first: Any, second: Any) -> bool:
    """Whether two trees have the same leaves, of the same shapes."""
    shapes = [[(path, getattr(leaf, "shape", ())) for path, leaf in _leaves(tree, "")] for tree in (first, second)]
    return shapes[0] == shapes[1]


def _leaves(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    children = _children(node)
    if children is None:
        if hasattr(node, "dtype") or (isinstance(node, int | float | complex) and not isinstance(node, bool)):
            yield prefix, node
        return
    for name, child in children:
        yield from _leaves(child, f"{prefix}.{name}" if prefix else name)


def _children(node: Any) -> list[tuple[str, Any]] | None:
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        dynamic = [field.name for field in dataclasses.fields(node) if not field.metadata.get("static", False)]
        return [(name, getattr(node, name)) for name in dynamic]
    if isinstance(node, Mapping):
        return [(str(key), child) for key, child in node.items()]
    if isinstance(node, list | tuple):
        return [(str(index), child) for index, child in enumerate(node)]
    return None


def _child(node: Any, step: str) -> Any:
    if isinstance(node, Mapping):
        return node[step]
    if isinstance(node, list | tuple):
        return node[int(step)]
    if dataclasses.is_dataclass(node):
        return getattr(node, step)
    raise AttributeError(step)


def _set(node: Any, steps: list[str], value: Any) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    child = _set(_child(node, step), rest, value)
    if isinstance(node, Mapping):
        return {**node, step: child}
    if isinstance(node, list | tuple):
        items = list(node)
        items[int(step)] = child
        return type(node)(*items) if hasattr(node, "_fields") else type(node)(items)
    return _with_field(node, step, child)


def _with_field(module: Any, name: str, child: Any) -> Any:
    import equinox as eqx

    return eqx.tree_at(lambda tree: getattr(tree, name), module, child, is_leaf=lambda leaf: leaf is None)


def _like(old: Any, value: Any, path: str) -> Any:
    if not hasattr(old, "dtype"):
        return value
    import jax.numpy as jnp

    new = jnp.asarray(value, dtype=None if hasattr(value, "dtype") else old.dtype)
    if new.shape != old.shape:
        problem = f"shape {new.shape} where the leaf has shape {old.shape}"
        raise InputError(problem, key=path, remedy="give an array of the leaf's own shape")
    return new
