"""Resolutions measured on reconstructed events, and what two designs differ by on the same events, with intervals.

Metrics of a population, robust against tails:

- `vertex`: 68 % quantile of the distance between estimate and truth, mm.
- `direction`: 68 % quantile of the angle between them, rad.
- `energy`: half the width of the central 68 % of the relative error of the kinetic energy.

Events whose reconstruction failed are counted and stay in with whatever was estimated: leaving them out would reward a design
for failing. Intervals are percentile bootstrap intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
chapter 13); designs are resampled together, since they see the same events.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm

CENTRAL = 0.6827  # the content of one standard deviation of a Gaussian

Rows = Float[np.ndarray, "events columns"]


@dataclasses.dataclass(frozen=True)
class Errors:
    """Reconstructed minus true, event by event.

    **Fields**: `vertex (events,)` distance in mm; `direction (events,)` angle in rad; `energy (events,)` relative error, with
    sign; `failed (events,)` whether the reconstruction said so.
    """

    vertex: Float[np.ndarray, " events"]
    direction: Float[np.ndarray, " events"]
    energy: Float[np.ndarray, " events"]
    failed: Bool[np.ndarray, " events"]

    @property
    def count(self) -> int:
        """Number of events."""
        return len(self.vertex)


def quantile68(values: Float[np.ndarray, "... events"]) -> Float[np.ndarray, "..."]:
    """68 % quantile over the last axis."""
    return np.quantile(values, CENTRAL, axis=-1)


def central_half_width(values: Float[np.ndarray, "... events"]) -> Float[np.ndarray, "..."]:
    """Half the width of the central 68 % over the last axis: one standard deviation where the errors are Gaussian."""
    low, high = np.quantile(values, [(1 - CENTRAL) / 2, (1 + CENTRAL) / 2], axis=-1)
    return (high - low) / 2


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "vertex": quantile68,
    "direction": quantile68,
    "energy": central_half_width,
}
"""Metric functions over the last axis by the name of the error."""

UNITS = {"vertex": "mm", "direction": "rad", "energy": "relative", "dedx": "relative"}


@dataclasses.dataclass(frozen=True)
class Measured:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """As plain numbers."""
        return dataclasses.asdict(self)

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def resolutions(errors: Errors, *, seed: int, replicates: int = 1000) -> dict[str, Measured]:
    """Each metric with its bootstrap interval."""
    chosen = _resamples(errors.count, seed, replicates)
    result = {}
    for name, metric in METRICS.items():
        values = getattr(errors, name)
        result[name] = _measured(float(metric(values)), metric(values[chosen]))
    return result


def gains(baseline: Errors, optimum: Errors, *, seed: int, replicates: int = 1000) -> dict[str, Measured]:
    """By which fraction each metric is smaller at the optimum, with its paired bootstrap interval; positive is better."""
    chosen = _resamples(baseline.count, seed, replicates)
    result = {}
    for name, metric in METRICS.items():
        before, after = getattr(baseline, name), getattr(optimum, name)
        value = 1 - float(metric(after)) / float(metric(before))
        result[name] = _measured(value, 1 - metric(after[chosen]) / metric(before[chosen]))
    return result


def predicted_gains(baseline: Rows, optimum: Rows, names: tuple[str, ...]) -> dict[str, Measured]:
    """The gain that the Cramér–Rao bound promises on the same events: 1 − exp(mean log σ ratio), by column of σ `(events, k)`.

    Its interval is the normal one of the mean, since events differ but nothing fluctuates.
    """
    ratio = np.log(optimum) - np.log(baseline)
    mean = ratio.mean(axis=0)
    error = norm.isf(0.025) * ratio.std(axis=0, ddof=1) / np.sqrt(len(ratio)) if len(ratio) > 1 else np.zeros_like(mean)
    return {
        name: Measured(*(float(1 - np.exp(m)) for m in (mean[i], mean[i] + error[i], mean[i] - error[i])))
        for i, name in enumerate(names)
    }


def failure_fraction(failed: Bool[np.ndarray, " events"]) -> Measured:
    """Fraction of failed events with its Wilson 95 % interval (Wilson, J. Am. Stat. Assoc. 22 (1927) 209)."""
    count, fraction, z = len(failed), float(np.mean(failed)), float(norm.isf(0.025))
    centre = (fraction + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(fraction * (1 - fraction) / count + z**2 / (4 * count**2))
    return Measured(fraction, max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def _resamples(count: int, seed: int, replicates: int) -> np.ndarray:
    """Indices `(replicates, count)` of events drawn with replacement."""
    return np.random.default_rng([seed, count]).integers(count, size=(replicates, count))


def _measured(value: float, replicates: np.ndarray) -> Measured:
    low, high = np.quantile(replicates, [0.025, 0.975])
    return Measured(value, float(low), float(high))
