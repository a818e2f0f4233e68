"""Objectives in two stages: a summary per event, a scalar over the population."""

from .base import AbstractObjective
from .function import FunctionObjective, as_objective
from .population import PopulationObjective
from .reducers import AbstractReducer, LogMean, Mean, MeanLog
from .relative import Relative
from .robust import Robust
from .shared import SharedSummaries
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
    "SharedSummaries",
    "Tail",
    "WeightedSum",
    "Worst",
    "as_objective",
]
