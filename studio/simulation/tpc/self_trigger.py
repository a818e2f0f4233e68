"""Pads that trigger by themselves: what the chip does to a charge, and the smooth moments of what it records."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ..._running import running_max
from ...detector.pixel_electronics import PixelElectronics
from .charge_grid import box_below

_SELDOM = 1e-12  # probability below which a trigger counts as impossible
_NODES, _WEIGHTS = (np.asarray(numbers) for numbers in np.polynomial.hermite_e.hermegauss(3))
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class Triggers(NamedTuple):
    """What pads recorded, `(pads, triggers)` each: `counts` of the digitizer, `clock` of the trigger in clocks from the pad's begin,
    and whether it `fired`; 0 where it did not."""

    counts: Float[Array, "pads triggers"]
    clock: Float[Array, "pads triggers"]
    fired: Bool[Array, "pads triggers"]


class TriggerMoments(NamedTuple):
    """What pads are expected to record, `(pads, triggers)` each.

    **Fields**: `reached`: probability that so many triggers came before; `fires`: that this one comes after those; `level`:
    for how many standard deviations of its noise the charge is above threshold, so that it fires with probability Φ(level); and, where it fires, mean and variance of the `time` of the
    trigger in ns from the pad's begin and of the digitized `charge` in e, and their covariance.
    """

    reached: Float[Array, "pads triggers"]
    fires: Float[Array, "pads triggers"]
    level: Float[Array, "pads triggers"]
    time: Float[Array, "pads triggers"]
    time_variance: Float[Array, "pads triggers"]
    charge: Float[Array, "pads triggers"]
    charge_variance: Float[Array, "pads triggers"]
    covariance: Float[Array, "pads triggers"]


def triggered(key: PRNGKeyArray, integrated: Float[Array, "pads clocks"], electronics: PixelElectronics) -> Triggers:
    """What the chip records of `integrated` charge in e at every clock.

    A reset leaves a random charge. At the first clock at which it and the charge since reach the threshold, the discriminator's own
    noise included, the pad triggers; `hold` clocks later the charge is digitized, and `dead` clocks after that the next
    cycle begins with a new reset. What comes in dead time, or stays below threshold, is lost.
    """
    pads, clocks = integrated.shape
    clock = jnp.arange(clocks)
    at = lambda index: jnp.take_along_axis(integrated, jnp.minimum(index, clocks - 1)[:, None], axis=1)  # noqa: E731

    def cycle(begin: Array, key: PRNGKeyArray) -> tuple[Array, Triggers]:
        noise = jax.random.normal(key, (3, pads), integrated.dtype)
        left = electronics.reset_noise * noise[0]
        seen = integrated - at(begin) + (left + electronics.discriminator_noise * noise[1])[:, None]
        crossed = (seen >= electronics.threshold) & (clock >= begin[:, None])
        fired, first = jnp.any(crossed, axis=1), jnp.argmax(crossed, axis=1)
        digitized = first + electronics.hold
        charge = (at(digitized) - at(begin))[:, 0] + left + electronics.digitizer_noise * noise[2]
        zero = jnp.zeros((), integrated.dtype)
        found = Triggers(jnp.where(fired, electronics.digitized(charge), zero), jnp.where(fired, first, zero), fired)
        return jnp.where(fired, digitized + electronics.dead, clocks), found

    _, found = jax.lax.scan(cycle, jnp.zeros(pads, int), jax.random.split(key, electronics.triggers))
    return Triggers(*(jnp.moveaxis(leaf, 0, 1) for leaf in found))


def trigger_moments(
    integrated: Float[Array, "pads edges"], slice: float, electronics: PixelElectronics, count: int
) -> TriggerMoments:
    """Moments of the first `count` triggers of a mean `integrated` charge in e, given every `slice` ns.

    With R(t) the largest charge so far, a trigger comes by the time t with probability A(t) = Φ((R(t) − θ)/σ): the noise is one
    number a cycle. Given the time, the noise that triggered is known to be θ − R(t), its part from the reset is ρ = σ²_reset/σ² of that,
    and the charge digitized is Q(t + hold) + ρ (θ − R(t)). All means are integrals over dA, slice by slice in closed form, with the
    charge halfway between edges by a cubic and straight between these points. Later cycles are means over three times of
    the trigger before, taken as normal: good to 0.2 in the probability of a second trigger of a long pulse.
    """
    integrated = _halved(integrated)
    edges = jnp.arange(integrated.shape[1]) * (slice / 2)
    pads, pause = integrated.shape[0], (electronics.hold + electronics.dead) * electronics.tick

    def after(begin: Array) -> TriggerMoments:
        charge = jnp.where(edges > begin[:, None], integrated - _between(integrated, begin, slice / 2)[:, None], 0.0)
        return _first_trigger(charge, edges, slice / 2, electronics)

    def cycle(before: TriggerMoments, _: None) -> tuple[TriggerMoments, TriggerMoments]:
        possible = before.fires > _SELDOM
        spread = jnp.sqrt(jnp.where(possible, before.time_variance, 1.0))
        middle = jnp.where(possible, before.time, edges[-1]) + pause
        found = _mixed(jax.vmap(lambda node: after(middle + node * spread))(_NODES))
        found = found._replace(reached=before.reached * before.fires)
        return found, found

    one = after(jnp.full(pads, -1.0, integrated.dtype))
    _, later = jax.lax.scan(cycle, one, None, length=count - 1)
    return jax.tree.map(lambda start, rest: jnp.concatenate([start[None], rest]).T, one, later)


def _mixed(found: TriggerMoments) -> TriggerMoments:
    """The moments of a mean over `_NODES`, which lead."""
    weight = _WEIGHTS[:, None]
    fires = jnp.sum(weight * found.fires, axis=0)
    share = jnp.where(fires > _SELDOM, weight * found.fires / jnp.where(fires > _SELDOM, fires, 1.0), 0.0)
    mean = lambda values: jnp.sum(share * values, axis=0)  # noqa: E731
    time, charge = mean(found.time), mean(found.charge)
    late, more = found.time - time, found.charge - charge
    floor = jnp.where(fires > _SELDOM, 0.0, 1.0)  # where there is no trigger a variance is any number but 0
    return TriggerMoments(
        reached=found.reached[0],
        fires=fires,
        level=jax.scipy.special.ndtri(jnp.clip(fires, _SELDOM, 1 - _SELDOM)),
        time=time,
        time_variance=mean(found.time_variance + late**2) + floor,
        charge=charge,
        charge_variance=mean(found.charge_variance + more**2) + floor,
        covariance=mean(found.covariance + late * more),
    )


def _first_trigger(
    charge: Float[Array, "pads edges"], edges: Float[Array, " edges"], slice: float, electronics: PixelElectronics
) -> TriggerMoments:
    """The moments of the first trigger, `(pads,)`, of a charge since the last reset."""
    largest = running_max(charge, axis=1)
    sigma, reset, tick = electronics.trigger_noise, electronics.reset_noise, electronics.tick
    above, rise = largest - electronics.threshold, jnp.diff(largest, axis=1)
    by_then = jax.scipy.special.ndtr(above / sigma)
    middle = 0.5 * (above[:, 1:] + above[:, :-1])
    mean = box_below(middle, jnp.broadcast_to(sigma, middle.shape), rise)
    fires = by_then[:, -1]
    safe = jnp.where(fires > _SELDOM, fires, 1.0)
    # Integrals over dA in each slice: of 1, of the place in the slice from 0 to 1, and of its square.
    weight = jnp.diff(by_then, axis=1)
    first = by_then[:, 1:] - mean
    second = by_then[:, 1:] - 2 * _mean_of_later(above[:, :-1], rise, weight, mean, sigma)

    def moment(one: Array, other: Array) -> Array:
        """Mean of the product of two numbers, given at the edges and straight between."""
        low, step, other_low, other_step = one[:, :-1], jnp.diff(one), other[:, :-1], jnp.diff(other)
        terms = low * other_low * weight + (low * other_step + step * other_low) * first + step * other_step * second
        total = jnp.sum(terms, axis=1) + one[:, 0] * other[:, 0] * by_then[:, 0]
        return jnp.where(fires > _SELDOM, total / safe, 0.0)

    # A clock sees a crossing half a clock late on average.
    held = _between(charge, jnp.broadcast_to(edges + (electronics.hold + 0.5) * tick, charge.shape), slice)
    part = (reset / sigma) ** 2
    record, at = held - part * above, jnp.broadcast_to(edges, charge.shape)
    ones = jnp.ones_like(charge)
    time, mean_charge = moment(at, ones), moment(record, ones)
    # About their means, so that no digits are lost.
    at, record = at - time[:, None], record - mean_charge[:, None]
    return TriggerMoments(
        reached=jnp.ones_like(fires),
        fires=fires,
        level=above[:, -1] / sigma,
        time=time + 0.5 * tick,
        time_variance=moment(at, at) + tick**2 / 12,
        charge=mean_charge,
        charge_variance=moment(record, record) + electronics.charge_noise**2 - reset**2 * part,
        covariance=moment(at, record),
    )


def _mean_of_later(
    low: Float[Array, "..."],
    rise: Float[Array, "..."],
    weight: Float[Array, "..."],
    mean: Float[Array, "..."],
    sigma: Array,
) -> Float[Array, "..."]:
    """∫₀¹ x Φ((low + rise x)/σ) dx; `mean` is the same without x, and `weight` what Φ grows by.

    By ∫ y Φ(y) dy = ½ ((y² − 1) Φ + y φ); a small rise, which would lose digits, by its series: off by less than 1e-7.
    """
    short = rise < 0.03 * sigma
    step = jnp.where(short, 1.0, rise / sigma)
    begin = jnp.where(short, 0.0, low / sigma)
    end = begin + step

    def integral(y: Array) -> Array:
        density = jnp.exp(-0.5 * y**2) / math.sqrt(2 * math.pi)
        return 0.5 * ((y**2 - 1) * jax.scipy.special.ndtr(y) + y * density)

    long = (integral(end) - integral(begin)) / step**2 - begin / step * mean
    return jnp.where(short, 0.5 * mean + weight / 12, long)


def _halved(values: Float[Array, "pads edges"]) -> Float[Array, "pads finer"]:
    """Values at the edges, and halfway between them by the cubic through four of them."""
    outer = jnp.pad(values, ((0, 0), (1, 1)), mode="edge")
    half = (9 * (values[:, :-1] + values[:, 1:]) - outer[:, :-3] - outer[:, 3:]) / 16
    # Not beyond its neighbours: the end of a rise would else look higher than it is.
    half = jnp.clip(half, jnp.minimum(values[:, :-1], values[:, 1:]), jnp.maximum(values[:, :-1], values[:, 1:]))
    pairs = jnp.stack([values[:, :-1], half], axis=-1).reshape(values.shape[0], -1)
    return jnp.concatenate([pairs, values[:, -1:]], axis=1)


def _between(
    values: Float[Array, "pads edges"], time: Float[Array, "pads *n"], slice: float
) -> Float[Array, "pads *n"]:
    """Values given every `slice` ns, at other times: straight between them, constant beyond the ends."""
    place = time.reshape(time.shape[0], -1) / slice
    last = values.shape[1] - 1
    index = jnp.clip(jnp.floor(jax.lax.stop_gradient(place)), 0, last - 1).astype(jnp.int32)
    part = jnp.clip(place - index, 0.0, 1.0)
    low, high = (jnp.take_along_axis(values, index + step, axis=1) for step in (0, 1))
    return (low + part * (high - low)).reshape(time.shape)
