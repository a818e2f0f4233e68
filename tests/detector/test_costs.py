"""The cost of a detector: computed by hand, its derivatives by central differences, and what has no price."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Cylinder, Detector, InputError, PhotosensorArray, Water, get, replace, sensor_type
from studio.detector import MediumPrice, Prices, SensorPrice, cost
from studio.units import m
from tests.tanks import plain_sensor

PRICES = Prices(
    currency="CHF",
    year=2020,
    sensors=(SensorPrice("r3600_20_inch", 3000.0), SensorPrice("plain", 700.0, channels=19)),
    channel=50.0,
    excavation=400.0,
    media=(MediumPrice("water", 2.0),),
)


def tank() -> Detector:
    """Three tubes, one of them with half the radius of its type, and two modules, in a tank of 2 m by 3 m."""
    types = (sensor_type("r3600_20_inch"), plain_sensor())
    uv = np.array([[0.0, 0.1], [1.0, -0.2], [2.0, 0.3], [0.1, 0.2], [0.0, 0.0]])
    patch, kind = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 0, 1, 1])
    radius = np.array([254.0, 254.0, 127.0, 174.0, 174.0])
    sensors = PhotosensorArray(uv, patch, types, kind=kind, radius=radius)
    return Detector(Cylinder(2 * m, 3 * m), Water(), sensors)


def test_a_cost_computed_by_hand():
    found = cost(tank(), PRICES)
    volume = math.pi * 2**2 * 3  # m³
    expected = {"r3600_20_inch": 3000 * (1 + 1 + 1 / 4), "plain": 2 * 700}
    assert {name: float(one) for name, one in found.sensors.items()} == pytest.approx(expected, rel=1e-12)
    assert float(found.channels) == 50 * (3 + 2 * 19)
    assert float(found.excavation) == pytest.approx(400 * volume, rel=1e-12)
    assert float(found.medium) == pytest.approx(2 * volume, rel=1e-12)
    assert float(found.total) == pytest.approx(6750 + 1400 + 2050 + 402 * volume, rel=1e-12)
    assert found.currency == "CHF"


@pytest.mark.parametrize("path", ["volume.radius", "volume.height", "sensors.radius"])
def test_derivatives_against_central_differences(path):
    detector = tank()
    total = lambda leaf: cost(replace(detector, {path: leaf}), PRICES).total  # noqa: E731
    leaf = jnp.asarray(get(detector, path))
    gradient = np.asarray(jax.grad(total)(leaf))
    step = 1e-3 * np.asarray(leaf)
    each = [np.where(np.arange(leaf.size).reshape(leaf.shape) == i, step, 0.0) for i in range(leaf.size)]
    differences = [float(total(leaf + one) - total(leaf - one)) / 2 / one.sum() for one in each]
    # At most quadratic in each leaf, so central differences are exact but for rounding, 1e-16 over the relative step.
    np.testing.assert_allclose(gradient.ravel(), differences, rtol=1e-10)


def test_positions_cost_nothing():
    detector = tank()
    gradient = jax.grad(lambda uv: cost(replace(detector, {"sensors.uv": uv}), PRICES).total)(detector.sensors.uv)
    assert not np.any(gradient)


def test_what_has_no_price_is_named():
    without = Prices("CHF", 2020, PRICES.sensors[:1], 50.0, 400.0, PRICES.media)
    with pytest.raises(InputError, match=r"sensor type has no price \(received 'plain'\).*prices of r3600_20_inch"):
        cost(tank(), without)
    dry = Prices("CHF", 2020, PRICES.sensors, 50.0, 400.0, (MediumPrice("oil", 3.0),))
    with pytest.raises(InputError, match=r"medium has no price \(received 'water'\).*prices of oil"):
        cost(tank(), dry)
