"""The analog photon Monte Carlo: every photon lives or dies. It judges `OpticalSimulator.expected`.

It shares the detector's geometry, the tables of medium and sensors and the particles' laws with the smooth simulator,
and no code of the transport: photons are drawn one at a time, fly straight, are absorbed, scattered out of the beam or
meet the flat disc of a sensor. Batches hold whole events, so memory does not grow with their number.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# NumPy arrays stand where annotations say JAX's: at run time both are taken.
from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..._checks import InputError
from ...constants import SPEED_OF_LIGHT
from ...detector import Detector
from ...event import Primary, require_light
from .analog_emission import Emitter, Photons, point_emitter
from .analog_muon import muon_emitter
from .analog_shower import shower_emitter
from .analog_wall import Discs

_BLOCK = 1 << 14  # photons drawn and followed at a time
_BATCH = 16  # blocks of a batch, unless one event needs more
_SEARCH = 1 << 11  # rays at grazing incidence searched at a time


class AnalogResult(NamedTuple):
    """What many independent events of one primary leave on the sensors, before electronics; `(sensors,)` each.

    **Fields**: `counts`: photoelectrons of all events; `mean_time`, `time_spread`: mean and standard deviation in ns of
    the arrival of one photoelectron; `first_hit_time`, `first_hit_spread`, `first_hit_error`: mean, standard deviation
    and error of the mean in ns of an event's first arrival where there is one. Times of sensors without light are NaN.
    `events`: number of events; `emitted`: detectable photons that left the particle inside the volume, in all events.
    """

    counts: Int[np.ndarray, " sensors"]
    mean_time: Float[np.ndarray, " sensors"]
    time_spread: Float[np.ndarray, " sensors"]
    first_hit_time: Float[np.ndarray, " sensors"]
    first_hit_spread: Float[np.ndarray, " sensors"]
    first_hit_error: Float[np.ndarray, " sensors"]
    events: int
    emitted: int

    @property
    def charge(self) -> Float[np.ndarray, " sensors"]:
        """Mean photoelectrons an event."""
        return self.counts / self.events


def analog(detector: Detector, primary: Primary, seed: int, events: int, process: bool = True) -> AnalogResult:
    """Simulate `events` events of one primary photon by photon.

    **Arguments**: `seed` of the random numbers; `process`: whether the particle itself fluctuates. Every photon takes a
    particle of its own, so counts are Poisson and the mean runs over the fluctuations.

    A place of weight 0 has no sensor.

    **Raises** `InputError` for a stack of primaries, a number of events that is not positive, or a place that is neither empty nor
    a whole sensor.
    """
    if jnp.shape(primary.kinetic_energy) != ():
        raise InputError("one primary is needed, not a stack", key="primary", remedy="index the stack: primary[0]")
    if events < 1:
        raise InputError("not positive", key="events", value=events, remedy="give at least one event")
    partly = ~np.isin(np.asarray(detector.sensors.weight), (0.0, 1.0))
    if partly.any():
        raise InputError(
            f"a photon meets a sensor or none, but {np.count_nonzero(partly)} places are neither empty nor a whole sensor",
            key="sensors.weight",
            value=float(np.asarray(detector.sensors.weight)[partly][0]),
            remedy="round them to 0 and 1",
        )
    emitter = _emitter(detector, primary, process)
    discs = Discs.of(detector)
    tally = _Tally(detector.sensors.count)
    kinds = jnp.concatenate([detector.sensors.kind, jnp.zeros(1, jnp.int32)])
    blocks = max(_BATCH, math.ceil(_upper(emitter.proposed) / _BLOCK))
    together = max(
        1, min(math.floor(_events_that_fit(emitter.proposed, blocks * _BLOCK)), (1 << 31) // detector.sensors.count)
    )
    random, key = np.random.default_rng([seed, 1]), jax.random.key(seed)
    done = 0
    for batch in range(math.ceil(events / together)):
        count = min(together, events - done)
        wanted = random.poisson(count * emitter.proposed)
        flown = _fly(
            emitter.draw, blocks, emitter.source, emitter.spectrum, discs, kinds, jax.random.fold_in(key, batch), wanted
        )
        event = random.integers(count, size=blocks * _BLOCK)
        tally.add(*(np.asarray(x) for x in flown), event)
        done += count
    return tally.result(events, float(primary.time))


def _emitter(detector: Detector, primary: Primary, process: bool) -> Emitter:
    require_light(primary)
    if primary.particle == "point":
        return point_emitter(detector, primary)
    if primary.particle in ("mu-", "mu+"):
        return muon_emitter(detector, primary, process)
    return shower_emitter(detector, primary, process)


def _upper(photons: float) -> float:
    """What a Poisson number of this mean does not exceed: eight standard deviations above it."""
    return photons + 8 * math.sqrt(photons) + 1


def _events_that_fit(photons: float, slots: int) -> float:
    """Events of a mean number of `photons` whose sum keeps below `slots`."""
    root = math.sqrt(16 + slots - 1) - 4
    return root**2 / max(photons, 1e-9)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _fly(draw, blocks: int, source, spectrum, discs: Discs, kinds: Int[Array, " n"], key: PRNGKeyArray, wanted: Array):
    """Photons from birth to death, in blocks that fit a processor's cache: the sensor each is detected by (the number of
    sensors for none), when, and whether it left the particle inside the volume; the first `wanted` ones exist."""

    def block(state):
        number, block_key = state
        draw_key, fate_key = jax.random.split(block_key)
        photons: Photons = draw(source, spectrum, draw_key, _BLOCK)
        exists = number * _BLOCK + jnp.arange(_BLOCK) < wanted
        made = photons.made & exists & discs.wall.contains(photons.position)
        sensor, distance = _first_disc(discs, photons, made)
        survival, detection = jax.random.uniform(fate_key, (2, _BLOCK), jnp.float32)
        arrives = made & (survival < jnp.exp(-photons.extinction * distance))
        detected = arrives & spectrum.detects(kinds[sensor], photons.colour, detection)
        time = photons.time + distance * photons.group_index * (1 / SPEED_OF_LIGHT)
        return jnp.where(detected, sensor, discs.count), time, jnp.sum(made)

    sensor, time, made = jax.lax.map(block, (jnp.arange(blocks), jax.random.split(key, blocks)))
    return sensor.reshape(-1), time.reshape(-1), jnp.sum(made)


def _first_disc(discs: Discs, photons: Photons, made: Array) -> tuple[Array, Array]:
    """Index and distance of the first disc each photon meets; those at grazing incidence are searched in blocks."""
    position, direction = photons.position, photons.direction
    sensor, distance, inner, outer = discs.meet(position, direction)
    unsure = made & (outer - inner > 2 * discs.margin)
    count = jnp.sum(unsure)
    (rays,) = jnp.nonzero(unsure, size=unsure.shape[0] + _SEARCH, fill_value=unsure.shape[0])

    def more(state):
        return state[0] < count

    def search(state):
        start, sensor, distance = state
        block = jax.lax.dynamic_slice(rays, (start,), (_SEARCH,))
        at = jnp.minimum(block, unsure.shape[0] - 1)
        length = jnp.where(block < unsure.shape[0], outer[at], inner[at])
        found = discs.search(position[:, at], direction[:, at], inner[at], length)
        return (
            start + _SEARCH,
            sensor.at[block].set(found[0], mode="drop"),
            distance.at[block].set(found[1], mode="drop"),
        )

    _, sensor, distance = jax.lax.while_loop(more, search, (jnp.zeros_like(count), sensor, distance))
    return sensor, distance


class _Tally:
    """Sums over detected photons and over first arrivals."""

    def __init__(self, sensors: int):
        self.sensors = sensors
        self.single = np.zeros((3, sensors))
        self.first = np.zeros((3, sensors))
        self.emitted = 0

    def add(self, sensor: np.ndarray, time: np.ndarray, emitted: np.ndarray, event: np.ndarray) -> None:
        """Detected photons of a batch of whole events: `sensor`, `time` and the number of the `event` in the batch."""
        (found,) = np.nonzero(sensor < self.sensors)
        sensor, time = sensor[found], np.maximum(time[found], 0.0)
        self.emitted += int(emitted)
        self._sum(self.single, sensor, time)
        # Pairs of event and sensor above, bits of the positive time below: sorted, the first of each pair is the earliest.
        pair = event[found].astype(np.uint64) * np.uint64(self.sensors) + sensor.astype(np.uint64)
        order = np.sort((pair << np.uint64(32)) | time.astype(np.float32).view(np.uint32).astype(np.uint64))
        pairs = order >> np.uint64(32)
        first = order[np.concatenate([[True], pairs[1:] != pairs[:-1]])] if len(order) else order
        earliest = (first & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.float32)
        self._sum(self.first, ((first >> np.uint64(32)) % np.uint64(self.sensors)).astype(np.int64), earliest)

    def _sum(self, sums: np.ndarray, sensor: np.ndarray, time: np.ndarray) -> None:
        time = time.astype(float)
        sums[0] += np.bincount(sensor, minlength=self.sensors)
        sums[1] += np.bincount(sensor, time, self.sensors)
        sums[2] += np.bincount(sensor, time**2, self.sensors)

    def result(self, events: int, start: float) -> AnalogResult:
        """The sums as means and spreads; times are moved by `start`."""
        mean_time, time_spread = _moments(self.single)
        first_time, first_spread = _moments(self.first)
        error = first_spread / np.sqrt(np.maximum(self.first[0], 1))
        counts = self.single[0].astype(np.int64)
        times = (start + mean_time, time_spread, start + first_time, first_spread, error)
        return AnalogResult(counts, *times, events, self.emitted)


def _moments(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums[1] / sums[0]
        return mean, np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, 0.0))
