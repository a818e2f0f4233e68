"""Where fits start, without the truth: in a tank as large as Super-Kamiokande the times of a distant ring fit from far behind
the vertex, and one of the seeds lies near it all the same."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import OpticalSimulator, Primary
from studio.inference.seeds import inside_points, point_of_emission, seeds
from tests import tanks

SIMULATOR = OpticalSimulator(segments=8, wavelengths=21, degree=4, kink_modes=2)


@pytest.fixture(scope="module")
def tank():
    return tanks.cylinder(16840.0, 36200.0, 1500.0)


@pytest.mark.parametrize(
    ("vertex", "direction", "behind"),
    [((9e3, 0.0, 2e3), (1.0, 0.0, 0.0), -4000.0), ((6e3, 0.0, 2e3), (0.9, 0.3, 0.3), -1000.0)],
)
def test_a_seed_is_near_where_the_point_of_emission_is_not(tank, vertex, direction, behind):
    """A muon of 500 MeV leaves light along 2.2 m. One of the seeds is nearer than that to its vertex, and its time within 15
    ns, what light takes for 3.3 m; the source that fits all times lies behind, by metres where the wall is near."""
    direction = np.array(direction) / np.linalg.norm(direction)
    event = Primary("mu-", vertex, direction, 500.0)
    readout = eqx.filter_jit(SIMULATOR.sample)(tank, event, jax.random.key(1))
    candidates = jnp.asarray(inside_points(tank, 256))
    point, _ = point_of_emission(tank, readout, candidates)
    assert float((point - event.vertex) @ direction) < behind
    found = seeds(tank, readout, "mu-", candidates, jnp.asarray([500.0]))
    away = np.linalg.norm(np.asarray(found.vertex - event.vertex), axis=-1)
    assert np.any((away < 2200.0) & (np.abs(np.asarray(found.time)) < 15.0))
    assert np.all(np.asarray(tank.volume.contains(found.vertex)))
