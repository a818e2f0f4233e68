"""Known answer 6: the Thomson problem, the least energy Σ 1/r of N charges on the unit sphere.

Energies: 3.674234614 (N = 4), 9.985281374 (6), 49.165253058 (12), known to ten digits.
"""

import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio.design import MinimumSpacing, UnitVector


def energy(tree):
    points = tree["points"]
    first, second = np.triu_indices(points.shape[0], 1)
    return jnp.sum(1 / jnp.linalg.norm(points[first] - points[second], axis=1))


def crowded(count):
    points = np.random.default_rng(count).normal(size=(count, 3)) * 0.3 + np.array([1.0, 0.0, 0.0])
    return {"points": points / np.linalg.norm(points, axis=1, keepdims=True)}


@pytest.mark.parametrize(("count", "least"), [(4, 3.674234614), (6, 9.985281374), (12, 49.165253058)])
def test_the_least_energy_is_found(count, least):
    result = studio.optimise(crowded(count), {"points": UnitVector()}, energy, starts=4, seed=1)
    assert result.objective == pytest.approx(least, abs=2e-8)  # the published values have ten digits
    assert result.objective_start > 1.5 * least


def test_adam_finds_it_under_a_spacing_that_does_not_bind():
    # Six charges settle at distance √2; the constraint only keeps them from passing through one another.
    spacing = MinimumSpacing(lambda tree: tree["points"], 1.2)
    optimiser = {"kind": "adam", "learning_rate": 0.03}
    result = studio.optimise(
        crowded(6), {"points": UnitVector()}, energy, [spacing], optimiser=optimiser, steps=200, starts=2
    )
    assert result.objective == pytest.approx(9.985281374, rel=1e-5)
    assert result.audit.feasible
