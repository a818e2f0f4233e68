"""Events: primaries, what is recorded of them, generators, particle tracks and showers."""

from .gun import Gun, half_extents
from .primary import PARTICLES, Primary, stack
from .readout import Readout

__all__ = ["PARTICLES", "Gun", "Primary", "Readout", "half_extents", "stack"]
