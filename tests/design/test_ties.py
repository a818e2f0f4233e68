"""Ties: rows that are images of a few free ones, and leaves that follow another one.

Independent of the studio: central differences, optima by hand, and the Thomson energies of the octahedron (9.985281374) and
the icosahedron (49.165253058), which a point reflection maps on themselves.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.design import (
    Columnwise,
    DesignSpace,
    Disc,
    Evaluation,
    Follows,
    Free,
    Interval,
    Tied,
    UnitVector,
    black_box,
    check_gradient,
    greedy,
    optimise,
    pareto_front,
    random_designs,
)


def reflected(count):
    """Points on a sphere, each second one opposite to the one before."""
    orbit = np.repeat(np.arange(count // 2), 2)
    matrix = np.where(np.arange(count) % 2, -1.0, 1.0)[:, None, None] * np.eye(3)
    return Tied(UnitVector(), np.arange(0, count, 2), orbit, matrix, np.zeros((count, 3)))


def energy(tree):
    points = tree["points"]
    first, second = np.triu_indices(points.shape[0], 1)
    return jnp.sum(1 / jnp.sqrt(jnp.sum((points[first] - points[second]) ** 2, axis=-1)))


@pytest.mark.parametrize(("count", "value"), [(6, 9.985281374), (12, 49.165253058)])
def test_half_of_the_points_find_the_platonic_solids(count, value):
    free = np.random.default_rng(2).normal(size=(count // 2, 3))
    free /= np.linalg.norm(free, axis=-1, keepdims=True)
    start = np.stack([free, -free], axis=1).reshape(count, 3)
    result = optimise({"points": start}, {"points": reflected(count)}, energy, starts=4)
    assert result.objective == pytest.approx(value, abs=1e-8)  # converged to 1e-9 of itself
    found = np.asarray(result.tree["points"])
    np.testing.assert_allclose(found[1::2], -found[::2], atol=1e-12)


def layout():
    """Five rows on a disc: three images of one under a rotation by 120 degrees, and two that mirror each other."""
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in 2 * np.pi / 3 * np.arange(3)]
    matrix = np.stack([*turns, np.eye(2), np.diag([1.0, -1.0])])
    offset = np.array([[0.0, 0.0]] * 4 + [[0.1, 0.2]])
    tie = Tied(Disc(1.0), [0, 3], [0, 0, 0, 1, 1], matrix, offset, slack=1e-3)
    rows = np.array([[0.3, 0.1], [-0.2, 0.5]])
    return tie, np.einsum("rij,rj->ri", matrix, rows[tie.orbit]) + offset


def test_a_gradient_gathers_what_all_images_say():
    tie, start = layout()
    space = DesignSpace.of({"uv": start}, {"uv": tie})
    assert space.size == 4
    weights = np.random.default_rng(0).normal(size=start.shape)

    def value(coordinates):
        return float(jnp.sum(weights * space.leaves(coordinates)["uv"] ** 2))

    point = space.pack({"uv": start})
    assert point["uv"].shape == (2, 2)
    np.testing.assert_allclose(space.leaves(point)["uv"], start, atol=1e-12)
    gradient = space.pull_back(point, {"uv": 2 * weights * start})["uv"]
    for index in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[index] = 1e-6
        difference = (value({"uv": point["uv"] + step}) - value({"uv": point["uv"] - step})) / 2e-6
        assert float(gradient[index]) == pytest.approx(difference, abs=1e-8)  # rounding: 1e-16 / 1e-6


def test_a_start_that_is_nearly_tied_is_moved_there_and_no_further():
    tie, start = layout()
    near = start + np.random.default_rng(1).uniform(-4e-4, 4e-4, start.shape)
    space = DesignSpace.of({"uv": near}, {"uv": tie})
    moved = np.asarray(space.leaves(space.pack({"uv": near}))["uv"])
    assert np.max(tie.excess(moved)) <= -1e-3 + 1e-12  # exactly tied: all of the slack is left
    with pytest.raises(InputError, match="outside its bound at index 1"):
        DesignSpace.of({"uv": start + np.array([[0, 0], [0.01, 0], [0, 0], [0, 0], [0, 0]])}, {"uv": tie})


def test_quasi_random_starts_are_tied_too():
    tie, start = layout()
    space = DesignSpace.of({"uv": start}, {"uv": tie})
    for index in range(1, 5):
        leaves = space.leaves(space.start({"uv": start}, 3, index))
        assert np.max(tie.excess(leaves["uv"])) <= 0


def test_rows_of_numbers_and_strings_that_move_as_one():
    """Copies of one radius; and a string of three sensors, which turns and shifts as a whole."""
    radii = Tied(Interval(1.0, 3.0), [0], [0, 0, 0])
    result = optimise(
        {"r": np.full(3, 1.5)}, {"r": radii}, lambda t: jnp.sum((t["r"] - np.array([1.0, 2.0, 3.6])) ** 2)
    )
    np.testing.assert_allclose(result.tree["r"], 2.2, atol=1e-6)  # the mean of what the three want
    string = Tied(Columnwise(Interval(-9, 9), Interval(-9, 9)), [0], [0, 0, 0], offset=[[0, 0], [1, 0], [2, 0]])
    start = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    result = optimise({"uv": start}, {"uv": string}, lambda t: jnp.sum((t["uv"] - np.array([3.0, -2.0])) ** 2))
    np.testing.assert_allclose(result.tree["uv"], [[2, -2], [3, -2], [4, -2]], atol=1e-6)


def pitches(tree):
    return (tree["u"] - 3.0) ** 2 + (tree["v"] - 5.0) ** 2 + (tree["y"] - 1.0) ** 2


def test_leaves_that_follow_share_one_optimum():
    """u, v = u and y = 2 u - 1: the sum is smallest where 2 (u - 3) + 2 (u - 5) + 4 (2 u - 2) = 0, at u = 2."""
    tree = {"u": 4.0, "v": 4.0, "y": 7.0}
    free = {"u": (1.0, 9.0), "v": Follows("u"), "y": Follows("u", 2.0, -1.0)}
    result = optimise(tree, free, pitches)
    assert DesignSpace.of(tree, free).size == 1
    assert [float(result.tree[name]) for name in "uvy"] == pytest.approx([2.0, 2.0, 3.0], abs=1e-6)
    assert result.gradient_check.passed


@pytest.mark.parametrize(("search", "near"), [(black_box, 1e-2), (greedy, 0.1), (random_designs, 0.1)])
def test_searches_without_gradients_keep_ties(search, near):
    """The optimum above; 300 places on a length of 8, of which CMA-ES makes better use."""
    seen = []

    def kept(tree):
        seen.append(
            (tree["v"] - tree["u"], tree["y"] - 2 * tree["u"] + 1, jnp.max(jnp.abs(tree["p"][1] + tree["p"][0])))
        )
        return pitches(tree) + jnp.sum((tree["p"][0] - jnp.array([0.3, -0.5])) ** 2)

    tree = {"u": 4.0, "v": 4.0, "y": 7.0, "p": np.array([[0.5, 0.5], [-0.5, -0.5]])}
    opposite = Tied(Disc(1.0), [0], [0, 0], np.array([np.eye(2), -np.eye(2)]), np.zeros((2, 2)))
    # The follower stands first: what is free has another order, and another length, than what is named.
    free = {"y": Follows("u", 2.0, -1.0), "v": Follows("u"), "u": (1.0, 9.0), "p": opposite}
    found = search(tree, free, evaluate=lambda tree, step: Evaluation(kept(tree), {}, {}), evaluations=300)
    assert len(seen) == 300 or search is black_box
    assert np.max(np.abs(seen)) < 1e-12
    assert float(found.tree["u"]) == pytest.approx(2.0, abs=near)
    np.testing.assert_allclose(found.tree["p"][0], [0.3, -0.5], atol=5 * near)


def test_a_front_keeps_ties():
    """The way from (1, 1) to (3, 3): √f₁ + √f₂ = √8, and u = v all along."""
    objectives = {
        "near": lambda tree: (tree["u"] - 1.0) ** 2 + (tree["v"] - 1.0) ** 2,
        "far": lambda tree: (tree["u"] - 3.0) ** 2 + (tree["v"] - 3.0) ** 2,
    }
    front = pareto_front({"u": 2.5, "v": 2.5}, {"v": Follows("u"), "u": (0.0, 9.0)}, objectives, points=5)
    assert len(front.points) == 5
    np.testing.assert_allclose(
        np.sqrt(front.values).sum(axis=1), np.sqrt(8), atol=5e-3
    )  # 3e-3 at an end, see test_pareto
    assert all(float(point.tree["u"]) == float(point.tree["v"]) for point in front.points)


def test_a_follower_with_a_wrong_gradient_is_noticed():
    """The evaluation says nothing about the follower: the derivative by the leader is then off by what it should say."""
    free = {"u": (1.0, 9.0), "v": Follows("u"), "y": Follows("u", 2.0, -1.0)}
    space = DesignSpace.of({"u": 4.0, "v": 4.0, "y": 7.0}, free)
    point = {name: np.asarray(array) for name, array in space.pack({"u": 4.0, "v": 4.0, "y": 7.0}).items()}

    def value(coordinates):
        return float(pitches(space.leaves(coordinates)))

    def gradient(coordinates, of_v):
        leaves = space.leaves(coordinates)
        slopes = {"u": 2 * (leaves["u"] - 3), "v": of_v * 2 * (leaves["v"] - 5), "y": 2 * (leaves["y"] - 1)}
        return {name: np.asarray(array) for name, array in space.pull_back(coordinates, slopes).items()}

    assert check_gradient(value, lambda c: gradient(c, 1.0), point).passed
    assert not check_gradient(value, lambda c: gradient(c, 0.0), point).passed


@pytest.mark.parametrize(
    ("free", "words"),
    [
        ({"u": Follows("v"), "v": Follows("u")}, "follows a leaf that is not free by itself"),
        ({"u": None, "v": Follows("x")}, "follows a leaf that is not free by itself"),
        ({"u": None, "v": Follows("u", 2.0)}, "start it at 8"),
        ({"u": None, "w": Follows("u")}, "tie leaves of the same shape"),
        ({"w": Free(Tied(Interval(0, 2), [0], [0, 0]), where=[True, False])}, "cannot be held"),
    ],
)
def test_ties_that_cannot_be_are_refused(free, words):
    with pytest.raises(InputError, match=words):
        DesignSpace.of({"u": 4.0, "v": 4.0, "w": np.ones(2)}, free)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([2], [0, 0]), "rows that do not exist"),
        (([0], [0, 1]), "rows that do not exist"),
        (([0, 1], [0, 0]), "its own image"),
        (([0], [0, 0], None, [[1.0], [0.0]]), "its own image"),
    ],
)
def test_a_tie_checks_its_rows(arguments, words):
    with pytest.raises(InputError, match=words):
        Tied(Interval(0, 2), *arguments)


def test_infinite_factors_are_refused():
    with pytest.raises(InputError, match="finite factor"):
        Follows("u", 0.0)
