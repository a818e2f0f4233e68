"""Triangles of walls and sensors: closed, outwards, of the right size.

- A polygon of n corners inside a circle has (n / 2π) sin(2π / n) of its area: 1 − 7.1e-4 for 96, 0.9886 for 24.
- By the divergence theorem a closed surface encloses Σ a · (b × c) / 6 over its triangles, positive where they face outwards.
- A closed surface has every edge twice, once in each direction.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from studio import Box, Cylinder, InputError, Sphere
from studio.geometry import AbstractVolume
from studio.geometry.triangulation import DIVISIONS, disc_sides, discs, plates, tube, wall_lines, wall_triangles
from studio.units import m

VOLUMES = {"cylinder": Cylinder(2.0 * m, 5.0 * m), "box": Box((3.0 * m, 4.0 * m, 5.0 * m)), "sphere": Sphere(3.0 * m)}
FLAT = DIVISIONS / (2 * math.pi) * math.sin(2 * math.pi / DIVISIONS)
# A sphere's surface is flattened in both directions: twice the loss of a circle, and half of it again by meridians.
LOSS = {"cylinder": 1 - FLAT, "box": 0.0, "sphere": 2.5 * (1 - FLAT)}


def corners(vertices, faces):
    return (vertices[faces[:, index]] for index in range(3))


def enclosed(vertices, faces) -> float:
    a, b, c = corners(vertices, faces)
    return float(np.sum(a * np.cross(b, c)) / 6)


def area(vertices, faces) -> float:
    a, b, c = corners(vertices, faces)
    return float(np.sum(np.linalg.norm(np.cross(b - a, c - a), axis=-1)) / 2)


def is_closed(faces) -> bool:
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there = {tuple(edge) for edge in edges.tolist()}
    return len(there) == len(edges) and there == {(b, a) for a, b in there}


def scattered(count=7):
    generator = np.random.default_rng(2)
    normals = generator.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[0], normals[1] = [0, 0, 1], [0, 0, -1]  # where a helper direction along z would fail
    return generator.uniform(-5e3, 5e3, (count, 3)), normals, generator.uniform(40.0, 250.0, count)


@pytest.mark.parametrize("name", VOLUMES)
def test_walls_are_closed_and_as_large_as_the_volume(name):
    vertices, faces = wall_triangles(VOLUMES[name])
    assert is_closed(faces)
    assert enclosed(vertices, faces) == pytest.approx(float(VOLUMES[name].volume), rel=1.01 * LOSS[name] + 1e-12)
    assert area(vertices, faces) == pytest.approx(float(VOLUMES[name].area), rel=1.01 * LOSS[name] + 1e-12)
    outermost = {"cylinder": [2.0, 2.0, 2.5], "box": [1.5, 2.0, 2.5], "sphere": [3.0, 3.0, 3.0]}[name]
    np.testing.assert_allclose(np.abs(vertices).max(axis=0) / m, outermost, rtol=1e-12)


@pytest.mark.parametrize("name", VOLUMES)
def test_lines_lie_on_the_wall(name):
    lines = wall_lines(VOLUMES[name])
    assert len(lines) == {"cylinder": 2, "box": 6, "sphere": 3}[name]
    _, _, off = VOLUMES[name].chart(np.concatenate(lines))
    np.testing.assert_allclose(off, 0.0, atol=1e-8)  # mm; sums of 1e-16 × 5 m


def test_a_volume_of_another_kind_is_refused():
    egg = type("Egg", (AbstractVolume,), dict.fromkeys(AbstractVolume.__abstractmethods__))
    with pytest.raises(InputError, match="no triangles of a Egg.*use a cylinder, a box, a sphere or a mesh"):
        wall_triangles(egg())


@pytest.mark.parametrize("sides", [12, 24])
def test_discs_have_place_size_and_direction_of_the_sensors(sides):
    positions, normals, radii = scattered()
    vertices, faces = discs(positions, normals, radii, sides)
    rows = vertices.reshape(len(radii), sides + 1, 3)
    np.testing.assert_allclose(rows[:, 0], positions)
    np.testing.assert_allclose(
        np.linalg.norm(rows[:, 1:] - positions[:, None], axis=-1), radii[:, None] + np.zeros(sides)
    )
    a, b, c = corners(vertices, faces)
    across = np.cross(b - a, c - a)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    np.testing.assert_allclose(across, np.repeat(normals, sides, axis=0), atol=1e-9)
    shape = sides / (2 * math.pi) * math.sin(2 * math.pi / sides)
    assert area(vertices, faces) == pytest.approx(shape * math.pi * np.sum(radii**2))


def test_plates_are_closed_bodies_behind_their_faces():
    positions, normals, radii = scattered()
    vertices, faces = plates(positions, normals, radii, 0.1 * radii, 24)
    assert is_closed(faces)
    shape = 24 / (2 * math.pi) * math.sin(2 * math.pi / 24)
    assert enclosed(vertices, faces) == pytest.approx(shape * math.pi * np.sum(0.1 * radii**3))
    rows = vertices.reshape(len(radii), -1, 3)
    depth = np.einsum("npi,ni->np", rows - positions[:, None], normals)
    np.testing.assert_allclose(depth.max(axis=1), 0.0, atol=1e-9)  # the front is where the sensor's face is
    np.testing.assert_allclose(depth.min(axis=1), -0.1 * radii)


def test_a_tube_has_its_line_inside_and_its_own_width():
    angle = np.linspace(0, 2 * np.pi, 181)
    line = 1e3 * np.stack([np.cos(angle), np.sin(angle), 0.3 * np.sin(2 * angle)], axis=-1)
    vertices, faces = tube(np.concatenate([line, line[-1:]]), 8.0)  # with a point that repeats
    rims = vertices.reshape(-1, 8, 3)
    np.testing.assert_allclose(rims.mean(axis=1), line, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(rims - line[:, None], axis=-1), 8.0)
    # Not twisted: a prism of 8 sides around a line of this length has 16 r sin(π/8) of area a length, to 2 % in the bends.
    length = np.sum(np.linalg.norm(np.diff(line, axis=0), axis=-1))
    assert area(vertices, faces) == pytest.approx(16 * 8.0 * math.sin(math.pi / 8) * length, rel=0.02)


def test_many_sensors_are_drawn_with_fewer_corners():
    assert disc_sides(300) > disc_sides(11_000) > disc_sides(40_000) >= 12
