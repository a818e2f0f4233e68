"""Pulse shape of the LArASIC preamplifier: five poles, whose "2.0 us" setting peaks after 2.347 us with a FWHM of 2.43 us.

The poles, in units of 1 / setting: 2.94809, 2.82833 ± 1.19361i, 2.40318 ± 2.5928i (MicroBooNE, JINST 12 (2017) P08003; the same
in WireCell's and LArSoft's simulations). The response to a unit charge is Σ exp(−p t) / Π(q − p) over poles p and the others q.
"""

import numpy as np

POLES = np.array([2.94809, 2.82833 + 1.19361j, 2.82833 - 1.19361j, 2.40318 + 2.5928j, 2.40318 - 2.5928j])


def pulse(time, setting=2000.0):
    """The response to a unit charge at times (ns), of unit area."""
    poles = POLES / setting
    weights = [1 / np.prod([q - p for q in poles if q != p]) for p in poles]
    return np.prod(poles).real * sum((w * np.exp(-p * time)).real for w, p in zip(weights, poles, strict=True))


def shaped(current, tick):
    """`current (..., ticks)` folded with the pulse, of the same unit."""
    ticks = current.shape[-1]
    transfer = np.fft.rfft(pulse(np.arange(ticks) * tick) * tick, 2 * ticks)
    return np.fft.irfft(np.fft.rfft(current, 2 * ticks) * transfer, 2 * ticks)[..., :ticks]
