"""Reconstruction: vertex, direction and energy of events from what was recorded, by one name for all detectors."""

from __future__ import annotations

from typing import Any

from .._checks import InputError
from ..simulation import AbstractSimulator, OpticalSimulator, TPCSimulator
from .optical_reconstruction import reconstruct_light
from .result import Reconstruction
from .track_reconstruction import reconstruct_tracks


def reconstruct(
    simulator: AbstractSimulator, detector: Any, readouts: Any, particle: str = "mu-", **options: Any
) -> Reconstruction:
    """Fit stacked `readouts` (leading axis: events) as single events of `particle`, without knowledge of the truth.

    What is fitted, and which `options` there are, depends on the simulator: `reconstruct_light` for light on sensors,
    `reconstruct_tracks` for wires in liquid argon. A fit that fails is a value, whose `status` says why.

    **Raises** `InputError` for a simulator whose events cannot be reconstructed, for readouts of another detector, and
    `StudioError` where 64-bit arithmetic is off.
    """
    if isinstance(simulator, OpticalSimulator):
        return reconstruct_light(simulator, detector, readouts, particle, **options)
    if isinstance(simulator, TPCSimulator):
        return reconstruct_tracks(simulator, detector, readouts, particle, **options)
    raise InputError("its events cannot be reconstructed", key="simulator", value=type(simulator).__name__)
