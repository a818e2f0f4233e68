"""Objectives in two stages: a summary per event, a scalar over the population."""

from .base import AbstractObjective
from .function import FunctionObjective
from .population import PopulationObjective
from .reducers import AbstractReducer, Mean, MeanLog
from .weighted import WeightedSum

__all__ = [
    "AbstractObjective",
    "AbstractReducer",
    "FunctionObjective",
    "Mean",
    "MeanLog",
    "PopulationObjective",
    "WeightedSum",
]
