"""How much of the wires and of the time is simulated: static sizes, found from events that are known, and where they stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int

from ..._checks import StudioError
from ...detector.tpc import TPC
from .charge_grid import REACH, GridOrigin, GridSize, Pulses
from .drift import AnodeCharge
from .drift_velocity import drift_velocity

# Pitches that a part of a track may be long: where charge lies in it across the wires and when it arrives count as independent, and
# waveforms of a slanted track are off by the square of its length. Those of a muon of 500 MeV at 50° are off by 15 σ of the
# noise of all wires together with parts of 0.7 pitches, by 50 to 90 with 1.4.
_LONGEST_PART = 0.25
_PARTS = 48  # at most


class Windows(NamedTuple):
    """Static sizes: of what is simulated of each `planes`, in so many drift `volumes`; `after`: samples that a response lasts;
    `whole`: of all wires and samples."""

    planes: tuple[GridSize, ...]
    volumes: int
    after: int
    whole: bool


def roomy(count: int) -> int:
    """The smallest number from `count` on of the series 4, 5, 6, 8, 10, 12, 16, …: fast to transform, and few sizes to compile
    programs for."""
    size = 4
    while 1.5 * size < count:
        size *= 2
    return next(found for found in (size, size * 5 // 4, size * 3 // 2) if found >= count)


def parts_of(length: float, pitch: float) -> int:
    """Into how many parts deposits of so many mm, at most, are cut for wires `pitch` mm apart."""
    count = math.ceil(length / (_LONGEST_PART * pitch))
    return min(_PARTS, count if count <= 4 else roomy(count))


def windows_for(
    detector: TPC, charge: AnodeCharge, seen: Sequence[Pulses], bins: int, around: int, after: int, room: float
) -> Windows:
    """The windows of one event whose charge, and what the planes see of it, are known numbers.

    `after`: samples that a response lasts; `around`: wires to either side; `room`: mm to every side besides.
    """
    volume = np.where(np.asarray(charge.electrons) > 0, np.asarray(charge.volume), -1)
    present = np.unique(volume[volume >= 0])
    more = room / float(charge.velocity[0]) / detector.electronics.tick
    lit = volume >= 0
    longest = float(np.max(np.linalg.norm(np.asarray(charge.extent), axis=-1)[lit], initial=0.0))
    planes = []
    for plane, rows in zip(detector.read_planes, jax.device_get(tuple(seen)), strict=True):
        wires, samples = (
            max((float(np.ptp(values[volume == one])) for one in present), default=0.0)
            for values in (rows.place, rows.sample)
        )
        depth = np.sqrt(12 * np.maximum(rows.spread**2 - 1, 0))
        width, extent, spread, depth = (
            float(np.max(values[lit], initial=0.0)) for values in (rows.width, rows.extent, rows.spread, depth)
        )
        parts = max(1, parts_of(longest, float(plane.pitch)))
        patch_bins = roomy(math.ceil(bins * (2 * REACH * width + extent / parts)) + 2)
        lasting = roomy(math.ceil(2 * REACH * spread) + 2)
        patch = math.ceil(2 * REACH * width + extent) + 2
        wires += 2 * room / float(plane.pitch) + max(patch_bins / bins + extent, patch) + 2 * around + 4
        samples += 2 * more + lasting + depth + after + 2
        wires, samples = roomy(math.ceil(wires)), roomy(math.ceil(samples))
        planes.append(GridSize(bins, wires, samples, patch_bins, lasting, parts, patch))
    return Windows(tuple(planes), max(1, len(present)), after, False)


def common_windows(windows: Sequence[Windows]) -> Windows:
    """Windows that hold each of several events."""
    planes = tuple(
        GridSize(*(max(values) for values in zip(*sizes, strict=True)))
        for sizes in zip(*(one.planes for one in windows), strict=True)
    )
    first = windows[0]
    return Windows(planes, max(one.volumes for one in windows), first.after, first.whole)


def whole_windows(detector: TPC, bins: int, around: int, after: int) -> Windows:
    """Windows of all wires and samples, for tracks in pieces of a pitch.

    **Raises** `StudioError` for a traced detector, whose numbers sizes cannot follow.
    """
    medium, volumes = detector.medium, detector.volumes
    velocity = drift_velocity(volumes.fields[0], medium.temperature)
    time = jnp.max(volumes.lengths) / velocity
    tick = detector.electronics.tick
    across = jnp.sqrt(2 * medium.transverse_diffusion * time)
    along = jnp.sqrt(2 * medium.longitudinal_diffusion * time) / velocity / tick
    if any(isinstance(number, Tracer) for number in (across, along, *(plane.pitch for plane in detector.read_planes))):
        raise StudioError(
            "the sizes of a simulation cannot follow a geometry that is traced: give the simulator windows with "
            "TPCSimulator().fitted(detector, events)"
        )
    lasting = roomy(math.ceil(2 * REACH * math.sqrt(float(along) ** 2 + 2)) + 2)
    planes = []
    samples = roomy(detector.electronics.ticks + 2 * lasting + 2 * after)
    for plane in detector.read_planes:
        reached = 2 * REACH * float(across) / float(plane.pitch) + 1
        patch = roomy(math.ceil(bins * reached) + 2)
        wires = roomy(math.ceil(plane.slots + 2 * patch / bins + 2 * around))
        planes.append(GridSize(bins, wires, samples, patch, lasting, 4, math.ceil(reached) + 2))
    return Windows(tuple(planes), volumes.count, after, True)


def volumes_held(charge: AnodeCharge, windows: Windows, count: int) -> Int[Array, " grids"]:
    """The drift volumes with most charge."""
    if windows.volumes >= count:
        return jnp.arange(count)
    total = jnp.zeros(count).at[charge.volume].add(jax.lax.stop_gradient(charge.electrons))
    return jax.lax.top_k(total, windows.volumes)[1]


def origin_of(rows: Pulses, held: Int[Array, " grids"], size: GridSize, after: int) -> GridOrigin:
    """Windows around the charge of each volume: in the middle of the wires, and with `after` samples behind the latest."""
    ours = (rows.volume == held[:, None]) & (rows.electrons > 0)
    some = jnp.any(ours, axis=1)

    def middle(values: Array) -> Array:
        values = jax.lax.stop_gradient(values)
        low = jnp.min(jnp.where(ours, values, jnp.inf), axis=1)
        high = jnp.max(jnp.where(ours, values, -jnp.inf), axis=1)
        return jnp.where(some, 0.5 * (low + high), 0.0)

    wire = jnp.round(middle(rows.place)) - size.wires // 2
    sample = jnp.round(middle(rows.sample)) - (size.samples - after) // 2
    return GridOrigin(held, wire.astype(jnp.int32), sample.astype(jnp.int32))


def whole_origin(held: Int[Array, " grids"], size: GridSize, slots: int, after: int) -> GridOrigin:
    """Windows that begin so far before the first wire and the first sample."""
    before = -((size.wires - slots) // 2)
    return GridOrigin(held, jnp.full(held.shape, before), jnp.full(held.shape, -after - size.patch_samples))
