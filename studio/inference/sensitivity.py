"""An event's log likelihood, and the information about its parameters, summed over channels in chunks.

The derivative of what is measured is taken in two halves: of every channel with respect to what the event sends out (in
reverse, so the number of parameters does not matter), and of that with respect to the parameters (forward, once for all
channels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..event import Primary
from ..paths import get, replace
from ..simulation import AbstractSimulator
from .likelihood import AbstractLikelihood
from .parameters import moved, scales

NUISANCE_STEP = 0.01
"""Nuisance parameters move in units of 1 % of their value."""


def log_likelihood(
    simulator: AbstractSimulator,
    likelihood: AbstractLikelihood,
    detector: Any,
    event: Primary,
    latents: Float[Array, " latents"],
    readout: Any,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Log likelihood of `readout`, and Pearson's sum over its channels of (observed − mean)² over the variance that
    observations have; differentiable, in chunks of channels."""
    emitted = simulator.emit(detector, event, latents)

    def one(channels: Array, counted: Array) -> tuple[Array, Array]:
        measured = likelihood.measured(detector, simulator.receive(detector, emitted, channels))
        value, pearson = likelihood.judge(detector, readout, measured, channels)
        return jnp.sum((value * counted).astype(jnp.float64)), jnp.sum((pearson * counted).astype(jnp.float64))

    channels, counted = simulator.channel_chunks(likelihood.channel_count(detector))
    if channels.shape[0] == 1:
        return one(channels[0], counted[0])

    @jax.checkpoint
    def add(carry: tuple[Array, Array], chunk: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        return jax.tree.map(jnp.add, carry, one(*chunk)), None

    zero = jnp.zeros((), jnp.float64)
    return jax.lax.scan(add, (zero, zero), (channels, counted))[0]


def information_matrix(
    simulator: AbstractSimulator,
    likelihood: AbstractLikelihood,
    detector: Any,
    event: Primary,
    latents: Float[Array, " latents"],
    groups: tuple[str, ...],
    nuisance: Mapping[str, Any] | tuple[str, ...] = (),
) -> Float[Array, "all all"]:
    """Expected information about all parameters together, in natural units and without priors: event parameters, then
    nuisances, then latents.

    Taken at `event` and `latents`; `groups` are the event's free parameters, `nuisance` paths of detector leaves.
    """
    rows, total = _rows(simulator, likelihood, detector, event, latents, groups, nuisance)

    def one(channels: Array, counted: Array) -> Array:
        jacobian, information = rows(channels)
        weight = (information * counted[:, None]).astype(jnp.float64)
        return jnp.einsum("nka,nk,nkb->ab", jacobian, weight, jacobian)

    dtype = event.kinetic_energy.dtype
    channels, counted = simulator.channel_chunks(likelihood.channel_count(detector))
    if channels.shape[0] == 1:
        return one(channels[0], counted[0].astype(dtype))

    @jax.checkpoint
    def add(carry: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        return carry + one(chunk[0], chunk[1].astype(dtype)), None

    return jax.lax.scan(add, jnp.zeros((total, total), jnp.float64), (channels, counted))[0]


def channel_sensitivities(
    simulator: AbstractSimulator,
    likelihood: AbstractLikelihood,
    detector: Any,
    event: Primary,
    latents: Float[Array, " latents"],
    groups: tuple[str, ...],
    nuisance: Mapping[str, Any] | tuple[str, ...] = (),
) -> tuple[Float[Array, "channels k all"], Float[Array, "channels k"]]:
    """What `information_matrix` sums: the derivatives J of the k numbers that each channel measures, and their weights w,
    so that the information of channel n is Σₖ wₙₖ JₙₖᵀJₙₖ. All of it is kept, which takes k × parameters numbers a channel.
    """
    rows, _ = _rows(simulator, likelihood, detector, event, latents, groups, nuisance)
    count = likelihood.channel_count(detector)
    channels, _ = simulator.channel_chunks(count)
    jacobian, information = jax.lax.map(rows, channels) if channels.shape[0] > 1 else rows(channels[0])
    return (
        jacobian.reshape(-1, *jacobian.shape[-2:])[:count],
        information.reshape(-1, information.shape[-1])[:count].astype(jnp.float64),
    )


Rows = Callable[[Array], tuple[Array, Array]]


def _rows(
    simulator: AbstractSimulator,
    likelihood: AbstractLikelihood,
    detector: Any,
    event: Primary,
    latents: Array,
    groups: tuple[str, ...],
    nuisance: Mapping[str, Any] | tuple[str, ...],
) -> tuple[Rows, int]:
    """A function from channels `(n,)` to derivatives `(n, k, all)` and weights `(n, k)`, and the number of parameters."""
    event_scale = scales(event, groups)
    nominal = {path: get(detector, path) for path in nuisance}
    sizes = [event_scale.shape[0], *(jnp.size(leaf) for leaf in nominal.values())]
    total, dtype = sum(sizes) + latents.shape[0], event_scale.dtype

    def sent(change: Array) -> tuple[Any, dict[str, Array]]:
        parts = jnp.split(change, np.cumsum(sizes))
        values = {
            path: leaf * (1 + NUISANCE_STEP * part.reshape(jnp.shape(leaf)))
            for (path, leaf), part in zip(nominal.items(), parts[1:-1], strict=True)
        }
        moved_event = moved(event, groups, parts[0] * event_scale)
        return simulator.emit(replace(detector, values), moved_event, latents + parts[-1]), values

    carrier, push = jax.linearize(sent, jnp.zeros(total, dtype))
    directions = jax.vmap(lambda unit: ravel_pytree(push(unit))[0])(jnp.eye(total, dtype=dtype))
    flat_carrier, unravel = ravel_pytree(carrier)

    def of_channel(flat: Array, channel: Array) -> tuple[Array, Array]:
        emitted, values = unravel(flat)
        there = replace(detector, values)
        measured = likelihood.measured(there, simulator.receive(there, emitted, channel[None]))
        return jnp.stack([m.mean[0] for m in measured]), jnp.stack([m.information[0] for m in measured])

    def rows(channels: Array) -> tuple[Array, Array]:
        partial, information = jax.vmap(jax.jacrev(of_channel, has_aux=True), in_axes=(None, 0))(flat_carrier, channels)
        return (partial @ directions.T).astype(jnp.float64), information

    return rows, total
