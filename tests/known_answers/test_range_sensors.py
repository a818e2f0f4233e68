"""Known answer 3: N range-only sensors around a point in space: any tight frame is optimal, tr CRLB = 9 σ²/N."""

import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio.design import UnitVector

SIGMA = 20.0  # mm


def trace_of_crlb(tree):
    directions = tree["directions"]
    return jnp.trace(jnp.linalg.inv(directions.T @ directions)) * SIGMA**2


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("count", [4, 6, 12])
def test_the_trace_reaches_nine_over_n(count, optimiser):
    # A wrong start: all sensors in one narrow cone.
    start = np.random.default_rng(count).normal(size=(count, 3)) * 0.15 + np.array([0.0, 0.0, 1.0])
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    tree = {"directions": start}
    result = studio.optimise(tree, {"directions": UnitVector()}, trace_of_crlb, optimiser=optimiser, steps=300)
    assert result.objective_start > 5 * 9 * SIGMA**2 / count
    # Adam's last steps are 2e-4 rad long and the trace is quadratic about its minimum.
    assert result.objective == pytest.approx(9 * SIGMA**2 / count, rel=1e-9 if optimiser == "lbfgs" else 1e-5)
    np.testing.assert_allclose(np.linalg.norm(result.tree["directions"], axis=1), 1.0, atol=1e-12)
