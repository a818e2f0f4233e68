"""The optical simulator: expected and sampled light of an event on the sensors of a detector."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..._checks import InputError
from ...constants import SPEED_OF_LIGHT
from ...detector import Detector
from ...event import Primary, Readout
from ..base import AbstractSimulator
from .emission import Emission, emission, latent_count, sampled_emission
from .first_hit import first_hit
from .recording import record, time_smear
from .sources import Light, Sensors, select, select_moments


class Expectation(NamedTuple):
    """The mean of what is recorded: `charge (sensors,)` in photoelectrons; `time (sensors,)`, mean recorded time in ns of
    the first hit where there is one; `time_spread (sensors,)`, its standard deviation in ns."""

    charge: Float[Array, " sensors"]
    time: Float[Array, " sensors"]
    time_spread: Float[Array, " sensors"]


class Arrivals(NamedTuple):
    """Light arriving at sensors, `(n,)` each: mean `charge` in photoelectrons, dark counts included, and the `mean` (ns),
    `spread` (σ, ns) and `skewness` of the arrival time of a single photoelectron; `kind`: the sensor's type."""

    charge: Float[Array, " n"]
    mean: Float[Array, " n"]
    spread: Float[Array, " n"]
    skewness: Float[Array, " n"]
    kind: Int[Array, " n"]


class OpticalSimulator(AbstractSimulator):
    """Direct light of muons, electrons and point sources on flat sensors along the wall.

    **Arguments**, all static:

    - `segments`: pieces of a muon track (a multiple of 8), three quarters of it for a shower; the charge pattern converges as
      their square.
    - `wavelengths`: nodes of the wavelength quadrature between 280 and 700 nm.
    - `degree`: degree of the polynomials that carry transmission and colour over distance.
    - `process`: whether the particle's own fluctuations (scattering, straggling, δ rays) are on, in the mean's angular
      spread, in samples and as latents; without them a particle follows its mean track.
    - `resolved`: whether latents are taken as all of the track's scattering: light is then that of the very curve they
      give, as a fit of one event needs it, not the mean over the scattering that they leave open.
    - `kink_modes`: number of stretches per plane into which multiple scattering is gathered as latents; at most `segments`.
    - `chunk`: sensors treated at a time; peak memory follows it.

    Scattered and reflected light is not in yet: light scattered out of the direct beam is lost. **Raises** `InputError` for
    numbers of segments or stretches that do not work.
    """

    segments: int = eqx.field(static=True, default=32)
    wavelengths: int = eqx.field(static=True, default=42)
    degree: int = eqx.field(static=True, default=6)
    process: bool = eqx.field(static=True, default=True)
    resolved: bool = eqx.field(static=True, default=False)
    kink_modes: int = eqx.field(static=True, default=12)
    chunk: int = eqx.field(static=True, default=512)

    def __check_init__(self):
        if self.segments < 8 or self.segments % 8:
            raise InputError("not a multiple of 8", key="segments", value=self.segments, remedy="give 16 or 32")
        if not 1 <= self.kink_modes <= self.segments:
            remedy = f"give between 1 and {self.segments}, the number of segments"
            raise InputError("stretches without segments", key="kink_modes", value=self.kink_modes, remedy=remedy)

    def expected(self, detector: Detector, event: Primary) -> Expectation:
        """Mean charge, first-hit time and its spread for one primary; vmap over stacks. Fields are `(sensors,)`."""
        arrivals = self.arrivals(detector, event)
        shift, variance = first_hit(arrivals.charge, arrivals.spread, arrivals.skewness)
        smear = time_smear(detector, arrivals.kind, arrivals.charge)
        return Expectation(arrivals.charge, arrivals.mean + shift, jnp.sqrt(variance + smear**2))

    def sample(self, detector: Detector, event: Primary, key: PRNGKeyArray) -> Readout:
        """One event as recorded; fields are `(sensors,)`."""
        particle_key, detection_key = jax.random.split(key)
        light = sampled_emission(self, detector, event, particle_key)
        return record(detector, self._chunked(detector, light), detection_key)

    def latent_count(self, event: Primary) -> int:
        """Number of standard normal latents of one primary; 0 without process fluctuations."""
        return latent_count(self, event)

    def arrivals(self, detector: Detector, event: Primary, latents: Float[Array, " latents"] | None = None) -> Arrivals:
        """Light on all sensors for given latents (zero by default), in chunks."""
        return self._chunked(detector, emission(self, detector, event, latents))

    def emit(self, detector: Detector, event: Primary, latents: Float[Array, " latents"]) -> Emission:
        """The sources of one primary for given latents."""
        return emission(self, detector, event, latents)

    def receive(self, detector: Detector, emitted: Emission, channels: Int[Array, " n"]) -> Arrivals:
        """Light of the sources on the sensors with indices `channels`."""
        return arrive(_chunk(detector, channels), detector, emitted)

    def _chunked(self, detector: Detector, light: Emission) -> Arrivals:
        count = detector.sensors.count
        channels, _ = self.channel_chunks(count)
        one = jax.checkpoint(lambda indices: self.receive(detector, light, indices))
        if channels.shape[0] == 1:
            return one(channels[0])
        stacked = jax.lax.map(one, channels)
        return jax.tree.map(lambda leaf: leaf.reshape(-1)[:count], stacked)


def _chunk(detector: Detector, channels: Int[Array, " n"]) -> Sensors:
    sensors = detector.sensors
    uv, patch = sensors.uv[channels], sensors.patch[channels]
    position, normal = detector.volume.surface_point(patch, uv), detector.volume.normal(patch, uv)
    return Sensors(position, normal, sensors.radius[channels], sensors.kind[channels])


def arrive(sensors: Sensors, detector: Detector, light: Emission) -> Arrivals:
    """Charge and time moments of all light on a chunk of sensors; dark counts belong to the charge alone."""
    parts = [source.light(sensors, colours) for source, colours in light.sources]
    joined = Light(*(jnp.concatenate(pieces, axis=1) for pieces in zip(*parts, strict=True)))
    efficiency = detector.sensors.efficiency[sensors.kind]
    late = select(sensors.kind, tuple(delay.mean for delay in light.delays))
    arrival = joined.start + joined.distance * late(joined.distance) / SPEED_OF_LIGHT
    charge = jnp.sum(joined.charge, axis=1)
    share = joined.charge / jnp.maximum(charge, 1e-20)[:, None]
    mean = jnp.sum(share * arrival, axis=1)
    offset = arrival - mean[:, None]
    distance = jnp.sum(share * joined.distance, axis=1)
    path = distance / SPEED_OF_LIGHT
    index, dispersion, skewed = select_moments(sensors.kind, light.delays, distance)
    unsorted = jnp.sum(share * joined.unsorted, axis=1)
    over_face = jnp.sum(share * joined.over_face, axis=1) * (index / SPEED_OF_LIGHT) ** 2
    variance = jnp.sum(share * offset**2, axis=1) + path**2 * unsorted * dispersion + over_face
    third = jnp.sum(share * offset**3, axis=1) + path**3 * unsorted**1.5 * skewed
    spread = jnp.sqrt(variance + 1e-6)
    dark = jnp.asarray([entry.dark_rate for entry in detector.sensors.types], charge.dtype) * detector.electronics.gate
    return Arrivals(charge * efficiency + dark[sensors.kind], mean, spread, third / spread**3, sensors.kind)
