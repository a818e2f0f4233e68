"""Bounds as bijections: what a free leaf may become, without clipping."""

from .base import AbstractBound, check_start
from .composite import Columnwise, Rowwise
from .elementwise import Angle, Interval, Positive, Unbounded
from .tied import Tied
from .vectors import Disc, Simplex, UnitVector

__all__ = [
    "AbstractBound",
    "Angle",
    "Columnwise",
    "Disc",
    "Interval",
    "Positive",
    "Rowwise",
    "Simplex",
    "Tied",
    "Unbounded",
    "UnitVector",
    "check_start",
]
