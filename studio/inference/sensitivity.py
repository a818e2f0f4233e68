"""An event's log likelihood, and the information about its parameters, summed over channels in chunks.

The derivative of what is measured is taken in two halves: of every channel with respect to what the event sends out, and of
that with respect to the parameters (forward, once for all channels). The first half is taken in reverse where a channel measures
few numbers, so that the number of parameters does not matter; and forward, in the simulator's own way, where it measures more
numbers than there are parameters, or where the simulator computes all channels together. Nuisances that change how things are
received, and not only what is sent out, are then followed one parameter at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
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

    def numbers_of(there: Any, received: Any) -> tuple[Array, Array]:
        columns = [[leaf.reshape(leaf.shape[0], -1) for leaf in kind] for kind in likelihood.measured(there, received)]
        mean, information = (jnp.concatenate(parts, axis=-1) for parts in zip(*columns, strict=True))
        return mean, information

    def measured_from(emitted: Any, values: Mapping[str, Array], channels: Array) -> tuple[Array, Array]:
        there = replace(detector, values)
        return numbers_of(there, simulator.receive(there, emitted, channels))

    still = jnp.zeros(total, dtype)
    numbers = jax.eval_shape(lambda: measured_from(*sent(still), jnp.zeros(1, int)))[0].shape[-1]
    if numbers > total or simulator.together:
        if not any(simulator.receives_by(path) for path in nominal):
            return functools.partial(
                _along, simulator, detector, lambda change: sent(change)[0], numbers_of, still
            ), total

        def of_parameters(change: Array, channels: Array) -> tuple[Array, Array]:
            return measured_from(*sent(change), channels)

        return functools.partial(_forward, of_parameters, still), total

    # What is sent out may hold whole numbers, which do not move: indices of wavelengths and of sensors.
    linear: Any = jax.linearize(lambda change: eqx.partition(sent(change), eqx.is_inexact_array), still, has_aux=True)
    carrier, push, fixed = linear
    directions = jax.vmap(lambda unit: ravel_pytree(push(unit))[0])(jnp.eye(total, dtype=dtype))
    flat_carrier, unravel = ravel_pytree(carrier)

    def of_channel(flat: Array, channel: Array) -> tuple[Array, Array]:
        emitted, values = eqx.combine(unravel(flat), fixed)
        mean, information = measured_from(emitted, values, channel[None])
        return mean[0], information[0]

    def rows(channels: Array) -> tuple[Array, Array]:
        slopes, information = jax.vmap(jax.jacrev(of_channel, has_aux=True), in_axes=(None, 0))(flat_carrier, channels)
        return (slopes @ directions.T).astype(jnp.float64), information

    return rows, total


def _along(
    simulator: AbstractSimulator,
    detector: Any,
    sent: Callable[[Array], Any],
    numbers_of: Callable[[Any, Any], tuple[Array, Array]],
    still: Array,
    channels: Array,
) -> tuple[Float[Array, "n k all"], Float[Array, "n k"]]:
    """Derivatives of what channels measure along all changes of what is `sent`, and the information of each number."""
    linear: Any = jax.linearize(lambda change: eqx.partition(sent(change), eqx.is_inexact_array), still, has_aux=True)
    moving, push, fixed = linear
    changes = jax.vmap(push)(jnp.eye(still.shape[0], dtype=still.dtype))
    received, slopes = simulator.receive_along(detector, eqx.combine(moving, fixed), changes, channels)
    linear = jax.linearize(lambda given: numbers_of(detector, given), received, has_aux=True)
    _, measure, information = linear
    return jax.vmap(measure, out_axes=-1)(slopes).astype(jnp.float64), information


def _forward(
    of_parameters: Callable[[Array, Array], tuple[Array, Array]], still: Array, channels: Array
) -> tuple[Float[Array, "n k all"], Float[Array, "n k"]]:
    """Derivatives of what channels measure, one parameter after the other, and the information of each number."""
    linear: Any = jax.linearize(lambda change: of_parameters(change, channels), still, has_aux=True)
    _, push, information = linear
    slopes = jax.lax.map(jax.checkpoint(push), jnp.eye(still.shape[0], dtype=still.dtype))
    return jnp.moveaxis(slopes, 0, -1).astype(jnp.float64), information
