"""The ways of single electrons to the wires.

A way is traced once, without derivatives, to find where it ends and how densely it must be described. Then every node is put
exactly on its field line by Newton's method on F(z) = potential + i stream, potential being a fixed fraction of the way
from the start's to the bias of the wire where it ends, stream that of the start. So the end needs no search, a node's
derivatives are those of the implicit function F(z; geometry) = const, and no derivative runs through the tracing.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

from ..._running import running_max
from .anode import Anode, Mesh
from .drift_field import DriftField
from .drift_velocity import drift_velocity

# A step of the tracing is a part of the length |F'/F''| over which the field changes, which near a wire is the distance to
# it and near a point without field the distance to that, but not less than the first of these in mean pitches, nor more than the
# second times the part: F'' may pass through zero.
_SHORTEST, _LONGEST = 0.001, 1.5
# That part, and steps enough for a way past three planes: to find where ways end, and to integrate the time along them. Every
# other one of the latter nodes is kept. Derivatives hold the nodes' parts of the way, differences move them: with these
# steps the two agree to some 1e-5.
ROUGH_STEP, ROUGH_STEPS = 0.06, 240
_STEP, _STEPS, _KEPT = 0.02, 640, 2
# The field is uniform to exp(−2π 2.5) this many pitches above the first plane, and a way behind the last one is lost below it.
_UNIFORM, LOST = 2.5, 1.5
# Nodes on the straight way down to there, evenly in the logarithm of the height.
_FAR = 96
# Newton's steps that only find the place, and those that also carry derivatives: first and second ones after two.
_FINDING, _DERIVING = 3, 2


class Trace(NamedTuple):
    """A way as traced: `nodes (steps + 1, ways)`; `plane (ways,)`: where it ended, `planes` for behind the last one, −1 where
    it did not end."""

    nodes: Complex[Array, "nodes ways"]
    plane: Int[Array, " ways"]


class DriftPath(NamedTuple):
    """A way: `place (nodes, ways)`, `velocity` there as a complex number in mm/ns, `time` in ns since the start, and
    `plane (ways,)` as in `Trace`."""

    place: Complex[Array, "nodes ways"]
    velocity: Complex[Array, "nodes ways"]
    time: Float[Array, "nodes ways"]
    plane: Int[Array, " ways"]


def uniform_height(anode: Anode) -> Float[Array, ""]:
    """The height in mm above which the drift field is uniform, or the start where that is lower."""
    return jnp.minimum(anode.height[0] + _UNIFORM * jnp.max(anode.pitch), anode.start)


def trace(
    anode: Anode,
    field: DriftField,
    starts: Complex[Array, " ways"],
    along: float = 1.0,
    part: float = ROUGH_STEP,
    steps: int = ROUGH_STEPS,
) -> Trace:
    """Follows electrons from `starts`, or back from where they came with `along` = −1, without derivatives."""
    anode, field, starts = jax.lax.stop_gradient((anode, field, starts))
    scale = jnp.mean(anode.pitch)

    def direction(z: Array) -> Array:
        first = field.derivatives(z).first.conj()
        size = jnp.abs(first)
        return along * first / jnp.where(size > 0, size, 1.0)

    def step(z: Array, _: None) -> tuple[Array, Array]:
        first, second = field.derivatives(z)
        length = part * jnp.abs(first) / jnp.maximum(jnp.abs(second), 1e-30)
        length = jnp.clip(length, _SHORTEST * scale, _LONGEST * part * scale)
        middle = direction(z + 0.5 * length * direction(z))
        moved = z + length * direction(z + 0.5 * length * middle)
        return jnp.where(_ended(anode, field, z, along) < 0, moved, z), z

    last, nodes = jax.lax.scan(step, starts, length=steps)
    return Trace(jnp.concatenate([nodes, last[None]]), _ended(anode, field, last, along))


def drift_paths(anode: Anode, field: DriftField, across: Float[Array, " ways"]) -> DriftPath:
    """The ways of electrons that start at height `start` at the places `across` in mm."""
    near = uniform_height(anode)
    traced = trace(anode, field, near + 1j * across, part=_STEP, steps=_STEPS)
    highest, lowest = anode.start - anode.height[0], near - anode.height[0]
    parts = jnp.asarray(np.arange(_FAR) / _FAR)
    far = anode.height[0] + highest * (lowest / highest) ** parts
    start = anode.start + 1j * across
    nodes = jax.lax.stop_gradient(jnp.concatenate([far[:, None] + 1j * across, traced.nodes]))
    place, potential = _on_field_lines(anode, field, start, nodes, traced.plane)
    first, second = field.derivatives(place)
    velocity, time = _motion(anode, first, second, potential)
    return DriftPath(place[::_KEPT], velocity[::_KEPT], time[::_KEPT], traced.plane)


def end_potential(anode: Anode, field: DriftField, plane: Int[Array, " ways"], last: Complex[Array, " ways"]) -> Array:
    """The potential in V where ways end: the plane's bias, or behind the last plane that of the `last` node."""
    bias = anode.bias[jnp.clip(plane, 0, len(anode.bias) - 1)]
    wire = (plane >= 0) & (plane < len(anode.bias))
    return jnp.where(wire, bias, field.potential(jax.lax.stop_gradient(last)))


def _ended(anode: Anode, field: DriftField, z: Complex[Array, " ways"], along: float) -> Int[Array, " ways"]:
    """The plane whose wire `z` is in, `planes` behind the last one, `planes` + 1 back at the top, −1 still on the way."""
    planes = len(anode.pitch)
    relative = z[:, None] - field.wires
    across = relative.imag - anode.pitch * jnp.round(relative.imag / anode.pitch)
    hit: Bool[Array, "ways planes"] = relative.real**2 + across**2 < anode.wire_radius**2
    plane = jnp.where(jnp.any(hit, axis=1), jnp.argmax(hit, axis=1), -1)
    plane = jnp.where(z.real < bottom(anode), planes, plane)
    return jnp.where((z.real > uniform_height(anode)) & (along < 0), planes + 1, plane)


def bottom(anode: Anode) -> Float[Array, ""]:
    """The height below which an electron is lost: some pitches behind the last plane, or the mesh there."""
    depth = LOST * anode.pitch[-1]
    return -jnp.minimum(depth, anode.behind.distance) if isinstance(anode.behind, Mesh) else -depth


def _on_field_lines(
    anode: Anode, field: DriftField, start: Complex[Array, " ways"], nodes: Complex[Array, "nodes ways"], plane: Array
) -> tuple[Complex[Array, "nodes ways"], Float[Array, "nodes ways"]]:
    """`nodes`, the first of them being `start`, moved onto the field lines of `start`; and the potentials there."""
    first, last = field.potential(start), end_potential(anode, field, plane, nodes[-1])
    traced = running_max(jax.lax.stop_gradient(field.potential(nodes)))
    part = jax.lax.stop_gradient(jnp.clip((traced - first) / (last - first), 0.0, 1.0))
    potential = first + part * (last - first)

    def newton(field: DriftField, start: Array, potential: Array, place: Array) -> tuple[Array, Array]:
        place = place.at[0].set(start)
        stream = field.stream(place)
        slope, bend = field.derivatives(place)
        size = jnp.abs(jax.lax.stop_gradient(slope))
        flat = size < 1e-6 * jnp.abs(anode.drift_field)  # a point without field is left where it is
        wrong = (field.potential(place) - potential) + 1j * (stream - stream[0])
        slope = jnp.where(flat, 1.0, slope)
        change = jnp.where(flat, 0.0, wrong * slope.conj() / (slope.real**2 + slope.imag**2))
        return place - change, 0.3 * size / jnp.maximum(jnp.abs(jax.lax.stop_gradient(bend)), 1e-30)

    held = jax.lax.stop_gradient((field, start, potential))

    def find(_: int, nodes: Array) -> Array:
        moved, longest = newton(*held, nodes)
        change = moved - nodes
        return nodes + change * jnp.minimum(1.0, longest / jnp.maximum(jnp.abs(change), 1e-30))

    nodes = jax.lax.fori_loop(0, _FINDING, find, jax.lax.stop_gradient(nodes))
    nodes = jax.lax.stop_gradient(nodes)

    def derive(nodes: Array, _: None) -> tuple[Array, None]:
        return newton(field, start, potential, nodes)[0].at[0].set(start), None

    return jax.lax.scan(derive, nodes, length=_DERIVING)[0], potential


def _motion(
    anode: Anode,
    first: Complex[Array, "nodes ways"],
    second: Complex[Array, "nodes ways"],
    potential: Float[Array, "nodes ways"],
) -> tuple[Complex[Array, "nodes ways"], Float[Array, "nodes ways"]]:
    """Velocities and times at nodes, from the derivatives of the complex potential there.

    dt = dφ / (E v): the trapezoidal rule with its correction by the end points' derivatives, of fourth order.
    """
    squared = jnp.maximum(first.real**2 + first.imag**2, (1e-6 * anode.drift_field) ** 2)
    size = jnp.sqrt(squared)

    def speed_of(size: Array) -> Array:
        return drift_velocity(size, anode.temperature)

    speed, slope = jax.jvp(speed_of, (size,), (jnp.ones_like(size),))
    slowness = 1 / (size * speed)
    steepening = (second * first.conj() ** 2).real / squared**2  # d ln E / dφ
    change = -slowness * steepening * (1 + size * slope / speed)
    step = jnp.diff(potential, axis=0)
    lasted = 0.5 * step * (slowness[1:] + slowness[:-1]) + step**2 / 12 * (change[:-1] - change[1:])
    time = jnp.concatenate([jnp.zeros_like(potential[:1]), jnp.cumsum(lasted, axis=0)])
    return speed / size * first.conj(), time
