"""Pareto fronts: the designs of which none is better in one objective without being worse in another."""

from .front import ParetoFront, ParetoPoint
from .hypervolume import hypervolume, non_dominated
from .scalarization import Scalarization
from .sweep import pareto_front

__all__ = [
    "ParetoFront",
    "ParetoPoint",
    "Scalarization",
    "hypervolume",
    "non_dominated",
    "pareto_front",
]
