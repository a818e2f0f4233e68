"""The interface of a volume: a closed wall made of patches, each with a chart."""

from __future__ import annotations

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


class AbstractVolume(eqx.Module):
    """A closed volume around the origin whose wall is made of named patches.

    Each patch carries an area-preserving chart, so that a sensor stored by its chart coordinates stays on the wall when
    the volume grows. Sizes are leaves; the patch a sensor sits on is fixed data.
    """

    chart_size: ClassVar[int]
    """Number of chart coordinates: 2, or 3 for the unit vectors of a sphere."""

    @property
    @abc.abstractmethod
    def patches(self) -> tuple[str, ...]:
        """Names of the patches; a sensor's patch is an index into them."""

    @property
    @abc.abstractmethod
    def convex(self) -> bool:
        """Whether the straight line between any two points inside stays inside; known before anything is traced."""

    @property
    @abc.abstractmethod
    def half_extents(self) -> Float[Array, "3"]:
        """Half the size in mm along x, y, z of the smallest box, centred at the origin, that holds the volume."""

    @property
    @abc.abstractmethod
    def volume(self) -> Float[Array, ""]:
        """Enclosed volume in mm³."""

    @abc.abstractmethod
    def inner_volume(self, margin: float) -> Float[Array, ""]:
        """Volume in mm³ of what lies at least `margin` (mm) away from the wall; zero where nothing does."""

    @property
    @abc.abstractmethod
    def area(self) -> Float[Array, ""]:
        """Area of the wall in mm²."""

    @property
    @abc.abstractmethod
    def longest_chord(self) -> Float[Array, ""]:
        """Length in mm of the longest straight line that fits inside."""

    @abc.abstractmethod
    def contains(self, points: Float[Array, "... 3"]) -> Bool[Array, "..."]:
        """Whether each point (mm) lies inside the wall."""

    @abc.abstractmethod
    def distance_to_wall(
        self, origins: Float[Array, "... 3"], directions: Float[Array, "... 3"]
    ) -> Float[Array, "..."]:
        """Distance in mm from points inside to the wall along unit directions."""

    @property
    @abc.abstractmethod
    def patch_areas(self) -> Float[Array, " patches"]:
        """Area in mm² of each patch; charts preserve area, so all parts of a patch change in this proportion."""

    @abc.abstractmethod
    def crossing(
        self, origins: Float[Array, "n 3"], directions: Float[Array, "n 3"]
    ) -> tuple[Int[Array, " n"], Float[Array, "n chart"]]:
        """Patch and chart coordinates where rays leave through the wall. An origin may lie a little outside it, as the rim
        of a flat disc does, if its ray leads inwards."""

    @abc.abstractmethod
    def surface_point(self, patch: Int[Array, " n"], uv: Float[Array, "n chart"]) -> Float[Array, "n 3"]:
        """Points on the wall (mm) at chart coordinates `uv` of the patches with indices `patch`."""

    @abc.abstractmethod
    def normal(self, patch: Int[Array, " n"], uv: Float[Array, "n chart"]) -> Float[Array, "n 3"]:
        """Unit normals of the wall at chart coordinates, pointing inwards."""

    @abc.abstractmethod
    def edge_clearance(self, patch: Int[Array, " n"], uv: Float[Array, "n chart"]) -> Float[Array, " n"]:
        """Distance in mm along the wall from a point to the edge of its patch; infinite where the patch has no edge."""

    @abc.abstractmethod
    def chart(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nearest wall point of each point `(n, 3)` in mm.

        Returns the patch indices `(n,)`, the chart coordinates `(n, chart_size)` and the signed distance `(n,)` in mm
        that the point stood off the wall (positive outside). NumPy in, NumPy out: used when files are read.
        """

    def visible(
        self, origins: Float[Array, "*rays 3"], targets: Float[Array, "*rays 3"], slack: Float[Array, "*rays"]
    ) -> Bool[Array, "*rays"]:
        """Whether light goes straight from each origin inside to its target (mm): no wall more than `slack` (mm) before it.

        Always true in a convex volume, at no cost. It is a yes or no: it has no derivative, so moving a shadow's edge does
        not show in one.
        """
        if self.convex:
            return jnp.ones(origins.shape[:-1], bool)
        span = targets - origins
        squared = jnp.sum(span**2, axis=-1)
        distance = jnp.sqrt(jnp.where(squared > 0, squared, 1.0))
        room = self.distance_to_wall(origins, span / distance[..., None])
        return (room > distance - slack) | (squared == 0)
