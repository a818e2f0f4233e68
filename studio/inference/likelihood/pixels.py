"""Likelihood of what pads that trigger by themselves record."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ...detector import PixelTPC
from ...simulation.tpc import PadCharge, PixelReadout, PixelWindows
from ...simulation.tpc.self_trigger import trigger_moments
from .base import AbstractLikelihood, Judged, Measured


class PixelLikelihood(AbstractLikelihood):
    """Per pad and trigger: whether it fires, and where it does, its time and its charge.

    A trigger fires with the probability that the noise lifts the largest charge since the last reset over the threshold, Φ((M − θ)/σ): a
    pad that stays silent tells that it stayed below, and no more. Time and charge are normal, with means, variances and
    covariance of `trigger_moments`; the charge is taken less what it shares with the time, so that the two are
    independent. The information of a trigger is that of firing or not, plus, as often as it fires, that of time and
    charge about their means; what their variances tell is left out.

    **Arguments**, static: `windows`: those of the simulator.
    """

    windows: PixelWindows = eqx.field(static=True)

    def channel_count(self, detector: PixelTPC) -> int:
        """Number of pads there is room for in the list."""
        return self.windows.pads

    def measured(self, detector: PixelTPC, received: PadCharge) -> tuple[Measured, ...]:
        """For each trigger `(pads, triggers)`: the largest charge in e, in units of its noise and less the threshold; the time in ns; the
        charge in e less the part that follows the time; and, without information, that part per ns.

        Beside them, without information, which pad it is: its number, and −1 for none.
        """
        electronics = detector.electronics
        found = trigger_moments(received.integrated, received.slice, electronics)
        there = (received.volume >= 0)[:, None]
        level = (found.level - electronics.threshold) / found.noise
        fired = jnp.where(there, found.reached * found.fires, 0.0)
        slope = jax.lax.stop_gradient(found.covariance / found.time_variance)
        rest = found.charge_variance - slope * found.covariance
        time = found.time + received.begin[:, None]
        number = _number(detector, received.volume, received.row, received.column).astype(level.dtype)[:, None]
        nothing = jnp.zeros_like(level)
        return (
            Measured(level, jnp.where(there, found.reached * _of_firing(level), 0.0)),
            Measured(time, fired / found.time_variance),
            Measured(found.charge - slope * time, fired / rest),
            Measured(slope, nothing),
            Measured(number, nothing[:, :1]),
        )

    def judge(
        self, detector: PixelTPC, readout: PixelReadout, measured: tuple[Measured, ...], channels: Int[Array, " n"]
    ) -> Judged:
        """Log density of the triggers of each pad of the list, whichever place it has in that of the readout.

        A hit on a pad that is not in the list is one of noise: all of these count for the list's first pad.
        """
        level, time, charge, slope, number = measured
        theirs = jnp.where(
            readout.volume >= 0, _number(detector, readout.volume, readout.row, readout.column), -2
        ).astype(number.mean.dtype)
        order = jnp.argsort(theirs)
        place = jnp.minimum(jnp.searchsorted(theirs[order], number.mean[:, 0]), theirs.shape[0] - 1)
        match = order[place]
        known = (theirs[match] == number.mean[:, 0]) & (number.mean[:, 0] >= 0)
        hit = readout.hit[match] & known[:, None]
        before = jnp.concatenate([jnp.ones_like(hit[:, :1]), hit[:, :-1]], axis=1) & (number.mean >= 0)

        log_fires, log_silent = jax.scipy.special.log_ndtr(level.mean), jax.scipy.special.log_ndtr(-level.mean)
        of_firing = jnp.where(hit, log_fires, jnp.where(before, log_silent, 0.0))
        squares, values = jnp.zeros_like(of_firing), of_firing
        observed = (readout.time[match], readout.charge[match] - slope.mean * readout.time[match])
        fired = jnp.exp(log_fires)
        reached = jnp.cumprod(jnp.pad(fired[:, :-1], ((0, 0), (1, 0)), constant_values=1.0), axis=1)
        for seen, mean in zip(observed, (time, charge), strict=True):
            precision = jnp.where(hit, mean.information, 1.0) / jnp.where(hit, reached * fired, 1.0)
            square = jnp.where(hit, (seen - mean.mean) ** 2 * precision, 0.0)
            squares = squares + square
            values = values + jnp.where(hit, 0.5 * jnp.log(precision / (2 * math.pi)) - 0.5 * square, 0.0)
        return Judged(jnp.sum(values, axis=1), jnp.sum(squares, axis=1))


def _number(detector: PixelTPC, volume: Array, row: Array, column: Array) -> Int[Array, "..."]:
    rows, columns = detector.pixels.slots
    return jnp.where(volume >= 0, (volume * rows + row) * columns + column, -1)


def _of_firing(level: Float[Array, "..."]) -> Float[Array, "..."]:
    """Information of firing or not about the level in units of the noise: φ²/(Φ (1 − Φ))."""
    log_density = -0.5 * level**2 - 0.5 * math.log(2 * math.pi)
    return jnp.exp(2 * log_density - jax.scipy.special.log_ndtr(level) - jax.scipy.special.log_ndtr(-level))
