"""Known answer: six sensors on a sphere of radius 1, vertices spread over the ball of radius 0.6.

Charge only, cosine acceptance, known yield: μ = cos θ / d². The mean over vertices of log det F is 6.16 for the octahedron;
designs near it end in a local optimum at 6.233, and there is one of at least 6.25.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

import studio
from studio.design import UnitVector

OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)])


def vertices(count=1024):
    """Quasi-random points, uniform in the ball of radius 0.6; their number is good to 0.003 in the mean."""
    share, level, turn = qmc.Sobol(3, scramble=False).random(count)[1:].T
    radius, cosine, angle = 0.6 * np.cbrt(share), 2 * level - 1, 2 * np.pi * turn
    sine = np.sqrt(1 - cosine**2)
    return radius[:, None] * np.stack([sine * np.cos(angle), sine * np.sin(angle), cosine], axis=-1)


VERTICES = vertices()


def charges(points, vertex):
    offset = points - vertex
    return jnp.sum(offset * points, axis=-1) / jnp.sum(offset**2, axis=-1) ** 1.5


def log_determinant(points, vertex):
    slope = jax.jacfwd(charges, 1)(points, vertex)
    return jnp.linalg.slogdet(jnp.einsum("n,ni,nj->ij", 1 / charges(points, vertex), slope, slope))[1]


def loss(tree):
    return -jnp.mean(jax.vmap(lambda vertex: log_determinant(tree["points"], vertex))(VERTICES))


def test_several_starts_beat_the_octahedron():
    start = OCTAHEDRON + 0.05 * np.random.default_rng(1).normal(size=(6, 3))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    assert -float(loss({"points": OCTAHEDRON})) == pytest.approx(6.16, abs=0.005)
    result = studio.optimise({"points": start}, {"points": UnitVector()}, loss, starts=8, seed=2)
    assert result.objective <= -6.25
    assert -result.start_values[0] == pytest.approx(6.233, abs=0.005)  # a start near the octahedron stalls
