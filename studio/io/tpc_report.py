"""What `check` says about a liquid-argon chamber."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..detector import TPC, PixelTPC, WirePlane
from ..units import V, cm, deg, fC, kV, m, mm, mV, ns, us
from .document import Document


def tpc_report(document: Document, detector: TPC | PixelTPC) -> dict[str, Any]:
    """The report of `check_geometry`."""
    volumes = detector.volumes
    return {
        "file": document.file,
        "name": detector.name,
        "drift": {
            "volumes": volumes.count,
            "length_m": _range(volumes.lengths, m),
            "width_m": [_range(volumes.widths[:, axis], m) for axis in range(2)],
            "field_V_per_cm": _range(volumes.fields, V / cm),
            "cathode_kV": _range(detector.cathode_voltage, kV),
            "argon_tonnes": float(detector.argon_mass),
        },
        "medium": {
            "kind": "liquid_argon",
            "temperature_K": float(detector.medium.temperature),
            "electron_lifetime_ms": float(detector.medium.electron_lifetime) / (1000 * us),
            "recombination": type(detector.medium.recombination).__name__,
        },
        **(_pixels(detector) if isinstance(detector, PixelTPC) else _wires(detector)),
    }


def _wires(detector: TPC) -> dict[str, Any]:
    electronics = detector.electronics
    planes = [_plane(plane, detector) for plane in detector.planes]
    return {
        "planes": planes,
        "channels": sum(plane["channels"] for plane in planes),
        "electronics": {
            "shaping_us": float(electronics.shaping_time) / us,
            "gain_mV_per_fC": float(electronics.gain) / (mV / fC),
            "tick_ns": electronics.tick / ns,
            "ticks": electronics.ticks,
            "bits": electronics.bits,
        },
        "warnings": _warnings(detector),
    }


def _pixels(detector: PixelTPC) -> dict[str, Any]:
    pixels, electronics = detector.pixels, detector.electronics
    return {
        "pixels": {
            "pitch_mm": float(pixels.pitch) / mm,
            "pad_mm": float(pixels.pitch - pixels.gap) / mm,
            "rows": pixels.slots[0],
            "columns": pixels.slots[1],
        },
        "channels": detector.pads_present,
        "electronics": {
            "threshold_e": float(electronics.threshold),
            "reset_noise_e": float(electronics.reset_noise),
            "tick_ns": electronics.tick / ns,
            "bits": electronics.bits,
        },
        "warnings": [],
    }


def _plane(plane: WirePlane, detector: TPC) -> dict[str, Any]:
    wires, channels = (
        np.asarray(lengths) for lengths in (plane.lengths(detector.volumes), plane.channel_lengths(detector.volumes))
    )
    return {
        "pitch_mm": float(plane.pitch) / mm,
        "angle_deg": float(plane.angle) / deg,
        "height_mm": float(plane.height) / mm,
        "bias_V": float(plane.bias) / V,
        "wires": int((wires > 0).sum()),
        "channels": int((channels > 0).sum()) if plane.read_out else 0,
        "longest_wire_m": float(wires.max()) / m,
        "longest_channel_m": float(channels.max()) / m,
    }


def _range(values: Any, unit: float) -> float | list[float]:
    """One number where all are the same, else the smallest and the largest."""
    low, high = float(np.min(values)) / unit, float(np.max(values)) / unit
    return low if low == high else [low, high]


def _warnings(detector: TPC) -> list[str]:
    warnings = []
    for index, plane in enumerate(detector.planes):
        fitting = float(np.max(np.asarray(plane.wire_count(detector.volumes))))
        if plane.slots < fitting - 1:
            warnings.append(f"planes.{index}: {plane.slots} wires in each volume, {fitting:.0f} would fit")
    return warnings
