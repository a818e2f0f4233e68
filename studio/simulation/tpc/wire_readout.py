"""From charge on a grid to the voltage of every wire: one convolution with field response and electronics."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ...detector.cold_electronics import ColdElectronics
from .charge_grid import KERNEL


def response_spectrum(
    current: Float[Array, "offsets bins times"],
    step: float,
    electronics: ColdElectronics,
    samples: int,
    smoothing: int = 3,
) -> Complex[Array, "offsets bins frequencies"]:
    """Voltage of the wires around an electron, as the transform over `samples` samples of the electronics, in V/e.

    **Arguments**: `current` in e/ns per electron, every `step` ns from where the response begins; a whole number of steps is a
    sample; `smoothing`: with the B-spline of which order the current is averaged over a step, taken back here.

    Divided by the transform of the width in time that `charge_grid` adds. What the electronics pass beyond half the
    sampling frequency is not folded back: 1e-3 of the amplitude at 1 µs of shaping and 0.5 µs samples, less above.
    """
    finer = round(electronics.tick / step)
    if abs(finer * step - electronics.tick) > 1e-9 * electronics.tick or current.shape[-1] > finer * samples:
        raise ValueError(
            f"{current.shape[-1]} steps of {step} ns do not fit {samples} samples of {electronics.tick} ns"
        )
    frequency = jnp.asarray(np.fft.rfftfreq(samples, electronics.tick))
    transform = jnp.fft.rfft(current, finer * samples, axis=-1)[..., : samples // 2 + 1] * step
    averaged = jnp.sinc(frequency * step) ** smoothing
    widened = jnp.exp(-0.5 * (2 * jnp.pi * frequency * electronics.tick * KERNEL) ** 2)
    return transform * electronics.transfer(frequency) / (electronics.tick * averaged * widened)


def convolved(
    grid: Float[Array, "grids wires bins samples"],
    spectrum: Complex[Array, "offsets bins frequencies"],
) -> Float[Array, "grids wires samples"]:
    """Voltages of the wires of each grid, periodic in wires and samples: leave as much room around the charge as the response
    reaches. `spectrum` is centred: its middle offset is the wire over which the charge arrives."""
    grids, wires, _, samples = grid.shape
    offsets = spectrum.shape[0]
    half = offsets // 2
    room = jnp.zeros((wires, *spectrum.shape[1:]), spectrum.dtype)
    around = room.at[np.arange(-half, half + 1) % wires].add(spectrum)

    @jax.checkpoint
    def add(total: Array, one: tuple[Array, Array]) -> tuple[Array, None]:
        charge, response = one
        transform = jnp.fft.fft(jnp.fft.rfft(charge, axis=-1), axis=-2)
        return total + transform * jnp.fft.fft(response, axis=0), None

    empty = jnp.zeros((grids, wires, samples // 2 + 1), spectrum.dtype)
    total, _ = jax.lax.scan(add, empty, (jnp.moveaxis(grid, 2, 0), jnp.moveaxis(around, 1, 0)))
    return jnp.fft.irfft(jnp.fft.ifft(total, axis=-2), samples, axis=-1)
