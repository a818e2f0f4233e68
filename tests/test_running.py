"""The running maximum against NumPy's, with its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np

from studio._running import running_max


def test_the_largest_so_far():
    values = np.random.default_rng(1).normal(size=(3, 50, 2))
    for axis in range(3):
        np.testing.assert_array_equal(running_max(jnp.asarray(values), axis), np.maximum.accumulate(values, axis))


def test_its_derivative_goes_to_the_entry_that_is_largest():
    slope = jax.grad(lambda x: jnp.sum(running_max(x)))(jnp.asarray([1.0, 3.0, 2.0, 0.0, 5.0]))
    np.testing.assert_array_equal(slope, [1.0, 3.0, 0.0, 0.0, 1.0])


def test_a_long_one_that_is_differentiated_compiles_in_little_code():
    """As a tree it is one expression of 3¹⁰ terms where XLA merges it, and the compiler runs out of memory."""

    def text(count):
        slope = jax.jit(jax.grad(lambda x: jnp.sum(running_max(x) ** 2)))
        return len(slope.lower(jnp.zeros(count)).as_text())

    assert text(4000) < 1.1 * text(40)
