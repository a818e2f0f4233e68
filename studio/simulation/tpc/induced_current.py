"""From the charge that a moving electron induces to the current in ticks of time.

The induced charge Q(t) is the cubic through its values and slopes at the nodes of the electron's way, and constant once the
electron has ended. The current of a tick is dQ/dt averaged with the quadratic B-spline of one tick, which is 1.5 ticks wide to either
side and adds (tick/2)² to the variance of a pulse. It is the third difference of the second integral of Q, which is
smooth where Q has its kink at the end of the way: so the current has two derivatives by the time of arrival, and
its sum over ticks is the final charge exactly, wherever between two ticks the electron ends.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def current_in_ticks(
    charge: Float[Array, "nodes wires"],
    current: Float[Array, "nodes wires"],
    time: Float[Array, " nodes"],
    first_tick: Float[Array, ""],
    tick: Float[Array, ""],
    ticks: int,
) -> Float[Array, "wires ticks"]:
    """Current in e/ns in `ticks` ticks, the first of which is centred on `first_tick` (ns) and each of which lasts `tick`.

    `charge` in e and `current`, its derivative in e/ns, are those at the nodes, `time` in ns; `charge[0]` is 0, before the
    first node nothing is induced.
    """
    step = jnp.diff(time)[:, None]
    once = step / 2 * (charge[:-1] + charge[1:]) + step**2 / 12 * (current[:-1] - current[1:])
    once = _from_zero(once)
    twice = step * once[:-1] + step**2 * (
        7 / 20 * charge[:-1] + 3 / 20 * charge[1:] + step * (current[:-1] / 20 - current[1:] / 30)
    )
    twice = _from_zero(twice)

    # The last interval is what comes after the end: constant charge for ever.
    edges = first_tick + tick * (jnp.arange(ticks + 3) - 1.5)
    interval = jnp.searchsorted(jax.lax.stop_gradient(time), jax.lax.stop_gradient(edges), side="right") - 1
    begun = interval >= 0
    interval = jnp.maximum(interval, 0)
    since = jnp.where(begun, edges - time[interval], 0.0)[:, None]

    empty = step <= 0
    width = jnp.where(empty, 1.0, step)
    change = jnp.where(empty, 0.0, jnp.diff(charge, axis=0) / width)
    square = jnp.where(empty, 0.0, 3 * change - 2 * current[:-1] - current[1:]) / width
    cube = jnp.where(empty, 0.0, current[:-1] + current[1:] - 2 * change) / width**2
    still = jnp.zeros_like(charge[:1])
    cube, square, current = (jnp.concatenate([part, still]) for part in (cube, square, current[:-1]))
    series = [cube / 20, square / 12, current / 6, charge / 2, once, twice]
    value = jnp.zeros((ticks + 3, charge.shape[1]), charge.dtype)
    for coefficient in series:
        value = value * since + coefficient[interval]
    return (jnp.diff(value, n=3, axis=0) / tick**3).T


def _from_zero(increments: Float[Array, "n wires"]) -> Float[Array, "n+1 wires"]:
    return jnp.concatenate([jnp.zeros_like(increments[:1]), jnp.cumsum(increments, axis=0)])
