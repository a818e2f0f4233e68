"""Objectives in two stages: a summary per event, a scalar over the population."""

from .base import AbstractObjective
from .function import FunctionObjective
from .population import PopulationObjective
from .reducers import AbstractReducer, LogMean, Mean, MeanLog
from .relative import Relative
from .robust import Robust
from .tails import Maximum, Quantile, Tail, Worst
from .weighted import WeightedSum

__all__ = [
    "AbstractObjective",
    "AbstractReducer",
    "FunctionObjective",
    "LogMean",
    "Maximum",
    "Mean",
    "MeanLog",
    "PopulationObjective",
    "Quantile",
    "Relative",
    "Robust",
    "Tail",
    "WeightedSum",
    "Worst",
]
