"""Where points in space come to lie in a picture, and the axes around a detector. NumPy alone; lengths in metres."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

VIEW_ANGLE = 26.0
"""Degrees that a picture spans from below to above."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis in a picture, in pixels: its two `ends (2, 2)`, the ends of its `ticks (ticks, 2, 2)`, and words with the
    points where they stand; `anchor`: which part of a word stands there, "center" or its "right" end."""

    ends: Float[np.ndarray, "2 2"]
    ticks: Float[np.ndarray, "ticks 2 2"]
    words: tuple[tuple[str, Float[np.ndarray, "2"]], ...]
    anchor: Literal["center", "right"]


@dataclasses.dataclass(frozen=True)
class Camera:
    """A camera that looks along `look` at the origin from `distance` m, z upwards, on a picture of `size` (width, height)."""

    look: Float[np.ndarray, "3"]
    distance: float
    size: tuple[int, int]

    @property
    def position(self) -> Float[np.ndarray, "3"]:
        """Where it stands, in m."""
        return -self.distance * self.look

    def project(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Pixels from the left and from above of points in m."""
        right = np.cross(self.look, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        up = np.cross(right, self.look)
        offset = np.asarray(points, float) - self.position
        depth = offset @ self.look
        scale = self.size[1] / 2 / math.tan(math.radians(VIEW_ANGLE / 2))
        across, upwards = scale * (offset @ right) / depth, scale * (offset @ up) / depth
        return np.stack([self.size[0] / 2 + across, self.size[1] / 2 - upwards], axis=-1)


def camera_around(half: Float[np.ndarray, "3"], look: tuple[float, ...], size: tuple[int, int]) -> Camera:
    """A camera far enough away that a box of half sizes `half` in m, with its axes, is in the picture."""
    direction = np.asarray(look, float) / np.linalg.norm(look)
    radius = 1.06 * float(np.linalg.norm(half))
    return Camera(direction, radius / math.sin(math.radians(VIEW_ANGLE / 2)), size)


def step(half: float) -> float:
    """The distance between ticks of an axis from −half to half: 1, 2 or 5 times a power of ten, at most two ticks a side."""
    decade = 10.0 ** math.floor(math.log10(half / 2))
    return next(decade * factor for factor in (1, 2, 5, 10) if half <= 2 * decade * factor * (1 + 1e-9))


def axes_around(half: Float[np.ndarray, "3"], camera: Camera, names: Sequence[str] = "xyz") -> list[Axis]:
    """Axes in m, called `names`, along edges of the box `half`, those that stand before or beside everything."""
    side = np.where(camera.look < 0, 1.0, -1.0)  # of the box, where the onlooker stands
    low = -1.0
    # From above, the near edges of the floor are the lowest in the picture; from below, the far ones.
    front = side if camera.look[2] < 0 else -side
    corners = [np.array([side[0], -side[1], 0.0]), np.array([-side[0], side[1], 0.0])]
    left = min(corners, key=lambda corner: camera.project(corner[None] * half)[0, 0])
    places = (np.array([0.0, front[1], low]), np.array([front[0], 0.0, low]), left)
    return [_axis(axis, half, place, camera, names[axis]) for axis, place in enumerate(places)]


def _axis(axis: int, half: np.ndarray, place: np.ndarray, camera: Camera, name: str) -> Axis:
    unit, base = np.eye(3)[axis], place * half
    gap = step(float(half[axis]))
    count = math.floor(half[axis] / gap * (1 + 1e-9))
    values = gap * np.arange(-count, count + 1)
    if axis < 2:  # nothing stands at the corners, where two axes meet
        values = values[np.abs(values) < 0.93 * half[axis]]
    starts = camera.project(base + values[:, None] * unit)
    ends = camera.project(np.stack([base - half[axis] * unit, base + half[axis] * unit]))
    # Ticks and words stand across the axis as it is seen, away from the detector.
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    away = np.array([along[1], -along[0]]) * camera.size[1] / 1000
    away *= np.sign(away @ (ends.mean(axis=0) - np.array(camera.size) / 2))
    decimals = max(0, -math.floor(math.log10(gap) + 1e-9))
    texts = [f"{value:.{decimals}f}".replace("-", "−") for value in values]
    near, far, anchor = (16.0, 62.0, "right") if axis == 2 else (27.0, 74.0, "center")
    words = [(text, start + near * away) for text, start in zip(texts, starts, strict=True)]
    far += 5.0 * (len(name) - 1)  # a longer name keeps clear of the ticks
    title = (f"{name} (m)", ends.mean(axis=0) + far * away)
    return Axis(ends, np.stack([starts, starts + 9.0 * away], axis=1), (*words, title), anchor)
