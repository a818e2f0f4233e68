"""Detectors: a volume, its medium, the sensors on its wall and the electronics that read them."""

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
    "Detector",
    "EfficiencyTable",
    "OpticalElectronics",
    "PhotosensorArray",
    "Placed",
    "SensorType",
    "TimeResolution",
    "efficiency_columns",
    "register_sensor_type",
    "sensor_type",
    "sensor_type_names",
    "shipped_sensor_types",
]
