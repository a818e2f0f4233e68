"""Detectors: a volume, its medium, the sensors on its wall and the electronics that read them."""

from .costs import CostBreakdown, MediumPrice, Prices, SensorPrice, cost
from .detector import Detector, Placed
from .drift_volumes import DriftVolumes
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
from .space_charge import AbstractSpaceCharge, GridSpaceCharge, UniformField

__all__ = [
    "AbstractSpaceCharge",
    "CostBreakdown",
    "Detector",
    "DriftVolumes",
    "EfficiencyTable",
    "GridSpaceCharge",
    "MediumPrice",
    "OpticalElectronics",
    "PhotosensorArray",
    "Placed",
    "Prices",
    "SensorPrice",
    "SensorType",
    "TimeResolution",
    "UniformField",
    "cost",
    "efficiency_columns",
    "register_sensor_type",
    "sensor_type",
    "sensor_type_names",
    "shipped_sensor_types",
]
