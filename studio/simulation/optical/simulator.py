"""The optical simulator: expected and sampled light of an event on the sensors of a detector."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..._checks import InputError
from ...constants import SPEED_OF_LIGHT
from ...detector import Detector
from ...event import Primary, Readout
from ..base import AbstractSimulator
from .emission import Emission, emission, latent_count, optics_of, sampled_emission
from .first_hit import Pulse, first_hit
from .recording import record, time_smear
from .shadow import visible_share
from .sources import Light, Sensors, select_moments
from .spectrum import Moments, Optics
from .walks import Walks
from .walks_connection import IndirectLight


class Expectation(NamedTuple):
    """The mean of what is recorded: `charge (sensors,)` in photoelectrons; `time (sensors,)`, mean recorded time in ns of
    the first hit where there is one; `time_spread (sensors,)`, its standard deviation in ns."""

    charge: Float[Array, " sensors"]
    time: Float[Array, " sensors"]
    time_spread: Float[Array, " sensors"]


class Arrivals(NamedTuple):
    """Light arriving at sensors: `charge (n,)`, mean in photoelectrons, dark counts included; `pulse`: when the light
    arrives; `kind (n,)`: the sensor's type; `weight (n,)`: whether there is one, see `PhotosensorArray`."""

    charge: Float[Array, " n"]
    pulse: Pulse
    kind: Int[Array, " n"]
    weight: Float[Array, " n"]


class OpticalSimulator(AbstractSimulator):
    """Light of muons, electrons and point sources on flat sensors along the wall.

    **Arguments**, all static but the last:

    - `segments`: pieces of a muon track (a multiple of 8), twice as many for a shower; the charge pattern converges as
      their square.
    - `wavelengths`: nodes of the wavelength quadrature between 280 and 700 nm.
    - `degree`: degree of the polynomials that carry transmission and colour over distance.
    - `process`: whether the particle's own fluctuations (scattering, straggling, δ rays) are on, in the mean's angular
      spread, in samples and as latents; without them a particle follows its mean track.
    - `resolved`: whether latents are taken as all of the track's scattering: light is then that of the very curve they
      give, as a fit of one event needs it, not the mean over the scattering that they leave open.
    - `kink_modes`: number of stretches per plane into which multiple scattering is gathered as latents; at most `segments`.
    - `chunk`: sensors treated at a time; peak memory follows it.
    - `indirect`: how scattered and reflected light is followed, `Walks`; without it light that is scattered out of the
      direct beam is lost, and so is what meets the wall.

    **Raises** `InputError` for numbers of segments or stretches that do not work, and for indirect light in a volume that is not
    convex.
    """

    segments: int = eqx.field(static=True, default=32)
    wavelengths: int = eqx.field(static=True, default=42)
    degree: int = eqx.field(static=True, default=6)
    process: bool = eqx.field(static=True, default=True)
    resolved: bool = eqx.field(static=True, default=False)
    kink_modes: int = eqx.field(static=True, default=16)
    chunk: int = eqx.field(static=True, default=512)
    indirect: Walks | None = None

    def __check_init__(self):
        if self.segments < 8 or self.segments % 8:
            raise InputError("not a multiple of 8", key="segments", value=self.segments, remedy="give 16 or 32")
        if not 1 <= self.kink_modes <= self.segments:
            remedy = f"give between 1 and {self.segments}, the number of segments"
            raise InputError("stretches without segments", key="kink_modes", value=self.kink_modes, remedy=remedy)

    def expected(self, detector: Detector, event: Primary) -> Expectation:
        """Mean charge, first-hit time and its spread for one primary; vmap over stacks. Fields are `(sensors,)`.

        The charge of a place that is not quite a sensor is that part of one.
        """
        arrivals = self.arrivals(detector, event)
        time, variance = first_hit(arrivals.charge, arrivals.pulse)
        smear = time_smear(detector, arrivals.kind, arrivals.charge)
        return Expectation(arrivals.charge * arrivals.weight, time, jnp.sqrt(variance + smear**2))

    def sample(self, detector: Detector, event: Primary, key: PRNGKeyArray) -> Readout:
        """One event as recorded; fields are `(sensors,)`. Only places of a weight above one half have a sensor."""
        particle_key, detection_key = jax.random.split(key)
        light = self._indirect_too(
            detector, lambda optics: sampled_emission(self, detector, event, particle_key, optics)
        )
        return record(detector, self._chunked(detector, light), detection_key)

    def latent_count(self, event: Primary) -> int:
        """Number of standard normal latents of one primary; 0 without process fluctuations."""
        return latent_count(self, event)

    def arrivals(self, detector: Detector, event: Primary, latents: Float[Array, " latents"] | None = None) -> Arrivals:
        """Light on all sensors for given latents (zero by default), in chunks."""
        if latents is None:
            latents = jnp.zeros(0, event.kinetic_energy.dtype)
        return self._chunked(detector, self.emit(detector, event, latents))

    def emit(self, detector: Detector, event: Primary, latents: Float[Array, " latents"]) -> Emission:
        """The sources of one primary for given latents."""
        return self._indirect_too(detector, lambda optics: emission(self, detector, event, latents, optics))

    def receive(self, detector: Detector, emitted: Emission, channels: Int[Array, " n"]) -> Arrivals:
        """Light of the sources on the sensors with indices `channels`."""
        return arrive(_chunk(detector, channels), detector, emitted)

    def _indirect_too(self, detector: Detector, make: Callable[[Optics], Emission]) -> Emission:
        """Light that is made with the optics of the direct beam, and its indirect light where that is asked for."""
        optics = optics_of(self, detector)
        light = make(optics)
        if self.indirect is None:
            return light
        if not detector.volume.convex:
            raise InputError(
                "indirect light is simulated in convex volumes only",
                key="indirect",
                remedy="leave it out (indirect=None), or make the volume convex",
            )
        source = self.indirect.source(detector, make, optics)
        return Emission([*light.sources, (source, ())], light.delays, light.spectrum)

    def _chunked(self, detector: Detector, light: Emission) -> Arrivals:
        count = detector.sensors.count
        channels, _ = self.channel_chunks(count)
        one = jax.checkpoint(lambda indices: self.receive(detector, light, indices))
        if channels.shape[0] == 1:
            return one(channels[0])
        stacked = jax.lax.map(one, channels)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:count], stacked)


def _chunk(detector: Detector, channels: Int[Array, " n"]) -> Sensors:
    sensors = detector.sensors
    uv, patch = sensors.uv[channels], sensors.patch[channels]
    position, normal = detector.volume.surface_point(patch, uv), detector.volume.normal(patch, uv)
    return Sensors(
        position, normal, sensors.radius[channels], sensors.kind[channels], sensors.weight[channels], channels
    )


def arrive(sensors: Sensors, detector: Detector, light: Emission) -> Arrivals:
    """Charge and arrival times of all light on a chunk of sensors; dark counts belong to the charge alone."""
    parts = [source.light(sensors, colours) for source, colours in light.sources]
    joined = Light(*(jnp.concatenate(pieces, axis=1) for pieces in zip(*parts, strict=True)))
    if not detector.volume.convex:
        # Indirect light is refused there.
        straight = [source for source, _ in light.sources if not isinstance(source, IndirectLight)]
        spans = [visible_share(sensors, detector.volume, *source.span) for source in straight]
        joined = joined._replace(charge=joined.charge * jnp.concatenate(spans, axis=1))
    efficiency = detector.sensors.efficiency[sensors.kind]
    charge = jnp.sum(joined.charge, axis=1)
    dark = jnp.asarray([entry.dark_rate for entry in detector.sensors.types], charge.dtype) * detector.electronics.gate
    pulse = _pulse(sensors, light.delays, joined, _membership(light))
    return Arrivals(charge * efficiency + dark[sensors.kind], pulse, sensors.kind, sensors.weight)


def _pulse(sensors: Sensors, delays: tuple[Moments, ...], light: Light, member: np.ndarray) -> Pulse:
    """When the light arrives: the moments of the pieces gathered into groups, `member (pieces, groups)`."""
    index, dispersion, skewed = select_moments(sensors.kind, delays, light.distance)
    path = light.distance / SPEED_OF_LIGHT
    arrival = light.start + path * index
    # Only ratios count. As parts of the total, held constant, they stay where single precision has room for the cubes that second
    # derivatives of quotients take; a group without light keeps a faint one.
    total = jax.lax.stop_gradient(jnp.sum(light.charge, axis=1, keepdims=True))
    charge = light.charge / jnp.maximum(total, 1e-30) + 1e-12
    member = member.astype(charge.dtype)
    gathered = charge @ member

    def average(values: Array) -> Array:
        return (charge * values) @ member / gathered

    mean = average(arrival)
    offset = arrival - mean @ member.T
    colour = path**2 * light.unsorted * dispersion
    face = light.over_face * (index / SPEED_OF_LIGHT) ** 2
    third = average(
        offset * (offset**2 + 3 * (colour + face))
        + path**3 * light.unsorted * jnp.sqrt(light.unsorted + 1e-12) * skewed
    )
    share = gathered / jnp.sum(gathered, axis=1, keepdims=True)
    return Pulse(share, mean, average(face) + 1e-9, average(offset**2 + colour) + 1e-6, third)


def _membership(light: Emission) -> np.ndarray:
    """Which of all pieces, those of one source after the other, is in which group; `(pieces, groups)` of 0 and 1."""
    owners, first = [], 0
    for source, _ in light.sources:
        owners.append(first + source.groups)
        first = int(owners[-1][-1]) + 1
    return np.eye(first)[np.concatenate(owners)]
