"""Small linear systems against NumPy's LAPACK, and their derivatives against finite differences."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio._linear import inverse_positive, log_determinant_positive, solve_positive


def positive(size, seed, condition=1e4):
    generator = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(generator.standard_normal((size, size)))
    return vectors @ np.diag(np.geomspace(1, condition, size)) @ vectors.T


@pytest.mark.parametrize("size", [1, 3, 35])
def test_solutions_are_lapacks(size):
    matrix, right = positive(size, 1), np.random.default_rng(2).standard_normal((size, 4))
    # Rounding times the condition number of 1e4, with a factor of 100 to spare.
    np.testing.assert_allclose(solve_positive(jnp.asarray(matrix), right), np.linalg.solve(matrix, right), rtol=1e-10)
    np.testing.assert_allclose(inverse_positive(jnp.asarray(matrix)), np.linalg.inv(matrix), rtol=1e-9, atol=1e-12)
    expected = np.linalg.slogdet(matrix)[1]
    assert float(log_determinant_positive(jnp.asarray(matrix))) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("function", [lambda m: solve_positive(m, jnp.arange(5.0))[1], log_determinant_positive])
def test_derivatives_to_second_order(function):
    matrix, change = jnp.asarray(positive(5, 3, 10.0)), jnp.asarray(positive(5, 4, 10.0)) / 10
    along = lambda step: function(matrix + step * change)  # noqa: E731
    for derivative, of in ((jax.grad(along), along), (jax.grad(jax.grad(along)), jax.grad(along))):
        numeric = (of(1e-5) - of(-1e-5)) / 2e-5
        assert float(derivative(0.0)) == pytest.approx(float(numeric), rel=1e-7)


def test_batches_and_singular_matrices():
    matrices = jnp.stack([jnp.asarray(positive(4, seed)) for seed in range(3)])
    np.testing.assert_allclose(jax.vmap(inverse_positive)(matrices), np.linalg.inv(matrices), rtol=1e-9, atol=1e-12)
    assert not np.all(np.isfinite(inverse_positive(jnp.zeros((3, 3)))))


def test_many_solves_at_once_do_not_wait_for_each_other():
    """What LAPACK's kernels in jaxlib 0.10 do on two cores within seconds."""
    matrices = jnp.stack([jnp.asarray(positive(25, seed)) for seed in range(2000)])

    @jax.jit
    def work(matrices):
        return jax.lax.map(lambda m: (inverse_positive(m).sum(), solve_positive(m, m[0]).sum()), matrices)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(lambda: jax.block_until_ready(work(matrices))) for _ in range(8)]
        for future in futures:
            assert np.all(np.isfinite(future.result(timeout=120)[0]))
