"""A mesh as a volume.

- A surface that is approximated by triangles of side h with corners on it is missed by h²/8R, so errors of volume, area and
  distances fall as 1 / (number of triangles): by 4 where there are four times as many. Bands of ±15 % around 4 leave room for
  the next order, h⁴, which is 3 % at the coarsest mesh, and for the triangles' shapes.
- A box and a room of flat walls are exact: differences are sums of 1e-16 × 5 m.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Box, Cylinder, InputError, MeshVolume, Sphere, replace
from studio.geometry.triangulation import wall_triangles
from studio.units import m, mm
from tests.meshes import L_PLAN, cylinder_mesh, in_l_room, l_room, l_room_mesh, sphere_mesh
from tests.tanks import single

RADIUS, HEIGHT = 2.0 * m, 3.0 * m
SIZE = (3.0 * m, 4.0 * m, 5.0 * m)


def refined(name: str) -> list[MeshVolume]:
    """Three meshes, each with four times as many triangles as the one before."""
    if name == "sphere":
        return [MeshVolume(*sphere_mesh(RADIUS, level)) for level in (2, 3, 4)]
    return [MeshVolume(*cylinder_mesh(RADIUS, HEIGHT, 2 * n, n - 1)) for n in (12, 24, 48)]


EXACT = {"sphere": Sphere(RADIUS), "cylinder": Cylinder(RADIUS, HEIGHT)}


def rays(volume, count=4000, within=0.9, seed=5):
    generator = np.random.default_rng(seed)
    points = generator.uniform(-1, 1, (20 * count, 3)) * np.asarray(volume.half_extents)
    points = within * points[np.asarray(volume.contains(jnp.asarray(points)))][:count]
    directions = generator.normal(size=points.shape)
    return jnp.asarray(points), jnp.asarray(directions / np.linalg.norm(directions, axis=-1, keepdims=True))


def box_mesh() -> MeshVolume:
    return MeshVolume(*wall_triangles(Box(SIZE)))


@jax.jit
def distance(volume, origins, directions):
    return volume.distance_to_wall(origins, directions)


@pytest.mark.parametrize("name", EXACT)
def test_errors_fall_as_one_over_the_number_of_triangles(name):
    exact, meshes = EXACT[name], refined(name)
    origins, directions = rays(exact)
    there = np.asarray(exact.distance_to_wall(origins, directions))
    errors = {
        "volume": [1 - float(mesh.volume / exact.volume) for mesh in meshes],
        "area": [1 - float(mesh.area / exact.area) for mesh in meshes],
        "distance": [float(np.mean(there - distance(mesh, origins, directions))) / RADIUS for mesh in meshes],
        "inside": [1 - float(mesh.inner_volume(0.3 * m) / exact.inner_volume(0.3 * m)) for mesh in meshes],
    }
    for quantity, error in errors.items():
        assert max(np.abs(error)) < 0.08, quantity
        np.testing.assert_allclose(np.divide(error[:-1], error[1:]), 4, rtol=0.15, err_msg=quantity)
    assert all(mesh.convex for mesh in meshes)
    assert float(meshes[-1].longest_chord) == pytest.approx(float(exact.longest_chord), rel=1e-9)


def test_walls_are_what_meets_without_a_crease():
    assert [len(np.unique(mesh.wall)) for mesh in (refined("sphere")[0], refined("cylinder")[0], box_mesh())] == [
        1,
        3,
        6,
    ]
    assert len(np.unique(l_room().wall)) == 8
    assert not l_room().convex


def test_a_box_of_triangles_is_a_box():
    mesh, exact = box_mesh(), Box(SIZE)
    origins, directions = rays(exact, within=0.999)
    np.testing.assert_allclose(
        distance(mesh, origins, directions), exact.distance_to_wall(origins, directions), atol=1e-8
    )
    for quantity in ("volume", "area", "longest_chord", "half_extents"):
        np.testing.assert_allclose(getattr(mesh, quantity), getattr(exact, quantity), rtol=1e-12)
    for margin in (0.0, 0.5 * m, 1.4 * m, 1.6 * m, 3 * m):
        np.testing.assert_allclose(mesh.inner_volume(margin), exact.inner_volume(margin), rtol=1e-9)
    nearby = 1.2 * origins
    np.testing.assert_array_equal(mesh.contains(nearby), exact.contains(nearby))


def test_an_l_shaped_room():
    """Of a margin d of all walls 3 − 2d of the height and of the plan (6 − 2d)² − 3² are left, less 0.215 d² that would be
    round at the inner edge. `contains` against the plan, distances by marching in steps of 5 mm."""
    room = l_room()
    assert float(room.volume) == pytest.approx(81 * m**3, rel=1e-12)
    assert float(room.area) == pytest.approx(126 * m**2, rel=1e-12)
    assert float(room.inner_volume(0.5 * m)) == pytest.approx(2 * (5**2 - 3**2) * m**3, rel=1e-9)
    generator = np.random.default_rng(3)
    points = generator.uniform(-1, 1, (5000, 3)) * np.array([3.3, 3.3, 1.7]) * m
    np.testing.assert_array_equal(room.contains(jnp.asarray(points)), in_l_room(points))
    origins, directions = rays(room, 300)
    origins = np.asarray(origins)[in_l_room(origins)]
    directions = np.asarray(directions)[: len(origins)]
    steps = 5 * mm * np.arange(1900)
    inside = in_l_room(origins[:, None] + steps[:, None] * directions[:, None])
    marched = steps[np.argmin(inside, axis=1)]
    off = marched - np.asarray(distance(room, jnp.asarray(origins), jnp.asarray(directions)))
    assert (off > -1e-6).all()
    assert (off < 5 * mm + 1e-6).all()


@pytest.mark.parametrize("name", EXACT)
def test_no_ray_slips_through_in_single_precision(name):
    """Aimed at the joints: vertices, and points on edges. Every ray ends on the wall, to 1e-5 of the size: rounding of numbers of
    4 m is 2e-7 m, over the cosine on the wall, which is at least 0.1 from inside 0.9 of it."""
    mesh = refined(name)[1]
    corners = np.asarray(mesh.corners, dtype=float)
    generator = np.random.default_rng(1)
    share = generator.uniform(size=(len(corners), 1))
    targets = np.concatenate([np.asarray(mesh.vertices), share * corners[:, 0] + (1 - share) * corners[:, 1]])
    origins = np.asarray(rays(mesh, len(targets), 0.8)[0], dtype=float)
    origins = origins[generator.integers(len(origins), size=len(targets))]
    span = targets - origins
    length = np.linalg.norm(span, axis=-1)
    found = distance(single(mesh), jnp.asarray(origins, jnp.float32), jnp.asarray(span / length[:, None], jnp.float32))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, length, atol=1e-5 * 2 * RADIUS)


def test_derivatives_against_finite_differences():
    """In vertices, scale, origin and direction, along random ways; central differences of 1e-3 mm leave 1e-6 of h² and of
    rounding. Rays whose triangle changes in between are none of these."""
    mesh = l_room()
    generator = np.random.default_rng(4)
    origins, directions = rays(mesh, 40)
    patch = jnp.asarray(generator.integers(len(mesh.triangles), size=15))
    uv = jnp.asarray(generator.uniform(0.1, 0.4, (15, 2)))

    def numbers(vertices, scale, origins, directions):
        moved = replace(mesh, {"vertices": vertices, "scale": scale})
        return jnp.concatenate(
            [
                jnp.stack(
                    [moved.volume / m**2, moved.area / m, moved.longest_chord, moved.inner_volume(0.3 * m) / m**2]
                ),
                moved.distance_to_wall(origins, directions),
                moved.surface_point(patch, uv).ravel(),
                (m * moved.normal(patch, uv)).ravel(),
                moved.edge_clearance(patch, uv),
            ]
        )

    at = (mesh.vertices, mesh.scale, origins, directions)
    steps = [jnp.asarray(generator.normal(size=leaf.shape)) for leaf in at]
    ways = (steps[0], 1e-3 * steps[1], steps[2], 1e-3 * steps[3])
    h = 1e-3
    for index, way in enumerate(ways):
        tangent = [way if i == index else jnp.zeros_like(leaf) for i, leaf in enumerate(at)]
        _, slope = jax.jvp(numbers, at, tuple(tangent))
        up, down = (numbers(*(a + sign * h * t for a, t in zip(at, tangent, strict=True))) for sign in (1, -1))
        assert np.isfinite(slope).all()
        np.testing.assert_allclose(slope, (up - down) / (2 * h), rtol=1e-5, atol=1e-5, err_msg=str(index))
    gradient = jax.grad(lambda v: jnp.sum(replace(mesh, {"vertices": v}).distance_to_wall(origins, directions)))
    assert np.isfinite(gradient(mesh.vertices)).all()


def test_the_chart_finds_the_nearest_point():
    """Points put a little off known places come back to them; far ones are nearer to no other of many points on the wall."""
    mesh = l_room()
    generator = np.random.default_rng(6)
    patch = generator.integers(len(mesh.triangles), size=200)
    uv = generator.uniform(0.05, 0.45, (200, 2))
    places = np.asarray(mesh.surface_point(jnp.asarray(patch), jnp.asarray(uv)))
    normals = np.asarray(mesh.normal(jnp.asarray(patch), jnp.asarray(uv)))
    off = generator.uniform(-40, 40, 200)
    found_patch, found_uv, found_off = mesh.chart(places - off[:, None] * normals)
    np.testing.assert_array_equal(found_patch, patch)
    np.testing.assert_allclose(found_uv, uv, atol=1e-12)
    np.testing.assert_allclose(found_off, off, atol=1e-9)
    points = generator.uniform(-5, 5, (50, 3)) * m
    distances = np.abs(mesh.chart(points)[2])
    many = generator.uniform(0, 1, (40_000, 2))
    many = jnp.asarray(np.where(many.sum(axis=1, keepdims=True) > 1, 1 - many, many))
    cloud = np.asarray(mesh.surface_point(jnp.asarray(generator.integers(20, size=40_000)), many))
    nearest = np.min(np.linalg.norm(points[:, None] - cloud, axis=-1), axis=1)
    assert (distances <= nearest + 1e-9).all()
    # 2000 points on a triangle of up to 18 m² are 0.1 m apart; two rows of them leave 0.3 m at most.
    assert (nearest - distances < 0.3 * m).all()


def test_clearance_is_the_distance_to_the_creases_of_the_own_wall():
    room = l_room()
    triangle = next(i for i, corners in enumerate(np.asarray(room.corners)) if np.all(corners[:, 2] == -1.5 * m))
    # On the floor, the distance to the plan's edge; the joints between its triangles are no edges.
    generator = np.random.default_rng(2)
    uv = generator.uniform(0.02, 0.48, (30, 2))
    patch = jnp.full(30, triangle)
    places = np.asarray(room.surface_point(patch, jnp.asarray(uv)))[:, :2]
    share = np.linspace(0, 1, 2001)[:, None]
    ends = zip(L_PLAN, np.roll(L_PLAN, -1, axis=0), strict=True)
    edge = np.concatenate([(1 - share) * first + share * last for first, last in ends])
    expected = np.min(np.linalg.norm(places[:, None] - edge, axis=-1), axis=1)
    np.testing.assert_allclose(room.edge_clearance(patch, jnp.asarray(uv)), expected, atol=1.0)  # points 3 mm apart
    beyond = room.edge_clearance(jnp.array([triangle]), jnp.array([[-0.01, 0.5]]))
    assert beyond[0] < 0
    ball = refined("sphere")[0]
    assert np.isinf(ball.edge_clearance(jnp.array([3]), jnp.array([[0.2, 0.2]]))[0])


def test_a_mesh_turned_inside_out_is_turned_back():
    vertices, triangles = l_room_mesh()
    assert float(MeshVolume(vertices, triangles[:, ::-1]).volume) == pytest.approx(81 * m**3)


def test_scale_makes_it_larger():
    larger = replace(l_room(), {"scale": 2.0})
    assert float(larger.volume) == pytest.approx(8 * 81 * m**3)
    assert float(larger.inner_volume(1.0 * m)) == pytest.approx(8 * 32 * m**3)


def flipped(vertices, triangles):
    return vertices, np.concatenate([triangles[:1, ::-1], triangles[1:]])


def flat(vertices, triangles):
    """A vertex brought onto a neighbour."""
    vertices = vertices.copy()
    vertices[1] = vertices[0]
    return vertices, triangles


def twice(vertices, triangles):
    return np.concatenate([vertices, vertices + 20 * m]), np.concatenate([triangles, triangles + len(vertices)])


def pushed(vertices, triangles):
    """The edge at the inner corner pushed through the opposite walls."""
    vertices = vertices.copy()
    vertices[[3, 9], :2] = -5 * m
    return vertices, triangles


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            lambda v, t: (v, t[:-1]),
            "volume.triangles: the mesh: not closed: 3 edges have only one triangle.*fill the holes",
        ),
        (lambda v, t: (v, np.concatenate([t, t[:1]])), "3 edges do not have exactly two triangles"),
        (flipped, "neighbouring triangles turn different ways at 3 edges"),
        (flat, "volume.triangles.*a triangle without area.*merge vertices"),
        (twice, "2 separate bodies"),
        (pushed, "two of its triangles cross each other"),
        (lambda v, t: (v * [1, 1, 0] + [0, 0, 5], t), "a triangle without area"),
        (lambda v, t: (v, t + 1), "volume.triangles.*no such vertex.*from 0 to 11"),
        (lambda v, t: (np.where(v == v[2], np.nan, v), t), "volume.vertices.*not finite"),
        (lambda v, t: (v[:, :2], t), "volume.vertices.*shape.*at least four points"),
        (lambda v, t: (v, t.astype(float)), "volume.triangles.*three whole numbers"),
    ],
)
def test_broken_meshes_are_refused(broken, message):
    with pytest.raises(InputError, match=message):
        MeshVolume(*broken(*l_room_mesh()))


def test_traced_vertices_and_wrong_scales_are_refused():
    vertices, triangles = l_room_mesh()
    with pytest.raises(InputError, match="traced vertices.*studio.replace"):
        jax.grad(lambda v: MeshVolume(v, triangles).volume)(jnp.asarray(vertices))
    with pytest.raises(InputError, match="volume.scale.*positive"):
        MeshVolume(vertices, triangles, 0.0)


def test_lines_of_sight_in_the_room():
    """Around the corner none, along a wall and into the own arm all; a convex volume does not look."""
    room = l_room()
    origin = jnp.array([[2.0, -1.0, 0.0]]) * m
    targets = jnp.array([[-1.0, 2.99, 0.0], [-2.9, -2.0, 1.0], [-0.5, 2.9, 0.0], [-2.99, 2.0, 0.0]]) * m
    # From (2, −1) the corner (0, 0) is passed along y = −x/2, which meets x = −1 at 0.5 and x = −2.99 at 1.495.
    seen = room.visible(jnp.broadcast_to(origin, (4, 3)), targets, jnp.full(4, 1.0))
    np.testing.assert_array_equal(seen, [False, True, False, False])
    assert np.asarray(box_mesh().visible(jnp.zeros((2, 3)), 100 * m * jnp.ones((2, 3)), jnp.zeros(2))).all()


def test_half_the_sky():
    """The winding number jumps by one on the wall: points 0.01 mm on either side."""
    mesh = refined("sphere")[1]
    corners = np.asarray(mesh.corners).mean(axis=1)
    outwards = corners / np.linalg.norm(corners, axis=-1, keepdims=True)
    assert np.asarray(mesh.contains(jnp.asarray(corners - 0.01 * outwards))).all()
    assert not np.asarray(mesh.contains(jnp.asarray(corners + 0.01 * outwards))).any()
    assert math.isclose(float(mesh.half_extents[2]), RADIUS, rel_tol=1e-9)


def test_rays_cross_the_wall_where_the_distance_says():
    # patch and chart coordinates of the crossing give back origin + distance × direction, within rounding of 5 m
    volume = refined("sphere")[0]
    generator = np.random.default_rng(3)
    origins = jnp.asarray(generator.uniform(-900.0, 900.0, (200, 3)))
    ways = generator.normal(size=(200, 3))
    directions = jnp.asarray(ways / np.linalg.norm(ways, axis=1, keepdims=True))
    patch, uv = volume.crossing(origins, directions)
    there = origins + volume.distance_to_wall(origins, directions)[:, None] * directions
    assert np.allclose(volume.surface_point(patch, uv), there, atol=1e-8)
    assert np.all(np.asarray(uv) >= -1e-9)
    assert np.all(np.sum(np.asarray(uv), axis=1) <= 1 + 1e-9)
    assert np.isclose(np.sum(volume.patch_areas), volume.area, rtol=1e-12)
