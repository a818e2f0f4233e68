"""Space charge on a grid: cubic polynomials come back exactly, other maps to fourth order, and C²."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.detector import GridSpaceCharge, UniformField

LOWER, UPPER = np.array([-100.0, 0.0, 50.0]), np.array([100.0, 300.0, 90.0])


def _grid(function, counts=(5, 6, 7)) -> GridSpaceCharge:
    axes = [np.linspace(a, b, n) for a, b, n in zip(LOWER, UPPER, counts, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return GridSpaceCharge(LOWER, UPPER, function(nodes), 2 * function(nodes))


def _cubic(p):
    x, y, z = ((p - LOWER) / (UPPER - LOWER)).T if p.ndim == 2 else np.moveaxis((p - LOWER) / (UPPER - LOWER), -1, 0)
    return np.stack([x**3 - y * z**2, 1 + x * y**3 * z, z**3 + x**2 * y**2], axis=-1)


def _wave(p):
    u = (p - LOWER) / (UPPER - LOWER)
    return np.stack([np.sin(3 * u[..., 0]) * np.cos(2 * u[..., 1])] * 3, axis=-1)


def _points(count=300):
    return np.random.default_rng(2).uniform(LOWER, UPPER, size=(count, 3))


def test_cubic_polynomials_come_back_exactly():
    """Not-a-knot splines reproduce them: 1e-12."""
    points = _points()
    np.testing.assert_allclose(_grid(_cubic).displacement(jnp.asarray(points)), _cubic(points), atol=1e-12)
    np.testing.assert_allclose(_grid(_cubic).distortion(jnp.asarray(points)), 2 * _cubic(points), atol=1e-12)


def test_the_error_falls_with_the_fourth_power_of_the_spacing_at_least():
    """Halving it divides the largest error by 16 or more; 12 leaves room for where the points happen to lie."""
    points = _points(2000)
    errors = [
        float(np.abs(_grid(_wave, (n, n, 4)).displacement(jnp.asarray(points)) - _wave(points)).max()) for n in (17, 33)
    ]
    assert errors[0] / errors[1] > 12
    assert errors[1] < 1e-6


def test_second_derivatives_are_continuous_across_nodes():
    """Either side of a node plane they differ by the third derivative times the distance, 1e-6 of a spacing."""
    grid = _grid(_wave, (8, 8, 8))
    node = LOWER[0] + 3 * (UPPER[0] - LOWER[0]) / 7
    second = jax.jit(jax.hessian(lambda x: grid.displacement(jnp.stack([x, 77.0, 60.0])[None])[0, 0]))
    either = [float(second(node + sign * 3e-5)) for sign in (-1, 1)]
    assert either[0] == pytest.approx(either[1], rel=1e-4)
    assert abs(either[0]) > 1e-5  # the curvature itself, (3/200 mm)² or so, is no zero


def test_beyond_the_grid_the_nearest_face_counts():
    grid = _grid(_cubic)
    outside, face = jnp.asarray([[500.0, -9.0, 70.0]]), jnp.asarray([[100.0, 0.0, 70.0]])
    np.testing.assert_allclose(grid.displacement(outside), grid.displacement(face), rtol=1e-12)


def test_without_space_charge_nothing_changes():
    points = jnp.asarray(_points(5))
    assert not UniformField().displacement(points).any()
    assert not UniformField().distortion(points).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((LOWER, UPPER, np.zeros((3, 4, 4, 3)), np.zeros((3, 4, 4, 3))), ["displacements", "four nodes"]),
        ((LOWER, UPPER, np.zeros((4, 4, 4, 3)), np.zeros((4, 4, 5, 3))), ["distortions", "(4, 4, 5, 3)"]),
        ((UPPER, LOWER, np.zeros((4, 4, 4, 3)), np.zeros((4, 4, 4, 3))), ["upper", "above lower"]),
        ((LOWER[:2], UPPER, np.zeros((4, 4, 4, 3)), np.zeros((4, 4, 4, 3))), ["lower", "(2,)"]),
        ((LOWER, UPPER, np.full((4, 4, 4, 3), np.nan), np.zeros((4, 4, 4, 3))), ["displacements", "not finite"]),
    ],
)
def test_bad_maps_are_refused_by_name(arguments, words):
    with pytest.raises(InputError) as caught:
        GridSpaceCharge(*arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)
