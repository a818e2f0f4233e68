"""Where studies are recorded beside their ledger: one interface and an alternative per file."""

from .base import AbstractTracker
from .none import NoTracker

__all__ = ["AbstractTracker", "NoTracker"]
