"""Detectors: a volume, its medium, the sensors on its wall or the wires or pads at its anodes, and the electronics that read them."""

from .abstract_tpc import AbstractTPC
from .cold_electronics import ColdElectronics
from .containment import Contained, centred, contained
from .costs import CostBreakdown, MediumPrice, Prices, SensorPrice, cost
from .detector import Detector, Placed
from .drift_volumes import DriftVolumes
from .electronics import OpticalElectronics
from .photosensors import PhotosensorArray
from .pixel_electronics import PixelElectronics
from .pixel_plane import PixelPlane, pixel_slots_for
from .pixel_tpc import PixelTPC
from .reflector import Reflector, black_sheet, tyvek
from .sensor_types import (
    EfficiencyTable,
    SensorType,
    TimeResolution,
    efficiency_columns,
    register_sensor_type,
    sensor_type,
    sensor_type_names,
    shipped_sensor_types,
)
from .space_charge import AbstractSpaceCharge, GridSpaceCharge, UniformField
from .tpc import TPC
from .wire_plane import JoinedWires, WirePlane, slots_for

__all__ = [
    "TPC",
    "AbstractSpaceCharge",
    "AbstractTPC",
    "ColdElectronics",
    "Contained",
    "CostBreakdown",
    "Detector",
    "DriftVolumes",
    "EfficiencyTable",
    "GridSpaceCharge",
    "JoinedWires",
    "MediumPrice",
    "OpticalElectronics",
    "PhotosensorArray",
    "PixelElectronics",
    "PixelPlane",
    "PixelTPC",
    "Placed",
    "Prices",
    "Reflector",
    "SensorPrice",
    "SensorType",
    "TimeResolution",
    "UniformField",
    "WirePlane",
    "black_sheet",
    "centred",
    "contained",
    "cost",
    "efficiency_columns",
    "pixel_slots_for",
    "register_sensor_type",
    "sensor_type",
    "sensor_type_names",
    "shipped_sensor_types",
    "slots_for",
    "tyvek",
]
