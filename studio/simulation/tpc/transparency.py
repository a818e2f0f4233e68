"""How much of the drifting charge reaches the collection plane.

Electrons follow field lines, so what is lost is the flux between the lines that part: those that run into a point without
field. Their stream function is that of the point, and far above, where the field is uniform, it is
proportional to the place across the wires. So the collected part is a sum of exact places of parting lines: no counting of
ways, and its derivative is that of the stream function at the field-free points.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from ...detector.tpc import TPC
from .anode import Anode, anode_of, phase_lattice
from .drift_field import DriftField, solve_drift_field
from .drift_path import ROUGH_STEPS, bottom, trace, uniform_height

# Starts in a pitch of the first plane, evenly; besides those that lead to the tops of wires and behind the last plane, so
# that even the narrowest loss is seen.
_STARTS = 16
# Pitches above the first plane where electrons start, well in the uniform field.
_ABOVE = 10.0
# Halvings of the bracket around a parting line, then Newton's steps to its field-free point, and those with derivatives.
_HALVINGS, _FINDING, _DERIVING = 8, 20, 2


class _Brackets(NamedTuple):
    """Pairs of starts, in pitches from the first plane's wire, of which one is collected; `real` where there is such a pair."""

    low: Float[Array, " n"]
    high: Float[Array, " n"]
    low_collected: Bool[Array, " n"]
    real: Bool[Array, " n"]


def transparency(detector: TPC, phases: int = 8) -> Float[Array, ""]:
    """The part of the drifting electrons of a chamber that its planes of wires let through to the last one.

    `phases`: over so many ways in which the wires of the planes may stand relative to each other the mean is taken.
    Differentiable in pitches, heights, biases, radii, the drift field and what is behind.

    **Raises** `InputError` where drift volumes differ in their drift field.
    """
    start = detector.planes[0].height + _ABOVE * jnp.max(jnp.stack([plane.pitch for plane in detector.planes]))
    return collected_share(anode_of(detector, start), phase_lattice(phases, len(detector.planes)))


def collected_share(anode: Anode, phases: Float[Array, "sets planes"]) -> Float[Array, ""]:
    """The part of the drifting electrons that end on the last plane, mean over starts and over `phases` of the planes."""

    def of_phase(phase: Array) -> Array:
        return _collected(eqx.tree_at(lambda tree: tree.phase, anode, phase))

    return jnp.mean(jax.vmap(of_phase)(phases))


def _collected(anode: Anode) -> Float[Array, ""]:
    """The same for one relative phase, over the pitch of the first plane around its wire."""
    field = solve_drift_field(anode)
    starts = jnp.sort(_starts(anode, field))
    collected = _is_collected(anode, field, starts)
    low, high = starts[:-1], starts[1:]
    differs = collected[:-1] != collected[1:]
    ends = collected.astype(starts.dtype)
    share = jnp.sum(0.5 * (high - low) * (ends[:-1] + ends[1:]))

    chosen = jnp.argsort(~differs)[: 2 * len(anode.pitch)]
    brackets = _Brackets(low[chosen], high[chosen], collected[chosen], differs[chosen])
    # A way that grazes a wire may count for the other side; a line further outside its bracket would be another line.
    parting = jnp.clip(_parting_lines(anode, field, brackets), brackets.low - 0.01, brackets.high + 0.01)
    middle = 0.5 * (brackets.low + brackets.high)
    moved = jnp.where(brackets.low_collected, parting - middle, middle - parting)
    return share + jnp.sum(jnp.where(brackets.real, moved, 0.0))


def _across(anode: Anode, start: Array) -> Array:
    """A place in mm from one in pitches of the first plane."""
    return (anode.phase[0] + start) * anode.pitch[0]


def _is_collected(anode: Anode, field: DriftField, starts: Float[Array, " n"]) -> Bool[Array, " n"]:
    """Which ways end on the last plane; those on a parting line itself, which end nowhere, count as such."""
    ended = trace(anode, field, uniform_height(anode) + 1j * _across(anode, starts)).plane
    return (ended == len(anode.pitch) - 1) | (ended < 0)


def _starts(anode: Anode, field: DriftField) -> Float[Array, " n"]:
    even = jnp.asarray(np.linspace(-0.5, 0.5, _STARTS + 1))
    tops = field.wires + 1.01 * anode.wire_radius
    behind = bottom(anode) * 0.99 + 1j * (field.wires[-1].imag + 0.5 * anode.pitch[-1])
    back = trace(anode, field, jnp.concatenate([tops, behind[None]]), along=-1.0)
    place = back.nodes[-1].imag / jax.lax.stop_gradient(anode.pitch[0]) - jax.lax.stop_gradient(anode.phase[0])
    place = place - jnp.round(place)
    return jnp.concatenate([even, jnp.where(back.plane == len(anode.pitch) + 1, place, even[0])])


def _parting_lines(anode: Anode, field: DriftField, brackets: _Brackets) -> Float[Array, " n"]:
    """Where the parting lines in `brackets` start, in pitches from the first plane's wire."""
    held_anode, held = jax.lax.stop_gradient((anode, field))

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        as_low = _is_collected(held_anode, held, middle) == brackets.low_collected
        return jnp.where(as_low, middle, low), jnp.where(as_low, high, middle)

    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (brackets.low, brackets.high))
    starts = uniform_height(held_anode) + 1j * _across(held_anode, jnp.concatenate([low, high]))
    nodes = trace(held_anode, held, starts).nodes

    # The two ways beside the line go together, step by step, until it runs into the field-free point and they part.
    ways = len(low)
    left, right = nodes[:, :ways], nodes[:, ways:]
    together = jnp.cumsum(jnp.abs(left - right) > 0.5 * jnp.min(held_anode.wire_radius), axis=0) == 0
    first, second = held.derivatives(left)
    apart = jnp.abs(first) ** 2 / jnp.maximum(
        jnp.abs(second), 1e-30
    )  # in potential, from the point that Newton would go to
    nearest = jnp.argmin(jnp.where(together, apart, jnp.inf), axis=0)
    point = _field_free(held, _at(left, nearest), 0.5 * jnp.min(held_anode.wire_radius), brackets.real)
    for _ in range(_DERIVING):
        point = point - _newton(field, point, brackets.real)
    line = jnp.where(jnp.arange(ROUGH_STEPS + 1)[:, None] <= nearest, left, point)
    stream = field.stream(line)
    across = left[0].imag - (stream[-1] - stream[0]) / anode.drift_field
    return across / anode.pitch[0] - anode.phase[0]


def _at(nodes: Complex[Array, "nodes ways"], index: Array) -> Complex[Array, " ways"]:
    return jnp.take_along_axis(nodes, index[None], axis=0)[0]


def _newton(field: DriftField, point: Complex[Array, " n"], real: Bool[Array, " n"]) -> Complex[Array, " n"]:
    first, second = field.derivatives(point)
    usable = real & (jnp.abs(jax.lax.stop_gradient(second)) > 0)
    return jnp.where(usable, first, 0.0) / jnp.where(usable, second, 1.0)


def _field_free(
    field: DriftField, point: Complex[Array, " n"], longest: Float[Array, ""], real: Bool[Array, " n"]
) -> Complex[Array, " n"]:
    """The place near `point` where the field vanishes, without derivatives."""

    def find(_: int, point: Array) -> Array:
        change = _newton(field, point, real)
        return point - change * jnp.minimum(1.0, longest / jnp.maximum(jnp.abs(change), 1e-30))

    return jax.lax.stop_gradient(jax.lax.fori_loop(0, _FINDING, find, point))
