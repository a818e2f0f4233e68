"""A, D and E against numpy.linalg, and their derivatives against finite differences, at crossings of eigenvalues too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio._linear import largest_eigenvalue
from studio.design import a_criterion, certificate, criterion_width, d_criterion, e_criterion

REFERENCE = {
    a_criterion: lambda m: np.trace(np.linalg.inv(m)),
    d_criterion: lambda m: -np.linalg.slogdet(m)[1],
    e_criterion: lambda m: 1 / np.linalg.eigvalsh(m)[0],
}


def positive(size, seed, condition=1e4):
    vectors, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))
    return vectors @ np.diag(np.geomspace(1, condition, size)) @ vectors.T


def symmetric(size, seed):
    matrix = np.random.default_rng(seed).standard_normal((size, size))
    return matrix + matrix.T


@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize("criterion", REFERENCE)
def test_values_and_derivatives(criterion, size):
    """Rounding times the condition number of 1e4; central differences are good to 1e-7 of the derivative."""
    compiled = jax.jit(jax.value_and_grad(criterion))
    for seed in range(5):
        matrix, along = positive(size, seed), symmetric(size, seed + 100)
        value, slope = compiled(jnp.asarray(matrix))
        reference = REFERENCE[criterion]
        assert float(value) == pytest.approx(reference(matrix), rel=1e-10, abs=1e-12)
        numeric = (reference(matrix + 1e-5 * along) - reference(matrix - 1e-5 * along)) / 2e-5
        assert float(np.sum(slope * along)) == pytest.approx(numeric, rel=1e-6)


def test_eigenvalues_of_awkward_matrices():
    """Diagonal, nearly diagonal, graded over twelve decades, negative: to rounding of the largest."""
    graded = np.diag(np.geomspace(1e-6, 1e6, 7)) + 1e-7 * symmetric(7, 2)
    for matrix in (np.diag([3.0, 1.0, 2.0]), np.zeros((4, 4)), graded, -positive(5, 1), symmetric(12, 3)):
        expected = np.linalg.eigvalsh(matrix)
        found = float(largest_eigenvalue(jnp.asarray(matrix)))
        assert found == pytest.approx(expected[-1], abs=1e-14 * max(1.0, np.abs(expected).max()))


def test_at_a_crossing_the_longest_axes_count_alike():
    """λ = (2, 2, 1): the mean of the projectors on the first two axes, whatever turns the matrix; a subgradient there."""
    turn, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))
    crossing = turn @ np.diag([2.0, 2.0, 1.0]) @ turn.T
    slope = np.asarray(jax.grad(largest_eigenvalue)(jnp.asarray(crossing)))
    np.testing.assert_allclose(slope, turn @ np.diag([0.5, 0.5, 0.0]) @ turn.T, atol=1e-12)
    for seed in range(50):
        change = symmetric(3, seed)
        assert np.linalg.eigvalsh(crossing + change)[-1] >= 2 + np.sum(slope * change) - 1e-12


@pytest.mark.parametrize("gap", [1e-1, 1e-3, 1e-6])
def test_near_a_crossing_the_longest_axis_counts_alone(gap):
    """Finite differences with steps far below the gap see a smooth function: good to 1e-5 there."""
    turn, _ = np.linalg.qr(np.random.default_rng(6).standard_normal((3, 3)))
    near = turn @ np.diag([2.0 + gap, 2.0, 1.0]) @ turn.T
    slope = np.asarray(jax.grad(largest_eigenvalue)(jnp.asarray(near)))
    np.testing.assert_allclose(slope, np.outer(turn[:, 0], turn[:, 0]), atol=1e-8)
    along, step = symmetric(3, 7), 1e-3 * gap
    values = [float(largest_eigenvalue(jnp.asarray(near + sign * step * along))) for sign in (1, -1)]
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(np.sum(slope * along)), rel=1e-5, abs=1e-5)


def test_widths_compare():
    """Halving every error halves each width; on a sphere all three are its radius, elsewhere d < a < e."""
    matrix = jnp.asarray(positive(5, 2))
    widths = {name: float(criterion_width(matrix, name)) for name in "ade"}
    assert widths["d"] < widths["a"] < widths["e"]
    for name, width in widths.items():
        assert float(criterion_width(4 * matrix, name)) == pytest.approx(width / 2, rel=1e-10)
        assert float(criterion_width(jnp.eye(4) / 9, name)) == pytest.approx(3.0, rel=1e-12)
    axes = 1 / np.sqrt(np.linalg.eigvalsh(matrix))
    assert widths["a"] == pytest.approx(np.sqrt(np.mean(axes**2)), rel=1e-10)
    assert widths["d"] == pytest.approx(np.exp(np.mean(np.log(axes))), rel=1e-10)
    with pytest.raises(InputError, match="no such criterion"):
        criterion_width(matrix, "f")


def test_the_certificate_of_e_bounds_what_other_weights_gain():
    """Quadratic regression on [-1, 1]: E-optimal weights 1/5, 3/5, 1/5 at -1, 0, 1 (Pukelsheim & Studden,
    Ann. Stat. 21 (1993) 402): λ_min = 1/5."""
    regressors = np.vander(np.linspace(-1, 1, 21), 3)
    best = np.zeros(21)
    best[[0, 10, 20]] = 0.2, 0.6, 0.2
    assert certificate(regressors, best, "e").value == pytest.approx(5.0, rel=1e-12)
    for seed in range(5):
        weights = np.random.default_rng(seed).uniform(size=21)
        found = certificate(regressors, weights, "e")
        assert found.value - found.gap <= 5.0 + 1e-9 < found.value
