"""Simulation: from a detector and an event to what is expected and what is recorded."""

from .base import AbstractSimulator
from .optical import Expectation, OpticalSimulator
from .tpc import TPCSimulator, WireReadout

__all__ = ["AbstractSimulator", "Expectation", "OpticalSimulator", "TPCSimulator", "WireReadout"]
