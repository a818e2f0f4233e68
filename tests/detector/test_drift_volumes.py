"""Drift volumes: what lies inside against sampling, and bad input refused by name."""

import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.detector import DriftVolumes

GOOD = {
    "anode": [[0, 0, 100.0], [300.0, 0, 100]],
    "direction": [[0, 0, 2.0], [0, 1.0, 0]],
    "across": [[1, 0, 1.0], [1, 0, 0]],
    "length": [80.0, 60.0],
    "width": [50.0, 40.0],
    "field": 50.0,
}


def test_axes_are_orthonormal():
    volumes = DriftVolumes(**GOOD)
    np.testing.assert_allclose(
        volumes.axes @ np.swapaxes(volumes.axes, 1, 2), np.tile(np.eye(3), (2, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(volumes.fields, [50, 50])


def test_inside_agrees_with_points_along_the_segments():
    """Fractions of 200 random segments against 4,001 points along each: 1/4000 for each of two ends."""
    random = np.random.default_rng(7)
    volumes = DriftVolumes(**GOOD)
    start, end = random.uniform([-60, -60, -10], [360, 60, 140], size=(2, 200, 3))
    low, high = volumes.inside(jnp.asarray(start), jnp.asarray(end))
    along = np.linspace(0, 1, 4001)
    points = start[:, None] + along[:, None] * (end - start)[:, None]
    for index in range(2):
        local = (points - np.asarray(GOOD["anode"])[index]) @ np.asarray(volumes.axes[index]).T
        half = np.asarray(GOOD["width"]) / 2
        within = (
            (local[..., 0] <= 0) & (local[..., 0] >= -GOOD["length"][index]) & (np.abs(local[..., 1:]) <= half).all(-1)
        )
        np.testing.assert_allclose(high[:, index] - low[:, index], within.mean(axis=1), atol=2 / 4000)
    assert (np.asarray(high - low) > 0).any(axis=0).all()


def test_points_are_inside_or_not():
    volumes = DriftVolumes(**GOOD)
    points = np.array(
        [[0, 0, 50.0], [0, 0, 101.0], [0, 0, 19.0], [24.9, 19.9, 99.9], [300.0, -10, 100.0], [300.0, 10, 100.0]]
    )
    low, high = volumes.inside(jnp.asarray(points), jnp.asarray(points))
    np.testing.assert_array_equal((high - low).T, [[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"anode": [0, 0, 1.0]}, ["anode", "(3,)", "(volumes, 3)"]),
        ({"direction": [[0, 0, 1.0]]}, ["direction", "(1, 3)", "2 drift volumes"]),
        ({"direction": np.zeros((2, 3))}, ["direction", "without length"]),
        ({"across": [[0, 0, 1.0], [1, 0, 0]]}, ["across", "along the drift"]),
        ({"length": [80.0, -60.0]}, ["length", "positive", "-60"]),
        ({"length": np.ones(3)}, ["length", "(3,)", "() or (2,)"]),
        ({"width": [5.0]}, ["width", "(2,) or (2, 2)"]),
        ({"field": np.nan}, ["field", "V/mm"]),
    ],
)
def test_bad_input_is_refused_by_name(change, words):
    with pytest.raises(InputError) as caught:
        DriftVolumes(**GOOD | change)
    assert all(word in str(caught.value) for word in words), str(caught.value)
