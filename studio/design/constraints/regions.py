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
        is another one. Where all ways out are equally long, the derivative is that of one of them, not zero.
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
        aside = jnp.asarray((1.0, 0.0, 0.0), points.dtype) if normals is None else _across(normals)
        return _length(offset, aside) - self.radius

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
        across = offset - (offset @ along)[:, None] * along
        aside = _across(along[None])[0]
        if normals is not None:
            # Across the pipe and along the surface, unless the pipe stands upright on it and every way across is along it.
            both = jnp.cross(along, normals)
            sine = jnp.sum(both**2, axis=-1, keepdims=True)
            leans = sine > _PARALLEL**2
            aside = jnp.where(leans, both / jnp.sqrt(jnp.where(leans, sine, 1.0)), aside)
        return _length(across, aside) - self.radius

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
        outside = _length(jnp.maximum(beyond, 0.0), jnp.zeros(3, points.dtype))
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


def _length(vectors: Float[Array, "n 3"], direction: Float[Array, "*n 3"]) -> Float[Array, " n"]:
    """Lengths of vectors; at zero, where every direction is as good, with the derivative along `direction`."""
    square = jnp.sum(vectors**2, axis=-1)
    apart = square > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), jnp.sum(vectors * direction, axis=-1))


def _across(directions: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
    """Unit vectors at right angles to unit vectors: the axis that each follows least, without its part along it."""
    axis = jnp.eye(3, dtype=directions.dtype)[jnp.argmin(jnp.abs(directions), axis=-1)]
    aside = axis - jnp.sum(axis * directions, axis=-1, keepdims=True) * directions
    return aside / jnp.sqrt(jnp.sum(aside**2, axis=-1, keepdims=True))


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
