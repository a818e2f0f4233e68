"""Regions of space and the distance to their edge, for constraints that keep points out."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._checks import InputError

_Triple = tuple[float, float, float]

#: A face of a box counts as parallel to the surface a point lies on below this sine of the angle between them.
_PARALLEL = 1e-3


class AbstractRegion(eqx.Module):
    """A closed region of space."""

    @abc.abstractmethod
    def distance(self, points: Float[Array, "n 3"], normals: Float[Array, "n 3"] | None = None) -> Float[Array, " n"]:
        """The distance of each point to the region's edge: positive outside, negative inside.

        Inside, `normals` are those of the surface that the points cannot leave: then the way out along it counts, where it
        is another one. The derivative is never zero: where all ways out are equally long, it is that of one of them.
        """

    @property
    @abc.abstractmethod
    def size(self) -> float:
        """The shortest way from the middle to the edge."""


class BallRegion(AbstractRegion):
    """A ball of `radius` around `centre`; a disc on a flat surface through its centre."""

    centre: _Triple
    radius: float

    def __init__(self, centre: Sequence[float], radius: float):
        self.centre, self.radius = _triple(centre, "centre"), _positive(radius, "radius")

    def distance(self, points, normals=None):
        offset = points - jnp.asarray(self.centre, points.dtype)
        return _length(offset, np.full(3, 1 / np.sqrt(3))) - self.radius

    @property
    def size(self):
        return self.radius


class PipeRegion(AbstractRegion):
    """An endless round pipe of `radius` through the point `through`, along the direction `along`."""

    through: _Triple
    along: _Triple
    radius: float

    def __init__(self, through: Sequence[float], along: Sequence[float], radius: float):
        self.through, self.radius = _triple(through, "through"), _positive(radius, "radius")
        direction = np.asarray(_triple(along, "along"))
        if not np.any(direction):
            raise InputError("a direction of length zero", key="along", remedy="give for example (1, 0, 0)")
        self.along = _triple(direction / np.linalg.norm(direction), "along")

    def distance(self, points, normals=None):
        along = jnp.asarray(self.along, points.dtype)
        offset = points - jnp.asarray(self.through, points.dtype)
        # A direction across the pipe: the axis that it follows least, without its part along the pipe.
        axis = np.eye(3)[np.argmin(np.abs(self.along))]
        aside = axis - (axis @ np.asarray(self.along)) * np.asarray(self.along)
        across = offset - (offset @ along)[:, None] * along
        return _length(across, aside / np.linalg.norm(aside)) - self.radius

    @property
    def size(self):
        return self.radius


class BoxRegion(AbstractRegion):
    """A box of full `sizes` around `centre`, its faces across the coordinate axes."""

    centre: _Triple
    sizes: _Triple

    def __init__(self, centre: Sequence[float], sizes: Sequence[float]):
        self.centre, self.sizes = _triple(centre, "centre"), _triple(sizes, "sizes")
        for length in self.sizes:
            _positive(length, "sizes")

    def distance(self, points, normals=None):
        offset = points - jnp.asarray(self.centre, points.dtype)
        beyond = jnp.where(offset >= 0, offset, -offset) - jnp.asarray(self.sizes, points.dtype) / 2
        outside = _length(jnp.maximum(beyond, 0.0), np.zeros(3))
        inside = jnp.all(beyond <= 0, axis=-1)
        if normals is not None:
            # Along a flat surface a face is farther away than straight ahead, and never reached where it is parallel.
            square = 1 - normals**2
            reached = square > _PARALLEL**2
            beyond = jnp.where(reached, beyond / jnp.sqrt(jnp.where(reached, square, 1.0)), -jnp.inf)
        return jnp.where(inside, jnp.max(beyond, axis=-1), outside)

    @property
    def size(self):
        return min(self.sizes) / 2


def _length(vectors: Float[Array, "n 3"], direction: np.ndarray) -> Float[Array, " n"]:
    """Lengths of vectors; at zero, where every direction is as good, with the derivative along `direction`."""
    square = jnp.sum(vectors**2, axis=-1)
    apart = square > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), vectors @ jnp.asarray(direction, vectors.dtype))


def _triple(value: Any, key: str) -> _Triple:
    array = np.asarray(value, dtype=float)
    if array.shape != (3,) or not np.all(np.isfinite(array)):
        raise InputError("not three finite numbers", key=key, value=value, remedy="give (x, y, z)")
    x, y, z = array.tolist()
    return x, y, z


def _positive(value: float, key: str) -> float:
    if not (np.isfinite(value) and value > 0):
        raise InputError("must be positive", key=key, value=value)
    return float(value)
