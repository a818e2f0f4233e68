"""The largest so far, along one axis."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def running_max(values: Float[Array, "*shape"], axis: int = 0) -> Float[Array, "*shape"]:
    """The largest of the entries along `axis` up to each one, step by step.

    `jax.lax.cummax` is a tree of slices and paddings on CPUs. XLA may merge it into one expression, in which every level evaluates the
    one below three times: with the ten levels of a drift path that filled 15 GB of the compiler's memory.
    """

    def more(largest: Array, value: Array) -> tuple[Array, Array]:
        largest = jnp.maximum(largest, value)
        return largest, largest

    rows = jnp.moveaxis(values, axis, 0)
    return jnp.moveaxis(jax.lax.scan(more, rows[0], rows)[1], 0, axis)
