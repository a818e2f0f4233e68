"""Numbers that users give, as checked floating arrays."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ._checks import InputError


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
