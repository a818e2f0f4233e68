"""Liquid-argon time projection chambers: drift of charge and the signals it induces on wires."""

from .drift_velocity import drift_velocity
from .field_response import FieldResponse, field_response

__all__ = ["FieldResponse", "drift_velocity", "field_response"]
