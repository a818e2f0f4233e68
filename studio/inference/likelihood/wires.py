"""Likelihood of the waveforms of wires."""

from __future__ import annotations

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from ...detector import TPC, ColdElectronics
from ...simulation.tpc import Windows, WireReadout, WireVoltages
from .base import AbstractLikelihood, Judged, Measured


class WireLikelihood(AbstractLikelihood):
    """Voltages with normal noise whose spectrum is that of the electronics, and the rounding of the digitizer beside it.

    What is measured of a wire is the Fourier transform of its window, real and imaginary parts over the root of the
    noise's power: independent numbers of unit variance, since the noise is stationary. The window counts as periodic, and
    rounding as white: at the highest frequencies, where nothing else is, that overstates it by a tenth.

    **Arguments**: `windows`, static: those of the simulator.
    """

    windows: Windows = eqx.field(static=True)

    def channel_count(self, detector: TPC) -> int:
        """Number of wires in all windows, or of channels where wires are joined."""
        sizes = zip(detector.read_planes, self.windows.planes, strict=True)
        rows = [size.wires if plane.joined is None else plane.channels for plane, size in sizes]
        return self.windows.volumes * sum(rows)

    def measured(self, detector: TPC, received: WireVoltages) -> tuple[Measured]:
        """Whitened transforms `(wires, 2 frequencies)`; nothing is known where there is no wire."""
        found = _whitened(detector, received.transform, received.length, received.samples)
        known = jnp.broadcast_to((received.length > 0)[:, None], found.shape)
        return (Measured(found, known.astype(found.dtype)),)

    def judge(
        self, detector: TPC, readout: WireReadout, measured: tuple[Measured, ...], channels: Int[Array, " n"]
    ) -> Judged:
        """−½ Σ (observed − mean)² of the whitened transforms. `readout` stands in the same windows: those of the simulator
        follow the charge, so a hypothesis whose charge is elsewhere cannot be compared yet."""
        electronics, (of_wires,) = detector.electronics, measured
        counts = jnp.concatenate([plane.values.reshape(-1, plane.values.shape[-1]) for plane in readout.planes])
        voltage = electronics.voltage(counts[channels])
        lengths = jnp.concatenate([length.reshape(-1) for length in readout.lengths(detector)])[channels]
        observed = _whitened(detector, jnp.fft.rfft(voltage, axis=-1), lengths, voltage.shape[-1])
        squares = jnp.sum(of_wires.information * (observed - of_wires.mean) ** 2, axis=-1)
        return Judged(-0.5 * squares, squares)


def _whitened(
    detector: TPC, transform: Complex[Array, "n frequencies"], length: Float[Array, " n"], samples: int
) -> Float[Array, "n numbers"]:
    white = transform * whitening(detector.electronics, length, samples)
    return jnp.concatenate([white.real, white.imag], axis=-1)


def whitening(
    electronics: ColdElectronics, length: Float[Array, "*wires"], samples: int
) -> Float[Array, "*wires frequencies"]:
    """What the transform of a window of voltages in V is multiplied with so that the noise of its real and imaginary parts has
    unit variance; 0 where there is no wire, whose `length` (mm) is 0."""
    frequency = jnp.asarray(np.fft.rfftfreq(samples, electronics.tick))
    rounding = electronics.full_scale / (2**electronics.bits - 1) / math.sqrt(12)
    noise = electronics.noise(length)[..., None] ** 2 * electronics.noise_power(frequency, samples)
    both = np.full(frequency.shape, 2.0)
    both[0] = 1.0
    if samples % 2 == 0:
        both[-1] = 1.0
    return jnp.where(length[..., None] > 0, jnp.sqrt(both / samples / (noise + rounding**2)), 0.0)
