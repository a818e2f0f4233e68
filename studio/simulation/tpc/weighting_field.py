"""Weighting potentials (S. Ramo, Proc. IRE 27 (1939) 584): a wire at unit potential, every other conductor at zero.

The supercell: `wires` wires of every plane at that plane's own pitch, each a line charge repeated with the period of `wires`
pitches of its plane; unit potential on one wire means on its periodic copies too. With planes of unequal pitch the periods differ, and the
cell's edges do not match; what happens there has died away, as exp(−2π gap/pitch), where the electron passes in the middle.

The cathode is a grounded conductor, so is a mesh behind the last plane; without one nothing is there, and no field far below.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ..._linear import inverse_diagonal_heavy
from .anode import Anode, Mesh
from .line_charges import log_potential, self_potential


class Weighting(NamedTuple):
    """Weighting potentials of wires, and their derivatives by x and y in 1/mm; `(..., wires)` each."""

    potential: Float[Array, "... wires"]
    by_x: Float[Array, "... wires"]
    by_y: Float[Array, "... wires"]


class WeightingField(eqx.Module):
    """The weighting potentials of every wire of the supercell.

    **Fields**: `height`, `pitch (planes,)`; `across (planes, wires)`: where the wires stand; `start` and `mesh`: heights of
    the grounded planes above and below (None where there is no mesh); `charge (planes wires, planes wires)`: charges, in
    rows, that put the column's wire at unit potential.
    """

    height: Float[Array, " planes"]
    pitch: Float[Array, " planes"]
    across: Float[Array, "planes wires"]
    start: Float[Array, ""]
    mesh: Float[Array, ""] | None
    charge: Float[Array, "all all"]

    def of_plane(self, plane: int | Array, z: Complex[Array, "..."]) -> Weighting:
        """The weighting potentials of the wires of `plane` at `z`."""
        planes, wires = self.across.shape
        charge = self.charge.reshape(planes * wires, planes, wires)[:, plane]
        potential, by_x, by_y = self._of_charges(z)
        return Weighting(potential @ charge, by_x @ charge, by_y @ charge)

    def _of_charges(self, z: Complex[Array, "..."]) -> tuple[Array, Array, Array]:
        """Potential and its derivatives at `z` of a unit charge on each wire, `(..., planes wires)`."""
        total = _rows(self, z.real, z.imag)
        for sign, turned, x in _images(self, z.real):
            image = _rows(self, x, z.imag)
            factors = (sign, sign * turned, sign)
            total = tuple(part + factor * other for part, factor, other in zip(total, factors, image, strict=True))
        potential, by_x, by_y = total
        if self.mesh is not None:
            slope = _between_conductors(self, self.mesh)
            potential = potential + slope * (self.start - z.real)[..., None]
            by_x = by_x - slope
        return potential, by_x, by_y


def solve_weighting_field(anode: Anode, wires: int) -> WeightingField:
    """The weighting potentials of `anode` with `wires` wires in the supercell of every plane, an odd number."""
    planes = len(anode.pitch)
    order = np.arange(wires) - wires // 2
    across = (order + anode.phase[:, None]) * anode.pitch[:, None]
    mesh = -jnp.asarray(anode.behind.distance) if isinstance(anode.behind, Mesh) else None
    nothing = jnp.zeros((planes * wires,) * 2, across.dtype)
    field = WeightingField(anode.height, anode.pitch, across, anode.start, mesh, nothing)

    period = jnp.repeat(wires * anode.pitch, wires)
    place = jnp.repeat(anode.height, wires) + 1j * across.ravel()
    same = jnp.eye(planes * wires, dtype=bool)
    relative = jnp.where(same, 1.0, place[:, None] - place)
    own = self_potential(jnp.repeat(anode.wire_radius, wires), period)
    potential = jnp.where(same, own, log_potential(relative, period))
    for sign, _, x in _images(field, place.real):
        potential = potential + sign * log_potential(x[:, None] + 1j * place.imag[:, None] - place, period)
    if mesh is not None:
        potential = potential + _between_conductors(field, mesh) * (anode.start - place.real)[:, None]
    return eqx.tree_at(lambda tree: tree.charge, field, inverse_diagonal_heavy(potential))


def _images(field: WeightingField, x: Array) -> list[tuple[float, float, Array]]:
    """Mirrored heights of points at `x`: the sign of the image charges, and that of the derivative of height by x."""
    images = [(-1.0, -1.0, 2 * field.start - x)]
    if field.mesh is not None:
        # The next images would count exp(−4π (start − mesh) / period); their mean part is put right by a straight line.
        images += [(-1.0, -1.0, 2 * field.mesh - x), (1.0, 1.0, x - 2 * (field.start - field.mesh))]
    return images


def _between_conductors(field: WeightingField, mesh: Array) -> Float[Array, " all"]:
    """Slope that brings the mean potential of each unit charge and its images to zero on the mesh."""
    wires = field.across.shape[1]
    slope = 2 * jnp.pi * (field.height - mesh) / (wires * field.pitch * (field.start - mesh))
    return jnp.repeat(slope, wires)


def _rows(field: WeightingField, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Potential −ln|2 sinh(π z/P)| and its derivatives of a unit charge on each wire, `(..., planes wires)`.

    In real numbers, with the sine of a difference from two sines: this is evaluated some million times.
    """
    wires = field.across.shape[1]
    k = jnp.pi / (wires * field.pitch)
    height = k * (x[..., None] - field.height)
    sign = jnp.where(height < 0, -1.0, 1.0)
    decay = jnp.exp(-2 * jnp.abs(height))
    gap = -jnp.expm1(-2 * jnp.abs(height))
    phase, own = k * y[..., None], k[:, None] * field.across
    sine, cosine = jnp.sin(phase)[..., None], jnp.cos(phase)[..., None]
    sine, cosine = sine * jnp.cos(own) - cosine * jnp.sin(own), cosine * jnp.cos(own) + sine * jnp.sin(own)
    square = (gap**2)[..., None] + 4 * decay[..., None] * sine**2
    potential = -jnp.abs(height)[..., None] - 0.5 * jnp.log(square)
    by_x = -(k * sign * gap * (1 + decay))[..., None] / square
    by_y = -(4 * k * decay)[..., None] * sine * cosine / square
    shape = (*x.shape, field.across.size)
    return potential.reshape(shape), by_x.reshape(shape), by_y.reshape(shape)
