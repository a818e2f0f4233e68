"""Choosing among places, against all choices that there are."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.design import AtMost, Choice, Interval, choice_gap, heaviest, optimise

REGRESSORS = np.random.default_rng(4).normal(size=(14, 3))
COUNT = 6


def objective(weights):
    """Half the log of the mean variance: convex in the weights."""
    information = jnp.einsum("p,pi,pj->ij", weights, REGRESSORS, REGRESSORS)
    return 0.5 * jnp.log(jnp.trace(jnp.linalg.inv(information)))


@pytest.fixture(scope="module")
def every_choice():
    """The objective of all 3003 choices of 6 among 14 places."""
    masks = np.zeros((3003, 14))
    for row, kept in enumerate(itertools.combinations(range(14), COUNT)):
        masks[row, list(kept)] = 1.0
    return jax.jit(jax.vmap(objective))(masks)


@pytest.fixture(scope="module")
def relaxed():
    def cost(tree):
        return jnp.sum(tree["weight"])

    result = optimise(
        {"weight": np.full(14, 0.3)},
        {"weight": Interval(0.0, 1.0)},
        lambda tree: objective(tree["weight"]),
        [AtMost(cost, float(COUNT), "count")],
        steps=400,
    )
    return np.asarray(result.tree["weight"]), result


def test_no_choice_is_below_the_bound(relaxed, every_choice):
    weights, result = relaxed
    gradient = np.asarray(jax.grad(objective)(weights))
    gap = choice_gap(weights, gradient, COUNT)
    assert 0 <= gap < 2e-3  # converged, as far as bounds that are approached from inside let it
    kept = heaviest(weights, COUNT)
    choice = Choice(kept, result.objective, float(objective(kept.astype(float))), gap)
    assert choice.bound <= float(np.min(every_choice))
    assert choice.rounded >= float(np.min(every_choice)) - 1e-12
    assert choice.rounded <= float(np.quantile(every_choice, 0.01))  # among the best one percent of all choices
    assert choice.loss == pytest.approx(choice.rounded - choice.relaxed)
    assert "6 of 14 places" in str(choice)
    assert "no choice of as many is better by more than" in str(choice)


def test_without_a_gap_there_is_no_bound():
    choice = Choice(np.array([True, False]), 1.0, 1.5, None, "it is not convex")
    assert choice.bound is None
    assert str(choice).endswith(
        "(rounding cost 0.5); how good another choice could be is not bounded: it is not convex"
    )


def test_the_gap_bounds_what_is_left_at_any_weights(every_choice):
    """Also far from the optimum: a convex function lies above its tangent."""
    generator = np.random.default_rng(0)
    for _ in range(20):
        weights = generator.uniform(0.05, 1, 14)
        weights *= min(1.0, COUNT / weights.sum())
        gap = choice_gap(weights, np.asarray(jax.grad(objective)(weights)), COUNT)
        assert float(objective(weights)) - gap <= float(np.min(every_choice))


def test_the_gap_is_that_of_a_linear_programme():
    """Against scipy's solver, for totals that are no whole numbers and slopes of both signs."""
    from scipy.optimize import linprog

    generator = np.random.default_rng(1)
    for total in (3.0, 4.6, 20.0):
        slope, weights = generator.normal(size=9), generator.uniform(0, 0.3, 9)
        lowest = linprog(slope, A_ub=np.ones((1, 9)), b_ub=[total], bounds=(0, 1)).fun
        assert choice_gap(weights, slope, total) == pytest.approx(slope @ weights - lowest, abs=1e-9)


def test_the_heaviest_are_counted():
    assert heaviest([0.2, 0.9, 0.2, 0.5], 3).tolist() == [True, True, False, True]
    with pytest.raises(InputError, match="5 of 4 places"):
        heaviest(np.ones(4), 5)
