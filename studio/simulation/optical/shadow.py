"""Shadows: how much of each piece of a source each sensor sees past the walls of a volume that is not convex."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...geometry import AbstractVolume
from .sources import Sensors

_RAYS = 4
# Each ray starts from another quarter of the piece, and ends in the middle by area of another quarter of the face.
_ALONG = (np.arange(_RAYS) + 0.5) / _RAYS - 0.5
_TURN = 2 * math.pi * (np.array([0, 2, 1, 3]) + 0.5) / _RAYS
_FACE = math.sqrt(0.5) * np.stack([np.cos(_TURN), np.sin(_TURN)], axis=-1)


def visible_share(
    sensors: Sensors, volume: AbstractVolume, middle: Float[Array, "pieces 3"], extent: Float[Array, "pieces 3"]
) -> Float[Array, "n pieces"]:
    """The part of four fixed straight lines from each piece to each sensor that no wall blocks: 0, ¼, ½, ¾ or 1.

    `middle` of the pieces and `extent`, the vector from one end to the other, in mm. A wall that is crossed less than the
    sensor's radius before the end does not count: a flat face on a curved wall reaches behind it. The edge of a shadow is
    as sharp as four lines tell, and carries no derivative: a gradient lacks the light that a moving edge uncovers, and is right
    where no edge falls on a sensor's face.
    """
    first = _across(sensors.normal)
    second = jnp.cross(sensors.normal, first)
    seen = jnp.zeros((len(sensors.radius), len(middle)), sensors.position.dtype)
    for along, (x, y) in zip(_ALONG.tolist(), _FACE.tolist(), strict=True):
        targets = sensors.position + sensors.radius[:, None] * (x * first + y * second)
        origins = middle + along * extent
        pairs = (*seen.shape, 3)
        origins, targets = jnp.broadcast_to(origins, pairs), jnp.broadcast_to(targets[:, None], pairs)
        slack = jnp.broadcast_to(sensors.radius[:, None], seen.shape)
        seen = seen + volume.visible(*jax.lax.stop_gradient((origins, targets, slack)))
    return seen / _RAYS


def _across(normal: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
    """A unit vector across each normal."""
    axis = jnp.where(jnp.abs(normal[:, 2:]) < 0.9, jnp.array([[0.0, 0.0, 1.0]]), jnp.array([[1.0, 0.0, 0.0]]))
    across = jnp.cross(axis.astype(normal.dtype), normal)
    return across / jnp.sqrt(jnp.sum(across**2, axis=-1, keepdims=True))
