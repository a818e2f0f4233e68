"""Levenberg–Marquardt against problems whose maximum is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio.inference.fit import Problem, _secant, advance, begin

SIZE = 6


def quadratic(seed, too_much):
    """A quadratic with its maximum at random, and an information that is that of each parameter alone, `too_much` times."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(SIZE, SIZE))
    curvature = jnp.asarray(root @ root.T + SIZE * np.eye(SIZE))
    best = jnp.asarray(rng.normal(size=SIZE))

    def value(point):
        return -0.5 * (point - best) @ curvature @ (point - best)

    def slope(point):
        return *jax.value_and_grad(value)(point), jnp.zeros(())

    def information(point):
        return too_much * jnp.diag(jnp.diag(curvature))

    problem = Problem(slope, information, lambda point, change: point + change, jnp.full(SIZE, 1e3), jnp.zeros(SIZE))
    return problem, best


@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_information_is_put_right_on_the_way(seed):
    # Scoring with three times the information makes up a third of the way a step: after these eleven 1.2 % of it is left, (2/3)¹¹.
    problem, best = quadratic(seed, 3.0)
    found = advance(problem, begin(problem), 1e-12, 12)
    np.testing.assert_allclose(found.point, best, atol=2e-3 * np.linalg.norm(best))


def test_the_right_information_leads_there():
    # The first iteration looks at the start; steps are damped by a hundredth at first.
    problem, best = quadratic(1, 1.0)
    exact = problem._replace(information=lambda point: -jax.hessian(lambda at: problem.slope(at)[0])(point))
    found = advance(exact, begin(exact), 1e-12, 8)
    np.testing.assert_allclose(found.point, best, atol=1e-6)


def test_the_secant_equation_holds():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(SIZE, SIZE))
    information = jnp.asarray(root @ root.T + np.eye(SIZE))
    change = jnp.asarray(rng.normal(size=SIZE))
    fall = 1.7 * information @ change
    np.testing.assert_allclose(_secant(information, change, fall) @ change, fall, rtol=1e-10)


@pytest.mark.parametrize("factor", [-3.0, 0.0, 0.1, 5.0, np.nan])
def test_information_stays_positive_definite(factor):
    # Also where the gradient grows along a step, as beyond a turning point, and where it is no number.
    rng = np.random.default_rng(3)
    root = rng.normal(size=(SIZE, SIZE))
    information = jnp.asarray(root @ root.T + np.eye(SIZE))
    change = jnp.asarray(rng.normal(size=SIZE))
    found = _secant(information, change, factor * information @ change + 0.1 * jnp.asarray(rng.normal(size=SIZE)))
    assert np.all(np.linalg.eigvalsh(found) > 0)


def test_a_step_of_nothing_changes_nothing():
    information = jnp.diag(jnp.arange(1.0, SIZE + 1))
    np.testing.assert_array_equal(_secant(information, jnp.zeros(SIZE), jnp.ones(SIZE)), information)
