"""Windows along a track for its fit: how large they must be, and where they stand."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..detector import TPC
from ..event import Primary
from ..simulation import TPCSimulator
from ..simulation.tpc.charge_grid import REACH, GridSize, Pulses
from ..simulation.tpc.drift_velocity import drift_velocity
from ..simulation.tpc.ribbons import Ribbons, RibbonSize
from ..simulation.tpc.simulator import Spectra
from ..simulation.tpc.windows import Windows, parts_of, roomy
from .wire_tracks import frequencies_of, occupied

_MARGIN = 32  # wires that a track may move after its windows have been chosen
# Pitches of drift before and after charge arrives at the wires beside, and shaping times after it, in which wires see it.
_BEFORE, _AFTER = 20.0, 8.0
_FEWEST_WIRES = 64


class Needs(NamedTuple):
    """What the windows of a track must hold: `wires` of the plane that needs most, `samples` between the arrivals of charge that one
    wire sees, the longest `piece` of track in mm, and how many drift volumes have charge."""

    wires: Array
    samples: Array
    piece: Array
    volumes: Array


def needs(simulator: TPCSimulator, detector: TPC, event: Primary, latents: Array) -> Needs:
    """What windows of a track must hold."""
    charge = occupied(simulator.emit(detector, event, latents), simulator.segments + 8)
    lit = charge.electrons > 0
    wires, samples = jnp.zeros(()), jnp.zeros(())
    for plane in detector.read_planes:
        rows = simulator.pulses(detector, charge, plane)
        ours = lit[:, None] & lit & (rows.volume[:, None] == rows.volume)
        away = jnp.where(ours, jnp.abs(rows.place[:, None] - rows.place), 0.0)
        wires = jnp.maximum(wires, jnp.max(away) + 2 * jnp.max(rows.extent))
        depth = jnp.sqrt(12.0) * rows.spread
        beside = ours & (away < simulator.around + 0.5 * (rows.extent[:, None] + rows.extent))
        apart = jnp.where(beside, jnp.abs(rows.sample[:, None] - rows.sample) + depth, 0.0)
        samples = jnp.maximum(samples, jnp.max(apart))
    piece = jnp.max(jnp.sqrt(jnp.sum(charge.extent**2, axis=-1)))
    held = jnp.zeros(detector.volumes.count).at[charge.volume].add(charge.electrons)
    return Needs(wires, samples, piece, jnp.sum(held > 1e-3 * jnp.sum(held)))


class Bucket(NamedTuple):
    """Static sizes that several events share: of the windows, and the number of drift volumes."""

    sizes: tuple[RibbonSize, ...]
    volumes: int


def bucket_of(simulator: TPCSimulator, detector: TPC, needed: Needs) -> Bucket:
    """The sizes for one event, in steps of a factor of two, so that few programs are compiled."""
    electronics, medium = detector.electronics, detector.medium
    velocity = float(drift_velocity(detector.volumes.fields[0], medium.temperature))
    drifting = float(jnp.max(detector.volumes.lengths)) / velocity
    pitches = [float(plane.pitch) for plane in detector.read_planes]
    lasting = _BEFORE * max(pitches) / velocity + _AFTER * float(electronics.shaping_time)
    # A window stands around the charge that is nearest; what wires farther away see arrives as much before it as after.
    samples = max(lasting / electronics.tick + 2 * float(needed.samples), simulator.span / electronics.tick)
    samples = 2 ** math.ceil(math.log2(samples))
    piece = roomy(math.ceil(1.05 * float(needed.piece)))
    parts = parts_of(piece, min(pitches))
    across = math.sqrt(2 * float(medium.transverse_diffusion) * drifting)
    sizes = []
    for pitch in pitches:
        patch = roomy(math.ceil(piece / pitch + 2 * REACH * across / pitch) + 2)
        wires = 4 ** math.ceil(math.log(max(_FEWEST_WIRES, float(needed.wires) + patch + _MARGIN), 4) - 1e-9)
        frequencies = frequencies_of(detector, samples)
        sizes.append(RibbonSize(simulator.bins, wires, samples, frequencies, parts, patch))
    return Bucket(tuple(sizes), min(2, max(1, int(needed.volumes))))


def spectra_for(simulator: TPCSimulator, detector: TPC, samples: int) -> Spectra:
    """Responses of all planes for windows of so many samples."""
    size = GridSize(simulator.bins, 4, samples, 4, 4, 1, 4)
    return simulator.with_windows(Windows((size,) * len(detector.read_planes), 1, 0, False)).responses(detector)


def ribbons_along(
    detector: TPC, rows: tuple[Pulses, ...], sizes: tuple[RibbonSize, ...], volumes: int, arrival: Array
) -> tuple[Ribbons, ...]:
    """Windows around the charge in the volumes that have most of it. `arrival`: samples from where a response begins to its middle."""
    found = []
    total = jnp.zeros(detector.volumes.count).at[rows[0].volume].add(rows[0].electrons)
    held = jnp.argsort(-total)[:volumes]
    for seen, size in zip(rows, sizes, strict=True):
        ours = (seen.volume == held[:, None]) & (seen.electrons > 0)
        low = jnp.min(jnp.where(ours, seen.place, jnp.inf), axis=1)
        high = jnp.max(jnp.where(ours, seen.place, -jnp.inf), axis=1)
        some = jnp.any(ours, axis=1)
        middle = jnp.where(some, 0.5 * (low + high), 0.0)
        first = jnp.round(middle).astype(jnp.int32) - size.wires // 2
        wire = first[:, None] + jnp.arange(size.wires)
        # The mean time of the charge nearest to the wire.
        off = jnp.where(ours[:, None, :], (seen.place - wire[..., None]) ** 2, jnp.inf)
        near = jnp.exp(-0.5 * (off - jnp.min(off, axis=-1, keepdims=True)) / 0.7**2)
        near = jnp.where(some[:, None, None], near, 0.0)
        mean = jnp.einsum("gwr,r->gw", near, seen.sample) / jnp.maximum(jnp.sum(near, axis=-1), 1e-9)
        sample = jnp.round(mean + arrival).astype(jnp.int32) - size.samples // 2
        found.append(Ribbons(held, first, sample))
    return tuple(found)


def arrival_of(simulator: TPCSimulator, detector: TPC) -> Array:
    """Samples from where a response begins to its middle, shaping included."""
    velocity = drift_velocity(detector.volumes.fields[0], detector.medium.temperature)
    return (simulator.start / velocity + detector.electronics.shaping_time) / detector.electronics.tick


def passing(detector: TPC, size: RibbonSize) -> np.ndarray:
    """How much of each frequency counts, in the steps of a fit: up to 30 kHz, to 100 kHz, and all."""
    frequency = np.fft.rfftfreq(size.samples, detector.electronics.tick)[: size.frequencies]
    soft = [np.exp(-0.5 * (frequency / highest) ** 2) for highest in (3e-5, 1e-4)]
    return np.stack([*soft, np.ones(size.frequencies)])
