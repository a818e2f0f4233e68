"""A layout of equal spacing with the sensors of a given detector: what a person would build who knows nothing of the events."""

from __future__ import annotations

import math
from collections.abc import Mapping

import equinox as eqx
import numpy as np

from .._checks import InputError
from ..detector import AbstractTPC, Detector, PhotosensorArray
from ..detector.layouts import fibonacci_sphere
from ..geometry import AbstractVolume, Box, Cylinder, Sphere

_GOLDEN = (math.sqrt(5) - 1) / 2


def uniform_layout(detector: Detector | AbstractTPC, counts: Mapping[int, int] | None = None) -> Detector:
    """The same detector with sensors of the same types and sizes spread evenly over each patch.

    `counts`: how many stand on a patch, by its index; by default as many as there are places get their share by area on every
    patch that bears sensors. They stand on a Fibonacci lattice there (González, Math. Geosci.
    42 (2010) 49; on a disc the sunflower of Vogel, Math. Biosci. 44 (1979) 179), which exists for any number of them. Their
    faces stay within the edges of the patch; several types alternate.

    **Raises** `InputError` for a volume that is no cylinder, sphere or box, and for a chamber, which has no sensors to spread.
    """
    if not isinstance(detector, Detector):
        raise InputError("has no photosensors to spread", key="sensors", remedy="name an optical detector")
    volume, sensors = detector.volume, detector.sensors
    areas = _areas(volume)
    if counts is None:
        bearing = np.unique(np.asarray(sensors.patch))
        counts = dict(zip(bearing.tolist(), shares(areas[bearing], sensors.count).tolist(), strict=True))
    radius = float(np.max(np.asarray(sensors.radius)))
    places = [_places(volume, patch, count, radius) for patch, count in counts.items()]
    order = _models(np.asarray(sensors.kind), sum(counts.values()))
    array = PhotosensorArray(
        np.concatenate(places).astype(np.asarray(sensors.uv).dtype),
        np.repeat(list(counts), list(counts.values())),
        sensors.types,
        np.asarray(sensors.kind)[order],
        np.asarray(sensors.radius)[order],
        sensors.efficiency,
        glass=sensors.glass,
    )
    return eqx.tree_at(lambda changed: changed.sensors, detector, array)


def _areas(volume: AbstractVolume) -> np.ndarray:
    """The area of each patch in mm², in the order of `volume.patches`."""
    if isinstance(volume, Sphere):
        return np.array([4 * math.pi * float(volume.radius) ** 2])
    if isinstance(volume, Cylinder):
        radius, height = float(volume.radius), float(volume.height)
        return np.array([2 * math.pi * radius * height, math.pi * radius**2, math.pi * radius**2])
    if isinstance(volume, Box):
        return np.array([math.prod(_face(volume, patch)) for patch in range(len(volume.patches))])
    problem = f"no layout of equal spacing is known for a {type(volume).__name__}"
    raise InputError(problem, key="volume", remedy="use a cylinder, a sphere or a box")


def _face(volume: Box, patch: int) -> tuple[float, float]:
    """The two sides of a face in mm, in the order of its chart."""
    axis, size = "xyz".index(volume.patches[patch][0]), np.asarray(volume.size, dtype=float)
    return float(size[(axis + 1) % 3]), float(size[(axis + 2) % 3])


def shares(sizes: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers that add up to `count`, nearest to the proportions of `sizes`; the largest remainders are rounded up."""
    exact = count * sizes / sizes.sum()
    found = np.floor(exact).astype(int)
    found[np.argsort(found - exact, kind="stable")[: count - found.sum()]] += 1
    return found


def _places(volume: AbstractVolume, patch: int, count: int, radius: float) -> np.ndarray:
    """Chart coordinates `(count, chart)` of a Fibonacci lattice on a patch, faces of `radius` within its edges."""
    step = np.arange(count)
    level = (2 * step + 1) / max(count, 1) - 1
    if isinstance(volume, Cylinder) and volume.patches[patch] == "barrel":
        azimuth = np.mod(2 * math.pi * _GOLDEN * step, 2 * math.pi) - math.pi
        return np.stack([azimuth, (1 - 2 * radius / float(volume.height)) * level], axis=-1)
    if isinstance(volume, Cylinder):
        rho = (1 - radius / float(volume.radius)) * np.sqrt((step + 0.5) / max(count, 1))
        azimuth = 2 * math.pi * _GOLDEN * step
        return rho[:, None] * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1)
    if isinstance(volume, Box):
        points = np.stack([2 * np.mod(_GOLDEN * (step + 0.5), 1.0) - 1, level], axis=-1)
        return points * (1 - 2 * radius / np.array(_face(volume, patch)))
    return fibonacci_sphere(count)


def _models(kind: np.ndarray, count: int) -> np.ndarray:
    """Which of the sensors each of `count` new ones is a copy of: every stretch holds the kinds in their overall proportion."""
    kinds, present = np.unique(kind, return_counts=True)
    numbers = shares(present, count)
    place = np.concatenate([(np.arange(number) + 0.5) / max(number, 1) for number in numbers])
    models = [np.resize(np.flatnonzero(kind == one), number) for one, number in zip(kinds, numbers, strict=True)]
    return np.concatenate(models)[np.argsort(place, kind="stable")]
