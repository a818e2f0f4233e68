"""Likelihood of charges and first-hit times of photosensors."""

from __future__ import annotations

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..._interpolation import UniformSpline
from ...detector import Detector
from ...event import Readout
from ...simulation.optical import Arrivals
from ...simulation.optical.first_hit import first_hit
from ...simulation.optical.recording import time_smear
from .base import AbstractLikelihood, Judged, Measured

# Photoelectron numbers summed over around an observed charge.
_TERMS = 16
_FREEDOM = 25.0
# ns that the arrival times are in doubt where the charges are to 100 %.
_DOUBTED_TIME = 5.0


class OpticalLikelihood(AbstractLikelihood):
    """Charges of Poisson photoelectrons with a normal spread each, and the smeared time of the first of them.

    Per sensor: no hit with probability exp(−Q); else the density of the charge, Σₙ Poisson(n|Q) N(q|n, nσ²), times a
    normal density of the first-hit time about its mean with its own spread and the digitizer's smear added. The
    correlation of charge and time within a sensor and the information in the spread's dependence on Q are left out.

    **Arguments**: `doubt`, static: relative standard deviation by which the mean charge may be wrong, with 5 ns of doubt about
    times at 1. Far from the maximum, where a sensor beside the track is off by many times its mean, the likelihood is then
    one that a fit can climb. With it charges are taken as Student's with as many degrees of freedom as times.
    """

    doubt: float = eqx.field(static=True, default=0.0)

    def channel_count(self, detector: Detector) -> int:
        """Number of sensors."""
        return detector.sensors.count

    def measured(self, detector: Detector, arrivals: Arrivals) -> tuple[Measured, Measured]:
        """Charge in photoelectrons and first-hit time in ns."""
        time, variance = first_hit(arrivals.charge, arrivals.pulse)
        smear = time_smear(detector, arrivals.kind, arrivals.charge)
        fired = -jnp.expm1(-arrivals.charge)
        # A hit of dark noise carries no time of the event.
        dark = jnp.asarray([entry.dark_rate for entry in detector.sensors.types], fired.dtype)[arrivals.kind]
        genuine = jnp.maximum(arrivals.charge - dark * detector.electronics.gate, 0.0) / arrivals.charge
        information = jnp.zeros_like(fired)
        for index, entry in enumerate(detector.sensors.types):
            value = charge_information(arrivals.charge, entry.charge_spread)
            information = jnp.where(arrivals.kind == index, value, information)
        if self.doubt:
            information = information / (1 + information * (self.doubt * arrivals.charge) ** 2)
        of_time = fired * genuine / (variance + smear**2 + (self.doubt * _DOUBTED_TIME) ** 2)
        weight = arrivals.weight
        return Measured(arrivals.charge, weight * information), Measured(time, weight * of_time)

    def judge(
        self, detector: Detector, readout: Readout, measured: tuple[Measured, ...], channels: Int[Array, " n"]
    ) -> Judged:
        """Log likelihood of charge and first-hit time per sensor."""
        charge, time = measured
        spread = jnp.asarray([entry.charge_spread for entry in detector.sensors.types], charge.mean.dtype)
        spread = spread[detector.sensors.kind[channels]]
        observed, hit = readout.charge[..., channels], readout.hit[..., channels]
        variance = charge.mean * (1 + spread**2)
        value = charge_log_density(observed, hit, charge.mean, spread)
        if self.doubt:
            # Halfway between the two charges, so that one sensor without light where there should be some does not decide.
            middle = 0.5 * (observed + charge.mean) + 0.5
            variance = middle * (1 + spread**2) + (self.doubt * middle) ** 2
            value = _student((observed - charge.mean) ** 2 / variance) - 0.5 * jnp.log(variance)
        fired = -jnp.expm1(-charge.mean)
        weight, present = detector.sensors.weight[channels], detector.sensors.present[channels]
        precision = time.information / jnp.maximum(fired * jnp.where(present, weight, 1.0), 1e-20)
        residual = readout.time[..., channels] - time.mean
        # Dark hits and late light hardly pull.
        time_value = _student(residual**2 * precision) + 0.5 * jnp.log(jnp.maximum(precision, 1e-30))
        time_value = jnp.where(hit, time_value, 0.0)
        pearson = (observed - charge.mean) ** 2 / variance
        return Judged(jnp.where(present, value + time_value, 0.0), jnp.where(present, pearson, 0.0))


def _student(pull_squared: Float[Array, "..."]) -> Float[Array, "..."]:
    """Student's log density of a standard residual with 25 degrees of freedom, in place of the normal one, up to a constant."""
    return -0.5 * _FREEDOM * jnp.log1p(pull_squared / _FREEDOM)


def charge_log_density(
    observed: Float[Array, "..."], hit: Array, mean: Float[Array, "..."], spread: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Log density of an observed charge, for a `mean` number of photoelectrons.

    Sums over the 16 photoelectron numbers nearest the charge that a spread of `spread` allows; above 40 photoelectrons
    a normal density of variance Q (1 + σ²) takes over.
    """
    safe = jnp.maximum(mean, 1e-8)
    lowest = jnp.maximum(jnp.round(observed) - _TERMS // 2, 0.0)
    counts = lowest[..., None] + jnp.arange(1, _TERMS + 1, dtype=safe.dtype)
    variance = counts * spread[..., None] ** 2
    log_terms = (
        counts * jnp.log(safe)[..., None]
        - jax.lax.lgamma(counts + 1)
        - 0.5 * (observed[..., None] - counts) ** 2 / variance
        - 0.5 * jnp.log(2 * math.pi * variance)
    )
    few = jax.nn.logsumexp(log_terms, axis=-1) - safe
    many_variance = safe * (1 + spread**2)
    residual = observed - safe
    many = -0.5 * residual**2 / many_variance - 0.5 * jnp.log(2 * math.pi * many_variance)
    large = observed > 40.0
    return jnp.where(hit, jnp.where(large, many, few), -safe)


def charge_information(charge: Float[Array, "..."], spread: float) -> Float[Array, "..."]:
    """Fisher information of a recorded charge about its mean Q: from 1/Q for few photoelectrons, where only hit or not
    matters, to 1/(Q (1 + σ²)) for many."""
    log_charge = jnp.log(jnp.maximum(charge, 1e-8))
    return jnp.exp(_information_spline(spread)(jnp.clip(log_charge, -9.0, 7.0)) - log_charge)


@functools.cache
def _information_spline(spread: float) -> UniformSpline:
    """log(Q × information) against log Q, by numerical integration over the charge."""
    grid = np.linspace(-9.0, 7.0, 81)
    values = []
    for mean in np.exp(grid):
        if mean > 150:
            values.append(-np.log1p(spread**2))
            continue
        counts = np.arange(1, int(mean + 10 * np.sqrt(mean) + 12))
        log_weight = counts * np.log(mean) - mean - np.cumsum(np.log(counts))
        step = min(0.02, spread / 20)
        q = np.arange(step / 2, counts[-1] + 6 * spread * np.sqrt(counts[-1]), step)[:, None]
        sigma = spread * np.sqrt(counts)
        shape = np.exp(-0.5 * ((q - counts) / sigma) ** 2) + np.exp(-0.5 * ((q + counts) / sigma) ** 2)
        terms = np.exp(log_weight) * shape / (sigma * np.sqrt(2 * np.pi))
        density = terms.sum(axis=1)
        slope = (terms * (counts / mean - 1)).sum(axis=1)
        seen = density > 1e-300
        total = np.sum(slope[seen] ** 2 / density[seen]) * step + np.exp(-mean)
        values.append(np.log(total * mean))
    return UniformSpline.fit(grid, np.array(values))
