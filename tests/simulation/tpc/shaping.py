"""Currents as the electronics of 2 µs shape them, in units of the current."""

import jax.numpy as jnp
import numpy as np

from studio.detector import ColdElectronics


def pulse(ticks, tick, electronics=None):
    """The answer to a unit charge at so many ticks (ns), of unit area."""
    electronics = ColdElectronics() if electronics is None else electronics
    # Periodic over a time that outlasts the pulse by far.
    frequency = np.fft.rfftfreq(4 * ticks + 400, tick)
    transfer = np.asarray(electronics.transfer(jnp.asarray(frequency)))
    return np.fft.irfft(transfer / transfer[0].real, 4 * ticks + 400)[:ticks] / tick


def shaped(current, tick):
    """`current (..., ticks)` folded with the pulse, of the same unit."""
    ticks = current.shape[-1]
    transfer = np.fft.rfft(pulse(ticks, tick) * tick, 2 * ticks)
    return np.fft.irfft(np.fft.rfft(current, 2 * ticks) * transfer, 2 * ticks)[..., :ticks]
