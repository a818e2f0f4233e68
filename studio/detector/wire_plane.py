"""Planes of parallel wires."""

from __future__ import annotations

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from .._arrays import as_number
from .._checks import InputError, whole_number
from .drift_volumes import DriftVolumes


class JoinedWires(NamedTuple):
    """Wires of `volumes` drift volumes in a row that are one channel: wire n of the k-th is read by channel
    (n + k `shift`) modulo `channels`.

    A wire that goes straight on into the next volume, W mm wide across the first axis, has the shift W cos(angle) / pitch. Wires
    that are wrapped around a frame with a volume on either face meet again after two widths: then `channels` is twice the
    shift, and a channel may have several pieces on each face.
    """

    volumes: int
    channels: int
    shift: int


class WirePlane(eqx.Module):
    """One plane of parallel wires, the same in every drift volume.

    **Arguments**

    - `pitch`: distance of neighbouring wires in mm.
    - `angle`: rad, from the first axis of the anode plane (`DriftVolumes.across`, by custom the vertical) towards the second.
    - `height`: distance from the collection plane against the drift, in mm; 0 for the collection plane itself.
    - `bias`: V.
    - `wire_radius`: mm; 150 µm wires by default.
    - `offset`: by how far the wires stand off symmetry about the centre of the plane, across them, in mm.
    - `slots`, static: number of wires there is room for. Those beyond the edge of the plane have no length, so the pitch may
      change without compiling anew: choose `slots_for` the smallest pitch.
    - `joined`, static: which wires of several volumes are one channel; None where each is one. Which are joined stays when a
      pitch changes: free no pitch of such a plane.
    - `read_out`, static: False for a grid, which shapes the field and records nothing.

    **Raises** `InputError` for a pitch or radius that is not positive, wires that touch, and numbers that are not finite.
    """

    pitch: Float[Array, ""]
    angle: Float[Array, ""]
    height: Float[Array, ""]
    bias: Float[Array, ""]
    wire_radius: Float[Array, ""]
    offset: Float[Array, ""]
    slots: int = eqx.field(static=True)
    joined: JoinedWires | None = eqx.field(static=True)
    read_out: bool = eqx.field(static=True)

    def __init__(
        self,
        pitch,
        angle=0.0,
        height=0.0,
        bias=0.0,
        wire_radius=0.075,
        offset=0.0,
        *,
        slots: int,
        joined: JoinedWires | None = None,
        read_out: bool = True,
    ):
        self.pitch = as_number(pitch, "pitch", positive=True)
        self.angle, self.height, self.bias = (
            as_number(angle, "angle"),
            as_number(height, "height"),
            as_number(bias, "bias"),
        )
        self.wire_radius = as_number(wire_radius, "wire_radius", positive=True)
        self.offset = as_number(offset, "offset")
        self.slots = whole_number("slots", slots)
        self.joined = None if joined is None else _checked(JoinedWires(*joined))
        self.read_out = bool(read_out)

    def __check_init__(self):
        known = not isinstance(self.pitch, Tracer) and not isinstance(self.wire_radius, Tracer)
        if known and float(self.pitch) <= 2 * float(self.wire_radius):
            problem = f"wires of radius {float(self.wire_radius):g} mm touch"
            remedy = "give a pitch of more than two radii"
            raise InputError(problem, key="pitch", value=float(self.pitch), remedy=remedy)
        if not isinstance(self.height, Tracer) and float(self.height) < 0:
            raise InputError(
                "behind the collection plane", key="height", value=float(self.height), remedy="heights are 0 or more"
            )

    @property
    def along(self) -> Float[Array, "2"]:
        """Unit vector of the wires in the two axes of the anode plane."""
        return jnp.stack([jnp.cos(self.angle), jnp.sin(self.angle)])

    @property
    def across(self) -> Float[Array, "2"]:
        """Unit vector across the wires in the two axes of the anode plane, towards higher wire numbers."""
        return jnp.stack([-jnp.sin(self.angle), jnp.cos(self.angle)])

    @property
    def coordinates(self) -> Float[Array, " slots"]:
        """Where each wire stands across the wires, from the centre of the plane, in mm."""
        return self.offset + (jnp.arange(self.slots) - 0.5 * (self.slots - 1)) * self.pitch

    def number(self, coordinate: Float[Array, "..."]) -> Float[Array, "..."]:
        """The wire number, not rounded, of a place across the wires in mm from the centre of the plane."""
        return (coordinate - self.offset) / self.pitch + 0.5 * (self.slots - 1)

    def lengths(self, volumes: DriftVolumes) -> Float[Array, "volumes slots"]:
        """Length in mm of each wire within the rectangle of each anode plane; 0 beyond its edge."""
        half = 0.5 * volumes.widths[:, None, :]
        foot = self.coordinates[:, None] * self.across
        low, high = _crossing(foot, self.along, half)
        return jnp.maximum(high - low, 0.0)

    @property
    def channels(self) -> int:
        """Channels that wires of one volume, or of the volumes that are joined, have: there is room for so many."""
        return self.slots if self.joined is None else self.joined.channels

    def groups(self, volumes: DriftVolumes) -> int:
        """Number of groups of drift volumes whose wires are joined; every volume is one where none are."""
        return volumes.count if self.joined is None else volumes.count // self.joined.volumes

    def channel_of(
        self, volume: Int[Array, "..."] | Int[np.ndarray, "..."], wire: Int[Array, "..."] | Int[np.ndarray, "..."]
    ) -> tuple[Int[Array, "..."], Int[Array, "..."]]:
        """The group and the channel in it that read a wire; wires beyond the slots are none's business."""
        volume, wire = jnp.asarray(volume), jnp.asarray(wire)
        if self.joined is None:
            return volume, wire
        count, channels, shift = self.joined
        return volume // count, (wire + volume % count * shift) % channels

    def channel_lengths(self, volumes: DriftVolumes) -> Float[Array, "groups channels"]:
        """Length in mm of all wires of each channel together: what its noise follows."""
        lengths = self.lengths(volumes)
        if self.joined is None:
            return lengths
        group, channel = self.channel_of(np.arange(volumes.count)[:, None], np.arange(self.slots))
        group = jnp.broadcast_to(group, lengths.shape)
        return jnp.zeros((self.groups(volumes), self.channels), lengths.dtype).at[group, channel].add(lengths)

    def ends(self, volumes: DriftVolumes) -> Float[Array, "volumes slots 2 3"]:
        """Both ends of each wire in space (mm); the same point twice where a wire has no length."""
        half = 0.5 * volumes.widths[:, None, :]
        foot = self.coordinates[:, None] * self.across
        low, high = _crossing(foot, self.along, half)
        middle = 0.5 * (low + high)
        reach = jnp.stack([jnp.minimum(low, middle), jnp.maximum(high, middle)], axis=-1)
        flat = foot[None, :, None, :] + reach[..., None] * self.along
        axes = volumes.axes
        above = volumes.anode - self.height * volumes.direction
        return above[:, None, None, :] + jnp.einsum("vnek,vkj->vnej", flat, axes[:, 1:])

    def wire_count(self, volumes: DriftVolumes) -> Float[Array, " volumes"]:
        """How many wires cross each anode plane, not rounded: its extent across the wires over the pitch; for budgets."""
        return jnp.sum(volumes.widths * jnp.abs(self.across), axis=-1) / self.pitch


def slots_for(pitch: float, angle: float, width: tuple[float, float]) -> int:
    """Number of wires of a `pitch` (mm) at an `angle` (rad) that cross a rectangle of a `width` (mm, mm)."""
    extent = width[0] * abs(math.sin(angle)) + width[1] * abs(math.cos(angle))
    return max(1, math.ceil(extent / pitch - 1e-9))


def _checked(joined: JoinedWires) -> JoinedWires:
    volumes = whole_number("joined.volumes", joined.volumes)
    channels = whole_number("joined.channels", joined.channels)
    if int(joined.shift) != joined.shift:
        raise InputError("not a whole number", key="joined.shift", value=joined.shift, remedy="give a number of wires")
    return JoinedWires(volumes, channels, int(joined.shift))


def _crossing(
    foot: Float[Array, "slots 2"], along: Float[Array, "2"], half: Float[Array, "volumes 1 2"]
) -> tuple[Float[Array, "volumes slots"], Float[Array, "volumes slots"]]:
    """From where to where along lines through `foot` one is within a rectangle; an empty interval where one never is."""
    moves = jnp.abs(along) > 1e-9
    safe = jnp.where(moves, along, 1.0)
    reach = half / jnp.abs(safe)
    centre = -foot / safe
    within = jnp.abs(foot) < half
    # Parallel to a side: all of the line or nothing of it.
    far = jnp.sum(half, axis=-1, keepdims=True)
    low = jnp.where(moves, centre - reach, jnp.where(within, -far, far))
    high = jnp.where(moves, centre + reach, jnp.where(within, far, -far))
    return jnp.max(low, axis=-1), jnp.min(high, axis=-1)
