"""Readout electronics of wires in liquid argon: preamplifier, shaper, digitizer."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._arrays import as_number
from .._checks import InputError, whole_number
from ..units import V, fC, m, mV, ns, us

#: Poles of the shaper in units of 1/shaping time, a fifth-order filter with complex conjugate poles.
_POLES = np.array([-2.94809, -2.82833 + 1.19361j, -2.82833 - 1.19361j, -2.40318 + 2.5928j, -2.40318 - 2.5928j])
#: Largest value of the impulse response of unit area, in units of 1/shaping time; reached at 1.1735 shaping times.
_PEAK = 0.78801628
_POSITIVE = ("shaping_time", "gain", "full_scale")


class ColdElectronics(eqx.Module):
    """The front end of a channel of wires.

    **Arguments**

    - `shaping_time` in ns, by its coded value: 2 µs peaks after 2.347 µs and is 2.43 µs wide at half height.
    - `gain` in V/e: the height of the pulse of a charge that arrives at once; 14 mV/fC.
    - `enc_base` in e and `enc_slope` in e/mm: equivalent noise charge of a channel whose wire is so long. Defaults 197 e and
      44.6 e/m, the line through MicroBooNE's 206 e at 0.2 m and 405 e at 4.66 m at 2 µs of shaping.
    - `full_scale` in V and `bits`, static: what the digitizer's range holds, and in how many bits.
    - `pedestal`: where the digitizer stands without signal, as a part of its range: 0.5 for induction wires.
    - `tick`, static, in ns: time between samples. `ticks`, static: how many are read out.
    - `trigger_offset` in ns: when the first sample is taken, before the time zero of the event.
    - `threshold`, static: zero suppression in digitizer counts from the pedestal; None for none.

    The transfer function is that of the BNL front-end chip (G. De Geronimo et al., IEEE Trans. Nucl. Sci. 58 (2011) 1376):
    a product of five poles. Its noise is white at its input and shaped like a signal.

    **Raises** `InputError` for numbers that are not positive or not finite.
    """

    shaping_time: Float[Array, ""]
    gain: Float[Array, ""]
    enc_base: Float[Array, ""]
    enc_slope: Float[Array, ""]
    full_scale: Float[Array, ""]
    pedestal: Float[Array, ""]
    trigger_offset: Float[Array, ""]
    bits: int = eqx.field(static=True)
    tick: float = eqx.field(static=True)
    ticks: int = eqx.field(static=True)
    threshold: float | None = eqx.field(static=True)

    reach: ClassVar[float] = 6.0
    """After so many shaping times the response is below 2e-4 of its peak."""

    def __init__(
        self,
        shaping_time: float | Array = 2.0 * us,
        gain: float | Array = 14.0 * mV / fC,
        enc_base: float | Array = 197.0,
        enc_slope: float | Array = 44.6 / m,
        full_scale: float | Array = 2.0 * V,
        pedestal: float | Array = 0.5,
        trigger_offset: float | Array = 0.0,
        *,
        bits: int = 12,
        tick: float = 500.0 * ns,
        ticks: int = 6000,
        threshold: float | None = None,
    ):
        numbers = {
            "shaping_time": shaping_time,
            "gain": gain,
            "enc_base": enc_base,
            "enc_slope": enc_slope,
            "full_scale": full_scale,
            "pedestal": pedestal,
            "trigger_offset": trigger_offset,
        }
        for name, value in numbers.items():
            setattr(self, name, as_number(value, f"electronics.{name}", positive=name in _POSITIVE))
        if not tick > 0:
            raise InputError("must be positive", key="electronics.tick", value=tick, remedy="give ns")
        self.bits = whole_number("electronics.bits", bits)
        self.ticks = whole_number("electronics.ticks", ticks, least=16)
        self.tick = float(tick)
        self.threshold = None if threshold is None else float(threshold)

    def transfer(self, frequency: Float[Array, "..."]) -> Complex[Array, "..."]:
        """Output in V per e of a charge that arrives at once, as its Fourier transform at `frequency` (1/ns), in V ns/e.

        Multiplied with the transform of a current in e/ns it is the transform of the voltage.
        """
        s = 2j * jnp.pi * frequency * self.shaping_time
        product = jnp.ones_like(s)
        for pole in _POLES:
            product = product * (-pole) / (s - pole)
        return self.gain * self.shaping_time / _PEAK * product

    def counts(self, voltage: Float[Array, "..."]) -> Float[Array, "..."]:
        """Digitizer counts, not rounded, of a voltage in V, pedestal included."""
        return (voltage / self.full_scale + self.pedestal) * (2**self.bits - 1)

    def voltage(self, counts: Float[Array, "..."]) -> Float[Array, "..."]:
        """The voltage in V that digitizer counts stand for: the inverse of `counts`."""
        return (counts / (2**self.bits - 1) - self.pedestal) * self.full_scale

    def digitized(self, voltage: Float[Array, "..."]) -> Float[Array, "..."]:
        """Whole digitizer counts within its range; below `threshold` away from the pedestal they are the pedestal."""
        top = 2**self.bits - 1
        rest = jnp.round(self.pedestal * top)
        found = jnp.clip(jnp.round(self.counts(voltage)), 0, top)
        return found if self.threshold is None else jnp.where(jnp.abs(found - rest) < self.threshold, rest, found)

    def noise(self, length: Float[Array, "..."]) -> Float[Array, "..."]:
        """Root mean square in V of the noise of channels whose wires are so long (mm)."""
        return (self.enc_base + self.enc_slope * length) * self.gain

    def noise_power(self, frequency: Float[Array, " frequencies"], samples: int) -> Float[Array, " frequencies"]:
        """Power spectrum of noise of unit variance at the frequencies of the real Fourier transform of so many samples:
        the mean of |transform|² over the number of samples."""
        shape = jnp.abs(self.transfer(frequency)) ** 2
        # All but the ends of a real transform stand for two frequencies.
        count = np.full(shape.shape, 2.0)
        count[0] = 1.0
        if samples % 2 == 0:
            count[-1] = 1.0
        return shape * samples / jnp.sum(shape * count)
