"""Writing a liquid-argon chamber as a geometry file that reloads bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..detector import (
    TPC,
    ColdElectronics,
    DriftVolumes,
    GridSpaceCharge,
    PixelElectronics,
    PixelPlane,
    PixelTPC,
    UniformField,
    WirePlane,
)
from ..medium import LiquidArgon
from ..medium.recombination import AbstractRecombination
from .flow import cannot, flow, quoted
from .row_table import exact
from .tpc_build import RECOMBINATIONS


def tpc_text(detector: TPC | PixelTPC) -> str:
    """The geometry file of a chamber, as text. **Raises** `InputError` where a file cannot describe it."""
    if isinstance(detector, PixelTPC):
        read_out = [
            f"pixels: {flow(_pixels(detector.pixels))}",
            f"electronics: {flow(_pixel_electronics(detector.electronics))}",
        ]
    else:
        read_out = [
            "planes:",
            *(f"  - {flow(_plane(plane))}" for plane in detector.planes),
            f"behind: {flow(_behind(detector))}",
            f"electronics: {flow(_electronics(detector.electronics))}",
        ]
    lines = [
        "# Written by studio, in its own units.",
        f"name: {quoted(detector.name)}",
        f"medium: {flow(_medium(detector.medium))}",
        "drift:",
        *("  " + line for line in _drift(detector.volumes)),
        *read_out,
        *_space_charge(detector.space_charge),
    ]
    return "\n".join(lines) + "\n"


def _with(unit: str, value: Any) -> str:
    return f"{exact(float(value))} {unit}"


def _list(values: Any, unit: str = "") -> str:
    return "[" + ", ".join(f"{exact(value)} {unit}".rstrip() for value in np.asarray(values)) + "]"


def _medium(medium: LiquidArgon) -> dict[str, str]:
    return {
        "kind": "liquid_argon",
        "temperature": _with("K", medium.temperature),
        "electron_lifetime": _with("ns", medium.electron_lifetime),
        "longitudinal_diffusion": _with("mm2/ns", medium.longitudinal_diffusion),
        "transverse_diffusion": _with("mm2/ns", medium.transverse_diffusion),
        "w_ion": _with("MeV", medium.w_ion),
        "excitation_ratio": exact(float(medium.excitation_ratio)),
        "recombination": flow(_recombination(medium.recombination)),
        "absorption_length": _with("mm", medium.absorption_length),
        "rayleigh_length": _with("mm", medium.rayleigh_length),
    }


def _recombination(law: AbstractRecombination) -> dict[str, str]:
    for name, kind in RECOMBINATIONS.items():
        if type(law) is kind:
            return {"kind": name} | {field: exact(float(value)) for field, value in vars(law).items()}
    raise cannot("medium.recombination", law, f"use one of: {', '.join(RECOMBINATIONS)}")


def _drift(volumes: DriftVolumes) -> list[str]:
    """What all volumes share, then a line a volume."""
    shared = [("field", volumes.field, 0), ("length", volumes.length, 0), ("width", volumes.width, 1)]

    def text(name: str, value: Any) -> str:
        return (
            _with("V/mm", value) if name == "field" else _with("mm", value) if name == "length" else _list(value, "mm")
        )

    lines = [f"{name}: {text(name, value)}" for name, value, rank in shared if np.ndim(value) == rank]
    lines.append("volumes:")
    for index in range(volumes.count):
        entry = {
            "anode": _list(volumes.anode[index], "mm"),
            "direction": _list(volumes.direction[index]),
            "across": _list(volumes.across[index]),
        }
        entry |= {name: text(name, value[index]) for name, value, rank in shared if np.ndim(value) > rank}
        lines.append(f"  - {flow(entry)}")
    return lines


def _plane(plane: WirePlane) -> dict[str, str]:
    entry = {
        "kind": "wire_plane",
        "pitch": _with("mm", plane.pitch),
        "angle": _with("rad", plane.angle),
        "height": _with("mm", plane.height),
        "bias": _with("V", plane.bias),
        "wire_diameter": _with("mm", 2 * float(plane.wire_radius)),
        "wires": str(plane.slots),
    }
    if float(plane.offset):
        entry["offset"] = _with("mm", plane.offset)
    if plane.joined is not None:
        entry["joined"] = flow({name: str(value) for name, value in plane.joined._asdict().items()})
    return entry if plane.read_out else entry | {"read_out": "false"}


def _pixels(pixels: PixelPlane) -> dict[str, str]:
    entry = {"kind": "pixel_plane", "pitch": _with("mm", pixels.pitch)}
    if pixels.pad is not None:
        entry["pad"] = _with("mm", pixels.pad)
    return entry | {"slots": f"[{pixels.slots[0]}, {pixels.slots[1]}]"}


def _pixel_electronics(electronics: PixelElectronics) -> dict[str, str]:
    charges = ("threshold", "reset_noise", "discriminator_noise", "digitizer_noise", "full_scale")
    return {
        "kind": "pixel_electronics",
        **{name: _with("e", getattr(electronics, name)) for name in charges},
        "pedestal": exact(float(electronics.pedestal)),
        "bits": str(electronics.bits),
        "tick": _with("ns", electronics.tick),
        **{name: str(getattr(electronics, name)) for name in ("hold", "dead", "triggers")},
    }


def _behind(detector: TPC) -> dict[str, str]:
    distance = {"distance": _with("mm", detector.mesh_distance)}
    if detector.field_behind is None:
        return {"kind": "mesh"} | distance
    return {"kind": "field", "strength": _with("V/mm", detector.field_behind)} | distance


def _electronics(electronics: ColdElectronics) -> dict[str, str]:
    entry = {
        "kind": "cold_electronics",
        "shaping_time": _with("ns", electronics.shaping_time),
        "gain": _with("V/e", electronics.gain),
        "enc_base": _with("e", electronics.enc_base),
        "enc_slope": _with("e/mm", electronics.enc_slope),
        "full_scale": _with("V", electronics.full_scale),
        "pedestal": exact(float(electronics.pedestal)),
        "trigger_offset": _with("ns", electronics.trigger_offset),
        "bits": str(electronics.bits),
        "tick": _with("ns", electronics.tick),
        "ticks": str(electronics.ticks),
    }
    return entry if electronics.threshold is None else entry | {"threshold": exact(electronics.threshold)}


def _space_charge(space_charge: Any) -> list[str]:
    if isinstance(space_charge, UniformField):
        return []
    if not isinstance(space_charge, GridSpaceCharge):
        raise cannot("space_charge", space_charge, "use GridSpaceCharge, or none")
    both = np.concatenate([space_charge.displacements, space_charge.distortions], axis=-1)
    nodes = both.shape[:3]
    return [
        "space_charge:",
        "  kind: grid",
        f"  lower: {_list(space_charge.lower, 'mm')}",
        f"  upper: {_list(space_charge.upper, 'mm')}",
        f"  nodes: [{', '.join(str(count) for count in nodes)}]",
        "  rows: |",
        *("    " + " ".join(exact(value) for value in row) for row in both.reshape(-1, 6)),
    ]
