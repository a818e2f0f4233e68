"""Walls and sensor faces as triangles and lines, for pictures and mesh files. NumPy throughout, lengths in mm."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from .._checks import InputError
from .base import AbstractVolume
from .box import Box
from .cylinder import Cylinder
from .mesh import MeshVolume
from .sphere import Sphere

DIVISIONS = 96
"""Corners of a full circle of the wall; a multiple of 4, so that the outermost points of the circle are among them."""

Triangles = tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]


def wall_triangles(volume: AbstractVolume) -> Triangles:
    """The wall as one closed surface: vertices, and faces whose corners turn left as seen from outside.

    **Raises** `InputError` for a volume that is none of cylinder, sphere, box and mesh.
    """
    if isinstance(volume, MeshVolume):
        return np.asarray(volume.points, float), np.asarray(volume.triangles)
    if isinstance(volume, Cylinder):
        half = float(volume.height) / 2
        rings = [(float(volume.radius), -half), (float(volume.radius), half)]
        return _revolved(rings, (-half, half))
    if isinstance(volume, Sphere):
        polar = np.linspace(0, math.pi, DIVISIONS // 2 + 1)[1:-1]
        radius = float(volume.radius)
        rings = [(radius * math.sin(angle), -radius * math.cos(angle)) for angle in polar]
        return _revolved(rings, (-radius, radius))
    if isinstance(volume, Box):
        corners = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], float)
        squares = np.array([[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]])
        return corners * np.asarray(volume.size, float) / 2, np.concatenate([squares[:, :3], squares[:, [0, 2, 3]]])
    raise InputError(
        f"no triangles of a {type(volume).__name__}", key="volume", remedy="use a cylinder, a box, a sphere or a mesh"
    )


def wall_lines(volume: AbstractVolume) -> list[Float[np.ndarray, "points 3"]]:
    """A few lines that show the wall's shape: the edges of a cylinder or box, three great circles of a sphere,
    the creases of a mesh.

    **Raises** `InputError` as `wall_triangles` does.
    """
    vertices, _ = wall_triangles(volume)
    if isinstance(volume, Cylinder):
        circle, half = _circle(float(volume.radius)), float(volume.height) / 2
        return [circle + np.array([0.0, 0.0, level]) for level in (-half, half)]
    if isinstance(volume, Sphere):
        circle = _circle(float(volume.radius))
        return [circle, circle[:, [0, 2, 1]], circle[:, [2, 0, 1]]]
    if isinstance(volume, MeshVolume):
        return list(vertices[np.asarray(volume.creases)[:, :2]])
    return [vertices[[0, 1, 3, 2, 0]], vertices[[4, 5, 7, 6, 4]], *(vertices[[i, i + 4]] for i in range(4))]


def disc_sides(count: int) -> int:
    """How many corners the disc of a sensor has where `count` are shown together: rounder where there are few."""
    return 24 if count <= 2_000 else 16 if count <= 12_000 else 12


def discs(positions: np.ndarray, normals: np.ndarray, radii: np.ndarray, sides: int) -> Triangles:
    """Flat discs as polygons of `sides` corners inside the circle of their radius; corners turn left as seen from where the
    normal points to. The centre of disc i is vertex i (sides + 1), its corners follow."""
    rims = _rims(positions, normals, radii, sides)
    vertices = np.concatenate([positions[:, None], rims], axis=1).reshape(-1, 3)
    corner = np.arange(sides)
    fan = np.stack([np.zeros(sides, int), 1 + corner, 1 + (corner + 1) % sides], axis=-1)
    first = (sides + 1) * np.arange(len(positions))
    return vertices, (first[:, None, None] + fan).reshape(-1, 3)


_TIPS = np.concatenate([np.eye(3), -np.eye(3)])
_SIDES = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])


def octahedra(positions: np.ndarray, radii: np.ndarray) -> Triangles:
    """Small bodies with six tips at `radii (n,)` from `positions (n, 3)`: marks of points that look alike from everywhere."""
    vertices = np.asarray(positions)[:, None] + np.asarray(radii)[:, None, None] * _TIPS
    first = len(_TIPS) * np.arange(len(vertices))
    return vertices.reshape(-1, 3), (first[:, None, None] + _SIDES).reshape(-1, 3)


def plates(
    positions: np.ndarray, normals: np.ndarray, radii: np.ndarray, thickness: np.ndarray, sides: int
) -> Triangles:
    """Closed bodies: the discs of `discs` with a back `thickness (n,)` mm behind them; each is watertight by itself."""
    count, corner = len(positions), np.arange(sides)
    front = _rims(positions, normals, radii, sides)
    behind = (np.asarray(normals) * thickness[:, None])[:, None]
    centres = np.asarray(positions)[:, None]
    vertices = np.concatenate([centres, front, centres - behind, front - behind], axis=1).reshape(-1, 3)
    after, back = (corner + 1) % sides, sides + 1
    zero = np.zeros(sides, int)
    faces = np.concatenate(
        [
            np.stack([zero, 1 + corner, 1 + after], axis=-1),
            np.stack([zero + back, back + 1 + after, back + 1 + corner], axis=-1),
            np.stack([1 + corner, back + 1 + corner, back + 1 + after], axis=-1),
            np.stack([1 + corner, back + 1 + after, 1 + after], axis=-1),
        ]
    )
    first = 2 * (sides + 1) * np.arange(count)
    return vertices, (first[:, None, None] + faces).reshape(-1, 3)


def tube(points: np.ndarray, radius: float, sides: int = 8) -> Triangles:
    """A closed line `(n, 3)` or an open one as a thin tube around it; points that repeat are left out."""
    points = points[np.concatenate([[True], np.linalg.norm(np.diff(points, axis=0), axis=-1) > 1e-9])]
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    rims = _rims(points, along, np.full(len(points), radius), sides)
    # Each rim is turned such that its corners follow those of the one before.
    for index in range(1, len(rims)):
        steps = [np.sum((np.roll(rims[index], shift, axis=0) - rims[index - 1]) ** 2) for shift in range(sides)]
        rims[index] = np.roll(rims[index], int(np.argmin(steps)), axis=0)
    corner = np.arange(sides)
    after = (corner + 1) % sides
    band = np.concatenate(
        [
            np.stack([corner, after, sides + after], axis=-1),
            np.stack([corner, sides + after, sides + corner], axis=-1),
        ]
    )
    first = sides * np.arange(len(points) - 1)
    return rims.reshape(-1, 3), (first[:, None, None] + band).reshape(-1, 3)


def prisms(ends: np.ndarray, radius: float) -> Triangles:
    """Straight lines `(n, 2, 3)` as thin open bodies of three sides."""
    ends = np.asarray(ends, float)
    along = ends[:, 1] - ends[:, 0]
    normals = np.repeat(along / np.linalg.norm(along, axis=-1, keepdims=True), 2, axis=0)
    rims = _rims(ends.reshape(-1, 3), normals, np.full(2 * len(ends), radius), 3)
    sides = np.array([[0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4], [2, 0, 3], [2, 3, 5]])
    return rims.reshape(-1, 3), (6 * np.arange(len(ends))[:, None, None] + sides).reshape(-1, 3)


def _rims(positions: np.ndarray, normals: np.ndarray, radii: np.ndarray, sides: int) -> np.ndarray:
    """Corners `(n, sides, 3)` of polygons across the normals, turning left as seen from their tips."""
    normals = np.asarray(normals, float)
    away = np.where(np.abs(normals[:, 2:]) < 0.9, np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0]]))
    first = np.cross(away, normals)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    second = np.cross(normals, first)
    angle = 2 * math.pi * np.arange(sides) / sides
    spokes = np.cos(angle)[:, None] * first[:, None] + np.sin(angle)[:, None] * second[:, None]
    return np.asarray(positions, float)[:, None] + np.asarray(radii, float)[:, None, None] * spokes


def _circle(radius: float) -> np.ndarray:
    """A closed circle around z, (n, 3)."""
    angle = np.linspace(0, 2 * math.pi, DIVISIONS + 1)
    return radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)


def _revolved(rings: list[tuple[float, float]], poles: tuple[float, float]) -> Triangles:
    """The surface between circles (radius, z) around z from below upwards, closed at both ends; vertices 0 and 1 are the
    poles."""
    angle = 2 * math.pi * np.arange(DIVISIONS) / DIVISIONS
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    layers = [np.column_stack([radius * circle, np.full(DIVISIONS, z)]) for radius, z in rings]
    vertices = np.concatenate([[[0.0, 0.0, poles[0]], [0.0, 0.0, poles[1]]], *layers])
    here = 2 + np.arange(DIVISIONS)
    after = 2 + (np.arange(DIVISIONS) + 1) % DIVISIONS
    faces = [np.stack([np.zeros_like(here), after, here], axis=-1)]
    for layer in range(len(rings) - 1):
        low, up = layer * DIVISIONS, (layer + 1) * DIVISIONS
        faces.append(np.stack([low + here, low + after, up + after], axis=-1))
        faces.append(np.stack([low + here, up + after, up + here], axis=-1))
    last = (len(rings) - 1) * DIVISIONS
    faces.append(np.stack([np.ones_like(here), last + here, last + after], axis=-1))
    return vertices, np.concatenate(faces)
