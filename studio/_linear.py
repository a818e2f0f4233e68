"""Small systems of linear equations with positive definite matrices, inside compiled programs.

LAPACK is not called: its batched kernels in jaxlib 0.10 wait for XLA's pool of threads from within that pool, so that two of
them at the same time, in one program or in two, can wait for each other for ever. These matrices are of some ten rows,
where elimination in plain JAX costs nothing.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
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
def inverse_diagonal_heavy(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The inverse of a matrix with a positive heavy diagonal, symmetric or nearly so, such as a matrix of potential
    coefficients; rows are not exchanged. Not finite for a singular one."""
    return _eliminate(matrix, jnp.eye(matrix.shape[0], dtype=matrix.dtype))


@inverse_diagonal_heavy.defjvp
def _inverse_diagonal_heavy_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    inverse = inverse_diagonal_heavy(primals[0])
    return inverse, -inverse @ tangents[0] @ inverse


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


@jax.custom_jvp
def largest_eigenvalue(matrix: Float[Array, "n n"]) -> Float[Array, ""]:
    """The largest eigenvalue of a symmetric matrix.

    Its derivative by the matrix is v vᵀ with the unit eigenvector v. Where the largest eigenvalue is repeated (within 1e-9 of
    its size) there is none: what is given is the mean of v vᵀ over the eigenvectors, the subgradient of this convex
    function that depends on no choice among them. It has first derivatives only.
    """
    return jnp.max(_eigen(matrix)[0])


@largest_eigenvalue.defjvp
def _largest_eigenvalue_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    values, vectors = _eigen(primals[0])
    largest = jnp.max(values)
    share = jnp.where(values >= largest - 1e-9 * jnp.abs(largest), 1.0, 0.0)
    slope = (vectors * (share / jnp.sum(share))) @ vectors.T
    return largest, jnp.sum(slope * tangents[0])


def _eigen(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues in no order and eigenvectors in columns, by Jacobi's rotations (Golub and Van Loan, Matrix Computations,
    2013, section 8.5): each sets one pair of entries to zero, and ten sweeps over all pairs leave nothing in double
    precision, since convergence is quadratic."""
    size = matrix.shape[0]
    first, second = np.triu_indices(size, 1)
    if not len(first):
        return jnp.diag(matrix), jnp.ones_like(matrix)

    def step(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        left, vectors = state
        p, q = jnp.asarray(first)[k % len(first)], jnp.asarray(second)[k % len(first)]
        entry = left[p, q]
        zero = entry == 0
        ratio = (left[q, q] - left[p, p]) / (2 * jnp.where(zero, 1.0, entry))
        tangent = jnp.where(ratio < 0, -1.0, 1.0) / (jnp.abs(ratio) + jnp.sqrt(ratio**2 + 1))
        tangent = jnp.where(zero, 0.0, tangent)
        cosine = 1 / jnp.sqrt(tangent**2 + 1)
        sine = tangent * cosine
        turned = left.at[p].set(cosine * left[p] - sine * left[q]).at[q].set(sine * left[p] + cosine * left[q])
        return _columns_turned(turned, p, q, cosine, sine), _columns_turned(vectors, p, q, cosine, sine)

    start = (matrix, jnp.eye(size, dtype=matrix.dtype))
    left, vectors = jax.lax.fori_loop(0, 10 * len(first), step, start)
    return jnp.diag(left), vectors


def _columns_turned(matrix: Array, p: Array, q: Array, cosine: Array, sine: Array) -> Array:
    at_p, at_q = matrix[:, p], matrix[:, q]
    return matrix.at[:, p].set(cosine * at_p - sine * at_q).at[:, q].set(sine * at_p + cosine * at_q)


def _eliminate(matrix: Array, right: Array) -> Array:
    """Gauss and Jordan without exchange of rows, which positive definite matrices do not need; rows and columns scaled to
    a unit diagonal first."""
    scale = 1 / jnp.sqrt(jnp.diag(matrix))
    both = jnp.concatenate([matrix * scale[:, None] * scale, right * scale[:, None]], axis=1)

    def step(k: Array, both: Array) -> Array:
        row = both[k] / both[k, k]
        return (both - jnp.outer(both[:, k], row)).at[k].set(row)

    return jax.lax.fori_loop(0, matrix.shape[0], step, both)[:, matrix.shape[0] :] * scale[:, None]
