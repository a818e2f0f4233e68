"""Regions that points keep out of: distances against geometry, derivatives against differences, and ways out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Cylinder, InputError
from studio.design import (
    AtMost,
    BallRegion,
    Bodies,
    BoxRegion,
    Disc,
    KeepOut,
    PipeRegion,
    audit,
    optimise,
    trace_counts,
)

BALL = BallRegion((1.0, 2.0, 3.0), 0.5)
PIPE = PipeRegion((0.0, 1.0, 0.0), (1.0, 1.0, 0.0), 0.4)
BOX = BoxRegion((0.0, 0.0, 1.0), (2.0, 1.0, 0.6))


def bodies(tree):
    return Bodies(tree["p"], tree.get("r", 0.0))


def on_a_table(tree):
    """Points of the plane z = 0, with the normal that holds them there."""
    flat = tree["xy"]
    up = jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), (len(flat), 3))
    return Bodies(jnp.pad(flat, ((0, 0), (0, 1))), tree.get("r", 0.0), up)


def nearest_of_the_box(points, count=41):
    """The distance to the surface of BOX by brute force over a fine grid of surface points."""
    axes = [np.linspace(-s / 2, s / 2, count) for s in BOX.sizes]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    surface = grid[np.any(np.isclose(np.abs(grid), np.asarray(BOX.sizes) / 2), axis=1)] + BOX.centre
    return np.linalg.norm(points[:, None] - surface[None], axis=-1).min(axis=1)


def test_distances_by_hand():
    points = jnp.array([[1.0, 2.0, 4.0], [1.0, 2.0, 3.0], [1.3, 2.0, 3.0]])
    np.testing.assert_allclose(BALL.distance(points), [0.5, -0.5, -0.2], atol=1e-15)
    # Along the diagonal nothing changes; (5, 4, 0) lies √2 / 2 · |5 - 4 + 1| from the axis.
    points = jnp.array([[0.0, 1.0, 0.0], [7.0, 8.0, 1.4], [5.0, 4.0, 0.0]])
    np.testing.assert_allclose(PIPE.distance(points), [-0.4, 1.0, np.sqrt(2) - 0.4], atol=1e-14)
    points = jnp.array([[0.0, 0.0, 1.0], [0.9, 0.0, 1.0], [4.0, 4.5, 1.0], [0.0, 0.0, 2.0]])
    np.testing.assert_allclose(BOX.distance(points), [-0.3, -0.1, 5.0, 0.7], atol=1e-15)


def test_the_distance_to_a_box_against_its_surface_point_by_point():
    points = np.asarray(BOX.centre) + np.random.default_rng(0).uniform(-1.2, 1.2, (200, 3))
    inside = np.all(np.abs(points - BOX.centre) < np.asarray(BOX.sizes) / 2, axis=1)
    assert 10 < inside.sum() < 100
    found = np.asarray(BOX.distance(jnp.asarray(points)))
    expected = np.where(inside, -1, 1) * nearest_of_the_box(points)
    # The grid is 0.05 wide: it lies at most 0.04 beside the nearest point, so 0.04²/2d too far away, for d > 0.01 at most 0.03.
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert np.all((found < 0) == inside)


@pytest.mark.parametrize("region", [BALL, PIPE, BOX], ids=lambda region: type(region).__name__)
@pytest.mark.parametrize("held", [False, True])
def test_derivatives_against_central_differences(region, held):
    points = jnp.asarray(np.random.default_rng(1).uniform(-1.0, 3.0, (60, 3)))
    points = points.at[:10].set(jnp.asarray(BOX.centre) + 0.2 * (points[:10] - 1.0))  # some inside
    normals = points / jnp.linalg.norm(points, axis=1, keepdims=True)

    def total(p):
        return jnp.sum(region.distance(p, normals if held else None) * jnp.cos(jnp.arange(60.0)))

    gradient, step = np.asarray(jax.grad(total)(points)), 1e-6
    each = step * np.eye(180).reshape(180, 60, 3)
    differences = np.asarray(
        jax.vmap(lambda d: (total(points + d) - total(points - d)) / (2 * step))(jnp.asarray(each))
    )
    # Rounding 1e-15 of a sum of size 100 over a step of 2e-6; second derivatives do not count in central differences.
    np.testing.assert_allclose(gradient.ravel(), differences, atol=1e-6)


@pytest.mark.parametrize("region", [BALL, PIPE, BOX], ids=lambda region: type(region).__name__)
def test_the_very_middle_and_corners_have_a_finite_derivative_that_leads_out(region):
    middle = jnp.asarray(region.through if isinstance(region, PipeRegion) else region.centre)[None]
    gradient = np.asarray(jax.jacobian(region.distance)(middle))[0, 0]
    assert np.all(np.isfinite(gradient))
    assert 0.3 < np.linalg.norm(gradient) <= 1 + 1e-12  # of a tie between faces, the mean
    step = 0.1 * region.size * gradient / np.linalg.norm(gradient)
    assert float(region.distance(middle + step)[0]) > float(region.distance(middle)[0])
    corner = jnp.asarray(BOX.centre)[None] + jnp.asarray(BOX.sizes) / 2
    assert np.all(np.isfinite(jax.jacobian(BOX.distance)(corner)))


def test_along_a_surface_the_way_out_is_the_one_that_can_be_gone():
    flat = BoxRegion((0.0, 0.0, 0.0), (2.0, 4.0, 0.2))
    points = jnp.array([[0.4, 0.3, 0.0]])
    assert float(flat.distance(points)[0]) == pytest.approx(-0.1)  # straight up
    up = jnp.array([[0.0, 0.0, 1.0]])
    assert float(flat.distance(points, up)[0]) == pytest.approx(-0.6)  # to x = 1
    # On a slope of 45° about the y axis the face x = 1 is √2 as far, and so is the upper one.
    slope = jnp.array([[np.sqrt(0.5), 0.0, np.sqrt(0.5)]])
    assert float(flat.distance(points, slope)[0]) == pytest.approx(-0.1 * np.sqrt(2))


def test_rows_and_audit_in_physical_units():
    tree = {"p": jnp.array([[1.0, 2.0, 4.0], [1.0, 2.0, 3.4], [9.0, 9.0, 9.0]]), "r": jnp.array([0.1, 0.1, 0.1])}
    keep = KeepOut(bodies, [BALL, PipeRegion((9.0, 9.0, 0.0), (0, 0, 1), 2.0)], clearance=0.2, unit="m")
    rows = np.asarray(keep.violation(tree))
    np.testing.assert_allclose(rows[:3], [0.2 - 0.4, 0.2 + 0.2, 0.2 - (np.sqrt(8**2 + 7**2 + 6**2) - 0.6)])
    row = keep.audit(tree)
    assert (row.name, row.unit, row.limit, row.satisfied) == ("keep_out", "m", 0.2, False)
    assert row.value == pytest.approx(-2.1)  # the third body, of radius 0.1, on the axis of the pipe
    assert row.margin == pytest.approx(-2.3)
    assert row.detail == "body 2 at region 1; 2 bodies too near"
    away = {**tree, "p": tree["p"] + 30.0}
    assert keep.audit(away).satisfied
    assert not keep.audit({**tree, "p": tree["p"] * jnp.nan}).satisfied


def test_the_audit_allows_a_thousandth_of_the_region_and_not_more():
    keep = KeepOut(bodies, [BALL], clearance=0.5)
    for missing, satisfied in ((0.9e-3, True), (1.1e-3, False)):
        tree = {"p": jnp.array([[1.0, 2.0, 3.0 + 1.0 - missing]])}
        assert keep.audit(tree).satisfied is satisfied


def spread(tree):
    """What moves nothing by itself: the points want to stay where they were."""
    return jnp.sum((tree["xy"] - START) ** 2)


HOLE = BallRegion((0.0, 0.0, 0.0), 1.0)
START = np.array([[0.0, 0.0], [0.3, 0.1], [-0.5, 0.6], [2.0, 2.0], [-3.0, 0.5]])


@pytest.mark.parametrize("optimiser", ["lbfgs", {"kind": "adam", "learning_rate": 0.02}])
@pytest.mark.parametrize(
    ("region", "nearest"),
    [
        # The centre has no nearest way, all are as long: 1.1² for the first, and for each other one what it lacks.
        (HOLE, 1.1**2 + (1.1 - np.sqrt(0.1)) ** 2 + (1.1 - np.sqrt(0.61)) ** 2),
        # A shallow box: up would be 0.1 away, but the points stay in the plane; half sizes 1 and 2, and the radius 0.1.
        (BoxRegion((0.0, 0.0, 0.0), (2.0, 4.0, 0.2)), 1.1**2 + 0.8**2 + 0.6**2),
        (
            PipeRegion((0.0, 0.0, 5.0), (0.0, 0.0, 1.0), 1.0),
            1.1**2 + (1.1 - np.sqrt(0.1)) ** 2 + (1.1 - np.sqrt(0.61)) ** 2,
        ),
    ],
    ids=["ball", "box", "pipe"],
)
def test_who_starts_inside_gets_out_by_the_shortest_way(optimiser, region, nearest):
    start = {"xy": START, "r": np.full(5, 0.1)}
    keep = KeepOut(on_a_table, [region])
    assert not audit(start, [keep]).feasible
    result = optimise(start, ["xy"], spread, [keep], optimiser=optimiser, steps=150)
    assert result.audit.feasible
    assert result.audit.rows[0].value >= -1e-4  # 1e-4 of the region's size: ten times below what the audit allows
    assert all(record.best is None or record.best >= nearest * (1 - 1e-3) for record in result.history)
    # The first design already is the nearest one: no detour from the very centre either.
    assert result.history[0].objective == pytest.approx(nearest, rel=2e-3)
    assert result.objective == pytest.approx(nearest, rel=2e-3)
    np.testing.assert_allclose(result.tree["xy"][3:], START[3:], atol=1e-3)  # who stood outside stays


def test_a_saddle_off_the_surface_is_left():
    """A point straight above the centre of a ball: along the surface no way out is shorter, so the derivative is zero."""
    region = BallRegion((0.0, 0.0, -0.5), 1.0)
    start = {"xy": np.zeros((1, 2))}
    keep = KeepOut(on_a_table, [region])
    assert not np.any(jax.grad(lambda xy: jnp.sum(keep.violation({"xy": xy})))(jnp.asarray(start["xy"])))
    result = optimise(start, ["xy"], lambda tree: jnp.sum(tree["xy"] ** 2), [keep], optimiser="lbfgs", steps=50)
    assert result.audit.feasible
    assert result.objective == pytest.approx(0.75, rel=1e-3)  # the section is a disc of radius √(1 - 0.25)


def test_sensors_on_the_wall_of_a_tank_leave_a_manhole_and_a_beam_pipe():
    """Exactly on both axes, and as crowded as MinimumSpacing would not have it: all get out, faces and all."""
    volume = Cylinder(2000.0, 4000.0)
    patch = jnp.array([1, 1, 1, 0, 0, 0])
    uv = np.array([[0.0, 0.0], [0.05, 0.0], [0.0, -0.1], [0.0, 0.0], [0.01, 0.02], [np.pi, 0.0]])

    def faces(tree):
        return Bodies(volume.surface_point(patch, tree["uv"]), 170.0, volume.normal(patch, tree["uv"]))

    hatch = BoxRegion((0.0, 0.0, 2000.0), (1000.0, 600.0, 100.0))
    beam = PipeRegion((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), 300.0)
    keep = KeepOut(faces, [hatch, beam], clearance=50.0)
    result = optimise({"uv": uv}, ["uv"], lambda tree: jnp.sum((tree["uv"] - uv) ** 2), [keep], steps=60)
    assert result.audit.feasible
    assert result.tree is not None
    x, y, z = np.asarray(faces(result.tree).positions).T
    top = slice(0, 3)
    outside = np.maximum(np.abs(x[top]) - 500.0, 0.0), np.maximum(np.abs(y[top]) - 300.0, 0.0)
    assert np.all(np.hypot(*outside) >= 220.0 - 0.01)
    assert np.all(np.hypot(y[3:], z[3:]) >= 520.0 - 0.01)


def test_what_contradicts_is_named():
    keep = KeepOut(on_a_table, [HOLE])
    near = AtMost(lambda tree: jnp.sum(tree["xy"] ** 2), 0.5, "near")
    large = AtMost(lambda tree: jnp.sum(tree["xy"] ** 2), 50.0, "large")
    start = {"xy": np.array([[0.3, 0.2]])}
    result = optimise(start, ["xy"], lambda tree: jnp.sum(tree["xy"]), [large, keep, near])
    assert result.status.name == "infeasible"
    assert "the constraints 'keep_out' and 'near' cannot be satisfied together" in result.status.reason
    assert "large" not in result.status.reason
    # Alone against its bounds: a disc of radius 0.9 leaves no room outside a ball of radius 1.
    result = optimise(start, {"xy": Disc(0.9)}, lambda tree: jnp.sum(tree["xy"]), [keep])
    assert "the constraint 'keep_out' cannot be satisfied within the bounds" in result.status.reason
    assert result.tree is None


def test_one_compilation_for_all_designs():
    keep = KeepOut(bodies, [BALL, PIPE, BOX])
    before = trace_counts().get("keep_out", 0)
    for seed in range(3):
        keep.audit({"p": jnp.asarray(np.random.default_rng(seed).normal(size=(7, 3)))})
    assert trace_counts()["keep_out"] == before + 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: BallRegion((0, 0), 1.0), "centre: not three finite numbers"),
        (lambda: BallRegion((0, 0, 0), 0.0), "radius: must be positive"),
        (lambda: PipeRegion((0, 0, 0), (0, 0, 0), 1.0), "along: a direction of length zero"),
        (lambda: BoxRegion((0, 0, 0), (1, 1, -1)), "sizes: must be positive"),
        (lambda: KeepOut(bodies, []), "keep_out.regions: no regions"),
        (lambda: KeepOut(bodies, [BALL], clearance=-1.0), "keep_out.clearance: must be zero or positive"),
    ],
)
def test_bad_input_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
