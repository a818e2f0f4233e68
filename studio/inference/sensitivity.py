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

    def means(flat: Array, channel: Array):
        emitted, values = unravel(flat)
        there = replace(detector, values)
        measured = likelihood.measured(there, simulator.receive(there, emitted, channel[None]))
        measured = jax.tree.map(lambda leaf: leaf[0], measured)
        return jnp.stack([m.mean for m in measured]), measured

    def one(channels: Array, counted: Array) -> Sensitivity:
        partial, measured = jax.vmap(jax.jacrev(means, has_aux=True), in_axes=(None, 0))(flat_carrier, channels)
        jacobian = (partial @ directions.T).astype(jnp.float64)
        weight = jnp.stack([m.information for m in measured], axis=1) * counted[:, None]
        information = jnp.einsum("nka,nk,nkb->ab", jacobian, weight.astype(jnp.float64), jacobian)
        if readout is None:
            zero = jnp.zeros((), jnp.float64)
            return Sensitivity(zero, jnp.zeros(total, jnp.float64), information, zero)

        def judged(flat: Array) -> tuple[Array, Array]:
            emitted, values = unravel(flat)
            there = replace(detector, values)
            measured = likelihood.measured(there, simulator.receive(there, emitted, channels))
            found = likelihood.judge(there, readout, measured, channels)
            value, pearson = (jnp.sum((x * counted).astype(jnp.float64)) for x in found)
            return value, pearson

        (value, pearson), slope = jax.value_and_grad(judged, has_aux=True)(flat_carrier)
        return Sensitivity(value, (directions @ slope).astype(jnp.float64), information, pearson)

    channels, counted = simulator.channel_chunks(likelihood.channel_count(detector))
    if channels.shape[0] == 1:
        return one(channels[0], counted[0].astype(dtype))

    @jax.checkpoint
    def add(carry: Sensitivity, chunk: tuple[Array, Array]) -> tuple[Sensitivity, None]:
        return jax.tree.map(jnp.add, carry, one(chunk[0], chunk[1].astype(dtype))), None

    zero = jnp.zeros((), jnp.float64)
    start = Sensitivity(zero, jnp.zeros(total, jnp.float64), jnp.zeros((total, total), jnp.float64), zero)
    return jax.lax.scan(add, start, (channels, counted))[0]
