"""Detectors: a volume, its medium, the sensors on its wall and the electronics that read them."""

from .detector import Detector, Placed
from .electronics import OpticalElectronics
from .photosensors import PhotosensorArray
from .sensor_types import SensorType, TimeResolution, sensor_type, sensor_type_names

__all__ = [
    "Detector",
    "OpticalElectronics",
    "PhotosensorArray",
    "Placed",
    "SensorType",
    "TimeResolution",
    "sensor_type",
    "sensor_type_names",
]
