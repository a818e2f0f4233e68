"""Known answer 2: m planes on [0, L] measure the curvature c of y = a + b x + c x^2 best with weights 1/4, 1/2, 1/4 at 0,
L/2, L: variance 64 σ²/(m L⁴). Equidistant planes tend to 180 σ²/(m L⁴).
"""

import jax.numpy as jnp
import numpy as np
import pytest

import studio

LENGTH, SIGMA = 3000.0, 0.15  # mm


def variance(tree):
    z = tree["planes"] / LENGTH
    regressors = jnp.stack([jnp.ones_like(z), z, z**2], axis=1)
    return jnp.linalg.inv(regressors.T @ regressors)[2, 2] * SIGMA**2 / LENGTH**4


def log_variance(tree):
    return jnp.log(variance(tree))


def unit(count):
    return SIGMA**2 / (count * LENGTH**4)


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("count", [4, 8, 12])
def test_planes_gather_at_the_ends_and_the_middle(count, optimiser):
    start = {"planes": np.linspace(0.0, LENGTH, count)}
    result = studio.optimise(start, {"planes": (0.0, LENGTH)}, log_variance, optimiser=optimiser, steps=300)
    places, counts = np.unique(np.round(np.asarray(result.tree["planes"]) / LENGTH, 2), return_counts=True)
    np.testing.assert_array_equal(places, [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(counts, [count // 4, count // 2, count // 4])
    # L-BFGS converges; the last steps of Adam leave 1e-3.
    tolerance = 1e-6 if optimiser == "lbfgs" else 2e-3
    assert float(variance(result.tree)) == pytest.approx(64 * unit(count), rel=tolerance)


def test_random_planes_gather_too():
    start = {"planes": np.random.default_rng(3).uniform(0.2, 0.7, 8) * LENGTH}
    result = studio.optimise(start, {"planes": (0.0, LENGTH)}, log_variance, starts=4)
    assert float(variance(result.tree)) == pytest.approx(64 * unit(8), rel=1e-6)


def test_equidistant_planes_tend_to_180():
    # With m planes: 180 (m-1)^3 / ((m+1)(m^2-4)) (Gluckstern 1963 for c = curvature / 2); 400 planes: below by 4/m.
    assert float(variance({"planes": np.linspace(0, LENGTH, 400)})) == pytest.approx(180 * unit(400), rel=1.5e-2)
