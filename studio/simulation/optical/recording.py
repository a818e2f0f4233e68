"""From light to hits: photoelectrons, charges, first-hit times as one event would record them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ...detector import Detector
from ...event import Readout

if TYPE_CHECKING:
    from .simulator import Arrivals


def record(detector: Detector, arrivals: Arrivals, key: PRNGKeyArray) -> Readout:
    """Draw one event: Poisson photoelectrons, their charge spread, the first of their times, smeared once.

    Charges of n photoelectrons are normal with variance n σ² and reflected at zero. The first of n arrival times has
    the quantile 1 − (1 − u)^(1/n) of the single-photoelectron distribution.
    """
    count_key, charge_key, first_key, smear_key = jax.random.split(key, 4)
    shape, dtype = arrivals.charge.shape, arrivals.charge.dtype
    seen = jnp.where(detector.sensors.present, arrivals.charge, 0.0)
    count = jax.random.poisson(count_key, seen, shape).astype(dtype)
    hit = count > 0
    spread = per_type(detector, arrivals.kind, [entry.charge_spread for entry in detector.sensors.types], dtype)
    charge = jnp.abs(count + jnp.sqrt(count) * spread * jax.random.normal(charge_key, shape, dtype))
    uniform = jax.random.uniform(first_key, shape, dtype, minval=1e-12, maxval=1.0)
    first = arrivals.pulse.quantile(-jnp.expm1(jnp.log(uniform) / jnp.maximum(count, 1.0)))
    smear = time_smear(detector, arrivals.kind, charge) * jax.random.normal(smear_key, shape, dtype)
    time = first + smear
    return Readout(jnp.where(hit, charge, 0.0), jnp.where(hit, time, 0.0), hit)


def per_type(detector: Detector, kind: Int[Array, " n"], values: list[float], dtype) -> Float[Array, " n"]:
    """A number of each sensor's own type."""
    return jnp.asarray(values, dtype)[kind]


def time_smear(detector: Detector, kind: Int[Array, " n"], charge: Float[Array, " n"]) -> Float[Array, " n"]:
    """σ in ns with which the recorded hit time is smeared once: the type's resolution and the digitizer's step."""
    smear = jnp.zeros_like(charge)
    for index, entry in enumerate(detector.sensors.types):
        smear = jnp.where(kind == index, entry.time_resolution(charge), smear)
    return jnp.sqrt(smear**2 + detector.electronics.time_precision**2 / 12)
