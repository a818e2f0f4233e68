"""Space charge: how slow positive ions bend the drift field and displace what drifts in it."""

from .base import AbstractSpaceCharge
from .grid import GridSpaceCharge
from .uniform import UniformField

__all__ = ["AbstractSpaceCharge", "GridSpaceCharge", "UniformField"]
