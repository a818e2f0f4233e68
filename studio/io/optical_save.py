"""Writing an optical detector as a geometry file that reloads bit for bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..detector import Detector, PhotosensorArray, Reflector, SensorType, shipped_sensor_types
from ..detector.layouts import overhang, overlaps
from ..geometry import AbstractVolume, Box, Cylinder, MeshVolume, Sphere
from ..medium import AbstractMedium, Water
from ..units import kHz, parse_quantity
from .flow import cannot, flow, quoted
from .optical_models import ToleranceModel, is_type_name
from .row_table import exact, format_rows


def optical_text(detector: Detector) -> str:
    """The geometry file of a detector, as text. **Raises** `InputError` where a file cannot describe it."""
    electronics = detector.electronics
    lines = [
        "# Written by studio. Lengths are in mm; each row of the table is a sensor in the chart of its patch:",
        f"# {_CHARTS.get(type(detector.volume), '')}",
        f"name: {quoted(detector.name)}",
        *_volume(detector.volume),
        f"medium: {flow(_medium(detector.medium))}",
        f"electronics: {flow({name: _time(getattr(electronics, name)) for name in ('gate', 'time_precision')})}",
        *_wall(detector.wall),
        *_own_types(detector.sensors),
        "sensors:",
        *("  " + line for line in _sensors(detector)),
    ]
    return "\n".join(lines) + "\n"


_CHARTS: dict[type, str] = {
    Cylinder: "barrel: u = azimuth in rad, v = z / half height; top and bottom: u = x / radius, v = y / radius.",
    Sphere: "u v w = unit vector from the centre.",
    Box: "u and v = the two coordinates after the face's own, in cyclic order, divided by their half sizes.",
    MeshVolume: "u and v = the way along the first and the last edge of the triangle from its first corner, 0 to 1.",
}


def _volume(volume: AbstractVolume) -> list[str]:
    """The lines of a volume: one, but for a mesh, which is written out so that the file needs no other."""
    if isinstance(volume, Cylinder):
        sizes = {"kind": "cylinder", "radius": _length(volume.radius), "height": _length(volume.height)}
    elif isinstance(volume, Sphere):
        sizes = {"kind": "sphere", "radius": _length(volume.radius)}
    elif isinstance(volume, Box):
        sizes = {"kind": "box", "size": "[" + ", ".join(_length(x) for x in np.asarray(volume.size)) + "]"}
    elif isinstance(volume, MeshVolume):
        return [
            "volume:",
            "  kind: mesh",
            "  unit: mm",
            f"  scale: {exact(float(volume.scale))}",
            "  vertices: |",
            *("    " + " ".join(exact(x) for x in row) for row in np.asarray(volume.vertices)),
            "  triangles: |",
            *("    " + " ".join(str(corner) for corner in row) for row in np.asarray(volume.triangles)),
        ]
    else:
        raise cannot("volume", volume, "use a Cylinder, Sphere, Box or MeshVolume")
    return [f"volume: {flow(sizes)}"]


def _medium(medium: AbstractMedium) -> dict[str, str]:
    if isinstance(medium, Water):
        lengths = {name: _length(getattr(medium, name)) for name in ("absorption_length", "rayleigh_length")}
        grains = {
            "mie_inverse_length": f"{exact(float(medium.mie_inverse_length))} 1/mm",
            "mie_asymmetry": exact(float(medium.mie_asymmetry)),
        }
        return {"kind": "water", **lengths, **(grains if _holds_grains(medium) else {})}
    raise cannot("medium", medium, "use Water")


def _holds_grains(medium: Water) -> bool:
    """Whether a file must speak of grains for the medium to be read again as it is."""
    plain = Water()
    return any(
        float(getattr(medium, name)) != float(getattr(plain, name)) for name in ("mie_inverse_length", "mie_asymmetry")
    )


def _wall(wall: Reflector | None) -> list[str]:
    return [] if wall is None else [f"wall: {flow({'kind': 'reflector', **_finish(wall)})}"]


def _finish(surface: Reflector, index: int | None = None) -> dict[str, str]:
    """The numbers of a surface, or of sensor type `index` among several."""
    specular, diffuse, lobe = (
        exact(float(np.asarray(leaf) if index is None else np.asarray(leaf)[index]))
        for leaf in (surface.specular, surface.diffuse, surface.lobe)
    )
    return {"specular": specular, "diffuse": diffuse, "lobe": f"{lobe} rad"}


def _glass(sensors: PhotosensorArray) -> list[str]:
    if sensors.glass is None:
        return []
    if len(sensors.types) == 1:
        return [f"glass: {flow(_finish(sensors.glass, 0))}"]
    return ["glass:", *(f"  {one.name}: {flow(_finish(sensors.glass, i))}" for i, one in enumerate(sensors.types))]


def _own_types(sensors: PhotosensorArray) -> list[str]:
    """The sensor types that do not ship with the studio, so that the file needs nothing else."""
    shipped = {one.name: one for one in shipped_sensor_types()}
    names = [one.name for one in sensors.types]
    lines: list[str] = []
    for one in sensors.types:
        if names.count(one.name) > 1:
            raise cannot("sensors.types", one.name, "give every sensor type a name of its own")
        if shipped.get(one.name) == one:
            continue
        if one.name in shipped:
            raise cannot(
                "sensors.types", one.name, "choose another name: this one ships with the studio, with other numbers"
            )
        if not is_type_name(one.name):
            raise cannot("sensors.types", one.name, "name it with letters, digits and _, a letter first")
        lines += [f"  {one.name}:", *("    " + line for line in _type_lines(one))]
    return ["sensor_types:", *lines] if lines else []


def _type_lines(one: SensorType) -> list[str]:
    resolution = one.time_resolution
    times = {"floor": _time(resolution.floor), "offset": _time(resolution.offset)}
    lines = [
        f"radius: {_length(one.radius)}",
        f"efficiency_factor: {exact(one.efficiency_factor)}",
        f"charge_spread: {exact(one.charge_spread)}",
        f"time_resolution: {flow(times | {'stochastic': f'{exact(resolution.stochastic)} ns2'})}",
        f"dark_rate: {_rate(one.dark_rate)}",
        f"source: {json.dumps(one.source, ensure_ascii=False)}",
    ]
    table = one.efficiency_table
    if table is None:
        return [*lines, f"efficiency_column: {one.efficiency_column}"]
    columns = {"wavelength/nm": table.wavelength, "efficiency": table.efficiency}
    rows = format_rows({name: [exact(value) for value in column] for name, column in columns.items()})
    return [*lines, "efficiency_table: |", *("  " + row for row in rows)]


def _sensors(detector: Detector) -> list[str]:
    sensors = detector.sensors
    names = [one.name for one in sensors.types]
    efficiency = [exact(value) for value in np.asarray(sensors.efficiency)]
    return [
        "kind: photosensor_array",
        f"type: {names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'}",
        f"efficiency: {efficiency[0] if len(names) == 1 else '[' + ', '.join(efficiency) + ']'}",
        *_glass(sensors),
        *_tolerance(detector),
        "layout:",
        "  kind: table",
        "  rows: |",
        *("    " + row for row in format_rows(_columns(detector.volume, sensors))),
    ]


def _columns(volume: AbstractVolume, sensors: PhotosensorArray) -> dict[str, list[str]]:
    uv, radius = np.asarray(sensors.uv), np.asarray(sensors.radius)
    kind, patch = np.asarray(sensors.kind), np.asarray(sensors.patch)
    columns = {"patch": [volume.patches[i] for i in patch]}
    for axis in range(volume.chart_size):
        columns["uvw"[axis]] = [exact(value) for value in uv[:, axis]]
    own = np.array([one.radius for one in sensors.types]).astype(radius.dtype)[kind]
    if not np.array_equal(radius, own):
        columns["radius/mm"] = [exact(value) for value in radius]
    if np.any(np.asarray(sensors.weight) != 1):
        columns["weight"] = [exact(value) for value in np.asarray(sensors.weight)]
    if len(sensors.types) > 1:
        columns["type"] = [sensors.types[i].name for i in kind]
    return columns


def _tolerance(detector: Detector) -> list[str]:
    """What the audit must let pass for this very detector to be read again, where it is not nothing."""
    positions, _, radii = (np.asarray(array, dtype=np.float64) for array in detector.placed)
    sensors = detector.sensors
    _, depths = overlaps(positions, radii)
    over = overhang(detector.volume, np.asarray(sensors.patch), np.asarray(sensors.uv), radii)
    needed = {"overlap": float(depths[0]) if len(depths) else 0.0, "across_edge": max(0.0, float(over.max()))}
    written = {name: _length(value) for name, value in needed.items() if value > getattr(ToleranceModel(), name)}
    return [f"tolerance: {flow(written)}"] if written else []


def _length(value: Any) -> str:
    return f"{exact(float(value))} mm"


def _time(value: Any) -> str:
    return f"{exact(float(value))} ns"


def _rate(value: float) -> str:
    """In kHz where that reads back as the same number."""
    usual = f"{exact(value / kHz)} kHz"
    return usual if parse_quantity(usual, "rate") == value else f"{exact(value)} GHz"
