"""What a detector costs: sensors by type, channels of electronics, excavation and medium by volume."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import InputError
from ..units import m
from .detector import Detector


@dataclasses.dataclass(frozen=True)
class SensorPrice:
    """What one sensor of the type `name` costs at the type's own radius, and how many channels read it."""

    name: str
    price: float
    channels: int = 1


@dataclasses.dataclass(frozen=True)
class MediumPrice:
    """What a cubic metre of the medium `name` costs, filled in."""

    name: str
    price: float


@dataclasses.dataclass(frozen=True)
class Prices:
    """Prices in one currency of one year.

    **Fields**: `currency`, such as "USD"; `year`; `sensors`: one entry a type; `channel`: of one channel; `excavation`: of a
    cubic metre; `media`: one entry a medium.
    """

    currency: str
    year: int
    sensors: tuple[SensorPrice, ...]
    channel: float
    excavation: float
    media: tuple[MediumPrice, ...]


class CostBreakdown(eqx.Module):
    """What a detector costs, in `currency`: `sensors` by type, `channels`, `excavation`, `medium`."""

    sensors: dict[str, Float[Array, ""]]
    channels: Float[Array, ""]
    excavation: Float[Array, ""]
    medium: Float[Array, ""]
    currency: str = eqx.field(static=True)

    @property
    def total(self) -> Float[Array, ""]:
        """The sum."""
        return sum(self.sensors.values()) + self.channels + self.excavation + self.medium


def cost(detector: Detector, prices: Prices) -> CostBreakdown:
    """What a detector costs; differentiable in its sizes and in the radius and the weight of every sensor.

    A sensor of another radius than its type's is assumed to cost in proportion to its area, with the channels of its type.
    Excavation and medium go by the volume that the wall encloses.

    **Raises** `InputError` for a sensor type or a medium without a price.
    """
    sensors, known = detector.sensors, {entry.name: entry for entry in prices.sensors}
    by_type, channels = {}, jnp.zeros((), sensors.radius.dtype)
    for index, entry in enumerate(sensors.types):
        price = known.get(entry.name)
        if price is None:
            remedy = f"give it one, under 'sensors' of the costs; there are prices of {', '.join(known)}"
            raise InputError("this sensor type has no price", key="costs.sensors", value=entry.name, remedy=remedy)
        standing = jnp.where(sensors.kind == index, sensors.weight, 0.0)
        faces = jnp.sum(standing * (sensors.radius / entry.radius) ** 2)
        by_type[entry.name] = by_type.get(entry.name, 0.0) + price.price * faces
        channels += prices.channel * price.channels * jnp.sum(standing)
    medium, cubic_metres = type(detector.medium).__name__.lower(), detector.volume.volume / m**3
    filled = {entry.name: entry.price for entry in prices.media}
    if medium not in filled:
        remedy = f"give it one, under 'media' of the costs; there are prices of {', '.join(filled)}"
        raise InputError("this medium has no price", key="costs.media", value=medium, remedy=remedy)
    return CostBreakdown(
        by_type, channels, prices.excavation * cubic_metres, filled[medium] * cubic_metres, prices.currency
    )
