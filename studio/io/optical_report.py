"""What `check` says about a geometry."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from ..detector import Detector, PhotosensorArray, Reflector
from ..detector.layouts import overlaps, smallest_spacing
from ..geometry import AbstractVolume, Cylinder, MeshVolume
from ..medium import AbstractMedium, Water
from ..units import deg, m, mm
from .document import Document
from .optical_build import Built, Group

_NEIGHBOURS = 9


def report(document: Document, built: Built) -> dict[str, Any]:
    """The report of `check_geometry`."""
    detector = built.detector
    sensors, volume = detector.sensors, detector.volume
    patch, kind = np.asarray(sensors.patch), np.asarray(sensors.kind)
    positions, _, radii = (np.asarray(array, dtype=np.float64) for array in detector.placed)
    closest = smallest_spacing(positions)
    lone = len(positions) < 2
    return {
        "file": document.file,
        "name": detector.name,
        "volume": {
            **_sizes(volume),
            "volume_m3": float(volume.volume) / m**3,
            "area_m2": float(volume.area) / m**2,
        },
        "medium": _medium(detector.medium),
        "wall": None if detector.wall is None else _finish(detector.wall),
        "sensors": {
            "count": len(positions),
            "by_patch": _by_wall(volume, patch),
            "by_type": {entry.name: int((kind == i).sum()) for i, entry in enumerate(sensors.types)},
            "radius_mm": [float(radii.min()) / mm, float(radii.max()) / mm],
            "glass": _glass(sensors),
        },
        "coverage": float(detector.coverage),
        "spacing": {
            "smallest_m": None if lone else closest.distance / m,
            "between": None if lone else [closest.first, closest.second],
            "smallest_gap_m": None if lone else _smallest_gap(positions, radii) / m,
        },
        "placement": _placement(built.groups),
        "warnings": _warnings(detector, positions, radii, built.groups),
    }


def _sizes(volume: AbstractVolume) -> dict[str, Any]:
    """The kind of a volume and its leaves, all lengths in m; of a mesh what it is made of."""
    if not isinstance(volume, MeshVolume):
        return {"kind": type(volume).__name__.lower(), **_leaves_in(volume, m, "m")}
    points = np.asarray(volume.points, dtype=np.float64)
    return {
        "kind": "mesh",
        "from_m": (points.min(axis=0) / m).tolist(),
        "to_m": (points.max(axis=0) / m).tolist(),
        "vertices": len(points),
        "triangles": len(volume.triangles),
        "convex": volume.convex,
    }


def _by_wall(volume: AbstractVolume, patch: np.ndarray) -> dict[str, int]:
    """How many sensors are on each patch; on a mesh, on each set of triangles that meet without a crease."""
    if not isinstance(volume, MeshVolume):
        return dict(zip(volume.patches, np.bincount(patch, minlength=len(volume.patches)).tolist(), strict=True))
    wall = np.asarray(volume.wall)
    return {f"wall_{i}": count for i, count in enumerate(np.bincount(wall[patch], minlength=wall.max() + 1).tolist())}


def _medium(medium: AbstractMedium) -> dict[str, Any]:
    """The numbers of a medium; of grains only where there are any."""
    numbers = {f"{name}_m": float(getattr(medium, name)) / m for name in ("absorption_length", "rayleigh_length")}
    if isinstance(medium, Water) and float(medium.mie_inverse_length) > 0:
        numbers["mie_length_m"] = 1 / float(medium.mie_inverse_length) / m
        numbers["mie_asymmetry"] = float(medium.mie_asymmetry)
    return {"kind": type(medium).__name__.lower(), **numbers}


def _finish(surface: Reflector) -> dict[str, float]:
    """What a surface reflects: at normal incidence, of light from everywhere, and the numbers behind it."""
    return {
        "reflected_at_normal_incidence": float(surface.reflectance(jnp.asarray(1.0))),
        "reflected_of_diffuse_light": float(surface.albedo),
        **{name: float(getattr(surface, name)) for name in ("specular", "diffuse")},
        "lobe_deg": float(surface.lobe) / deg,
    }


def _glass(sensors: PhotosensorArray) -> dict[str, dict[str, float]] | None:
    """What the faces of each sensor type reflect of the light that they do not detect; None for nothing."""
    if sensors.glass is None:
        return None
    return {
        one.name: _finish(jax.tree.map(lambda leaf, i=index: leaf[i], sensors.glass))
        for index, one in enumerate(sensors.types)
    }


def _leaves_in(module: Any, unit: float, suffix: str) -> dict[str, Any]:
    """The leaves of a volume, all lengths, by name."""
    leaves = jax.tree_util.tree_leaves_with_path(module)
    return {f"{path[-1].name}_{suffix}": (np.asarray(leaf, dtype=np.float64) / unit).tolist() for path, leaf in leaves}


def _smallest_gap(positions: np.ndarray, radii: np.ndarray) -> float:
    """The smallest distance between two faces, taken as spheres, among each sensor's nearest neighbours."""
    distance, index = KDTree(positions).query(positions, k=min(_NEIGHBOURS, len(positions)))
    gap = distance - radii[:, None] - radii[index]
    return float(gap[index != np.arange(len(positions))[:, None]].min())


def _placement(groups: list[Group]) -> dict[str, Any]:
    shifts = [np.abs(group.off_wall) for group in groups if group.off_wall is not None]
    if not shifts:
        return {"moved_onto_wall": 0, "largest_shift_mm": 0.0, "mean_shift_mm": 0.0}
    shift = np.concatenate(shifts) / mm
    return {
        "moved_onto_wall": int((shift > 0.01).sum()),
        "largest_shift_mm": float(shift.max()),
        "mean_shift_mm": float(shift.mean()),
    }


def _warnings(detector: Detector, positions: np.ndarray, radii: np.ndarray, groups: list[Group]) -> list[str]:
    warnings = []
    placement = _placement(groups)
    if placement["moved_onto_wall"]:
        warnings.append(
            f"{placement['moved_onto_wall']} sensors were moved onto the wall, by {placement['largest_shift_mm']:.1f} mm at most"
        )
    pairs, depths = overlaps(positions, radii)
    if len(pairs):
        warnings.append(f"{len(pairs)} pairs of sensors overlap, by {depths[0] / mm:.1f} mm at most (tolerated)")
    counts = _by_wall(detector.volume, np.asarray(detector.sensors.patch))
    empty = [name for name, count in counts.items() if count == 0]
    if empty:
        warnings.append(f"no sensors on: {', '.join(empty)}")
    if isinstance(detector.volume, Cylinder) and counts["top"] != counts["bottom"]:
        warnings.append(f"{counts['top']} sensors on the top, {counts['bottom']} on the bottom")
    warnings += [
        f"{one.name}: {one.source}" for one in detector.sensors.types if one.source.startswith("Approximation")
    ]
    return warnings
