"""Optical simulation: Cherenkov and point-source light on photosensors."""

from .simulator import Arrivals, Expectation, OpticalSimulator
from .walks import Walks

__all__ = ["Arrivals", "Expectation", "OpticalSimulator", "Walks"]
