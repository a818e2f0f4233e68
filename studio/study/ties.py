"""Layouts that keep a symmetry: sensors as images of a few free ones under rotations about z and mirrors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from .._checks import InputError
from ..design import Tied
from ..design.transforms import AbstractBound, Rowwise
from ..detector import Detector
from ..geometry import Cylinder, Sphere
from ..geometry.cylinder import BARREL

_AXES = {"x": 0, "y": 1, "z": 2}


def symmetric(
    detector: Detector, bound: AbstractBound, rotations: int, mirrors: Sequence[str], tolerance: float, key: str
) -> Tied:
    """The bound of `sensors.uv` for a layout that keeps its symmetry under rotations by 360°/`rotations` about z and under
    the `mirrors`, each named by the axis that changes its sign.

    `bound`: what the sensors may do without it. Sensors within `tolerance` (mm) of the image of another one are
    moved there. One that is its own image, on a mirror, stays on it. **Raises** `InputError` naming the first sensor without
    an image of its own type, and for volumes other than cylinders and spheres.
    """
    group = _group(rotations, mirrors)
    positions, kind = np.asarray(detector.placed.positions), np.asarray(detector.sensors.kind)
    images = np.stack([_image(positions, kind, element, tolerance, key) for element in group])
    count = len(positions)
    pairs = coo_array((np.ones(images.size), (np.tile(np.arange(count), len(group)), images.ravel())), (count, count))
    orbit = connected_components(pairs, directed=False)[1]
    free = np.unique(orbit, return_index=True)[1]
    uv, patch = np.asarray(detector.sensors.uv), np.asarray(detector.sensors.patch)
    actions = [_action(detector, element) for element in group]
    columns = uv.shape[1]
    matrix, offset = np.zeros((count, columns, columns)), np.zeros((count, columns))
    for leader in free:
        on_caps = int(patch[leader] != BARREL) if isinstance(detector.volume, Cylinder) else 0
        maps = [action[on_caps] for action in actions]
        shifts = [_unwound(m, b, uv[leader], uv[image]) for (m, b), image in zip(maps, images[:, leader], strict=True)]
        still = np.flatnonzero(images[:, leader] == leader)
        held = np.mean([maps[i][0] for i in still], axis=0), np.mean([shifts[i] for i in still], axis=0)
        for index, image in enumerate(images[:, leader]):
            turn = maps[index][0]
            matrix[image], offset[image] = turn @ held[0], turn @ held[1] + shifts[index]
    slack = tolerance / _shortest_unit(detector) + 1e-9
    of_free = Rowwise(bound.bounds, bound.which[free]) if isinstance(bound, Rowwise) else bound
    return Tied(of_free, free, orbit, matrix, offset, slack)


def _group(rotations: int, mirrors: Sequence[str]) -> list[Float[np.ndarray, "3 3"]]:
    """All products of the rotations and the mirrors, each once, the unit matrix first."""
    found: list[np.ndarray] = []
    for turn, *signs in itertools.product(range(rotations), *([1.0, -1.0] for _ in mirrors)):
        angle, flip = 2 * math.pi * turn / rotations, np.ones(3)
        for axis, sign in zip(mirrors, signs, strict=True):
            flip[_AXES[axis]] *= sign
        cosine, sine = math.cos(angle), math.sin(angle)
        element = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ np.diag(flip)
        if not any(np.allclose(element, other) for other in found):
            found.append(element)
    return found


def _image(positions: np.ndarray, kind: np.ndarray, element: np.ndarray, tolerance: float, key: str) -> np.ndarray:
    """For every sensor the one where it is mapped to."""
    distance, image = (np.asarray(found) for found in KDTree(positions).query(positions @ element.T))
    wrong = (distance > tolerance) | (kind[image] != kind)
    if np.any(wrong) or np.unique(image).size < image.size:
        worst = int(np.argmax(np.where(wrong, distance, -1.0)))
        problem = (
            f"the layout has no such symmetry: the image of sensor {worst} is {distance[worst]:.3g} mm from any other"
        )
        remedy = "lower `rotations`, leave a mirror out, or raise `tolerance`"
        raise InputError(problem, key=key, remedy=remedy)
    return image


Action = tuple[np.ndarray, np.ndarray]  # uv -> matrix @ uv + offset


def _action(detector: Detector, element: np.ndarray) -> tuple[Action, ...]:
    """What a symmetry does to chart coordinates: on the barrel and on the caps of a cylinder, or on a sphere."""
    if isinstance(detector.volume, Sphere):
        return ((element, np.zeros(3)),)
    if isinstance(detector.volume, Cylinder):
        plane, flip = element[:2, :2], element[2, 2]
        sense = float(np.round(np.linalg.det(plane)))
        turned = math.atan2(plane[1, 0], plane[0, 0])
        return (np.diag([sense, flip]), np.array([turned, 0.0])), (plane, np.zeros(2))
    name = type(detector.volume).__name__
    raise InputError(f"no symmetries are known for a {name}", key="free.sensors.uv", remedy="leave `symmetry` out")


def _unwound(matrix: np.ndarray, offset: np.ndarray, source: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The offset with whole turns added, so that the source goes where the image's own coordinates say."""
    if len(offset) != 2:
        return offset
    turns = np.round((image[0] - (matrix @ source + offset)[0]) / (2 * math.pi))
    return offset + np.array([2 * math.pi * turns, 0.0])


def _shortest_unit(detector: Detector) -> float:
    """mm per unit of the chart coordinate that is the finest."""
    volume = detector.volume
    if isinstance(volume, Cylinder):
        return min(float(volume.radius), float(volume.height) / 2)
    return float(volume.longest_chord) / 2
