"""The analog photon Monte Carlo: every photon lives or dies. It judges `OpticalSimulator.expected`.

It shares the detector's geometry, the tables of medium and sensors and the particles' laws with the smooth simulator,
and no code of the transport: photons are drawn one at a time, fly straight, are absorbed, scattered, meet the flat disc of a
sensor or the wall between the sensors, and are reflected there or not. Batches hold whole events, so memory does not grow
with their number.
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
from ...detector import Detector
from ...event import Primary, require_light
from .analog_emission import Emitter, Photons, point_emitter
from .analog_flight import Surfaces, fly
from .analog_muon import muon_emitter
from .analog_shower import shower_emitter

_BLOCK = 1 << 14  # photons drawn at a time
_BATCH = 16  # blocks of a batch, unless one event needs more


class AnalogResult(NamedTuple):
    """What many independent events of one primary leave on the sensors, before electronics; `(sensors,)` each.

    **Fields**: `counts`: photoelectrons of all events; `direct_counts`: those of light that came straight from the
    particle; `mean_time`, `time_spread`: mean and standard deviation in ns of the arrival of one photoelectron;
    `first_hit_time`, `first_hit_spread`, `first_hit_error`: mean, standard deviation and error of the mean in ns of an
    event's first arrival where there is one. Times of sensors without light are NaN. `events`: number of events; `emitted`:
    photons that left the particle inside the volume, in all events: those that would be detected at once or, where sensors
    have glass, all of a wavelength that can be.
    """

    counts: Int[np.ndarray, " sensors"]
    direct_counts: Int[np.ndarray, " sensors"]
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


def analog(
    detector: Detector, primary: Primary, seed: int, events: int, process: bool = True, indirect: bool = False
) -> AnalogResult:
    """Simulate `events` events of one primary photon by photon.

    **Arguments**: `seed` of the random numbers; `process`: whether the particle itself fluctuates; `indirect`: whether light
    that is scattered or reflected goes on, as often as it may be, or is lost. Every photon takes a particle of its own, so
    counts are Poisson and the mean runs over the fluctuations.

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
    surfaces = Surfaces.of(detector)
    tally = _Tally(detector.sensors.count)
    blocks = max(_BATCH, math.ceil(_upper(emitter.proposed) / _BLOCK))
    together = max(
        1, min(math.floor(_events_that_fit(emitter.proposed, blocks * _BLOCK)), (1 << 31) // detector.sensors.count)
    )
    random, key = np.random.default_rng([seed, 1]), jax.random.key(seed)
    done = 0
    for batch in range(math.ceil(events / together)):
        count = min(together, events - done)
        wanted = random.poisson(count * emitter.proposed)
        flown = _followed(
            emitter.draw,
            blocks,
            indirect,
            emitter.source,
            emitter.spectrum,
            surfaces,
            jax.random.fold_in(key, batch),
            wanted,
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


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _followed(
    draw, blocks: int, indirect: bool, source, spectrum, surfaces: Surfaces, key: PRNGKeyArray, wanted: Array
):
    """Photons from birth to death: the sensor each is detected by (the number of sensors for none), when, whether it came
    straight from the particle, and how many left that inside the volume; the first `wanted` ones exist."""
    birth_key, fate_key = jax.random.split(key)

    def block(state) -> Array:
        number, block_key = state
        photons: Photons = draw(source, spectrum, block_key, _BLOCK)
        exists = number * _BLOCK + jnp.arange(_BLOCK) < wanted
        made = photons.made & exists & surfaces.discs.wall.contains(photons.position)
        rows = [jnp.atleast_2d(leaf) for leaf in photons._replace(made=made.astype(jnp.float32))]
        return jnp.concatenate(rows)

    # One array: where a loop gives several, XLA may write the whole of each anew in every turn.
    drawn = jax.lax.map(block, (jnp.arange(blocks), jax.random.split(birth_key, blocks)))
    rows = jnp.moveaxis(drawn, 0, 1).reshape(drawn.shape[1], -1)
    pool = Photons(rows[:3], rows[3:6], *rows[6:9], rows[9] > 0)
    return *fly(surfaces, spectrum, pool, fate_key, indirect), jnp.sum(pool.made)


class _Tally:
    """Sums over detected photons and over first arrivals."""

    def __init__(self, sensors: int):
        self.sensors = sensors
        self.single = np.zeros((3, sensors))
        self.first = np.zeros((3, sensors))
        self.direct = np.zeros(sensors)
        self.emitted = 0

    def add(
        self, sensor: np.ndarray, time: np.ndarray, direct: np.ndarray, emitted: np.ndarray, event: np.ndarray
    ) -> None:
        """Detected photons of a batch of whole events: `sensor`, `time` and the number of the `event` in the batch."""
        (found,) = np.nonzero(sensor < self.sensors)
        sensor, time = sensor[found], np.maximum(time[found], 0.0)
        self.emitted += int(emitted)
        self.direct += np.bincount(sensor[direct[found]], minlength=self.sensors)
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
        return AnalogResult(counts, self.direct.astype(np.int64), *times, events, self.emitted)


def _moments(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums[1] / sums[0]
        return mean, np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, 0.0))
