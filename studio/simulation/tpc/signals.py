"""What wires record, kept where there is charge."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from ...detector.tpc import TPC
from ...detector.wire_plane import WirePlane
from .charge_grid import GridOrigin


class PlaneSignals(eqx.Module):
    """Waveforms of one plane inside windows, one window a drift volume, or a group of them whose wires are joined.

    **Fields**: `values (grids, wires, samples)`; `origin`: volume or group, wire or channel, and sample of each window's first
    corner; windows may reach beyond the first and last wire and sample.
    """

    values: Float[Array, "grids wires samples"]
    origin: GridOrigin


class WireVoltages(eqx.Module):
    """Voltages of some wires as their Fourier `transform` over so many `samples` (static), in V, and the `length` of the wires in
    mm, 0 where there is none."""

    transform: Complex[Array, "wires frequencies"]
    length: Float[Array, " wires"]
    samples: int = eqx.field(static=True)

    @property
    def voltage(self) -> Float[Array, "wires samples"]:
        """Voltages at the samples."""
        return jnp.fft.irfft(self.transform, self.samples, axis=-1)


class WireReadout(eqx.Module):
    """What an event leaves on the wires, in digitizer counts.

    **Fields**: `planes`: the windows of each plane; `pedestal`: counts elsewhere; `outside`: part of the drifted charge that no
    window holds; `channels`, `groups`, static: channels a drift volume of each plane, and drift volumes, or groups of them whose
    wires are joined; `ticks`, static: samples read out.
    """

    planes: tuple[PlaneSignals, ...]
    pedestal: Float[Array, ""]
    outside: Float[Array, ""]
    channels: tuple[int, ...] = eqx.field(static=True)
    groups: tuple[int, ...] = eqx.field(static=True)
    ticks: int = eqx.field(static=True)

    @property
    def waveforms(self) -> tuple[Float[Array, "wires ticks"], ...]:
        """Counts of every channel of each plane at every sample: all wires of the first drift volume, then those of the next."""
        return tuple(
            placed(plane, groups, channels, self.ticks, self.pedestal).values.reshape(-1, self.ticks)
            for plane, groups, channels in zip(self.planes, self.groups, self.channels, strict=True)
        )

    def lengths(self, detector: TPC) -> tuple[Float[Array, "grids wires"], ...]:
        """Lengths in mm of the wires in the windows of each plane; 0 where there is none."""
        return tuple(
            lengths_in(plane.channel_lengths(detector.volumes), signal)
            for plane, signal in zip(detector.read_planes, self.planes, strict=True)
        )


def lengths_in(lengths: Float[Array, "groups channels"], signal: PlaneSignals) -> Float[Array, "grids wires"]:
    """The length of the wires in each row of the windows, from those of all channels; 0 where there is none."""
    return lengths_of(lengths, signal.origin.volume, signal.origin.wire, signal.values.shape[1])


def lengths_of(
    lengths: Float[Array, "groups channels"], volume: Int[Array, " grids"], first: Int[Array, " grids"], wires: int
) -> Float[Array, "grids wires"]:
    """The lengths of so many wires from the `first` one of each grid on; 0 where there is none."""
    wire = first[:, None] + jnp.arange(wires)
    there = (wire >= 0) & (wire < lengths.shape[1])
    return jnp.where(there, lengths[volume[:, None], jnp.clip(wire, 0, lengths.shape[1] - 1)], 0.0)


def joined(signal: PlaneSignals, plane: WirePlane, ticks: int) -> PlaneSignals:
    """The sum of the wires of each channel, in windows of all channels and samples of their group; the same where no wires are
    joined. The windows of further volumes of a group stand beyond its channels, where there are none."""
    if plane.joined is None:
        return signal
    origin = signal.origin
    grids, wires, samples = signal.values.shape
    wire = origin.wire[:, None] + jnp.arange(wires)
    sample = origin.sample[:, None] + jnp.arange(samples)
    group, channel = plane.channel_of(origin.volume[:, None], wire)
    group = group[:, 0]
    first = jnp.argmax(group[:, None] == group, axis=1)
    # What lies beyond the edges goes to a place of its own, which is cut off.
    channel = jnp.where((wire >= 0) & (wire < plane.slots), channel, plane.channels)
    column = jnp.where((sample >= 0) & (sample < ticks), sample, ticks)
    room = jnp.zeros((grids, plane.channels + 1, ticks + 1), signal.values.dtype)
    values = room.at[first[:, None, None], channel[:, :, None], column[:, None, :]].add(signal.values)[:, :-1, :-1]
    begin = jnp.where(first == jnp.arange(grids), 0, plane.channels)
    return PlaneSignals(values, GridOrigin(group, begin, jnp.zeros_like(begin)))


def placed(
    signal: PlaneSignals, groups: int, channels: int, ticks: int, elsewhere: float | Float[Array, ""] = 0.0
) -> PlaneSignals:
    """The same signals in windows that are all channels of all groups and all samples; `elsewhere` where there were none."""
    origin = signal.origin
    _, wires, samples = signal.values.shape
    wire = origin.wire[:, None] + jnp.arange(wires)
    sample = origin.sample[:, None] + jnp.arange(samples)
    # What lies beyond the edges goes to a place of its own, which is cut off.
    row = jnp.where((wire >= 0) & (wire < channels), origin.volume[:, None] * channels + wire, groups * channels)
    column = jnp.where((sample >= 0) & (sample < ticks), sample, ticks)
    room = jnp.full((groups * channels + 1, ticks + 1), elsewhere, signal.values.dtype)
    values = room.at[row[:, :, None], column[:, None, :]].set(signal.values)[:-1, :-1]
    zeros = jnp.zeros(groups, jnp.int32)
    return PlaneSignals(values.reshape(groups, channels, ticks), GridOrigin(jnp.arange(groups), zeros, zeros))
