"""Simulation: from a detector and an event to what is expected and what is recorded."""

from .base import AbstractSimulator
from .optical import Expectation, OpticalSimulator

__all__ = ["AbstractSimulator", "Expectation", "OpticalSimulator"]
