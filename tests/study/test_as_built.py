"""Detectors as built: displacements in mm along the wall, on every kind of wall; dead sensors; the derivative of it all."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Box, Cylinder, Detector, PhotosensorArray, Sphere, Water, paths, sensor_type
from studio.study.as_built import as_built

COUNT = 600
VOLUMES = {
    "cylinder": Cylinder(3000.0, 8000.0),
    "box": Box((2000.0, 4000.0, 7000.0)),
    "sphere": Sphere(5000.0),
}


def detector(kind):
    volume, generator = VOLUMES[kind], np.random.default_rng(1)
    patch = generator.integers(len(volume.patches), size=COUNT)
    uv = generator.uniform(-0.6, 0.6, (COUNT, 2))
    if kind == "sphere":
        uv = generator.normal(size=(COUNT, 3))
        uv /= np.linalg.norm(uv, axis=-1, keepdims=True)
    return Detector(volume, Water(), PhotosensorArray(uv, patch, (sensor_type("r3600_20_inch"),)))


@pytest.mark.parametrize("kind", VOLUMES)
def test_sensors_move_by_millimetres_along_the_wall(kind):
    """A 20 mm error on walls of metres: rms 20 mm along each of two directions, none off the wall.

    1,200 numbers give a standard deviation to 2 %, so within 8 % is four of its errors. Where a wall bends, a sensor leaves the
    tangent plane by s²/2R: 0.1 mm at one, 2 mm at four standard deviations.
    """
    tank, error = detector(kind), 20.0
    moved = as_built(tank, position_error=error, seed=4)(tank, 0)
    before, normals, radii = tank.placed
    shift = np.asarray(moved.placed.positions - before)
    off = np.sum(shift * np.asarray(normals), axis=-1)
    assert np.abs(off).max() < 2.0
    along = np.sum(shift**2, axis=-1) - off**2
    assert np.sqrt(along.mean() / 2) == pytest.approx(error, rel=0.08)
    # Isotropic: as much along one tangent as along the other, within four errors of the difference of two variances.
    first = np.cross(normals, [0.3, 0.5, 0.8])
    first = first / np.linalg.norm(first, axis=-1, keepdims=True)
    share = np.mean(np.sum(shift * first, axis=-1) ** 2) / along.mean()
    assert share == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(COUNT))
    _, _, distance = tank.volume.chart(np.asarray(moved.placed.positions))
    np.testing.assert_allclose(distance, 0.0, atol=1e-9)
    np.testing.assert_array_equal(moved.placed.radii, radii)


def test_pairs_of_samples_are_opposite():
    tank = detector("cylinder")
    perturb = as_built(tank, position_error=15.0, seed=1)
    uv = [np.asarray(perturb(tank, sample).sensors.uv) for sample in range(4)]
    np.testing.assert_allclose((uv[0] + uv[1]) / 2, tank.sensors.uv, atol=1e-15)
    assert np.abs(uv[2] - uv[0]).max() > 1e-3
    np.testing.assert_array_equal(perturb(tank, 2).sensors.uv, uv[2])


def test_dead_sensors_take_turns():
    """Ten samples of sixty dead sensors go once through all 600; a dead one is one that is not there."""
    tank = detector("cylinder")
    perturb = as_built(tank, dead=60, seed=3)
    weights = np.stack([np.asarray(perturb(tank, sample).sensors.weight) for sample in range(10)])
    assert set(weights.ravel().tolist()) == {0.0, 1.0}
    assert np.all((weights == 0).sum(axis=1) == 60)
    assert np.all((weights == 0).sum(axis=0) == 1)


def test_the_derivative_by_positions_and_by_the_size_of_the_tank():
    """Against central differences of the sum of squared heights, which errors of fixed mm enter: good to 1e-7."""
    tank = detector("cylinder")
    perturb = as_built(tank, position_error=50.0, dead=30, seed=2)

    def value(leaves):
        built = perturb(paths.replace(tank, leaves), 1)
        return jnp.sum(built.sensors.weight[:, None] * jnp.sin(built.placed.positions / 1000.0))

    leaves = {"sensors.uv": tank.sensors.uv, "volume.radius": jnp.asarray(3000.0)}
    gradient = jax.jit(jax.grad(value))(leaves)
    along = {"sensors.uv": np.random.default_rng(0).normal(size=(COUNT, 2)), "volume.radius": 1000.0}
    for name, direction in along.items():
        ends = [float(value(leaves | {name: leaves[name] + step * direction})) for step in (1e-5, -1e-5)]
        assert float(np.sum(gradient[name] * direction)) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)
