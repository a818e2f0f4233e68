"""Optical simulation: Cherenkov and point-source light on photosensors."""

from .simulator import Arrivals, Expectation, OpticalSimulator

__all__ = ["Arrivals", "Expectation", "OpticalSimulator"]
