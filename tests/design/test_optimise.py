"""Constrained optima against SLSQP and by hand, from feasible and infeasible starts, for every optimiser."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import studio
from studio import InputError, StudioError
from studio.design import AtLeast, AtMost, Equal, Evaluation, FirstOrder, MinimumSpacing, UnitVector, optimise

ADAM = {"kind": "adam", "learning_rate": 0.02}
CROWD = {"kind": "adam", "learning_rate": 0.05}


def rosenbrock(tree):
    x = tree["x"]
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


BALL = AtMost(lambda tree: jnp.sum(tree["x"] ** 2), 1.5, "ball")
SUM = Equal(lambda tree: jnp.sum(tree["x"]), 1.0, "sum")


def slope(tree):
    return 1e6 * (tree["x"][0] + 2 * tree["x"][1])


def disc(tree):
    return jnp.sum(tree["x"] ** 2) - 1e6


TARGET = np.array([3.0, -1.0, 0.5])


def distance(tree):
    return jnp.sum((tree["x"] - TARGET) ** 2)


def square(tree):
    return jnp.sum(tree["x"] ** 2)


def square_of_points(tree):
    return jnp.sum(tree["p"] ** 2)


LARGE = AtLeast(lambda tree: tree["x"], 2.0, "size")
APART = MinimumSpacing(lambda tree: tree["p"], 1.0)


def slsqp(start):
    constraints = [
        {"type": "ineq", "fun": lambda x: 1.5 - np.sum(x**2)},
        {"type": "eq", "fun": lambda x: np.sum(x) - 1.0},
    ]
    value = lambda x: float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))  # noqa: E731
    return scipy.optimize.minimize(value, start, constraints=constraints, method="SLSQP", tol=1e-12).fun


@pytest.mark.parametrize("optimiser", ["lbfgs", ADAM])
@pytest.mark.parametrize("start", [[2.0, 2.0, 2.0, 2.0], [0.1, 0.2, 0.3, 0.4]])
def test_equality_and_inequality_against_slsqp(optimiser, start):
    result = optimise({"x": np.array(start)}, ["x"], rosenbrock, [BALL, SUM], optimiser=optimiser, steps=300)
    assert result.audit.feasible
    assert result.audit.rows[1].margin >= -1e-5
    # Adam's last steps are 1e-4 natural units long, so its value is quadratic in that.
    assert result.objective == pytest.approx(slsqp([0.1, 0.2, 0.3, 0.4]), abs=2e-5)


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam", "sgd"])
def test_badly_scaled_problems_need_no_tuning(optimiser):
    # The largest value of a linear function on a disc of radius 1 m, in mm and with a factor of a million.
    start = {"x": np.array([3000.0, -5000.0])}
    result = studio.optimise(
        start,
        ["x"],
        slope,
        disc,
        optimiser=optimiser,
        steps=300,
    )
    assert result.objective == pytest.approx(-1e9 * np.sqrt(5), rel=1e-5)
    assert float(jnp.sum(result.tree["x"] ** 2)) <= 1e6 * (1 + 1e-6)


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam", "rmsprop"])
def test_bounds_that_bind(optimiser):
    # Unconstrained minimum at (3, -1, 0.5); the box cuts the first two.
    result = optimise(
        {"x": np.array([0.4, 0.6, 0.9])},
        {"x": (0.0, 1.0)},
        distance,
        optimiser=optimiser if optimiser == "lbfgs" else {"kind": optimiser, "learning_rate": 0.03},
        steps=400,
    )
    np.testing.assert_allclose(result.tree["x"], [1.0, 0.0, 0.5], atol=1e-3)
    assert np.all((result.tree["x"] >= 0) & (result.tree["x"] <= 1))


def test_a_start_on_the_bound_can_leave_it():
    result = optimise({"x": np.array([0.0, 1.0])}, {"x": (0, 1)}, lambda tree: jnp.sum((tree["x"] - 0.4) ** 2))
    np.testing.assert_allclose(result.tree["x"], 0.4, atol=1e-4)


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_an_infeasible_start_ends_feasible_and_is_never_the_best(optimiser):
    # The infeasible start has a far better objective than any feasible design.
    start = {"x": np.array([0.01, 0.01])}
    result = optimise(start, ["x"], square, LARGE, optimiser=optimiser, steps=200)
    assert result.objective_start == pytest.approx(2e-4)
    assert result.objective == pytest.approx(8.0, rel=1e-4)
    assert np.min(result.tree["x"]) >= 2.0 * (1 - 1e-6)
    assert all(record.best is None or record.best >= 8.0 * (1 - 1e-5) for record in result.history)


def test_unsatisfiable_constraints_are_named_before_anything_is_spent():
    low = AtMost(lambda t: jnp.sum(t["x"]), -1.0, "low", "mm")
    high = AtLeast(lambda t: jnp.sum(t["x"]), 1.0, "high", "mm")
    ball = AtMost(lambda t: jnp.sum(t["x"] ** 2), 100.0, "ball")
    calls = []

    def evaluate(tree, step):
        calls.append(step)
        return Evaluation(float(np.sum(np.asarray(tree["x"]) ** 2)), {"x": 2 * np.asarray(tree["x"])})

    start = {"x": np.array([3.0, -5.0])}
    result = optimise(start, ["x"], None, [low, ball, high], evaluate=evaluate, gradient_check=False)
    assert result.status.name == "infeasible"
    assert "the constraints 'low' and 'high' cannot be satisfied together" in result.status.reason
    assert "ball" not in result.status.reason
    assert result.tree is None
    assert result.objective is None
    assert not result.audit.feasible
    assert len(calls) == 1
    with pytest.raises(StudioError, match="'low' and 'high' cannot be satisfied together"):
        optimise(start, ["x"], None, [low, ball, high], evaluate=evaluate, gradient_check=False, throw=True)


def test_a_constraint_against_its_bounds_is_named_alone():
    result = optimise(
        {"x": np.array([0.3, 0.5])},
        {"x": (0, 1)},
        lambda t: jnp.sum(t["x"] ** 2),
        [AtLeast(lambda t: jnp.sum(t["x"]), 3.0, "high"), AtMost(lambda t: t["x"][0], 2.0, "harmless")],
    )
    assert "the constraint 'high' cannot be satisfied within the bounds" in str(result.status)
    assert "nearest 2" in str(result.status)  # both at their upper bound
    assert result.tree is None


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_minimum_spacing_holds_where_everything_is_drawn_together(optimiser):
    # Points drawn to one place: each design must be a packing. Three at mutual distance 1 around the target is optimal:
    # an equilateral triangle of side 1, sum of squared distances to its centre = 1.
    generator = np.random.default_rng(0)
    start = {"p": generator.normal(size=(3, 2))}
    result = optimise(start, ["p"], square_of_points, [APART], optimiser=optimiser, steps=300)
    assert result.objective == pytest.approx(1.0, abs=2e-4)
    assert result.audit.rows[0].value >= 1.0 * (1 - 1e-4)


def test_a_crowd_stays_apart_at_every_step():
    generator = np.random.default_rng(1)
    start = {"p": 3.0 * generator.normal(size=(60, 2))}
    start["p"][1] = start["p"][0]  # coincident: no direction leads apart
    result = optimise(start, ["p"], square_of_points, [APART], optimiser=CROWD, steps=60)
    assert all(record.violation <= 1e-3 for record in result.history)
    assert result.audit.rows[0].value >= 1.0 * (1 - 1e-3)
    # The densest packing of 60 discs of diameter 1 fills a disc of area A = 60 sqrt(3)/2: sum of squares 60 A/2pi = 496.
    assert result.objective is not None
    assert 490 < result.objective < 550 < result.objective_start


def test_unit_vectors_find_the_pole():
    start = {"u": np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])}
    result = optimise(start, {"u": UnitVector()}, lambda tree: -jnp.sum(tree["u"] @ jnp.array([0.6, 0.0, 0.8])))
    np.testing.assert_allclose(result.tree["u"], [[0.6, 0.0, 0.8]] * 2, atol=1e-5)


def test_any_pytree_and_plain_numbers():
    tree = {"a": [1.0, {"b": np.array([2.0, 3.0], dtype=np.float32)}], "kind": "box", "n": 3}
    result = optimise(tree, ["a.0", "a.1.b"], lambda t: (t["a"][0] - 2) ** 2 + jnp.sum((t["a"][1]["b"] - t["n"]) ** 2))
    assert result.tree["kind"] == "box"
    assert float(result.tree["a"][0]) == pytest.approx(2.0, abs=1e-4)
    assert result.tree["a"][1]["b"].dtype == np.float32
    np.testing.assert_allclose(result.tree["a"][1]["b"], 3.0, atol=1e-3)


def test_optax_transformations_and_options_are_accepted():
    import optax

    for optimiser in (optax.adam(0.05), FirstOrder(optax.sgd(0.1), 0.1), {"kind": "adam", "b2": 0.99}):
        result = optimise({"x": np.array([2.0])}, ["x"], lambda t: jnp.sum((t["x"] - 1) ** 2), optimiser=optimiser)
        assert result.objective is not None
        assert result.objective < 1e-2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"optimiser": "adm"}, r"optimiser: no such optimiser \(received 'adm'\).*adam"),
        ({"optimiser": {"kind": "adam", "speed": 3}}, "refuses its options"),
        ({"optimiser": {"kind": "lbfgs", "speed": 3}}, "refuses its options"),
        ({"optimiser": {"kind": "adam", "learning_rate": -1.0}}, "learning_rate: must be positive"),
        ({"optimiser": 3}, "not an optimiser"),
        ({"steps": 0}, "steps: must be a whole number of at least 1"),
        ({"starts": -1}, "starts: must be a whole number"),
        ({"objective": None}, "objective: not an objective"),
    ],
)
def test_bad_input_is_refused(options, said):
    arguments = {"objective": lambda t: jnp.sum(t["x"] ** 2), **options}
    with pytest.raises(InputError, match=said):
        optimise({"x": np.array([1.0])}, ["x"], **arguments)
