"""Next-event estimation: every vertex of the walks is connected to every sensor."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...constants import SPEED_OF_LIGHT
from .directions import tangent_basis
from .sources import Light, Sensors
from .spectrum import Colour
from .walks_lobes import Law, density, phase_function
from .walks_steps import LATTICE, Colours, Vertices
from .walks_surfaces import falling

# Vertices treated at a time, and groups: both set which numbers of walks work.
BLOCK = 128
# Groups in which the arrival times of indirect light are described: vertices in the order of their times.
GROUPS = 4
# Half the largest skewness of a group's times: a few photons late among very many.
_SKEWEST = 30.0
# Points of the rim of a disc from which its solid angle is summed.
_RIM = 8

Vector = list[Array]  # three components


class IndirectLight(eqx.Module):
    """The vertices of walks as a source of light.

    **Fields**: `vertices`, in the order of their times, a multiple of `GROUPS` × 128 of them; `colours` of the medium;
    `offset (3, vertices)`: random numbers in [0, 1) that choose the points of faces.
    """

    vertices: Vertices
    colours: Colours
    offset: Float[Array, "3 vertices"]

    @property
    def groups(self) -> np.ndarray:
        """Two pieces a group, see `light`."""
        return np.repeat(np.arange(GROUPS), 2)

    def light(self, sensors: Sensors, tables: tuple[Colour, ...]) -> Light:
        """Charge and arrival time on each sensor; two pieces stand for each group of vertices.

        They have its charge and the mean, the variance and the third moment of its arrival times, which are stated as
        emission times on the sensor itself.
        """
        blocks = jax.tree.map(
            lambda leaf: leaf.reshape(GROUPS, -1, BLOCK, *leaf.shape[1:]), (self.vertices, self.offset.T)
        )

        @jax.checkpoint
        def add(sums: Array, block: tuple[Vertices, Array]) -> tuple[Array, None]:
            charge, time = self._connect(sensors, *block)
            return sums + jnp.stack([jnp.sum(charge * time**power, axis=1) for power in range(4)]), None

        def group(of_group: tuple[Vertices, Array]) -> Array:
            # Times count from the middle of the group's, so that their moments are not drowned by rounding.
            middle = jax.lax.stop_gradient(jnp.mean(of_group[0].time))
            there = of_group[0]._replace(time=of_group[0].time - middle)
            none = jnp.zeros((4, len(sensors.radius)), self.vertices.weight.dtype)
            sums = jax.lax.scan(add, none, (there, of_group[1]))[0]
            return jnp.stack(_two_pieces(sums, middle))

        charge, start = jax.lax.map(group, blocks).transpose(1, 3, 0, 2).reshape(2, len(sensors.radius), -1)
        zero = jnp.zeros_like(charge)
        return Light(charge, start, zero, zero, zero)

    def _connect(
        self, sensors: Sensors, vertices: Vertices, offset: Float[Array, "vertices 3"]
    ) -> tuple[Float[Array, "n vertices"], Float[Array, "n vertices"]]:
        """Photoelectrons and arrival time in ns at one point of each face for each vertex.

        The point is chosen evenly on the face, from fixed numbers, and stands for all of it. In front of a face, where its
        weight would have no bounded variance, light that is scattered is taken by solid angle instead.
        """
        offsets = [(offset[None, :, i] + sensors.index[:, None] * step) % 1 for i, step in enumerate(LATTICE)]
        normal = [sensors.normal[:, None, i] for i in range(3)]
        frame = tangent_basis(sensors.normal)
        frame = [[frame[:, None, j, i] for i in range(3)] for j in range(2)]
        to_centre = [sensors.position[:, None, i] - vertices.position[None, :, i] for i in range(3)]
        radius = sensors.radius[:, None]
        reach, turn = radius * jnp.sqrt(offsets[0]), 2 * math.pi * offsets[1]
        to_point = _moved(to_centre, reach * jnp.cos(turn), reach * jnp.sin(turn), frame)
        height = -_dot(to_centre, normal)
        before = (height > 1e-6 * radius) & (sensors.index[:, None] != vertices.disc[None])
        height = jnp.where(before, height, radius)
        squared = _dot(to_point, to_point)
        distance = jnp.sqrt(squared)
        incoming = [vertices.incoming[None, :, i] for i in range(3)]
        surface = [vertices.normal[None, :, i] for i in range(3)]
        law = jax.tree.map(lambda leaf: leaf[None], vertices.law)
        sent = density(
            law, _dot(to_point, incoming) / distance, _dot(to_point, surface) / distance, vertices.facing[None]
        )
        sent = sent * math.pi * radius**2 * height / (squared * distance)
        near, scattered = _in_front(law, to_centre, incoming, normal, frame, height, radius, offsets)
        sent = jnp.where(law.surface, sent, near * scattered + (1 - near) * sent)
        colour = vertices.colour
        ratio = self.colours.detection / jnp.where(self.colours.best > 0, self.colours.best, 1.0)
        detected = ratio[:, colour][sensors.kind]
        lost = (self.colours.absorption + self.colours.scattering)[colour][None] * distance
        charge = jnp.where(before, vertices.weight[None] * detected * sent * jnp.exp(-lost), 0.0)
        return charge, vertices.time[None] + distance * self.colours.group_index[colour][None] / SPEED_OF_LIGHT


def _in_front(
    law: Law,
    to_centre: Vector,
    incoming: Vector,
    normal: Vector,
    frame: list[Vector],
    height: Array,
    radius: Array,
    offsets: Vector,
) -> tuple[Array, Array]:
    """How much vertices count as in front of discs, from 0 to 1, and what of their scattered light goes to the discs.

    The phase function towards the centre times the solid angle, and the rest, the difference of phase functions, in a
    direction that is drawn by solid angle: in the wedge between the foot of the vertex and a point of the rim. Wedges count
    negative on the near side of a disc that the foot is off, so both are right on average from anywhere.
    """
    foot = [-_dot(to_centre, axis) for axis in frame]
    lateral_squared = foot[0] ** 2 + foot[1] ** 2
    near = falling(lateral_squared / radius**2, 1.0, 2.0) * falling(height / radius, 1.5, 3.0)
    phase = phase_function(law, _dot(to_centre, incoming) / jnp.sqrt(_dot(to_centre, to_centre)))
    whole = rim_solid_angle(height, lateral_squared, radius, offsets[2])
    # One wedge, and a direction in it.
    turn = 2 * math.pi * offsets[1]
    rim = [radius * jnp.cos(turn) - foot[0], radius * jnp.sin(turn) - foot[1]]
    out = jnp.sqrt(rim[0] ** 2 + rim[1] ** 2 + (1e-6 * radius) ** 2)
    side = jnp.sqrt(height**2 + out**2)
    wedge = (
        2 * math.pi * radius * (radius - foot[0] * jnp.cos(turn) - foot[1] * jnp.sin(turn)) / (side * (side + height))
    )
    fall = 1 - offsets[0] * (1 - height / side)
    aside = jnp.sqrt(1 - fall**2 + 1e-12) / out
    sideways = rim[0] * _dot(frame[0], incoming) + rim[1] * _dot(frame[1], incoming)
    there = phase_function(law, aside * sideways - fall * _dot(normal, incoming))
    return near, phase * whole + (there - phase) * wedge


def rim_solid_angle(
    height: Float[Array, "..."], lateral_squared: Float[Array, "..."], radius: Float[Array, "..."], turn: Array
) -> Float[Array, "..."]:
    """Solid angle in sr of a disc from `height` > 0 above its plane, √`lateral_squared` off its axis (mm).

    The integral of (a² − aρ cos t)/(s (s + h)) along the rim, s² = h² + a² + ρ² − 2aρ cos t, by the trapezoidal rule on
    eight points turned by `turn` of a step: its mean over turns is exact. The error falls as the eighth power of
    aρ/(h² + a² + ρ²): 5e-4 at one radius above the rim.
    """
    off = jnp.sqrt(lateral_squared + (1e-6 * radius) ** 2)
    total = jnp.zeros_like(off)
    for point in range(_RIM):
        product = radius * off * jnp.cos(2 * math.pi / _RIM * (point + turn))
        side = jnp.sqrt(height**2 + radius**2 + off**2 - 2 * product)
        total = total + (radius**2 - product) / (side * (side + height))
    return 2 * math.pi / _RIM * total


def _two_pieces(sums: Float[Array, "4 n"], middle: Array) -> tuple[Float[Array, "2 n"], Float[Array, "2 n"]]:
    """Charges and times of two pieces with the moments of times that `sums` of charge × time^k give."""
    charge = sums[0]
    safe = jnp.where(charge > 0, charge, 1.0)
    mean = sums[1] / safe
    variance = jnp.maximum(sums[2] / safe - mean**2, 1e-6)
    third = sums[3] / safe - 3 * mean * variance - mean**3
    # Points at −√(p/q) and √(q/p) standard deviations, with shares q and p, have the skewness (q − p)/√(pq).
    half = 0.5 * third / variance**1.5
    half = half / jnp.sqrt(1 + (half / _SKEWEST) ** 2)
    lean = half / jnp.sqrt(1 + half**2)
    q, p = 0.5 * (1 + lean), 0.5 * (1 - lean)
    sigma = jnp.sqrt(variance)
    early, late = mean - sigma * jnp.sqrt(p / q), mean + sigma * jnp.sqrt(q / p)
    return jnp.stack([charge * q, charge * p]), middle + jnp.stack([early, late])


def _moved(vector: Vector, along: Array, aside: Array, frame: list[Vector]) -> Vector:
    return [part + along * first + aside * second for part, first, second in zip(vector, *frame, strict=True)]


def _dot(first: Vector, second: Vector) -> Array:
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]
