"""How many validation events a claimed gain needs: the calculation is made beforehand and written into the result.

A metric m measured on N events scatters by a relative σ_m = k/√N; k follows from the shape of the error distribution. The gain
compares two designs on the same events, g = 1 − m₂/m₁, so that log(1 − g) scatters by

    σ = k √(2 (1 − ρ) / N),

with ρ the correlation of the two measurements. A true gain g is seen at the two-sided level α with probability 1 − β where

    N ≥ 2 (1 − ρ) k² (z_{1−α/2} + z_{1−β})² / log²(1 − g).

With ρ = 0 the number is on the safe side: designs see the same particles, whose own fluctuations they share. For N ≥ 2,000 the
normal approximation of log m is good to a few per cent of σ.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import chi, norm

from .._checks import InputError
from .metrics import CENTRAL, METRICS

LEVEL = 0.05
POWER = 0.9


def _quantile_spread(distribution) -> float:
    """k of the 68 % quantile of a distribution: √(p (1 − p)) / (q f(q))."""
    quantile = distribution.ppf(CENTRAL)
    return math.sqrt(CENTRAL * (1 - CENTRAL)) / float(quantile * distribution.pdf(quantile))


def _half_width_spread() -> float:
    """k of half the central 68 % of a Gaussian: var = (2 p(1 − p) − 2 p²)/(4 f²), p the content of one tail."""
    tail = (1 - CENTRAL) / 2
    variance = (2 * tail * (1 - tail) - 2 * tail**2) / (4 * norm.pdf(norm.isf(tail)) ** 2)
    return float(math.sqrt(variance) / norm.isf(tail))


SPREAD = {
    "vertex": _quantile_spread(chi(3)),
    "direction": _quantile_spread(chi(2)),
    "energy": _half_width_spread(),
}
"""k of each metric where errors are Gaussian with one width: three coordinates, two tangent angles, one energy."""


def measured_spread(values: np.ndarray, metric: str, *, seed: int = 0, replicates: int = 400) -> float:
    """k of a metric from a pilot sample of errors `(events,)`, by the bootstrap: mixtures of energies have longer tails."""
    chosen = np.random.default_rng([seed, len(values)]).integers(len(values), size=(replicates, len(values)))
    return float(np.std(np.log(METRICS[metric](values[chosen])), ddof=1) * math.sqrt(len(values)))


def events_needed(
    gain: float, spread: float, *, correlation: float = 0.0, level: float = LEVEL, power: float = POWER
) -> int:
    """Smallest number of events that shows a gain. **Raises** `InputError` for a gain of zero or of one and more."""
    if not (gain < 1 and gain != 0):
        raise InputError("no such gain", key="gain", value=gain, remedy="give a fraction below 1 that is not 0")
    total = norm.isf(level / 2) + norm.isf(1 - power)
    return math.ceil(2 * (1 - correlation) * (spread * total / math.log1p(-gain)) ** 2)


def smallest_gain(
    events: int, spread: float, *, correlation: float = 0.0, level: float = LEVEL, power: float = POWER
) -> float:
    """Smallest gain that this number of events shows with the given power."""
    total = norm.isf(level / 2) + norm.isf(1 - power)
    return 1 - math.exp(-spread * total * math.sqrt(2 * (1 - correlation) / events))


def power_table(events: int) -> dict[str, dict[str, float]]:
    """What the result file says of the number of events: the spread assumed and the smallest gain shown, by metric."""
    return {
        name: {"spread": spread, "smallest_gain": smallest_gain(events, spread), "level": LEVEL, "power": POWER}
        for name, spread in SPREAD.items()
    }
