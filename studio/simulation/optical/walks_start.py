"""The first flight of walks: from the sources of an event to the wall.

The light of all sources on small parts of the wall is what the direct light's own formulas say, without loss on the way:
thin cones, blurred by dispersion and scattering, need not be shot at. Points on the wall are proposed by rays that leave
the sources evenly in all directions, and drawn in proportion to the light they get.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...detector import Detector
from .sources import ConeTrack, IsotropicSource, Sensors
from .spectrum import Optics
from .walks_steps import LATTICE, Colours, Rays, held, held_floats, relative, systematic
from .walks_surfaces import bearing, pin, trace

if TYPE_CHECKING:
    from .emission import Emission

# Points proposed for each that is drawn.
_PROPOSED = 4
# Radius over the longest chord of the part of the wall on which light is taken: the sharpest edge of it is 10 times wider.
_PART = 5e-4


def lossless(colours: Colours, optics: Optics, width: float) -> Optics:
    """`optics` with the efficiency of the best sensor type and nothing lost on the way."""
    best = jnp.asarray(colours.best * width, colours.nodes.dtype)
    transmitted = jnp.broadcast_to(best, (1, optics.transmitted.shape[1], len(best)))
    return Optics(optics.nodes, optics.inverse_index, optics.group_index, transmitted, optics.longest, optics.medium)


def first_rays(detector: Detector, light: Emission, colours: Colours, count: int, key: PRNGKeyArray) -> Rays:
    """`count` rays from the sources of `light`, prepared by `lossless`, to the wall and the sensors on it."""
    propose_key, draw_key, colour_key = jax.random.split(key, 3)
    still, fixed = held_floats(light), held_floats(detector)
    point, normal, chance = _proposals(fixed, still, _PROPOSED * count, propose_key)
    part = _PART * held(detector.volume.longest_chord)
    received, where, _ = _received(still, point, normal, part)
    weights = received / (math.pi * part**2 * chance * _PROPOSED * count)[:, None]
    flat, factor = systematic(weights.reshape(-1), count, draw_key)
    proposal, column = jnp.divmod(flat, weights.shape[1])
    origin = where[proposal, column]
    way, _ = bearing(origin, point[proposal])
    none = jnp.full(count, detector.sensors.count)
    ends = held(trace(fixed, origin, way, none))
    # What a thin cone sends to a point comes from where it did before, whatever it is: the point has hardly moved.
    _, where, _ = _received(light, point[proposal], normal[proposal], part)
    rows = jnp.arange(count)
    pinned = pin(detector, ends, where[rows, column])
    arrived, where, when = _received(light, pinned.position, pinned.normal, part)
    weight = weights[proposal, column] * factor * relative(arrived[rows, column] * pinned.area)
    colour = _colours(light.spectrum, colours, count, colour_key)
    return Rays(where[rows, column], ends, pinned, colour, weight, when[rows, column])


def _proposals(detector: Detector, light: Emission, count: int, key: PRNGKeyArray):
    """Points on the wall `(n, 3)`, the normals there, and the density in 1/mm² with which they are proposed."""
    position = jnp.concatenate([_middle(source)[0] for source, _ in light.sources])
    strength = jnp.concatenate([_strength(source, tables) for source, tables in light.sources])
    strength = strength / jnp.sum(strength)
    shift = jax.random.uniform(key, (3, 1), position.dtype)
    lattice = jnp.asarray(np.outer(LATTICE, np.arange(count) + 0.5) % 1, position.dtype)
    which, height, turn = (lattice + shift) % 1
    piece = jnp.minimum(jnp.searchsorted(jnp.cumsum(strength), which, side="right"), len(strength) - 1)
    cosine = 2 * height - 1
    sine = jnp.sqrt(jnp.maximum(1 - cosine**2, 0.0))
    angle = 2 * math.pi * turn
    direction = jnp.stack([sine * jnp.cos(angle), sine * jnp.sin(angle), cosine], axis=-1)
    patch, uv = detector.volume.crossing(position[piece], direction)
    point, normal = detector.volume.surface_point(patch, uv), detector.volume.normal(patch, uv)
    offset = position[None] - point[:, None]
    squared = jnp.sum(offset**2, axis=-1)
    facing = jnp.maximum(jnp.einsum("npi,ni->np", offset, normal), 0.0) / jnp.sqrt(squared)
    chance = (facing / squared) @ strength / (4 * math.pi)
    return point, normal, chance


def _middle(source) -> tuple[Array, Array]:
    """Where and when the pieces of a source send their light, at their middles."""
    if isinstance(source, ConeTrack):
        return 0.5 * (source.position[1:] + source.position[:-1]), 0.5 * (source.time[1:] + source.time[:-1])
    return source.position, source.time


def _strength(source, tables) -> Float[Array, " pieces"]:
    """Light of the pieces of a source."""
    if isinstance(source, ConeTrack):
        length = jnp.sqrt(jnp.sum((source.position[1:] - source.position[:-1]) ** 2, axis=-1))
    else:
        length = source.photons if isinstance(source, IsotropicSource) else source.length
    return length * jnp.exp(tables[0].log_light(jnp.zeros_like(length)))


def _received(light: Emission, point: Array, normal: Array, radius: Array):
    """Light `(n, columns)` on small discs at points of the wall, and where and when it was sent.

    A thin cone is one column: what reaches a point comes from a short stretch of its track, whose mean stands for it.
    Pieces of other sources are a column each.
    """
    count = len(point)
    kind, index = jnp.zeros(count, jnp.int32), jnp.arange(count)
    sensors = Sensors(point, normal, jnp.full(count, radius), kind, jnp.ones(count, point.dtype), index)
    columns, positions, times = [], [], []
    for source, tables in light.sources:
        charge = source.light(sensors, tables).charge
        position, time = _middle(source)
        if isinstance(source, ConeTrack):
            total = jnp.sum(charge, axis=1, keepdims=True)
            share = charge / jnp.where(total > 0, total, 1.0)
            columns.append(total)
            positions.append((share @ position)[:, None])
            times.append((share @ time)[:, None])
        else:
            columns.append(charge)
            positions.append(jnp.broadcast_to(position, (count, *position.shape)))
            times.append(jnp.broadcast_to(time, charge.shape))
    return tuple(jnp.concatenate(parts, axis=1) for parts in (columns, positions, times))


def _colours(spectrum: Float[Array, " k"], colours: Colours, count: int, key: PRNGKeyArray) -> Array:
    """Wavelengths of `count` rays in a random order, in proportion to `spectrum` and what is detected of it."""
    order_key, draw_key = jax.random.split(key)
    chosen, _ = systematic(held(spectrum) * jnp.asarray(colours.best, spectrum.dtype), count, draw_key)
    return jax.random.permutation(order_key, chosen)
