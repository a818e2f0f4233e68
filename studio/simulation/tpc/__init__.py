"""Time projection chambers in liquid argon: from deposits to what wires record."""

from .signals import PlaneSignals, WireReadout, WireVoltages
from .simulator import TPCSimulator
from .windows import Windows

__all__ = ["PlaneSignals", "TPCSimulator", "Windows", "WireReadout", "WireVoltages"]
