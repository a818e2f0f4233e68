"""What wires record, kept where there is charge."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ...detector.tpc import TPC
from .charge_grid import GridOrigin


class PlaneSignals(eqx.Module):
    """Waveforms of one plane inside windows, one window a drift volume.

    **Fields**: `values (grids, wires, samples)`; `origin`: volume, wire and sample of each window's first corner; windows may reach
    beyond the first and last wire and sample.
    """

    values: Float[Array, "grids wires samples"]
    origin: GridOrigin


class WireVoltages(eqx.Module):
    """Voltages of some wires in V, and the lengths of the wires in mm, 0 where there is none."""

    voltage: Float[Array, "wires samples"]
    length: Float[Array, " wires"]


class WireReadout(eqx.Module):
    """What an event leaves on the wires, in digitizer counts.

    **Fields**: `planes`: the windows of each plane; `pedestal`: counts elsewhere; `outside`: part of the drifted charge that no
    window holds; `slots`, `volumes`, `ticks`, static: wires a volume of each plane, drift volumes, samples read out.
    """

    planes: tuple[PlaneSignals, ...]
    pedestal: Float[Array, ""]
    outside: Float[Array, ""]
    slots: tuple[int, ...] = eqx.field(static=True)
    volumes: int = eqx.field(static=True)
    ticks: int = eqx.field(static=True)

    @property
    def waveforms(self) -> tuple[Float[Array, "wires ticks"], ...]:
        """Counts of every wire of each plane at every sample: all wires of the first drift volume, then those of the next."""
        return tuple(
            placed(plane, self.volumes, slots, self.ticks, self.pedestal).values.reshape(-1, self.ticks)
            for plane, slots in zip(self.planes, self.slots, strict=True)
        )

    def lengths(self, detector: TPC) -> tuple[Float[Array, "grids wires"], ...]:
        """Lengths in mm of the wires in the windows of each plane; 0 where there is none."""
        return tuple(
            lengths_in(plane.lengths(detector.volumes), signal)
            for plane, signal in zip(detector.planes, self.planes, strict=True)
        )


def lengths_in(lengths: Float[Array, "volumes slots"], signal: PlaneSignals) -> Float[Array, "grids wires"]:
    """The length of the wire in each row of the windows; 0 where there is none."""
    return lengths_of(lengths, signal.origin.volume, signal.origin.wire, signal.values.shape[1])


def lengths_of(
    lengths: Float[Array, "volumes slots"], volume: Int[Array, " grids"], first: Int[Array, " grids"], wires: int
) -> Float[Array, "grids wires"]:
    """The lengths of so many wires from the `first` one of each grid on; 0 where there is none."""
    wire = first[:, None] + jnp.arange(wires)
    there = (wire >= 0) & (wire < lengths.shape[1])
    return jnp.where(there, lengths[volume[:, None], jnp.clip(wire, 0, lengths.shape[1] - 1)], 0.0)


def placed(
    signal: PlaneSignals, volumes: int, slots: int, ticks: int, elsewhere: float | Float[Array, ""] = 0.0
) -> PlaneSignals:
    """The same signals in windows that are all wires of all volumes and all samples; `elsewhere` where there were none."""
    origin = signal.origin
    _, wires, samples = signal.values.shape
    wire = origin.wire[:, None] + jnp.arange(wires)
    sample = origin.sample[:, None] + jnp.arange(samples)
    # What lies beyond the edges goes to a place of its own, which is cut off.
    row = jnp.where((wire >= 0) & (wire < slots), origin.volume[:, None] * slots + wire, volumes * slots)
    column = jnp.where((sample >= 0) & (sample < ticks), sample, ticks)
    room = jnp.full((volumes * slots + 1, ticks + 1), elsewhere, signal.values.dtype)
    values = room.at[row[:, :, None], column[:, None, :]].set(signal.values)[:-1, :-1]
    zeros = jnp.zeros(volumes, jnp.int32)
    return PlaneSignals(values.reshape(volumes, slots, ticks), GridOrigin(jnp.arange(volumes), zeros, zeros))
