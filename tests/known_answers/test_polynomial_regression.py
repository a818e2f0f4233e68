"""Known answer 1: D-optimal regression on [-1, 1] puts equal weight on the roots of (1 - x^2) P_k'(x).

Degree 3: ±1, ±1/√5 = ±0.4472; degree 4: ±1, ±√(3/7) = ±0.6547, 0. At the optimum the largest prediction variance equals
the number of parameters (Kiefer & Wolfowitz 1960).
"""

import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio.design import certificate

SUPPORT = {3: [-1.0, -np.sqrt(1 / 5), np.sqrt(1 / 5), 1.0], 4: [-1.0, -np.sqrt(3 / 7), 0.0, np.sqrt(3 / 7), 1.0]}
GRID = np.linspace(-1, 1, 401)


def minus_log_determinant(tree):
    regressors = jnp.vander(tree["x"], tree["degree"] + 1)
    return -jnp.linalg.slogdet((regressors * tree["weight"][:, None]).T @ regressors)[1]


def on_grid(points, weights, degree):
    """The certificate over the whole interval: the design's own points and a grid of candidates without weight."""
    candidates = np.concatenate([points, GRID])
    return certificate(np.vander(candidates, degree + 1), np.concatenate([weights, np.zeros(len(GRID))]))


@pytest.mark.parametrize("degree", [3, 4])
def test_free_points_and_weights_find_the_roots(degree):
    count = 2 * degree
    start = {"x": np.linspace(-0.7, 0.8, count), "weight": np.full(count, 1 / count), "degree": degree}
    result = studio.optimise(start, {"x": (-1, 1), "weight": "simplex"}, minus_log_determinant, steps=400)
    points, weights = np.asarray(result.tree["x"]), np.asarray(result.tree["weight"])
    # Points gather at the roots: the weight of each gathering is what counts.
    nearest = np.argmin(np.abs(points[:, None] - SUPPORT[degree]), axis=1)
    gathered = np.bincount(nearest, weights, minlength=degree + 1)
    np.testing.assert_allclose(gathered, 1 / (degree + 1), atol=1e-4)
    heavy = weights > 1e-3
    np.testing.assert_allclose(points[heavy], np.array(SUPPORT[degree])[nearest[heavy]], atol=1e-3)
    before, after = on_grid(start["x"], start["weight"], degree), on_grid(points, weights, degree)
    assert before.largest > degree + 2
    assert after.largest == pytest.approx(degree + 1, abs=1e-3)
    assert after.gap < 1e-3


@pytest.mark.parametrize("degree", [3, 4])
def test_weights_over_fixed_candidates_reach_the_certificate(degree):
    # A coarse grid that holds the roots: all weight must move there.
    candidates = np.unique(np.concatenate([np.linspace(-1, 1, 21), SUPPORT[degree]]))
    start = {"x": candidates, "weight": np.full(len(candidates), 1 / len(candidates)), "degree": degree}
    result = studio.optimise(start, {"weight": "simplex"}, minus_log_determinant, steps=800)
    weights = np.asarray(result.tree["weight"])
    chosen = np.argmin(np.abs(candidates[:, None] - SUPPORT[degree]), axis=0)
    np.testing.assert_allclose(weights[chosen], 1 / (degree + 1), atol=5e-3)
    assert on_grid(candidates, weights, degree).largest == pytest.approx(degree + 1, abs=5e-3)
