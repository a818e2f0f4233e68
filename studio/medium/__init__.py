"""Media: what the light travels through, as tables and formulas with their sources."""

from .base import AbstractMedium
from .water import Water

__all__ = ["AbstractMedium", "Water"]
