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


@pytest.mark.parametrize("spacing", [0.05, 0.2, 0.517])
def test_rings_keep_their_spacing_and_leave_no_gap(spacing):
    """On a unit sphere: neighbours at least the chord of an arc of `spacing` apart, and no point of the wall farther than
    √(1/2) × 1.5 spacings from a sensor: rings and sensors are less than 1.5 spacings apart where more than one fits."""
    points = layouts.sphere_rings(1.0, spacing)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, rtol=1e-14)
    assert layouts.smallest_spacing(points).distance >= 2 * math.sin(spacing / 2) * (1 - 1e-12)
    anywhere = np.random.default_rng(4).standard_normal((2000, 3))
    anywhere /= np.linalg.norm(anywhere, axis=-1, keepdims=True)
    nearest = np.arccos(np.clip(anywhere @ points.T, -1, 1)).min(axis=1)
    assert nearest.max() < math.sqrt(0.5) * 1.5 * spacing


def test_rings_come_near_one_sensor_a_square_of_the_spacing():
    """4πR² / s² from below: each of the π R / s rings rounds down, by half a sensor of the mean 4R / s: s / 8R, here 0.3 %, and
    the number of rings by at most s / πR."""
    radius, spacing = 19.43 * m, 0.517 * m
    count = len(layouts.sphere_rings(radius, spacing)) / (4 * math.pi * radius**2 / spacing**2)
    assert 1 - 0.0033 - spacing / (math.pi * radius) < count < 1


def test_a_sphere_smaller_than_the_spacing_carries_one_sensor_a_ring():
    np.testing.assert_allclose(layouts.sphere_rings(1.0, 5.0), [[-1, 0, 0]], atol=1e-15)


TILE = np.array([[True, False, False, False], [False, False, True, False], [True, True, True, False]])


@pytest.mark.parametrize("volume", [TANK, Box(size=(3 * m, 4 * m, 5 * m))], ids=["cylinder", "box"])
@pytest.mark.parametrize("tile", [TILE, TILE[:2], TILE[:, :3]], ids=["odd rows", "even rows", "odd columns"])
def test_tiles_that_complete_each_other_share_a_grid(volume, tile):
    """Each place of the full grid belongs to exactly one of two complementary tiles."""
    full = layouts.grid(volume, 0.706 * m, RADIUS, tile=np.ones_like(tile))
    parts = [layouts.grid(volume, 0.706 * m, RADIUS, tile=one) for one in (tile, ~tile)]
    joined = np.concatenate([np.c_[part.patch, part.uv] for part in parts])
    whole = np.c_[full.patch, full.uv]
    assert len(joined) == len(whole)
    np.testing.assert_array_equal(joined[np.lexsort(joined.T)], whole[np.lexsort(whole.T)])
    share = len(parts[0].patch) / len(whole)
    assert share == pytest.approx(tile.mean(), abs=0.1)  # rims of faces with some 20 places


@pytest.mark.parametrize("volume", [TANK, Box(size=(3 * m, 4 * m, 5 * m))], ids=["cylinder", "box"])
@pytest.mark.parametrize("rows", [2, 3])
def test_the_grid_of_a_tile_does_not_depend_on_the_size_of_sensors(volume, rows):
    """The places of larger sensors are among those of smaller ones, of which more fit at the edges."""
    tile = np.arange(rows)[:, None] != np.zeros((1, 2))
    small, large = (layouts.grid(volume, 0.706 * m, radius, tile=tile) for radius in (40 * mm, 300 * mm))
    places = [{tuple(np.round(row, 9)) for row in np.c_[one.patch, one.uv]} for one in (small, large)]
    assert places[1] < places[0]


def test_a_chessboard_on_the_barrel_and_the_cells_it_leaves_free():
    """The middle is between two rows; (row, column) counts from there, and a tile of four rows twice that of two is the same."""
    black = np.array([[False, True], [True, False]])
    once, twice = (layouts.barrel_grid(5 * m, 9 * m, 0.7 * m, RADIUS, tile) for tile in (black, np.tile(black, (2, 1))))
    np.testing.assert_array_equal(once, twice)
    rows = np.unique(once[:, 1]) * 4.5 * m / (0.7 * m)
    np.testing.assert_allclose(rows, np.arange(-5.5, 6))  # 5.5 × 0.7 m + 0.254 m fits into 4.5 m, 6.5 does not


def test_a_tile_closes_around_the_barrel():
    """2π × 5 m / 0.7 m = 44.9 columns: 44 with a tile of four, so that the pattern has no seam."""
    tile = np.array([[True, False, False, False]])
    barrel = layouts.barrel_grid(5 * m, 9 * m, 0.7 * m, RADIUS, tile)
    rows, counts = np.unique(barrel[:, 1], return_counts=True)
    assert len(rows) == 13
    assert set(counts) == {11}
    azimuth = np.sort(barrel[barrel[:, 1] == rows[0], 0])
    np.testing.assert_allclose(np.diff(np.append(azimuth, azimuth[0] + 2 * math.pi)), 2 * math.pi / 11)


def test_the_middle_of_a_cap_is_the_first_place_of_the_tile():
    first = np.array([[True, False], [False, False]])
    cap = layouts.cap_grid(5.0, 1.0, 0.1, "square", first)
    assert [0.0, 0.0] in cap.tolist()
    np.testing.assert_allclose(np.mod(cap * 5 + 1e-9, 2), 0, atol=1e-6)


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
    with pytest.raises(InputError, match="needs a sphere"):
        layouts.rings(TANK, 1 * m)
    with pytest.raises(InputError, match="square, hexagonal"):
        layouts.cap_grid(1.0, 0.1, 0.01, "triangular")
