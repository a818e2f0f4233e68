"""The optical simulator as a whole: light is conserved, quadratures have converged, precision and chunks do not matter,
samples have the mean that is expected, and geometry never recompiles.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import studio
from studio import OpticalSimulator, Primary, fisher_information
from studio.simulation.optical.emission import PHOTONS_PER_UNIT
from studio.units import m
from tests import tanks

pytestmark = pytest.mark.slow  # minutes on two cores: compilation and Monte Carlo

FINE = OpticalSimulator(segments=128, wavelengths=168, degree=12, kink_modes=48)


@eqx.filter_jit
def expected(simulator, detector, event):
    return simulator.expected(detector, event)


@eqx.filter_jit
def information(simulator, detector, event):
    return fisher_information(simulator, detector, event)


def mean_efficiency(kind):
    """Of a flat spectrum between 300 and 700 nm."""
    nodes = np.linspace(300.0, 700.0, 4001)
    return np.trapezoid(kind.detection_efficiency(nodes), nodes) / 400.0


def test_all_light_of_a_point_source_arrives_in_a_transparent_sphere():
    """From the centre exactly photons × efficiency (42 wavelengths: 2e-3). From elsewhere discs in one layer tile the
    sphere only on average: 1,500 of them to 1 %."""
    kind = tanks.plain_sensor()
    detector = tanks.sphere(5 * m, 1500, kind)
    total = PHOTONS_PER_UNIT * 20.0 * mean_efficiency(kind)
    centre = expected(OpticalSimulator(), detector, Primary("point", (0.0, 0.0, 0.0), kinetic_energy=20.0))
    assert float(jnp.sum(centre.charge)) == pytest.approx(total, rel=2e-3)
    for vertex in ((2000.0, 0.0, 0.0), (-500.0, 2500.0, 1500.0)):
        aside = expected(OpticalSimulator(), detector, Primary("point", vertex, kinetic_energy=20.0))
        assert float(jnp.sum(aside.charge)) == pytest.approx(float(jnp.sum(centre.charge)), rel=1e-2)


def test_a_point_source_falls_with_extinction_and_distance():
    """One wavelength would give exp(−d/L); the mean over the spectrum is summed here in NumPy, independently."""
    kind = tanks.plain_sensor(100.0)
    detector = tanks.cylinder(4 * m, 8 * m, 2.5 * m, kind, studio.Water())
    vertex = np.array([1200.0, -700.0, 500.0])
    charge = expected(OpticalSimulator(wavelengths=420), detector, Primary("point", vertex, kinetic_energy=50.0)).charge
    positions, normals, radii = (np.asarray(x) for x in detector.placed)
    offset = vertex - positions
    distance = np.linalg.norm(offset, axis=1)
    cosine = np.sum(offset * normals, axis=1) / distance
    nodes = 300.0 + 0.1 * (np.arange(4000) + 0.5)
    left = np.exp(-distance[:, None] * np.asarray(detector.medium.extinction_coefficient(jnp.asarray(nodes))))
    detected = left @ kind.detection_efficiency(nodes) * 0.1 / 400.0
    # Beyond 20 radii the solid angle's next term is below 2e-3.
    area = np.pi * radii**2 * cosine / distance**2 / (4 * np.pi)
    np.testing.assert_allclose(charge, 50_000 * area * detected, rtol=3e-3)


EVENTS = {
    "mu- 300 MeV": tanks.muon(),
    "mu- 600 MeV": Primary("mu-", (-1000.0, 300.0, -1500.0), (1.0, 0.2, 0.6), 600.0),
    "e- 400 MeV": Primary("e-", (-200.0, 1600.0, 400.0), (0.3, -1.0, 0.2), 400.0),
}


def tank():
    """Of IWCD's size: 116 modules."""
    return tanks.cylinder(3.5 * m, 8 * m, 1.5 * m)


@pytest.mark.parametrize("name", EVENTS)
def test_expected_charge_has_converged(name):
    """Against quadratures four times finer: total within 0.2 %, sensors with more than a tenth of the brightest's light
    within 1 %."""
    detector, event = tank(), EVENTS[name]
    coarse = np.asarray(expected(OpticalSimulator(), detector, event).charge)
    fine = np.asarray(expected(FINE, detector, event).charge)
    lit = fine > 0.1 * fine.max()
    assert coarse.sum() == pytest.approx(fine.sum(), rel=2e-3)
    np.testing.assert_allclose(coarse[lit], fine[lit], rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVENTS)
def test_crlb_is_stable_under_quadratures_four_times_finer(name):
    detector, event = tank(), EVENTS[name]
    coarse = information(OpticalSimulator(), detector, event).crlb()
    fine = information(FINE, detector, event).crlb()
    np.testing.assert_allclose(np.sqrt(coarse), np.sqrt(fine), rtol=1e-2)


def test_single_precision_agrees_with_double():
    """Rounding 6e-8, amplified in differences of steps over narrow segments: charge within 1e-4 of the brightest
    sensor's, times within 0.01 ns."""
    detector, event = tanks.cylinder(), tanks.muon()
    double = expected(OpticalSimulator(), detector, event)
    single = expected(OpticalSimulator(), tanks.single(detector), tanks.single(event))
    assert single.charge.dtype == jnp.float32
    charge = np.asarray(double.charge)
    lit = charge > 0.01
    np.testing.assert_allclose(single.charge, charge, rtol=1e-3, atol=1e-4 * charge.max())
    np.testing.assert_allclose(np.asarray(single.time)[lit], np.asarray(double.time)[lit], atol=0.01)


@pytest.mark.slow
def test_crlb_in_single_precision_agrees_with_double():
    detector, event = tanks.cylinder(), tanks.muon()
    double = np.asarray(information(OpticalSimulator(), detector, event).sigma())
    single = np.asarray(information(OpticalSimulator(), tanks.single(detector), tanks.single(event)).sigma())
    np.testing.assert_allclose(single, double, rtol=2e-3)


def test_chunks_change_nothing():
    # 70 sensors in one chunk, or in five with the last one filled up: the same arithmetic, summed in the same order.
    detector, event = tanks.cylinder(), tanks.muon()
    whole, parts = (expected(OpticalSimulator(chunk=chunk), detector, event) for chunk in (512, 16))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)


def sampled(simulator, detector, event, count, seed):
    """Sums over `count` samples: charge, charge², hits, and recorded time and time² of hits; `(5, sensors)`."""

    @eqx.filter_jit
    def sums(keys):
        def one(total, key):
            readout = simulator.sample(detector, event, key)
            hit = readout.hit.astype(float)
            row = jnp.stack([readout.charge, readout.charge**2, hit, readout.time * hit, readout.time**2 * hit])
            return total + row, None

        return jax.lax.scan(one, jnp.zeros((5, detector.sensors.count)), keys)[0]

    return np.asarray(sums(jax.random.split(jax.random.key(seed), count)))


def test_samples_of_a_point_source_are_poisson_with_the_expected_mean():
    """Charge spread 0.1 is never reflected at zero: mean Q, variance Q (1 + σ²), hits 1 − exp(−Q); χ² over sensors at a
    probability of 1e-4 either side. Mean recorded time within 5 σ/√hits."""
    detector = tanks.cylinder(kind=tanks.plain_sensor())
    event = Primary("point", (300.0, -200.0, 100.0), kinetic_energy=1.0)
    simulator, count = OpticalSimulator(), 4000
    mean = expected(simulator, detector, event)
    charge, squared, hits, time, time_squared = sampled(simulator, detector, event, count, 1)
    q = np.asarray(mean.charge)
    low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], len(q))
    assert low < np.sum((charge / count - q) ** 2 / (q * 1.01 / count)) < high
    p = -np.expm1(-q)
    assert low < np.sum((hits / count - p) ** 2 / (p * (1 - p) / count)) < high
    variance = squared / count - (charge / count) ** 2
    assert variance.sum() == pytest.approx(1.01 * q.sum(), rel=5 * np.sqrt(2.5 / (count * len(q))))
    arrived = time / hits
    spread = np.sqrt(time_squared / hits - arrived**2)
    # The digitizer's resolution does not depend on charge here, so both moments are exact.
    assert low < np.sum((arrived - np.asarray(mean.time)) ** 2 / (spread**2 / hits)) < high
    np.testing.assert_allclose(spread, mean.time_spread, rtol=5 / np.sqrt(2 * hits.min()))


def test_samples_of_a_muon_without_process_have_the_expected_mean():
    detector = tanks.cylinder(kind=tanks.plain_sensor())
    simulator, count = OpticalSimulator(process=False), 1500
    q = np.asarray(expected(simulator, detector, tanks.muon()).charge)
    charge = sampled(simulator, detector, tanks.muon(), count, 2)[0]
    low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], len(q))
    assert low < np.sum((charge / count - q) ** 2 / (q * 1.01 / count)) < high


@pytest.mark.slow
def test_samples_of_a_muon_with_process_have_the_expected_mean():
    """Scattering is folded into the mean to second order: total within 1 %, and sensors with more than a tenth of the
    brightest's light within 5 % beyond the error of 4,000 samples."""
    detector = tanks.cylinder(kind=tanks.plain_sensor())
    simulator, count = OpticalSimulator(), 4000
    q = np.asarray(expected(simulator, detector, tanks.muon()).charge)
    charge, squared = sampled(simulator, detector, tanks.muon(), count, 3)[:2]
    mean = charge / count
    error = np.sqrt((squared / count - mean**2) / count)
    lit = q > 0.1 * q.max()
    assert mean.sum() == pytest.approx(q.sum(), rel=1e-2)
    assert np.all(np.abs(mean - q)[lit] < 0.05 * q[lit] + 4 * error[lit])


def test_one_compilation_when_positions_sizes_and_events_change():
    simulator, count = OpticalSimulator(), []

    @eqx.filter_jit
    def counted(detector, event):
        count.append(1)
        return simulator.expected(detector, event).charge

    detector, charges = tanks.cylinder(), []
    for scale in (1.0, 1.1, 1.3):
        changes = {
            "volume.radius": detector.volume.radius * scale,
            "volume.height": detector.volume.height / scale,
            "sensors.uv": detector.sensors.uv * 0.99,
            "sensors.radius": detector.sensors.radius * scale,
            "medium.absorption_length": detector.medium.absorption_length / scale,
        }
        event = tanks.muon(300.0 * scale, (10.0 * scale, 0.0, 0.0), (scale, 1.0, 0.0))
        charges.append(float(jnp.sum(counted(studio.replace(detector, changes), event))))
    assert len(count) == 1
    assert len(set(charges)) == 3
