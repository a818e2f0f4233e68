"""Kiefer-Wolfowitz: the certificate bounds what any other weights can gain, and vanishes at the optimum."""

import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, StudioError
from studio.design import certificate, optimise

GRID = np.linspace(-1, 1, 41)
CUBIC = np.vander(GRID, 4)


def log_determinant(weights):
    return np.linalg.slogdet(np.einsum("i,ij,ik->jk", weights / weights.sum(), CUBIC, CUBIC))[1]


def test_the_sensitivities_of_the_d_criterion_are_prediction_variances():
    weights = np.random.default_rng(0).uniform(size=41)
    result = certificate(CUBIC, weights)
    inverse = np.linalg.inv(np.einsum("i,ij,ik->jk", weights / weights.sum(), CUBIC, CUBIC))
    np.testing.assert_allclose(result.sensitivity, np.einsum("ij,jk,ik->i", CUBIC, inverse, CUBIC), rtol=1e-9)
    # Their weighted mean is the number of parameters.
    np.testing.assert_allclose(weights / weights.sum() @ result.sensitivity, 4.0, rtol=1e-9)


@pytest.mark.parametrize("criterion", ["d", "a", lambda m: jnp.linalg.inv(m)[0, 0]])
def test_the_gap_bounds_what_the_optimum_gains(criterion):
    values = {"d": lambda m: -jnp.linalg.slogdet(m)[1], "a": lambda m: jnp.trace(jnp.linalg.inv(m))}
    function = values[criterion] if isinstance(criterion, str) else criterion

    def objective(tree):
        return (
            jnp.log(function((CUBIC * tree["w"][:, None]).T @ CUBIC))
            if criterion != "d"
            else function((CUBIC * tree["w"][:, None]).T @ CUBIC)
        )

    start = np.random.default_rng(1).uniform(0.5, 1.5, size=41)
    start /= start.sum()
    result = optimise(
        {"w": start}, {"w": "simplex"}, objective, steps=600, optimiser={"kind": "lbfgs", "tolerance": 1e-9}
    )
    best = np.asarray(result.tree["w"])
    before, after = certificate(CUBIC, start, criterion), certificate(CUBIC, best, criterion)
    assert before.gap >= before.value - after.value > 0
    assert after.gap < 2e-2 * abs(before.gap)
    assert before.value - before.gap <= after.value


def test_matrices_and_regressors_agree():
    weights = np.ones(41)
    matrices = CUBIC[:, :, None] * CUBIC[:, None, :]
    assert certificate(CUBIC, weights).largest == pytest.approx(certificate(matrices, weights).largest, rel=1e-12)


def test_the_efficiency_of_uniform_weights_is_honest():
    weights = np.ones(41)
    optimum = np.zeros(41)
    optimum[[0, 11, 29, 40]] = 0.25  # the grid points next to the roots of (1 - x^2) P3'(x)
    promised = certificate(CUBIC, weights).efficiency
    actual = np.exp((log_determinant(weights) - log_determinant(optimum)) / 4)
    assert promised <= actual <= 1.0


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"shape \(41, 4\) with weights of shape \(3,\)"):
        certificate(CUBIC, np.ones(3))
    with pytest.raises(InputError, match="at least zero"):
        certificate(CUBIC, -np.ones(41))
    with pytest.raises(InputError, match="no such criterion"):
        certificate(CUBIC, np.ones(41), "f")
    weights = np.zeros(41)
    weights[:3] = 1.0
    with pytest.raises(StudioError, match="singular"):
        certificate(CUBIC, weights)
