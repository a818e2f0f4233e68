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

    **Arguments**, static: `windows`: those of the simulator; `triggers`: how many of a pad count, at most as many as it records:
    what later ones tell is left out.
    """

    windows: PixelWindows = eqx.field(static=True)
    triggers: int = eqx.field(static=True, default=2)

    def considered(self, detector: PixelTPC) -> int:
        """How many triggers of a pad count."""
        return min(self.triggers, detector.electronics.triggers)

    def channel_count(self, detector: PixelTPC) -> int:
        """Number of pads there is room for in the list."""
        return self.windows.pads

    def measured(self, detector: PixelTPC, received: PadCharge) -> tuple[Measured, ...]:
        """For each trigger `(pads, triggers)`: the charge above threshold in units of its noise; the time in ns; the
        charge in e less the part that follows the time; and, without information, that part per ns.

        Beside them, without information, which pad it is: its number, and −1 for none.
        """
        electronics = detector.electronics
        found = trigger_moments(received.integrated, received.slice, electronics, self.considered(detector))
        there = (received.volume >= 0)[:, None]
        fired = jnp.where(there, found.reached * found.fires, 0.0)
        slope = jax.lax.stop_gradient(found.covariance / found.time_variance)
        rest = found.charge_variance - slope * found.covariance
        time = found.time + received.begin[:, None]
        number = _number(detector, received.volume, received.row, received.column).astype(time.dtype)[:, None]
        nothing = jnp.zeros_like(time)
        return (
            Measured(found.level, jnp.where(there, found.reached * _of_firing(found.level), 0.0)),
            Measured(time, fired / found.time_variance),
            Measured(found.charge - slope * time, fired / rest),
            Measured(slope, nothing),
            Measured(number, nothing[:, :1]),
        )

    def judge(
        self, detector: PixelTPC, readout: PixelReadout, measured: tuple[Measured, ...], channels: Int[Array, " n"]
    ) -> Judged:
        """Log density of the triggers of each pad of the list, whichever place it has in that of the readout.

        A hit may also be one of noise: by the probability that a pad without charge triggers, any time and charge being as likely.
        Hits on pads that are not in the list can be nothing else; where all channels are asked for, they count for the first.
        """
        level, time, charge, slope, number = measured
        recorded = readout.hit[:, : self.considered(detector)]
        seen_time, seen_charge = (leaf[:, : recorded.shape[1]] for leaf in (readout.time, readout.charge))
        theirs = _number(detector, readout.volume, readout.row, readout.column).astype(number.mean.dtype)
        order = jnp.argsort(theirs)
        match = order[jnp.minimum(jnp.searchsorted(theirs[order], number.mean[:, 0]), theirs.shape[0] - 1)]
        ours = number.mean >= 0
        hit = recorded[match] & (theirs[match][:, None] == number.mean) & ours
        reached = jnp.concatenate([ours, hit[:, :-1]], axis=1)

        log_fires, log_silent = jax.scipy.special.log_ndtr(level.mean), jax.scipy.special.log_ndtr(-level.mean)
        often = jnp.cumprod(jnp.exp(log_fires), axis=1)
        observed = (seen_time[match], seen_charge[match] - slope.mean * seen_time[match])
        value, squares = log_fires, jnp.zeros_like(log_fires)
        for seen, mean in zip(observed, (time, charge), strict=True):
            usable = hit & (mean.information > 0)
            precision = jnp.where(usable, mean.information, 1.0) / jnp.where(usable, often, 1.0)
            square = jnp.where(usable, (seen - mean.mean) ** 2 * precision, 0.0)
            value = value + jnp.where(usable, 0.5 * jnp.log(precision / (2 * math.pi)), -jnp.inf) - 0.5 * square
            squares = squares + square
        of_noise = self._of_noise(detector)
        value = jnp.where(hit, jnp.logaddexp(jnp.where(hit, value, 0.0), of_noise), jnp.where(reached, log_silent, 0.0))
        values = jnp.sum(value, axis=1)
        if channels.shape[0] == self.windows.pads:
            elsewhere = jnp.sum(recorded) - jnp.sum(hit)
            values = values.at[0].add(elsewhere * of_noise)
        return Judged(values, jnp.sum(squares, axis=1))

    def _of_noise(self, detector: PixelTPC) -> Float[Array, ""]:
        """Log density of a hit of noise in 1/(ns e)."""
        electronics = detector.electronics
        window = self.windows.slices * electronics.tick
        seldom = jax.scipy.special.log_ndtr(-electronics.threshold / electronics.trigger_noise)
        return seldom - jnp.log(window * electronics.full_scale)


def _number(detector: PixelTPC, volume: Array, row: Array, column: Array) -> Int[Array, "..."]:
    rows, columns = detector.pixels.slots
    return jnp.where(volume >= 0, (volume * rows + row) * columns + column, -1)


def _of_firing(level: Float[Array, "..."]) -> Float[Array, "..."]:
    """Information of firing or not about the level in units of the noise: φ²/(Φ (1 − Φ))."""
    log_density = -0.5 * level**2 - 0.5 * math.log(2 * math.pi)
    return jnp.exp(2 * log_density - jax.scipy.special.log_ndtr(level) - jax.scipy.special.log_ndtr(-level))
