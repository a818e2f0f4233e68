"""What an optical detector records."""

from __future__ import annotations

import equinox as eqx
from jaxtyping import Array, Bool, Float


class Readout(eqx.Module):
    """One event (or a stack with leading axes) as recorded.

    **Fields**: `charge (..., sensors)` in photoelectrons; `time (..., sensors)`: recorded time in ns of the first hit,
    0 where there is none; `hit (..., sensors)`: whether the sensor fired.
    """

    charge: Float[Array, "*batch sensors"]
    time: Float[Array, "*batch sensors"]
    hit: Bool[Array, "*batch sensors"]
