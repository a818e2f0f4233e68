"""Regions that points must keep out of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._checks import InputError
from ..audit import AuditRow
from ..tracing import traced
from .base import AbstractConstraint
from .regions import AbstractRegion


class Bodies(NamedTuple):
    """Round bodies: `positions (n, 3)`, `radii (n,)`, and `normals (n, 3)` of the surface that they cannot leave, or None."""

    positions: Float[Array, "n 3"]
    radii: Float[Array, " n"] | float = 0.0
    normals: Float[Array, "n 3"] | None = None


class KeepOut(AbstractConstraint):
    """No body reaches into a region, or nearer to it than `clearance`.

    A row for every body and region: the distance between their edges is exact for balls, and so for discs in a plane with
    the region's section; other discs are taken for balls. A body in the very middle of a region leaves it in a direction
    that is fixed once and for all.

    **Arguments**

    - `bodies`: a function `tree -> Bodies`, differentiable.
    - `regions`: one or more, in `unit`.
    - `clearance`: the smallest allowed distance between a body and a region, in `unit`.
    """

    bodies: Callable[[Any], Bodies]
    regions: tuple[AbstractRegion, ...]
    clearance: float
    name: str = eqx.field(static=True)
    unit: str = eqx.field(static=True)
    equality: bool = eqx.field(static=True)

    def __init__(
        self,
        bodies: Callable[[Any], Bodies],
        regions: Sequence[AbstractRegion],
        clearance: float = 0.0,
        name: str = "keep_out",
        unit: str = "mm",
    ):
        if not (np.isfinite(clearance) and clearance >= 0):
            raise InputError("must be zero or positive", key=f"{name}.clearance", value=clearance)
        if not regions:
            raise InputError("no regions", key=f"{name}.regions", remedy="give at least one")
        self.bodies, self.regions, self.clearance = bodies, tuple(regions), float(clearance)
        self.name, self.unit, self.equality = name, unit, False

    @property
    def limit(self) -> float:
        """What a violation is compared with: how far one must go from the middle of the smallest region."""
        return self.clearance + min(region.size for region in self.regions)

    def prepare(self, tree):
        return ()

    def violation(self, tree, prepared=None):
        return self.clearance - self._gaps(tree).reshape(-1)

    def transfer(self, multipliers, before, after):
        return multipliers

    def audit(self, tree, tolerance=1e-3):
        gaps = np.asarray(_gaps(self, tree), dtype=float)
        if not np.all(np.isfinite(gaps)):
            return AuditRow(
                self.name, self.clearance, float("nan"), self.unit, False, float("nan"), "positions not finite"
            )
        region, body = (int(index) for index in np.unravel_index(np.argmin(gaps), gaps.shape))
        smallest = float(gaps[region, body])
        allowed = self.clearance - tolerance * self.limit
        near = int(np.sum(np.any(gaps < allowed, axis=0)))
        detail = f"body {body} at region {region}" + (f"; {near} bodies too near" if near else "")
        margin = smallest - self.clearance
        return AuditRow(self.name, self.clearance, smallest, self.unit, smallest >= allowed, margin, detail)

    def _gaps(self, tree: Any) -> Float[Array, "regions n"]:
        """The distance between the edge of every region and that of every body; negative where they overlap."""
        positions, radii, normals = self.bodies(tree)
        return jnp.stack([region.distance(positions, normals) - radii for region in self.regions])


@eqx.filter_jit
def _gaps(constraint: KeepOut, tree: Any) -> Float[Array, "regions n"]:
    traced("keep_out")
    return constraint._gaps(tree)
