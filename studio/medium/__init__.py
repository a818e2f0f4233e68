"""Media: what charge and light travel through, as tables and formulas with their sources."""

from .base import AbstractMedium
from .liquid_argon import LiquidArgon
from .water import Water

__all__ = ["AbstractMedium", "LiquidArgon", "Water"]
