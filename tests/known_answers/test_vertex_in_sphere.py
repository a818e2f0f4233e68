"""Known answer 4: the vertex of N photons at the centre of a sphere, with the studio's own optical simulator.

Transparent water, full coverage, single-photon times of resolution σ, intensity and time free: per axis the bound is
(R/2) √(3/N) from charges alone and (c σ/n) √(3/N) from times alone, n the group index of the detected light; both
together add their informations. Sensors see 0.02 photoelectrons each, so that hit or not is all a charge tells and the
first photon is the only one: 1 % of the photons share a sensor. 500 Fibonacci sensors are isotropic to 1e-3.
"""

import functools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from studio import OpticalSimulator, Primary, Water, fisher_information
from studio.constants import SPEED_OF_LIGHT
from studio.detector import OpticalElectronics
from studio.units import m, ns
from tests import tanks

pytestmark = pytest.mark.slow  # minutes on two cores: compilation and Monte Carlo

SENSORS, PER_SENSOR = 500, 0.02
SIMULATOR = OpticalSimulator()


def build(radius, resolution):
    detector = tanks.sphere(radius, SENSORS, tanks.plain_sensor(resolution=resolution))
    return eqx.tree_at(lambda d: d.electronics, detector, OpticalElectronics(time_precision=0.0))


@functools.cache
def information(resolution):
    """By the sphere's radius and the source's strength; one compilation a resolution."""

    @eqx.filter_jit
    def of(radius, strength):
        detector = eqx.tree_at(lambda d: d.volume.radius, build(1.0 * m, resolution), radius)
        detector = eqx.tree_at(lambda d: d.sensors.radius, detector, detector.sensors.radius * radius / m)
        event = Primary("point", jnp.zeros(3), jnp.asarray([0.0, 0.0, 1.0]), strength)
        arrivals = SIMULATOR.arrivals(detector, event)
        found = fisher_information(SIMULATOR, detector, event, wanted=("vertex",))
        return found, jnp.sum(arrivals.charge), jnp.sqrt(arrivals.pulse.moments()[1])

    return of


def bound(radius, resolution):
    """σ per axis, the number N of photons and the spread in ns of their arrival times before they are recorded."""
    of = information(resolution)
    photons = of(jnp.asarray(radius), jnp.asarray(1.0))[1]
    found, photons, spread = of(jnp.asarray(radius), jnp.asarray(SENSORS * PER_SENSOR) / photons)
    assert float(photons) == pytest.approx(SENSORS * PER_SENSOR, rel=1e-9)
    np.testing.assert_allclose(spread, spread[0], rtol=1e-9)
    return np.asarray(found.sigma()), float(photons), float(spread[0])


def group_index():
    """Of the detected light of a flat spectrum, summed here."""
    nodes = np.linspace(300.0, 700.0, 4001)
    weight = tanks.plain_sensor().detection_efficiency(nodes)
    return float(np.asarray(Water().group_index(jnp.asarray(nodes))) @ weight / weight.sum())


def by_charge(radius, photons):
    return radius / 2 * np.sqrt(3 / photons)


def by_time(resolution, photons):
    return SPEED_OF_LIGHT * resolution / group_index() * np.sqrt(3 / photons)


@pytest.mark.parametrize("radius", [0.5 * m, 17.0 * m])
def test_charge_alone(radius):
    # Times of 1 ms tell nothing.
    sigma, photons, _ = bound(radius, 1e6 * ns)
    np.testing.assert_allclose(sigma, by_charge(radius, photons), rtol=1e-2)


def test_time_alone():
    # In a sphere of 100 m and 10 ns the charges add 2e-3 to the information; the dispersion of the light is counted in σ.
    sigma, photons, spread = bound(100.0 * m, 10.0 * ns)
    np.testing.assert_allclose(sigma, by_time(np.hypot(10.0, spread), photons), rtol=1e-2)


def test_charge_and_time_add():
    radius = 0.4 * m
    sigma, photons, spread = bound(radius, 1.0 * ns)
    charge, time = by_charge(radius, photons), by_time(np.hypot(1.0, spread), photons)
    assert 0.5 < charge / time < 2.0
    np.testing.assert_allclose(1 / sigma**2, 1 / charge**2 + 1 / time**2, rtol=2e-2)
