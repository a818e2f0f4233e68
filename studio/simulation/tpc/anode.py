"""What stands at the anode: planes of parallel wires, seen along the wires, and what is above and below them."""

from __future__ import annotations

import equinox as eqx
from jaxtyping import Array, Complex, Float

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
