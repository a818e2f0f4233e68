"""Indirect light by walks against the analog Monte Carlo, which shares no transport code with it.

Totals agree within 4σ of both. Pulls over the n sensors have the width 1, known to 1/√(2 n); their errors come from 16 seeds,
which makes them Student's with 15 degrees of freedom, √(15/13) = 1.07 wide.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import OpticalSimulator, Walks
from studio.detector import Detector, PhotosensorArray, Reflector, sensor_type
from studio.detector.layouts import fibonacci_sphere, grid
from studio.event import Primary
from studio.geometry import Cylinder, Sphere
from studio.medium import Water
from studio.simulation.optical.analog import AnalogResult, analog
from studio.simulation.optical.simulator import _chunk

TYPE = sensor_type("r3600_20_inch")
TURBID = Water(absorption_length=40e3, rayleigh_length=20e3)
TYVEK, SHEET = Reflector(0.1, 0.85, 0.25), Reflector(0.02, 0.03, 0.2)
POINT = Primary("point", vertex=(1000.0, 500.0, -800.0), kinetic_energy=100.0)
MUON = Primary("mu-", vertex=(-1000.0, 500.0, -800.0), direction=(1.0, 0.2, 0.3), kinetic_energy=400.0)
SEEDS = 16


def tank(wall, glass=None) -> Detector:
    volume = Cylinder(4000.0, 8000.0)
    patch, uv = grid(volume, 1200.0, TYPE.radius)
    return Detector(volume, TURBID, PhotosensorArray(uv, patch, (TYPE,), glass=glass), wall=wall)


def ball(wall) -> Detector:
    layout = fibonacci_sphere(200)
    return Detector(Sphere(5000.0), TURBID, PhotosensorArray(layout, np.zeros(200, int), (TYPE,)), wall=wall)


CASES = {
    "white cylinder": (lambda: tank(TYVEK), POINT, 400),
    "black cylinder with glass": (lambda: tank(SHEET, Reflector([0.2], [0.1], [0.2])), POINT, 400),
    "scattering alone": (lambda: ball(None), POINT, 400),
    "white sphere": (lambda: ball(TYVEK), POINT, 400),
    "black cylinder, muon": (lambda: tank(SHEET), MUON, 300),
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(name, marks=[pytest.mark.slow] if index > 1 else []) for index, name in enumerate(CASES)],
)
def test_indirect_light_is_what_counting_photons_gives(case):
    make, event, events = CASES[case]
    detector = make()
    counted = analog(detector, event, seed=1, events=events, indirect=True)
    direct = np.asarray(OpticalSimulator().expected(detector, event).charge)
    charge = jax.jit(lambda seed: OpticalSimulator(indirect=Walks(1024, seed)).expected(detector, event).charge)
    indirect = np.stack([np.asarray(charge(seed)) for seed in range(SEEDS)]) - direct
    mean, error = indirect.mean(axis=0), indirect.std(axis=0, ddof=1) / np.sqrt(SEEDS)
    analog_mean = (counted.counts - counted.direct_counts) / counted.events
    total = indirect.sum(axis=1)
    variance = total.var(ddof=1) / SEEDS + analog_mean.sum() / counted.events
    assert abs(total.mean() - analog_mean.sum()) < 4 * np.sqrt(variance)
    pull = (mean - analog_mean) / np.sqrt(error**2 + mean / counted.events)
    count = len(pull)
    # sensors share the walks: the noise of the total moves all pulls together
    shared = np.sqrt(total.var(ddof=1) / SEEDS) / np.sum(error)
    assert abs(pull.mean()) < 4 * np.hypot(1 / np.sqrt(count), shared)
    assert 1 - 4 / np.sqrt(2 * count) < pull.std() < 1.1 + 4 / np.sqrt(2 * count)


def _summed_times(result: AnalogResult) -> float:
    """Sum of the arrival times of all photoelectrons in ns."""
    lit = result.counts > 0
    return float(np.sum(result.counts[lit] * result.mean_time[lit]))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["scattering alone", "white cylinder"])
def test_indirect_light_arrives_when_counted_photons_do(case):
    # mean arrival time: of the walks with its error from leaving out one seed after the other, of the counts from their spread
    make, event, events = CASES[case]
    detector = make()
    both, straight = (analog(detector, event, seed=1, events=events, indirect=indirect) for indirect in (True, False))
    np.testing.assert_array_equal(straight.counts, both.direct_counts)
    count = (both.counts - both.direct_counts).sum()
    counted = (_summed_times(both) - _summed_times(straight)) / count
    lit = both.counts > 0
    squared = np.sum((both.counts * (both.time_spread**2 + (both.mean_time - counted) ** 2))[lit])

    @jax.jit
    def sums(seed):
        emitted = OpticalSimulator(indirect=Walks(2048, seed)).emit(detector, event, jnp.zeros(0))
        source, colours = emitted.sources[-1]
        light = source.light(_chunk(detector, jnp.arange(detector.sensors.count)), colours)
        return jnp.stack([jnp.sum(light.charge), jnp.sum(light.charge * light.start)])

    charge, timed = np.stack([np.asarray(sums(seed)) for seed in range(SEEDS)]).T
    without = (timed.sum() - timed) / (charge.sum() - charge)
    variance = (SEEDS - 1) * np.var(without) + squared / both.counts.sum() / count
    assert abs(timed.sum() / charge.sum() - counted) < 4 * np.sqrt(variance)
    # the test can tell a nanosecond
    assert 4 * np.sqrt(variance) < (0.5 if case == "scattering alone" else 2.0)
