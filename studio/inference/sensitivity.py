"""Value, gradient and information of an event's log likelihood, summed over channels in chunks.

The derivative is taken in two halves: of every channel with respect to what the event sends out (in reverse, so the
number of parameters does not matter), and of that with respect to the parameters (forward, once for all channels).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

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


class Sensitivity(NamedTuple):
    """Of all parameters together, in natural units: event parameters, then nuisances, then latents.

    `value`: log likelihood, 0 without a readout; `gradient (all,)`; `information (all, all)`: expected, without priors;
    `pearson`: Σ (observed − expected)² × information over the measured quantities of channels that fired.
    """

    value: Float[Array, ""]
    gradient: Float[Array, " all"]
    information: Float[Array, "all all"]
    pearson: Float[Array, ""]


def log_likelihood(
    simulator: AbstractSimulator,
    likelihood: AbstractLikelihood,
    detector: Any,
    event: Primary,
    latents: Float[Array, " latents"],
    readout: Any,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Log likelihood of `readout` and Pearson's sum, as in `Sensitivity`; differentiable, in chunks of channels."""
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


def sensitivity(
    simulator: AbstractSimulator,
    likelihood: AbstractLikelihood,
    detector: Any,
    event: Primary,
    latents: Float[Array, " latents"],
    groups: tuple[str, ...],
    nuisance: Mapping[str, Any] | tuple[str, ...] = (),
    readout: Any = None,
) -> Sensitivity:
    """Evaluate at `event` and `latents`; `groups` are the event's free parameters, `nuisance` paths of detector leaves."""
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

    def of_channel(flat: Array, channel: Array):
        emitted, values = unravel(flat)
        there = replace(detector, values)
        measured = likelihood.measured(there, simulator.receive(there, emitted, channel[None]))
        outputs = [m.mean for m in measured]
        pearson = jnp.zeros_like(outputs[0])
        if readout is not None:
            value, pearson = likelihood.judge(there, readout, measured, channel[None])
            outputs.append(value)
        stacked = jnp.stack([output[0] for output in outputs])
        return stacked, (stacked, jnp.stack([m.information[0] for m in measured]), pearson[0])

    def one(channels: Array, counted: Array) -> Sensitivity:
        partial, (outputs, information, pearson) = jax.vmap(jax.jacrev(of_channel, has_aux=True), in_axes=(None, 0))(
            flat_carrier, channels
        )
        jacobian = (partial @ directions.T).astype(jnp.float64)
        kinds = information.shape[1]
        weight = (information * counted[:, None]).astype(jnp.float64)
        matrix = jnp.einsum("nka,nk,nkb->ab", jacobian[:, :kinds], weight, jacobian[:, :kinds])
        kept = counted.astype(jnp.float64)
        value, gradient = kept @ outputs[:, kinds:], jnp.einsum("n,nka->a", kept, jacobian[:, kinds:])
        return Sensitivity(jnp.sum(value), gradient, matrix, kept @ pearson)

    channels, counted = simulator.channel_chunks(likelihood.channel_count(detector))
    if channels.shape[0] == 1:
        return one(channels[0], counted[0].astype(dtype))

    @jax.checkpoint
    def add(carry: Sensitivity, chunk: tuple[Array, Array]) -> tuple[Sensitivity, None]:
        return jax.tree.map(jnp.add, carry, one(chunk[0], chunk[1].astype(dtype))), None

    zero = jnp.zeros((), jnp.float64)
    start = Sensitivity(zero, jnp.zeros(total, jnp.float64), jnp.zeros((total, total), jnp.float64), zero)
    return jax.lax.scan(add, start, (channels, counted))[0]
