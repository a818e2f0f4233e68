"""Constraints: violations in physical units, and an audit that is independent of the optimisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, StudioError
from studio.design import AtLeast, AtMost, DesignSpace, Equal, MinimumSpacing, audit, push_apart
from studio.design.constraints import as_constraints, nearest_pairs


def total(tree):
    return jnp.sum(tree["x"])


@pytest.mark.parametrize(
    ("constraint", "violation", "margin"),
    [
        (AtMost(total, 5.0, "budget", "m"), 1.0, -1.0),
        (AtMost(total, 8.0, "budget", "m"), -2.0, 2.0),
        (AtLeast(total, 8.0, "budget", "m"), 2.0, -2.0),
        (AtLeast(total, 5.0, "budget", "m"), -1.0, 1.0),
        (Equal(total, 5.0, "budget", "m"), 1.0, -1.0),
    ],
)
def test_violation_and_margin(constraint, violation, margin):
    tree = {"x": np.array([1.0, 2.0, 3.0])}
    np.testing.assert_allclose(constraint.violation(tree), [violation])
    row = constraint.audit(tree)
    assert (row.name, row.unit, row.value, row.margin) == ("budget", "m", 6.0, margin)
    assert row.satisfied == (violation <= 0)


def test_the_audit_allows_a_thousandth_of_the_limit_and_not_more():
    for excess, satisfied in ((0.9e-3, True), (1.1e-3, False)):
        tree = {"x": np.array([5.0 * (1 + excess)])}
        assert AtMost(total, 5.0).audit(tree).satisfied is satisfied
        assert Equal(total, 5.0).audit(tree).satisfied is satisfied


def test_the_audit_table_names_what_is_broken_and_its_bounds():
    tree = {"x": np.array([1.0, 2.0])}
    space = DesignSpace.of(tree, {"x": (0, 4)})
    report = audit({"x": np.array([1.0, 5.0])}, [AtMost(total, 4.0, "budget", "m"), AtLeast(total, 1.0, "size")], space)
    assert not report.feasible
    assert report.violated == ("budget", "bound of x")
    assert "budget" in str(report)
    assert "NO" in str(report)
    assert report.as_dicts()[0]["margin"] == -2.0
    assert audit({"x": np.array([np.nan])}, [AtMost(total, 4.0)]).feasible is False


def test_callables_become_constraints_with_names():
    def budget(tree):
        return total(tree) - 3.0

    names = [constraint.name for constraint in as_constraints([budget, lambda tree: total(tree), budget])]
    assert names == ["budget", "constraint 2", "constraint 3"]
    with pytest.raises(InputError, match="not a constraint"):
        as_constraints(["budget"])
    with pytest.raises(InputError, match="share a name"):
        as_constraints([AtMost(total, 1.0, "a"), AtMost(total, 2.0, "a")])
    with pytest.raises(InputError, match="limit must be finite"):
        AtMost(total, float("inf"))


def sphere_points(count, seed=0):
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return 1000.0 * points / np.linalg.norm(points, axis=1, keepdims=True)


def test_listed_pairs_are_exact_and_hold_every_pair_that_is_close():
    points = sphere_points(200)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    pairs = nearest_pairs(points, 8)
    listed = {(i, j) for i, j in pairs.tolist() if i != j}
    limit = 100.0  # about three neighbours on the mean: no point has more than eight
    close = {(i, j) for i, j in zip(*np.nonzero(distances < limit), strict=True) if i < j}
    assert close
    assert close <= listed
    spacing = MinimumSpacing(lambda tree: tree["p"], limit)
    rows = np.asarray(spacing.violation({"p": points}, pairs))
    expected = [limit - distances[i, j] if i != j else -limit for i, j in pairs]
    np.testing.assert_allclose(rows, expected, rtol=1e-12, atol=1e-9)


def test_the_number_of_rows_depends_on_the_number_of_points_alone():
    crowd = np.vstack([sphere_points(150), np.random.default_rng(1).normal(size=(50, 3))])
    assert nearest_pairs(sphere_points(200), 8).shape == nearest_pairs(crowd, 8).shape == (1000, 2)
    assert nearest_pairs(np.zeros((1, 3)), 8).shape == (1, 2)
    assert nearest_pairs(np.zeros((3, 3)), 8).shape == (3, 2)


def test_the_derivative_of_coincident_points_is_zero_and_not_nan():
    points = np.zeros((3, 3))
    points[2] = [500.0, 0, 0]
    spacing = MinimumSpacing(lambda tree: tree["p"], 100.0)
    gradient = jax.grad(lambda p: jnp.sum(spacing.violation({"p": p}, nearest_pairs(points, 2)) ** 2))(
        jnp.asarray(points)
    )
    assert np.all(np.isfinite(gradient))
    assert float(np.max(spacing.violation({"p": points}))) == 100.0


def test_multipliers_follow_their_pair():
    spacing = MinimumSpacing(lambda tree: tree["p"], 100.0)
    before = np.array([[0, 1], [0, 4], [2, 3], [0, 0]], dtype=np.int32)
    after = np.array([[0, 2], [0, 4], [2, 3], [3, 4]], dtype=np.int32)
    carried = spacing.transfer(np.array([1.0, 2.0, 3.0, 9.0]), before, after)
    np.testing.assert_array_equal(carried, [0.0, 2.0, 3.0, 0.0])


def test_the_spacing_audit_sees_all_pairs():
    points = sphere_points(300)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1) + np.diag(np.full(300, np.inf))
    row = MinimumSpacing(lambda tree: tree["p"], 100.0).audit({"p": points})
    np.testing.assert_allclose(row.value, distances.min(), rtol=1e-12)
    assert not row.satisfied
    assert f"{int(np.sum(distances < 99.9)) // 2} pairs too close" in row.detail
    i, j = np.unravel_index(np.argmin(distances), distances.shape)
    assert f"points {min(i, j)} and {max(i, j)}" in row.detail


def test_pushing_apart_reaches_the_spacing_on_the_surface():
    def onto(points):
        return 1000.0 * points / np.linalg.norm(points, axis=1, keepdims=True)

    start = sphere_points(150)
    start[1] = start[0]  # coincident
    # A sphere of radius R holds 150 caps of this spacing with a quarter of its area: far from the densest packing.
    moved = push_apart(start, 140.0, onto)
    row = MinimumSpacing(lambda tree: tree["p"], 140.0).audit({"p": moved}, tolerance=0.0)
    assert row.satisfied
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1000.0)
    with pytest.raises(StudioError, match="no layout with a spacing of 400"):
        push_apart(start, 400.0, onto, sweeps=20)


def test_eleven_thousand_points_are_listed_and_audited():
    points = sphere_points(11000)
    spacing = MinimumSpacing(lambda tree: tree["p"], 10.0)
    pairs = spacing.prepare({"p": points})
    assert pairs.shape == (55000, 2)  # linear in the number of points
    # A pair that is too close is the first or second neighbour of its point here, so all are listed.
    worst = float(np.max(spacing.violation({"p": points}, pairs)))
    np.testing.assert_allclose(10.0 - worst, spacing.audit({"p": points}).value, rtol=1e-9)
