"""Detectors: a volume, its medium, the sensors on its wall and the electronics that read them."""

from .costs import CostBreakdown, MediumPrice, Prices, SensorPrice, cost
from .detector import Detector, Placed
from .electronics import OpticalElectronics
from .photosensors import PhotosensorArray
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

__all__ = [
    "CostBreakdown",
    "Detector",
    "EfficiencyTable",
    "MediumPrice",
    "OpticalElectronics",
    "PhotosensorArray",
    "Placed",
    "Prices",
    "SensorPrice",
    "SensorType",
    "TimeResolution",
    "cost",
    "efficiency_columns",
    "register_sensor_type",
    "sensor_type",
    "sensor_type_names",
    "shipped_sensor_types",
]
