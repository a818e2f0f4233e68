"""What stands at the anode: planes of parallel wires, seen along the wires, and what is above and below them."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ...detector.tpc import TPC, check_same_field

# Places are complex numbers z = x + i y: x is the height above the collection plane, against the drift; y runs across the
# wires. A function of z that is analytic has a potential as its real part and the stream function, constant along a field
# line, as its imaginary part.


class Mesh(eqx.Module):
    """A grounded or biased mesh behind the last plane, taken as a solid conductor.

    **Arguments**: `distance` from the last plane in mm; `bias` in V.
    """

    distance: float | Float[Array, ""]
    bias: float | Float[Array, ""] = 0.0


class Anode(eqx.Module):
    """Wire planes of one relative phase, checked and as arrays, in the order electrons meet them.

    **Fields**: `height`, `pitch`, `wire_radius`, `bias (planes,)` in mm and V; `phase (planes,)`: where the wire nearest to
    y = 0 stands, in pitches; `drift_field` above in V/mm; `start`: height in mm where electrons start and weighting
    potentials vanish; `temperature` in K; `behind`: the field below the last plane in V/mm, or a `Mesh`.
    """

    height: Float[Array, " planes"]
    pitch: Float[Array, " planes"]
    wire_radius: Float[Array, " planes"]
    bias: Float[Array, " planes"]
    phase: Float[Array, " planes"]
    drift_field: Float[Array, ""]
    start: Float[Array, ""]
    temperature: Float[Array, ""]
    behind: Float[Array, ""] | Mesh

    @property
    def wires(self) -> Complex[Array, " planes"]:
        """One wire of each plane."""
        return self.height + 1j * self.phase * self.pitch


def anode_of(detector: TPC, start: float | Array) -> Anode:
    """The wire planes of a chamber, aligned; electrons start at the height `start` in mm."""
    check_same_field(detector.volumes)
    height, pitch, radius, bias = (
        jnp.stack([getattr(plane, name) for plane in detector.planes])
        for name in ("height", "pitch", "wire_radius", "bias")
    )
    aligned, field = jnp.zeros(len(detector.planes)), detector.volumes.fields[0]
    behind = Mesh(detector.mesh_distance) if detector.field_behind is None else detector.field_behind
    return Anode(height, pitch, radius, bias, aligned, field, jnp.asarray(start), detector.medium.temperature, behind)


def phase_lattice(count: int, planes: int) -> Float[Array, "count planes"]:
    """Relative phases of planes in pitches, between −1/2 and 1/2: one aligned set, or an even lattice that is its own mirror
    image and holds no aligned set."""
    if count == 1:
        return jnp.zeros((1, planes))
    steps = np.resize([0, 1, 3, 2, 5], planes)
    shares = (np.arange(count)[:, None] + 0.5) / count * steps
    return jnp.asarray(shares - np.floor(shares + 0.5))
