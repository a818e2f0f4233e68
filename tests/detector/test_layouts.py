"""Layouts keep every sensor whole on its patch, at the spacing asked for, and the audit finds what does not fit."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.detector import layouts
from studio.geometry import Box, Cylinder, Sphere
from studio.units import m, mm

TANK = Cylinder(radius=5 * m, height=9 * m)
RADIUS = 254 * mm


@pytest.mark.parametrize("spacing", [0.6 * m, 0.707 * m, 1.3 * m, 4 * m])
@pytest.mark.parametrize("caps", ["square", "hexagonal"])
def test_a_grid_fills_every_patch_with_whole_sensors(spacing, caps):
    """No face crosses an edge; one more row or ring would."""
    patch, uv = layouts.grid(TANK, spacing, RADIUS, caps=caps)
    assert layouts.overhang(TANK, patch, uv, np.full(len(patch), RADIUS)).max() <= 1e-6
    barrel = uv[patch == 0]
    rows = np.unique(barrel[:, 1]) * 4.5 * m
    np.testing.assert_allclose(np.diff(rows), spacing)
    assert rows[-1] + RADIUS <= 4.5 * m < rows[-1] + spacing / 2 + RADIUS
    columns = len(barrel) / len(rows)
    assert columns == round(2 * math.pi * 5 * m / spacing)
    cap = uv[patch == 1] * 5 * m
    assert np.hypot(*cap.T).max() + RADIUS <= 5 * m
    assert layouts.smallest_spacing(np.c_[cap, np.zeros(len(cap))]).distance == pytest.approx(spacing)
    np.testing.assert_array_equal(uv[patch == 1], uv[patch == 2])


def test_a_hexagonal_cap_packs_two_over_root_three_more_than_a_square_one():
    """Sensors a unit area: 1 / s² against 2 / (√3 s²). Counts on a disc of 60 spacings deviate by the rim, below 2 %."""
    square, hexagonal = (len(layouts.cap_grid(30.0, 0.5, 0.1, pattern)) for pattern in ("square", "hexagonal"))
    assert hexagonal / square == pytest.approx(2 / math.sqrt(3), rel=0.02)
    assert square == pytest.approx(math.pi * 29.9**2 / 0.25, rel=0.02)


def test_a_fibonacci_sphere_is_even_and_centred():
    """Every sensor has its share 4π / N of the sphere: nearest neighbours within 15 % of each other away from the poles, the
    mean vector below 1 / N."""
    count = 1000
    points = layouts.fibonacci_sphere(count)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, rtol=1e-14)
    assert np.linalg.norm(points.mean(axis=0)) < 1 / count
    assert layouts.smallest_spacing(points).distance > 0.85 * math.sqrt(4 * math.pi / count)


def test_a_box_carries_a_grid_on_each_face():
    box = Box(size=(1 * m, 2 * m, 3 * m))
    patch, uv = layouts.grid(box, 0.5 * m, 40 * mm)
    # (1 - 0.08) / 0.5 -> 2, (2 - 0.08) / 0.5 -> 4, (3 - 0.08) / 0.5 -> 6
    counts = dict(zip(box.patches, np.bincount(patch).tolist(), strict=True))
    assert counts == {"x_low": 24, "x_high": 24, "y_low": 12, "y_high": 12, "z_low": 8, "z_high": 8}
    assert layouts.overhang(box, patch, uv, np.full(len(patch), 40 * mm)).max() <= 1e-9


@pytest.mark.parametrize(
    "volume", [TANK, Sphere(radius=3 * m), Box(size=(2 * m, 3 * m, 4 * m))], ids=["cylinder", "sphere", "box"]
)
def test_positions_on_the_wall_are_found_again(volume):
    random = np.random.default_rng(5)
    patch = random.integers(0, len(volume.patches), 200)
    uv = random.uniform(-0.6, 0.6, (200, volume.chart_size))
    if volume.chart_size == 3:
        uv /= np.linalg.norm(uv, axis=-1, keepdims=True)
    wall = np.asarray(volume.surface_point(jnp.asarray(patch), jnp.asarray(uv)))
    normals = np.asarray(volume.normal(jnp.asarray(patch), jnp.asarray(uv)))
    found, off = layouts.from_positions(volume, wall - 7 * mm * normals, off_wall=8 * mm, directions=normals)
    np.testing.assert_array_equal(found.patch, patch)
    np.testing.assert_allclose(
        volume.surface_point(*map(jnp.asarray, found)), wall, atol=7.1 * mm
    )  # a slanted chart moves none along the wall
    np.testing.assert_allclose(off, 7 * mm, atol=1e-9 * m)


def test_positions_too_far_off_or_facing_out_are_named_by_index():
    points = np.array([[5, 0, 0], [0, 5.2, 1], [0, 0, 4.5]]) * m
    with pytest.raises(
        layouts.PlacementError, match="sensor 1 stands 200 mm outside the wall, 100 mm are allowed"
    ) as caught:
        layouts.from_positions(TANK, points, off_wall=0.1 * m)
    assert caught.value.index == 1
    outwards = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
    with pytest.raises(layouts.PlacementError, match="sensor 2 does not face into the volume"):
        layouts.from_positions(TANK, points, off_wall=0.3 * m, directions=outwards)
    points[0] = np.nan
    with pytest.raises(layouts.PlacementError, match="sensor 0"):
        layouts.from_positions(TANK, points, off_wall=1 * m)


def test_overlaps_and_spacing_agree_with_all_pairs():
    """The tree's answer against the O(n²) one, with radii that differ."""
    random = np.random.default_rng(9)
    positions, radii = random.uniform(0, 10, (150, 3)), random.uniform(0.1, 0.8, 150)
    distance = np.linalg.norm(positions[:, None] - positions, axis=-1)
    first, second = np.triu_indices(150, 1)
    depth = (radii[:, None] + radii - distance)[first, second]
    pairs, depths = layouts.overlaps(positions, radii)
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} == set(
        zip(first[depth > 0], second[depth > 0], strict=True)
    )
    np.testing.assert_allclose(depths, np.sort(depth[depth > 0])[::-1])
    closest = layouts.smallest_spacing(positions)
    assert closest.distance == pytest.approx(distance[first, second].min())
    assert distance[closest.first, closest.second] == closest.distance


def test_sensors_at_one_place_are_found():
    closest = layouts.smallest_spacing(np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 0]]))
    assert closest == (0.0, 0, 2)
    assert layouts.smallest_spacing(np.zeros((1, 3))).distance == math.inf


def test_layouts_that_cannot_be_are_refused():
    with pytest.raises(InputError, match=r"no sensor of radius 6000 mm fits"):
        layouts.grid(TANK, 1 * m, 6 * m)
    with pytest.raises(InputError, match="fibonacci"):
        layouts.grid(Sphere(radius=1 * m), 0.1 * m, 10 * mm)
    with pytest.raises(InputError, match="needs a sphere"):
        layouts.fibonacci(TANK, 10)
    with pytest.raises(InputError, match="square, hexagonal"):
        layouts.cap_grid(1.0, 0.1, 0.01, "triangular")
