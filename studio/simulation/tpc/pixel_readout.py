"""What pixels record."""

from __future__ import annotations

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int


class PixelReadout(eqx.Module):
    """What an event leaves on the pads near its charge; pads farther away record nothing.

    **Fields**: `volume`, `row`, `column (pads,)`: which pad; `volume` is −1 where the list is not full. `counts (pads, triggers)` of
    the digitizer; `charge (pads, triggers)` in e that they stand for; `time (pads, triggers)` of the triggers in ns; `hit`:
    whether there was such a trigger, 0 elsewhere. `outside`: part of the drifted charge that falls on no pad of the list.
    """

    volume: Int[Array, " pads"]
    row: Int[Array, " pads"]
    column: Int[Array, " pads"]
    counts: Float[Array, "pads triggers"]
    charge: Float[Array, "pads triggers"]
    time: Float[Array, "pads triggers"]
    hit: Bool[Array, "pads triggers"]
    outside: Float[Array, ""]
