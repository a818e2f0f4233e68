"""Searches without gradients: known optima, the budget, feasibility, the seed.

- Rosenbrock in 5 dimensions: minimum 0 at (1, …, 1).
- |x|² in n dimensions with Σx ≥ 1: minimum 1/n at x = 1/n, by Lagrange's multiplier.
- Four points that are to cover the corners of a square at (0.2, 0.8)²: one on each.
"""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, StudioError
from studio.design import Evaluation, Free, MinimumSpacing, UnitVector, black_box, greedy, random_designs

CORNERS = np.array([[0.2, 0.2], [0.8, 0.2], [0.2, 0.8], [0.8, 0.8]])
SEARCHES = (black_box, greedy, random_designs)


def rosenbrock(tree):
    x = tree["x"]
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def square(tree):
    return jnp.sum(tree["x"] ** 2)


def uncovered(tree):
    """The smooth squared distance of each corner to its nearest point, summed: 0 with a point on each, but for e⁻⁷."""
    distance = jnp.sum((tree["points"][:, None] - CORNERS) ** 2, axis=-1)
    return -0.05 * jnp.sum(jax.nn.logsumexp(-distance / 0.05, axis=0))


class Counted:
    """An objective that keeps every design it was asked for; the values are NumPy's, so there is no gradient to take."""

    def __init__(self, function):
        self.function, self.designs, self.sizes = function, [], []

    def __call__(self, wanted):
        assert all(step == 0 for _, step in wanted)
        self.sizes.append(len(wanted))
        self.designs += [tree for tree, _ in wanted]
        return [Evaluation(self.function(tree), {}, {"value": self.function(tree)}) for tree, _ in wanted]


def test_cma_es_finds_the_valley_of_rosenbrock():
    solution = black_box({"x": np.full(5, -1.0)}, {"x": Free(scale=1.0)}, rosenbrock, evaluations=3000, seed=1)
    assert solution.objective < 1e-8
    np.testing.assert_allclose(solution.tree["x"], 1.0, atol=1e-4)  # the square root of 1e-8, flat along the valley
    assert solution.evaluations <= 3000


def test_cma_es_ends_by_itself_and_says_so():
    solution = black_box({"x": np.full(3, 2.0)}, {"x": Free(scale=1.0)}, square, evaluations=5000, seed=2)
    assert solution.status.name == "converged"
    assert "tolfun" in solution.status.reason
    assert solution.evaluations < 5000
    assert solution.objective < 1e-10


@pytest.mark.parametrize("diagonal", [False, True])
def test_cma_es_stops_where_the_constraint_stops_it(diagonal):
    constraint = [lambda tree: 1 - jnp.sum(tree["x"])]
    start = {"x": np.array([2.0, 1.0, 0.0])}
    solution = black_box(start, {"x": Free(scale=1.0)}, square, constraint, evaluations=600, seed=3, diagonal=diagonal)
    assert solution.audit.feasible
    # 1 % of the value: far below the 5 of the start; a random walk of 600 steps along the plane stays above it.
    assert 1 / 3 <= solution.objective * (1 + 1e-3) < 1 / 3 * 1.01


def test_separable_cma_es_learns_scales_in_many_dimensions():
    """Σ s x² in 50 dimensions, s from 1 to 1,000, with 1,500 evaluations: less than the 2 n² = 5,000 that a full covariance
    takes to be learned, so variances alone come several times further. Two, as the claim is about the order."""
    scales = np.logspace(0, 3, 50)
    counted = Counted(lambda tree: float(np.sum(scales * np.asarray(tree["x"]) ** 2)))
    found = {
        diagonal: black_box(
            {"x": np.ones(50)},
            {"x": Free(scale=1.0)},
            evaluate_many=counted,
            evaluations=1500,
            seed=4,
            diagonal=diagonal,
        ).objective
        for diagonal in (None, False)
    }
    assert found[None] < 0.5 * found[False] < 0.5 * scales.sum()


def test_greedy_covers_the_corners_and_random_does_worse():
    begun = {"points": 0.4 + 0.1 * np.arange(8.0).reshape(4, 2) / 8}
    apart = MinimumSpacing(lambda tree: tree["points"], 0.05)
    found = {
        search: search(begun, {"points": (0.0, 1.0)}, uncovered, apart, evaluations=600, seed=1)
        for search in (greedy, random_designs)
    }
    for solution in found.values():
        assert solution.audit.feasible
        assert solution.objective < solution.objective_start
    # 150 places a point: the best of them lies 1 / √(150 π) = 0.046 from its corner on average, 4 · 0.046² = 0.009 in all.
    assert found[greedy].objective < 0.02
    assert found[greedy].objective < found[random_designs].objective
    points = np.asarray(found[greedy].tree["points"])
    nearest = np.argmin(np.linalg.norm(points[:, None] - CORNERS, axis=-1), axis=1)
    assert sorted(nearest) == [0, 1, 2, 3]


def test_greedy_moves_one_row_at_a_time():
    counted = Counted(lambda tree: float(jnp.sum(tree["points"] ** 2) + tree["height"] ** 2))
    begun = {"points": np.full((3, 2), 0.9), "height": np.asarray(0.5), "held": np.ones(4)}
    solution = greedy(
        begun,
        {"points": (0.0, 1.0), "height": (0.0, 1.0), "held": Free(where=np.arange(4) < 1)},
        evaluate_many=counted,
        evaluations=1 + 5 * 4,
        candidates=4,
        seed=6,
    )
    assert counted.sizes == [1, 4, 4, 4, 4, 4]  # three points, a number, and the one row that is not held
    assert np.all(np.asarray([tree["held"] for tree in counted.designs])[:, 1:] == 1.0)
    here = counted.designs[0]
    for first in range(1, 21, 4):
        tried = counted.designs[first : first + 4]
        for tree in tried:
            changed = [
                np.ravel(np.any(np.atleast_2d(np.asarray(tree[n]).T != np.asarray(here[n]).T), axis=0)) for n in here
            ]
            assert sum(int(rows.sum()) for rows in changed) == 1
        here = min([here, *tried], key=counted.function)
    assert counted.function(solution.tree) == counted.function(here)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("evaluations", [1, 2, 33])
def test_the_budget_is_kept_exactly(search, evaluations):
    counted = Counted(lambda tree: float(jnp.sum(tree["x"] ** 2)))
    solution = search({"x": np.array([0.4, 0.3])}, {"x": (-1.0, 1.0)}, evaluate_many=counted, evaluations=evaluations)
    assert len(counted.designs) == sum(counted.sizes) == solution.evaluations == evaluations
    assert [record.evaluations for record in solution.history] == list(np.cumsum(counted.sizes))
    assert solution.status.name == "steps_completed"
    best = [record.best for record in solution.history]
    assert best == list(np.minimum.accumulate(best))
    assert solution.objective == best[-1] == min(map(counted.function, counted.designs))


@pytest.mark.parametrize("search", SEARCHES)
def test_the_same_seed_gives_the_same_and_the_state_of_numpy_is_left_alone(search):
    def found(seed):
        return np.asarray(
            search({"x": np.full(4, 0.5)}, {"x": (-1.0, 1.0)}, square, evaluations=30, seed=seed).tree["x"]
        )

    np.random.seed(7)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    first = found(8)
    assert np.random.random() == expected  # noqa: NPY002
    np.testing.assert_array_equal(first, found(8))
    assert not np.array_equal(first, found(9))


@pytest.mark.parametrize("search", SEARCHES)
def test_only_feasible_designs_are_evaluated_after_the_start(search):
    """Points that want to be at one place and must keep 0.3 apart; the start breaks that."""
    counted = Counted(lambda tree: float(jnp.sum(tree["points"] ** 2)))
    begun = {"points": np.array([[0.5, 0.5], [0.5, 0.52], [-0.4, 0.0]])}
    apart = MinimumSpacing(lambda tree: tree["points"], 0.3)
    solution = search(begun, {"points": (-1.0, 1.0)}, None, apart, evaluate_many=counted, evaluations=40, seed=1)
    assert solution.audit.feasible
    assert solution.objective == min(map(counted.function, counted.designs[1:]))
    assert solution.history[0].note == "start restored to feasibility"
    for tree in counted.designs[1:]:
        points = np.asarray(tree["points"])
        distances = np.linalg.norm(points[:, None] - points, axis=-1)[np.triu_indices(3, 1)]
        assert distances.min() > 0.3 * (1 - 1e-3)  # what the audit allows


@pytest.mark.parametrize("search", SEARCHES)
def test_where_nothing_is_feasible_there_is_no_design_and_a_reason(search):
    impossible = [lambda tree: 3 - jnp.sum(tree["x"])]
    solution = search({"x": np.zeros(2)}, {"x": (-1.0, 1.0)}, square, impossible, evaluations=20)
    assert solution.tree is None
    assert solution.objective is None
    assert solution.status.name == "infeasible"
    assert "cannot be satisfied" in solution.status.reason
    assert solution.evaluations == 1
    with pytest.raises(StudioError, match="cannot be satisfied"):
        search({"x": np.zeros(2)}, {"x": (-1.0, 1.0)}, square, impossible, evaluations=20, throw=True)


@pytest.mark.parametrize("search", SEARCHES)
def test_values_that_are_not_finite_are_never_the_best(search):
    def broken(tree):
        return jnp.where(tree["x"][0] < 0.2, jnp.nan, jnp.sum(tree["x"]))

    solution = search({"x": np.array([0.5, 0.5])}, {"x": (0.0, 1.0)}, broken, evaluations=60, seed=2)
    assert np.isfinite(solution.objective)
    assert float(solution.tree["x"][0]) >= 0.2
    assert solution.objective < solution.objective_start
    with pytest.raises(StudioError, match="cannot be used at the start"):
        search({"x": np.array([0.1, 0.5])}, {"x": (0.0, 1.0)}, broken, evaluations=60)


def test_directions_stay_directions():
    """The direction nearest to a given one is that one; coordinates are brought back to unit length on the way."""
    wanted = np.array([0.0, 0.6, 0.8])
    solution = black_box(
        {"n": np.array([1.0, 0.0, 0.0])},
        {"n": UnitVector()},
        lambda tree: jnp.sum((tree["n"] - wanted) ** 2),
        evaluations=400,
        seed=1,
    )
    np.testing.assert_allclose(solution.tree["n"], wanted, atol=1e-2)  # 400 evaluations of a search in three dimensions
    assert np.linalg.norm(solution.tree["n"]) == pytest.approx(1.0, abs=1e-12)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="evaluations"):
        black_box({"x": np.zeros(2)}, "x", square, evaluations=0)
    with pytest.raises(InputError, match="step_size"):
        black_box({"x": np.zeros(2)}, "x", square, step_size=-1.0)
    with pytest.raises(InputError, match="candidates"):
        greedy({"x": np.zeros(2)}, "x", square, candidates=0)


def test_the_library_is_imported_where_it_is_asked_for():
    """`studio.design` works where cma is not installed, and says what to install where it is needed."""
    script = (
        "import sys; sys.modules['cma'] = None\n"
        "import numpy as np, studio.design as design\n"
        "try: design.black_box({'x': np.zeros(2)}, 'x', lambda tree: tree['x'].sum())\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install cma" in done.stdout
