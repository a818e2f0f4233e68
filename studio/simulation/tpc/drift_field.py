"""The field in which electrons drift: charges on the wires that put every plane at its bias.

Each wire carries a line charge and, because a wire of finite radius in a field is polarised, a line dipole −r² conj(F'),
with F' the field of everything else: its surface is then an equipotential up to (r/pitch)², and a plane without net charge
still stops the electrons that aim at its wires. All wires of a plane carry the same: exactly right for equal pitches; for
unequal ones the other planes' ripple, exp(−2π gap/pitch), is that at the wires in the middle.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ..._linear import inverse_diagonal_heavy
from .anode import Anode, Mesh
from .line_charges import angle, coth, log_potential, self_potential


class Derivatives(NamedTuple):
    """First and second derivative of the complex potential by z, in V/mm and V/mm²."""

    first: Complex[Array, "..."]
    second: Complex[Array, "..."]


class DriftField(eqx.Module):
    """Complex potential F(z): its real part is the potential in V, its imaginary part the stream function.

    Electrons move along conj(F'), towards higher potential, on lines of constant stream function.

    **Fields**: `wires`: one of each plane, `pitch` (mm), `charge` (V), `dipole` (V mm) per plane; `offset` + `slope` x: the
    potential that the charges do not make; `mirror`: height of the mesh's surface, where there is one.
    """

    wires: Complex[Array, " planes"]
    pitch: Float[Array, " planes"]
    charge: Float[Array, " planes"]
    dipole: Complex[Array, " planes"]
    offset: Float[Array, ""]
    slope: Float[Array, ""]
    mirror: Float[Array, ""] | None

    def derivatives(self, z: Complex[Array, "..."]) -> Derivatives:
        """F' and F'' at `z`."""
        first, second = self._of_wires(z)
        if self.mirror is not None:
            image = self._of_wires(_reflected(z, self.mirror))
            first, second = first + image.first.conj(), second - image.second.conj()
        return Derivatives(self.slope + first, second)

    def potential(self, z: Complex[Array, "..."]) -> Float[Array, "..."]:
        """The potential in V at `z`."""
        value = self.offset + self.slope * z.real + self._potential_of_wires(z)
        return value if self.mirror is None else value - self._potential_of_wires(_reflected(z, self.mirror))

    def stream(self, z: Complex[Array, "nodes ..."]) -> Float[Array, "nodes ..."]:
        """The stream function in V along paths, `z` being their nodes in order: it does not jump where an angle passes π."""
        value = self.slope * z.imag + self._stream_of_wires(z)
        return value if self.mirror is None else value + self._stream_of_wires(_reflected(z, self.mirror))

    def _of_wires(self, z: Complex[Array, "..."]) -> Derivatives:
        k = jnp.pi / self.pitch
        c = coth(k * (z[..., None] - self.wires))
        across = k**2 * (c**2 - 1)  # derivative of −k coth
        first = jnp.sum(-self.charge * k * c - self.dipole * across, axis=-1)
        second = jnp.sum(self.charge * across + self.dipole * 2 * k * c * across, axis=-1)
        return Derivatives(first, second)

    def _potential_of_wires(self, z: Complex[Array, "..."]) -> Float[Array, "..."]:
        k = jnp.pi / self.pitch
        relative = z[..., None] - self.wires
        dipole = (self.dipole * k * coth(k * relative)).real
        return jnp.sum(self.charge * log_potential(relative, self.pitch) + dipole, axis=-1)

    def _stream_of_wires(self, z: Complex[Array, "nodes ..."]) -> Float[Array, "nodes ..."]:
        k = jnp.pi / self.pitch
        relative = z[..., None] - self.wires
        turned = angle(relative, self.pitch)
        jumps = jnp.round(jax.lax.stop_gradient(jnp.diff(turned, axis=0, prepend=turned[:1])) / (2 * jnp.pi))
        unwrapped = turned - 2 * jnp.pi * jnp.cumsum(jumps, axis=0)
        dipole = (self.dipole * k * coth(k * relative)).imag
        return jnp.sum(-self.charge * unwrapped + dipole, axis=-1)


def solve_drift_field(anode: Anode) -> DriftField:
    """The field of `anode` at its biases, with its drift field far above and what it has behind the last plane."""
    wires, pitch, k = anode.wires, anode.pitch, jnp.pi / anode.pitch
    mesh = anode.behind if isinstance(anode.behind, Mesh) else None
    mirror = None if mesh is None else -jnp.asarray(mesh.distance)
    potential, field, dipole_potential = _between_wires(anode, mirror)

    # Without a mesh charges count from the height `start`, where their mean potential is zero, so that the matrix is positive
    # definite; `level` is what is then the cathode's potential.
    if mesh is None:
        ground = jnp.asarray(anode.behind)
        grounded = potential + k * (2 * anode.start - anode.height[:, None] - anode.height)
        dipole_potential = dipole_potential - k
        field = field - k
    else:
        ground = anode.drift_field
        grounded = potential

    # Dipoles −r² conj(field @ charge − ground) belong to the unknowns.
    square = anode.wire_radius**2
    matrix = grounded - (dipole_potential @ (square[:, None] * field.conj())).real
    fixed = ground * jnp.sum(dipole_potential.real * square, axis=-1)
    inverse = inverse_diagonal_heavy(matrix)
    if mesh is None:
        charge_by_level = -inverse @ jnp.ones_like(anode.bias)
        charge = inverse @ (anode.bias + ground * anode.height - fixed)
        missing = anode.drift_field - ground - jnp.sum(2 * k * charge)
        level = missing / jnp.sum(2 * k * charge_by_level)
        charge = charge + level * charge_by_level
        slope = -ground - jnp.sum(charge * k)
    else:
        level = mesh.bias - ground * mesh.distance
        charge = inverse @ (anode.bias - level + ground * anode.height - fixed)
        slope = -ground
    dipole = -square * (field @ charge - ground).conj()
    if mesh is None:
        level = level + jnp.sum(charge * k * (2 * anode.start - anode.height)) - jnp.sum(dipole.real * k)
    return DriftField(wires, pitch, charge, dipole, jnp.asarray(level), slope, mirror)


def _between_wires(anode: Anode, mirror: Array | None) -> tuple[Array, Array, Array]:
    """At each plane's wire (rows), of unit charges and unit dipoles on each plane (columns): potential of the charges, their
    field F', potential of the dipoles; for a plane itself without the wire's own singular part."""
    wires, pitch, k = anode.wires, anode.pitch, jnp.pi / anode.pitch
    same = jnp.eye(len(pitch), dtype=bool)
    relative = jnp.where(same, 1.0, wires[:, None] - wires)
    c = jnp.where(same, 0.0, coth(k * relative))
    potential = jnp.where(same, self_potential(anode.wire_radius, pitch), log_potential(relative, pitch))
    field, dipole = -k * c, k * c
    if mirror is not None:
        image = _reflected(wires, mirror)[:, None] - wires
        c = coth(k * image)
        potential = potential - log_potential(image, pitch)
        field, dipole = field - (k * c).conj(), dipole - k * c
    return potential, field, dipole


def _reflected(z: Complex[Array, "..."], height: Float[Array, ""]) -> Complex[Array, "..."]:
    return 2 * height - z.conj()
