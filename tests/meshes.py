"""Meshes for tests: triangulated cylinders and spheres of any fineness, and a room with the plan of an L."""

from __future__ import annotations

import math

import numpy as np
import trimesh

from studio import MeshVolume
from studio.units import m


def cylinder_mesh(radius: float, height: float, around: int, along: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a prism with its corners on the cylinder: 2 · around · (along + 1) triangles."""
    azimuth = 2 * math.pi * np.arange(around) / around
    circle = radius * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1)
    levels = np.linspace(-height / 2, height / 2, along + 1)
    rings = [np.column_stack([circle, np.full(around, level)]) for level in levels]
    poles = np.array([[0, 0, -height / 2], [0, 0, height / 2]])
    here, after = np.arange(around), (np.arange(around) + 1) % around
    faces = []
    for row in range(along):
        low, up = row * around, (row + 1) * around
        faces += [
            np.stack([low + here, low + after, up + after], -1),
            np.stack([low + here, up + after, up + here], -1),
        ]
    first, top = (along + 1) * around, along * around
    faces += [np.stack([np.full(around, first), after, here], -1)]
    faces += [np.stack([np.full(around, first + 1), top + here, top + after], -1)]
    return np.concatenate([*rings, poles]), np.concatenate(faces)


def sphere_mesh(radius: float, subdivisions: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of an icosahedron, divided: 20 · 4^subdivisions triangles with corners on the sphere."""
    ball = trimesh.creation.icosphere(subdivisions, radius)
    return np.asarray(ball.vertices), np.asarray(ball.faces)


L_PLAN = np.array([[-3, -3], [3, -3], [3, 0], [0, 0], [0, 3], [-3, 3]]) * m
"""Corners of the floor: 6 m × 6 m without the quarter x > 0, y > 0."""


def l_room_mesh() -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a room 3 m high on `L_PLAN`: 81 m³, 126 m², eight walls."""
    count = len(L_PLAN)
    floor = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    vertices = np.concatenate([np.column_stack([L_PLAN, np.full(count, level)]) for level in (-1.5 * m, 1.5 * m)])
    here, after = np.arange(count), (np.arange(count) + 1) % count
    sides = [np.stack([here, after, count + after], -1), np.stack([here, count + after, count + here], -1)]
    return vertices, np.concatenate([floor[:, ::-1], count + floor, *sides])


def l_room() -> MeshVolume:
    return MeshVolume(*l_room_mesh())


def in_l_room(points: np.ndarray) -> np.ndarray:
    """Whether points `(..., 3)` in mm lie in that room, from its plan."""
    x, y, z = np.moveaxis(np.asarray(points), -1, 0)
    return (np.abs(x) < 3 * m) & (np.abs(y) < 3 * m) & (np.abs(z) < 1.5 * m) & ~((x >= 0) & (y >= 0))
