"""Small systems of linear equations with positive definite matrices, inside compiled programs.

LAPACK is not called: its batched kernels in jaxlib 0.10 wait for XLA's pool of threads from within that pool, so that two of
them at the same time, in one program or in two, can wait for each other for ever. These matrices are of some ten rows,
where elimination in plain JAX costs nothing.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def solve_positive(matrix: Float[Array, "n n"], right: Float[Array, "n *m"]) -> Float[Array, "n *m"]:
    """The solution x of matrix @ x = right, for a symmetric positive definite matrix; not finite for a singular one.

    Derivatives are those of the solution, not of the elimination.
    """
    columns = right if right.ndim == 2 else right[:, None]
    solution = jax.lax.custom_linear_solve(
        lambda x: matrix @ x, columns, lambda _, values: _eliminate(matrix, values), symmetric=True
    )
    return solution.reshape(right.shape)


def inverse_positive(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The inverse of a symmetric positive definite matrix; not finite for a singular one."""
    inverse = solve_positive(matrix, jnp.eye(matrix.shape[0], dtype=matrix.dtype))
    return 0.5 * (inverse + inverse.T)


@jax.custom_jvp
def log_determinant_positive(matrix: Float[Array, "n n"]) -> Float[Array, ""]:
    """The logarithm of the determinant of a symmetric positive definite matrix; −inf or NaN for another."""

    def step(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        left, total = state
        pivot = left[k, k]
        return left - jnp.outer(left[:, k], left[k] / pivot), total + jnp.log(pivot)

    return jax.lax.fori_loop(0, matrix.shape[0], step, (matrix, jnp.zeros((), matrix.dtype)))[1]


@log_determinant_positive.defjvp
def _log_determinant_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (matrix,), (change,) = primals, tangents
    return log_determinant_positive(matrix), jnp.sum(inverse_positive(matrix) * change)


def _eliminate(matrix: Array, right: Array) -> Array:
    """Gauss and Jordan without exchange of rows, which positive definite matrices do not need; rows and columns scaled to
    a unit diagonal first."""
    scale = 1 / jnp.sqrt(jnp.diag(matrix))
    both = jnp.concatenate([matrix * scale[:, None] * scale, right * scale[:, None]], axis=1)

    def step(k: Array, both: Array) -> Array:
        row = both[k] / both[k, k]
        return (both - jnp.outer(both[:, k], row)).at[k].set(row)

    return jax.lax.fori_loop(0, matrix.shape[0], step, both)[:, matrix.shape[0] :] * scale[:, None]
