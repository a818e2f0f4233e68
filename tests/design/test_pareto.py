"""Fronts against analytic ones, hypervolumes against hand-computed boxes and a Monte Carlo, errors against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, StudioError
from studio.design import (
    AbstractReducer,
    AtLeast,
    AtMost,
    PopulationObjective,
    hypervolume,
    non_dominated,
    pareto_front,
    trace_counts,
)
from studio.design.pareto.measure import Measure

A, B = np.array([0.0, 0.0, 0.0]), np.array([2.0, 1.0, 2.0])  # 3 apart
START = {"x": np.array([4.0, -3.0, 5.0])}


def from_a(tree):
    return jnp.sum((tree["x"] - A) ** 2)


def from_b(tree):
    return 100 * jnp.sum((tree["x"] - B) ** 2)


# ---- hypervolume and dominance -----------------------------------------------------------------------------------------


def test_hypervolume_of_boxes_by_hand():
    # Two boxes 3 × 1 and 1 × 2 that share 1 × 1.
    assert hypervolume([[1, 3], [3, 2]], [4, 4]) == pytest.approx(3 * 1 + 1 * 2 - 1 * 1)
    assert hypervolume([[1, 3], [3, 2], [3.5, 3.5], [5, 0], [1, 3]], [4, 4]) == pytest.approx(4)
    # Boxes 1 × 2 × 3 and 2 × 1 × 1 from the corner: 6 + 2 - 1.
    assert hypervolume([[3, 2, 1], [2, 3, 3]], [4, 4, 4]) == pytest.approx(7)
    assert hypervolume(np.empty((0, 3)), [1, 1, 1]) == 0
    assert hypervolume([[1, 1]], [1, 2]) == 0


@pytest.mark.parametrize("size", [2, 3])
def test_hypervolume_against_a_monte_carlo(size):
    generator = np.random.default_rng(size)
    points = generator.uniform(size=(12, size))
    samples = generator.uniform(size=(100_000, size))
    covered = np.any(np.all(points[:, None] <= samples[None], axis=-1), axis=0)
    # four standard errors of the counted fraction
    assert hypervolume(points, np.ones(size)) == pytest.approx(
        covered.mean(), abs=4 * covered.std() / np.sqrt(len(samples))
    )


def test_dominance_is_its_definition():
    points = np.random.default_rng(0).integers(0, 5, size=(40, 3)).astype(float)
    kept = non_dominated(points)
    for index, point in enumerate(points):
        others = [o for other, o in enumerate(points) if other != index]
        dominated = any(np.all(o <= point) and np.any(o < point) for o in others)
        repeated = any(np.array_equal(point, o) for o in points[:index])
        assert kept[index] == (not dominated and not repeated)
    assert not np.all(kept)


@pytest.mark.parametrize("wrong", [np.ones((2, 4)), np.ones(3), [[np.nan, 1.0]]])
def test_hypervolume_of_something_else_is_refused(wrong):
    with pytest.raises(InputError, match="hypervolume"):
        hypervolume(wrong, np.full(np.shape(wrong)[-1], 2.0))


# ---- fronts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["chebyshev", "epsilon"])
def test_two_paraboloids_of_different_size(method):
    """The front of |x - a|² and 100 |x - b|² is the way from a to b: √f₁ + √(f₂ / 100) = |a - b| = 3."""
    front = pareto_front(START, ["x"], {"a": from_a, "b": from_b}, points=7, method=method)
    assert len(front.points) == 7
    assert (front.dominated, front.infeasible) == ((), ())
    roots = np.sqrt(front.values / [1, 100])
    # Values are within 1e-5 of the optimum (relative violations of 1e-6); at an end, √ makes 3e-3 of that.
    np.testing.assert_allclose(roots.sum(axis=1), 3.0, atol=5e-3)
    np.testing.assert_allclose(roots[1:-1].sum(axis=1), 3.0, atol=1e-4)
    if method == "epsilon":
        # the augmentation of 1e-3 moves the ends by 1e-3 of the way, the nadir by 2e-3
        np.testing.assert_allclose(front.values[1:-1, 1], np.arange(5, 0, -1) / 6 * 900, rtol=3e-3)
    else:
        shares = front.values / [9, 900]
        # the augmentation of 1e-3 turns directions by as much
        np.testing.assert_allclose((shares / shares.sum(axis=1, keepdims=True))[:, 0], np.arange(7) / 6, atol=3e-3)
    assert list(front.ideal.values()) == pytest.approx([0, 0], abs=1e-6)
    assert list(front.nadir.values()) == pytest.approx([9, 900], rel=5e-3)
    assert all(point.objectives["a"] == pytest.approx(float(from_a(point.tree))) for point in front.points)


def test_first_order_optimisers_find_it_too():
    optimiser = {"kind": "adam", "learning_rate": 0.1}
    front = pareto_front(START, ["x"], {"a": from_a, "b": from_b}, points=4, optimiser=optimiser, steps=150)
    # Adam's last steps are 1e-3 natural units of 4 long.
    np.testing.assert_allclose(np.sqrt(front.values / [1, 100]).sum(axis=1), 3.0, atol=2e-2)


@pytest.mark.parametrize("method", ["chebyshev", "epsilon"])
def test_one_compilation_for_all_points(method):
    def traces(points):
        before = sum(trace_counts().values())
        # functions of their own, so that nothing is found from earlier
        objectives = {"a": lambda tree: from_a(tree), "b": lambda tree: from_b(tree)}
        budget = AtMost(lambda tree: tree["x"][0], 1.5, "budget")
        found = pareto_front(START, ["x"], objectives, [budget], points=points, method=method, steps=20)
        assert len(found.points) + len(found.dominated) == points
        return sum(trace_counts().values()) - before

    traces(3)  # what depends on the shape of the design space alone is compiled for the first front of a process
    assert traces(4) == traces(9) > 0


def test_constraints_bind_and_are_audited_as_they_were_given():
    # x₀ at most 1: the front ends where b is reached as far as that.
    budget = AtMost(lambda tree: tree["x"][0], 1.0, "budget", "mm")
    front = pareto_front(START, {"x": (-9.0, 9.0)}, {"a": from_a, "b": from_b}, budget, points=5)
    assert len(front.points) == 5
    assert front.values[:, 1].min() == pytest.approx(100, rel=1e-2)
    for point in front.points:
        assert [row.name for row in point.audit.rows] == ["budget", "bound of x"]
        assert point.audit.feasible
        assert float(point.tree["x"][0]) <= 1.0 + 1e-3


def test_without_a_feasible_design_nothing_is_reported_but_why():
    low, high = AtMost(lambda t: t["x"][0], -1.0, "low"), AtLeast(lambda t: t["x"][0], 1.0, "high")
    front = pareto_front(START, ["x"], {"a": from_a, "b": from_b}, [low, high])
    assert front.points == ()
    assert front.values.shape == (0, 2)
    assert len(front.infeasible) == 2
    for point in front.infeasible:
        assert point.tree is None
        assert not point.audit.feasible
        assert "'low' and 'high' cannot be satisfied together" in point.status.reason


def hill(tree):
    return tree["x"]


def valleys(tree):
    return 1 - tree["x"] + 0.15 * jnp.sin(6 * jnp.pi * tree["x"]) ** 2


CURVE = np.linspace(0, 1, 10_001)
CURVE = np.stack([CURVE, 1 - CURVE + 0.15 * np.sin(6 * np.pi * CURVE) ** 2], axis=1)


def test_local_minima():
    """f₁ = x, f₂ = 1 - x + 0.15 sin²(6πx) on [0, 1]: hills of the curve are not on the front, and stop a descent from x = 0.97.

    With four starts every point found is on the front: none of 10,000 designs is better than it. With one start some are not,
    but every point is the best of all of them for its own direction, and those that others dominate are counted.
    """
    problem = {"x": 0.97}, {"x": (0.0, 1.0)}, {"one": hill, "two": valleys}
    many = pareto_front(*problem, points=5, starts=4)
    assert len(many.points) == 5
    for value in many.values:
        # 1e-4: values at the solution are exact to relative violations of 1e-6, and the curve is that fine
        assert not np.any(np.all(value - 1e-4 > CURVE, axis=1))
    one = pareto_front(*problem, points=13)
    for point in one.points:
        levels = point.scalarization.levels
        own = levels.merit(list(point.objectives.values()))
        assert (
            own <= min(levels.merit(value) for value in one.values) + 1e-4
        )  # the gain from which on one is solved again
    assert len(one.points) + len(one.dominated) == 13
    assert one.dominated
    for value in one.dominated_values:
        assert np.any(np.all(one.values <= value, axis=1))


# ---- populations -------------------------------------------------------------------------------------------------------

EVENTS = np.random.default_rng(1).normal(size=(50, 3))


class LogMean(AbstractReducer):
    def __call__(self, summaries):
        return jnp.log(jnp.mean(summaries))


def widths(tree, event):
    return jnp.exp(0.3 * event) * (1 + jnp.sum((tree["x"] - A) ** 2))


def test_errors_are_those_of_the_events():
    """Mean logarithm: s / √N of the logarithms, exactly. Logarithm of a mean: s / (√N mean) up to 1 / N."""
    objectives = {
        "cost": from_b,
        "resolution": PopulationObjective(widths, "a", size=3, columns=(1,)),
        "spread": PopulationObjective(widths, "b", size=3, columns=(0,), reducer=LogMean()),
    }
    measure = Measure.of(objectives, EVENTS, chunk=7)
    values, errors = measure.with_errors({"x": A})
    logs, plain = 0.3 * EVENTS[:, 1], np.exp(0.3 * EVENTS[:, 0])
    np.testing.assert_allclose(values, [900, logs.mean(), np.log(plain.mean())], rtol=1e-12)
    np.testing.assert_allclose(errors[:2], [0, logs.std(ddof=1) / np.sqrt(50)], rtol=1e-9)
    assert errors[2] == pytest.approx(plain.std(ddof=1) / plain.mean() / np.sqrt(50), rel=1 / 50)
    assert np.isnan(Measure.of(objectives, EVENTS[:1], None).with_errors({"x": A})[1][1])


def test_a_population_against_a_cost():
    """Mean log of (1 + |x|²) e^(0.3 n): at the front's design the population adds its mean to log(1 + |x|²)."""
    calls = []

    def counted(tree, event):
        calls.append(1)
        return widths(tree, event)

    objectives = {
        "cost": from_b,
        "resolution": PopulationObjective(counted, "a", size=3, columns=(1,)),
        "other": PopulationObjective(counted, "b", size=3, columns=(2,)),
    }
    Measure.of(objectives, EVENTS, None).with_errors(START)
    assert len(calls) == 1  # two objectives share one trace of the summary
    two = {name: objectives[name] for name in ("cost", "resolution")}
    front = pareto_front(START, ["x"], two, points=4, events=EVENTS, gradient_check=False)
    shift = 0.3 * EVENTS[:, 1].mean()
    way = np.sqrt(np.expm1(front.values[:, 1] - shift)) + np.sqrt(front.values[:, 0] / 100)
    np.testing.assert_allclose(way, 3.0, atol=5e-3)  # as for the paraboloids
    np.testing.assert_allclose(front.errors[:, 1], 0.3 * EVENTS[:, 1].std(ddof=1) / np.sqrt(50), rtol=1e-6)
    np.testing.assert_array_equal(front.errors[:, 0], 0.0)
    assert front.hypervolume({"resolution": 3.0, "cost": 900.0}) == front.hypervolume([900.0, 3.0]) > 0


# ---- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "epsillon"}, "method: no such method.*Did you mean 'epsilon'"),
        ({"points": 1}, "points: must be a whole number of at least 2"),
        ({"objectives": {"a": from_a}}, "objectives: a front needs objectives to trade"),
        ({"objectives": {"a": from_a, "b": 3.0}}, "objectives.b: not an objective"),
        ({"events": lambda key: EVENTS}, "events: events that are drawn anew"),
        ({"free": ["y"]}, "y: no such path"),
    ],
)
def test_bad_input_is_named(change, words):
    arguments = {"free": ["x"], "objectives": {"a": from_a, "b": from_b}, **change}
    with pytest.raises(InputError, match=words):
        pareto_front(START, **arguments)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda tree: jax.lax.stop_gradient(from_a(tree)), "objective two: .*x"),
        (lambda tree: from_a(tree) / 0.0 * 0.0, "objective two: .*nan"),
    ],
)
def test_a_wrong_gradient_names_its_objective(bad, words):
    with pytest.raises(StudioError, match=words):
        pareto_front(START, ["x"], {"one": from_a, "two": bad})
