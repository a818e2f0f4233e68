"""Numbers that users give, as checked floating arrays."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ._checks import InputError

_Tree = TypeVar("_Tree")


def in_precision(dtype: DTypeLike, tree: _Tree) -> _Tree:
    """The same with its real numbers in another precision."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, tree)


def as_floating(value: Any) -> Array:
    """`value` as an array of its own floating type, or of the default one where it holds whole numbers."""
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def as_number(value: Any, key: str, *, positive: bool = False, remedy: str | None = None) -> Float[Array, ""]:
    """`value` as one floating number; a concrete one must be finite, and more than zero where asked.

    **Raises** `InputError` naming `key`. Traced values are trusted: bounds hold them.
    """
    array = jnp.asarray(value, dtype=jnp.result_type(float) if not hasattr(value, "dtype") else None)
    if array.shape != ():
        raise InputError(f"shape {array.shape}", key=key, remedy="give one number")
    if not isinstance(array, Tracer) and not (np.isfinite(array) and (array > 0 or not positive)):
        problem = "must be positive and finite" if positive else "must be finite"
        raise InputError(problem, key=key, value=float(array), remedy=remedy)
    return array


def as_size(value: float | Array, key: str, shape: tuple[int, ...] = ()) -> Array:
    """`value` as a floating array of `shape`; concrete values must be positive and finite.

    **Raises** `InputError` naming `key`. Traced values are trusted: bounds hold them.
    """
    array = jnp.asarray(value, dtype=jnp.result_type(float) if not hasattr(value, "dtype") else None)
    if array.shape != shape:
        raise InputError(f"expected shape {shape}, got {array.shape}", key=key, remedy="give lengths in mm")
    if not isinstance(array, Tracer):
        numbers = np.asarray(array)
        if not np.all(np.isfinite(numbers) & (numbers > 0)):
            raise InputError(
                "must be positive and finite", key=key, value=numbers.tolist(), remedy="give a length in mm"
            )
    return array
