"""Time projection chambers in liquid argon: from deposits to what wires record."""

from .field_response import FieldResponse, field_response
from .signals import PlaneSignals, WireReadout, WireVoltages
from .simulator import TPCSimulator
from .transparency import transparency
from .windows import Windows

__all__ = [
    "FieldResponse",
    "PlaneSignals",
    "TPCSimulator",
    "Windows",
    "WireReadout",
    "WireVoltages",
    "field_response",
    "transparency",
]
