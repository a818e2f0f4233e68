"""Recombination in liquid argon: which share of the freed electrons escapes the ions they came from."""

from .base import LOWEST_LOSS, AbstractRecombination
from .birks import Birks
from .ellipsoid import EllipsoidModifiedBox
from .modified_box import ModifiedBox

__all__ = ["LOWEST_LOSS", "AbstractRecombination", "Birks", "EllipsoidModifiedBox", "ModifiedBox"]
