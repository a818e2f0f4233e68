"""Files in and out: geometry YAML, event HDF5, position files of other programs.

Names resolve on first use, so that reading a YAML file imports no jax and event files need no YAML library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .deposits import deposit_events, deposit_formats, read_deposits, write_deposits
    from .document import Document, load_document, validate
    from .event_file import EventSet, read_events, write_events
    from .geometry import check_geometry, geometry_schema, load_detector, read_geometry, save_detector
    from .positions import PositionTable, position_formats, read_positions

__all__ = [
    "Document",
    "EventSet",
    "PositionTable",
    "check_geometry",
    "deposit_events",
    "deposit_formats",
    "geometry_schema",
    "load_detector",
    "load_document",
    "position_formats",
    "read_deposits",
    "read_events",
    "read_geometry",
    "read_positions",
    "save_detector",
    "validate",
    "write_deposits",
    "write_events",
]

_MODULES = {
    "deposits": ("deposit_events", "deposit_formats", "read_deposits", "write_deposits"),
    "document": ("Document", "load_document", "validate"),
    "event_file": ("EventSet", "read_events", "write_events"),
    "geometry": ("check_geometry", "geometry_schema", "load_detector", "read_geometry", "save_detector"),
    "positions": ("PositionTable", "position_formats", "read_positions"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __name__), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
