"""Design of neutrino detectors: simulate, reconstruct, optimise, and measure the gain.

The names below are imported when they are first used, so that `import studio` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import units as units
    from ._checks import InputError as InputError
    from ._checks import StudioError as StudioError
    from .design import optimise as optimise
    from .detector import TPC as TPC
    from .detector import ColdElectronics as ColdElectronics
    from .detector import (
        Detector as Detector,
    )
    from .detector import DriftVolumes as DriftVolumes
    from .detector import JoinedWires as JoinedWires
    from .detector import (
        PhotosensorArray as PhotosensorArray,
    )
    from .detector import PixelElectronics as PixelElectronics
    from .detector import PixelPlane as PixelPlane
    from .detector import PixelTPC as PixelTPC
    from .detector import Reflector as Reflector
    from .detector import WirePlane as WirePlane
    from .detector import centred as centred
    from .detector import contained as contained
    from .detector import (
        register_sensor_type as register_sensor_type,
    )
    from .detector import (
        sensor_type as sensor_type,
    )
    from .detector import (
        sensor_type_names as sensor_type_names,
    )
    from .event import Deposits as Deposits
    from .event import Gun as Gun
    from .event import Primary as Primary
    from .event import Readout as Readout
    from .execution import AbstractRunner as AbstractRunner
    from .execution import LocalRunner as LocalRunner
    from .execution import RayRunner as RayRunner
    from .geometry import Box as Box
    from .geometry import Cylinder as Cylinder
    from .geometry import MeshVolume as MeshVolume
    from .geometry import Sphere as Sphere
    from .inference import fisher_information as fisher_information
    from .inference import reconstruct as reconstruct
    from .io.deposits import read_deposits as read_deposits
    from .io.deposits import write_deposits as write_deposits
    from .io.geometry import load_detector as load_detector
    from .io.geometry import save_detector as save_detector
    from .medium import LiquidArgon as LiquidArgon
    from .medium import Water as Water
    from .paths import get as get
    from .paths import leaf_paths as leaf_paths
    from .paths import replace as replace
    from .simulation import OpticalSimulator as OpticalSimulator
    from .simulation import PixelSimulator as PixelSimulator
    from .simulation import TPCSimulator as TPCSimulator
    from .simulation import Walks as Walks
    from .simulation.tpc import FieldResponse as FieldResponse
    from .simulation.tpc import field_response as field_response
    from .study import Study as Study
    from .study import natural_bound as natural_bound
    from .study import wall_bound as wall_bound
    from .tracking import MlflowTracker as MlflowTracker
    from .tracking import NoTracker as NoTracker

__version__ = "0.1.0"

_HOMES = {
    "InputError": "_checks",
    "StudioError": "_checks",
    "get": "paths",
    "leaf_paths": "paths",
    "replace": "paths",
    "Box": "geometry",
    "Cylinder": "geometry",
    "MeshVolume": "geometry",
    "Sphere": "geometry",
    "LiquidArgon": "medium",
    "Water": "medium",
    "TPC": "detector",
    "ColdElectronics": "detector",
    "Detector": "detector",
    "DriftVolumes": "detector",
    "JoinedWires": "detector",
    "WirePlane": "detector",
    "centred": "detector",
    "contained": "detector",
    "PixelElectronics": "detector",
    "PixelPlane": "detector",
    "PixelTPC": "detector",
    "PhotosensorArray": "detector",
    "Reflector": "detector",
    "register_sensor_type": "detector",
    "sensor_type": "detector",
    "sensor_type_names": "detector",
    "Deposits": "event",
    "Gun": "event",
    "Primary": "event",
    "Readout": "event",
    "OpticalSimulator": "simulation",
    "PixelSimulator": "simulation",
    "TPCSimulator": "simulation",
    "Walks": "simulation",
    "FieldResponse": "simulation.tpc",
    "field_response": "simulation.tpc",
    "fisher_information": "inference",
    "reconstruct": "inference",
    "optimise": "design",
    "AbstractRunner": "execution",
    "LocalRunner": "execution",
    "RayRunner": "execution",
    "MlflowTracker": "tracking",
    "NoTracker": "tracking",
    "read_deposits": "io.deposits",
    "write_deposits": "io.deposits",
    "load_detector": "io.geometry",
    "save_detector": "io.geometry",
    "Study": "study",
    "natural_bound": "study",
    "wall_bound": "study",
}

__all__ = [*_HOMES, "units"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "units":
        return importlib.import_module(".units", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'studio' has no attribute '{name}'")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
