"""Simulation: from a detector and an event to what is expected and what is recorded."""

from .base import AbstractSimulator
from .optical import Expectation, OpticalSimulator, Walks
from .tpc import PixelReadout, PixelSimulator, TPCSimulator, WireReadout

__all__ = [
    "AbstractSimulator",
    "Expectation",
    "OpticalSimulator",
    "PixelReadout",
    "PixelSimulator",
    "TPCSimulator",
    "Walks",
    "WireReadout",
]
