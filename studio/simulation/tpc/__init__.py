"""Time projection chambers in liquid argon: from deposits to what wires and pixels record."""

from .field_response import FieldResponse, field_response
from .pad_charge import PadCharge, PixelWindows
from .pixel_readout import PixelReadout
from .pixel_simulator import PixelSimulator
from .signals import PlaneSignals, WireReadout, WireVoltages
from .simulator import TPCSimulator
from .transparency import transparency
from .windows import Windows

__all__ = [
    "FieldResponse",
    "PadCharge",
    "PixelReadout",
    "PixelSimulator",
    "PixelWindows",
    "PlaneSignals",
    "TPCSimulator",
    "Windows",
    "WireReadout",
    "WireVoltages",
    "field_response",
    "transparency",
]
