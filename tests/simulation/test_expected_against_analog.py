"""The smooth mean against the analog Monte Carlo: three real detectors × muon, electron and point source, direct light.

Claims, for the particle's fluctuations on:
- total charge within 1 %;
- worst lit sensor within 3 %, lit meaning more than a tenth of the brightest, with at least 17,800 photoelectrons (3 % is
  four standard deviations) in each;
- pulls of all sensors with at least 25 photoelectrons, where the median lit sensor has 1,000, over at least 5,000 sensors:
  mean 0 ± 0.05, width 1 ± 0.05;
- mean first-hit time within 0.1 ns on average over the lit sensors, and for nine lit sensors in ten.

Pulls test a bias against the counting error, so the light is brought to the level of the claim: independent Poisson
counts, thinned at random, are independent Poisson counts. The quick tests make the same checks with less light, and add
four standard deviations of it to every limit.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import numpy as np
import pytest

from studio.detector import Detector
from studio.event import Primary
from studio.io import load_detector
from studio.simulation import OpticalSimulator
from studio.simulation.optical.analog import analog

TOTAL, WORST, PULL, TIME = 0.01, 0.03, 0.05, 0.1
LIT = 0.1  # of the brightest sensor
GEOMETRIES = Path(__file__).resolve().parents[2] / "geometries"


class Case(NamedTuple):
    """One primary in one detector; events of the quick and of the full comparison."""

    geometry: str
    primary: tuple
    quick: int
    full: int


CASES = {
    "iwcd muon": Case("iwcd", ("mu-", (-1000.0, 0.0, 0.0), (1.0, 0.0, 0.3), 500.0), 120, 10_000),
    "iwcd electron": Case("iwcd", ("e-", (-1000.0, 0.0, 0.0), (1.0, 0.0, 0.3), 300.0), 150, 10_000),
    "iwcd point": Case("iwcd", ("point", (500.0, 200.0, 300.0), (0.0, 0.0, 1.0), 20.0), 800, 30_000),
    "wcte muon": Case("wcte", ("mu-", (-600.0, 0.0, 0.0), (1.0, 0.2, 0.1), 250.0), 300, 10_000),
    "wcte electron": Case("wcte", ("e-", (-300.0, 100.0, 0.0), (1.0, 0.0, 0.3), 150.0), 200, 10_000),
    "wcte point": Case("wcte", ("point", (300.0, 200.0, 300.0), (0.0, 0.0, 1.0), 10.0), 1000, 20_000),
    "super-kamiokande muon": Case(
        "super_kamiokande", ("mu-", (-3000.0, 2000.0, 1000.0), (1.0, 0.3, 0.2), 500.0), 350, 40_000
    ),
    "super-kamiokande electron": Case(
        "super_kamiokande", ("e-", (-3000.0, 2000.0, 1000.0), (1.0, 0.3, 0.2), 400.0), 300, 40_000
    ),
    "super-kamiokande point": Case(
        "super_kamiokande", ("point", (3000.0, 1000.0, 2000.0), (0.0, 0.0, 1.0), 100.0), 1200, 220_000
    ),
}


class Comparison(NamedTuple):
    """Expected photoelectrons of all events against counted ones, per sensor, and first-hit times in ns where lit."""

    expected: np.ndarray
    counted: np.ndarray
    time: np.ndarray
    time_error: np.ndarray

    @property
    def lit(self) -> np.ndarray:
        return self.expected > LIT * self.expected.max()

    def pulls(self, median: float = 1000.0) -> np.ndarray:
        """(counted − expected)/√expected where the median lit sensor has `median` photoelectrons and the sensor itself 25."""
        share = min(1.0, median / np.median(self.counted[self.lit]))
        thinned = np.random.default_rng(1).binomial(self.counted, share)
        mean = share * self.expected
        enough = mean > 25
        return (thinned[enough] - mean[enough]) / np.sqrt(mean[enough])


@functools.cache
def without_dark_noise(geometry: str) -> Detector:
    detector = load_detector(GEOMETRIES / f"{geometry}.yaml")
    return eqx.tree_at(lambda d: d.electronics.gate, detector, 0.0)


@functools.cache
def compare(name: str, events: int) -> Comparison:
    case = CASES[name]
    detector, primary = without_dark_noise(case.geometry), Primary(*case.primary)
    mean = eqx.filter_jit(OpticalSimulator().expected)(detector, primary)
    result = analog(detector, primary, seed=20, events=events)
    difference = result.first_hit_time - np.asarray(mean.time)
    return Comparison(np.asarray(mean.charge) * events, result.counts, difference, result.first_hit_error)


def check_total(comparison: Comparison, sigmas: float) -> None:
    total = comparison.counted.sum()
    assert abs(total / comparison.expected.sum() - 1) < TOTAL + sigmas / np.sqrt(total)


def check_pulls(pulls: np.ndarray, sigmas: float) -> None:
    assert abs(pulls.mean()) < PULL + sigmas / np.sqrt(len(pulls))
    assert abs(pulls.std() - 1) < PULL + sigmas / np.sqrt(2 * len(pulls))


def check_times(comparison: Comparison, sigmas: float) -> None:
    measured = comparison.lit & (comparison.time_error < 0.05)
    difference, error = comparison.time[measured], comparison.time_error[measured]
    assert measured.sum() >= 15
    assert abs(difference.mean()) < TIME
    assert np.mean(np.abs(difference) < TIME + sigmas * error) > 0.9


@pytest.mark.parametrize("name", list(CASES))
def test_expected_agrees_with_the_analog_monte_carlo(name):
    comparison = compare(name, CASES[name].quick)
    lit = comparison.lit
    check_total(comparison, sigmas=4)
    check_pulls(comparison.pulls(), sigmas=4)
    expected = comparison.expected[lit]
    relative = comparison.counted[lit] / expected - 1
    assert np.max(np.abs(relative) - 4.5 / np.sqrt(expected)) < WORST


@pytest.mark.parametrize("name", list(CASES))
def test_mean_first_hit_times_agree_with_the_analog_monte_carlo(name):
    check_times(compare(name, CASES[name].quick), sigmas=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES))
def test_expected_agrees_with_ten_thousand_analog_events(name):
    comparison = compare(name, CASES[name].full)
    lit = comparison.lit
    assert np.median(comparison.counted[lit]) >= 1000
    assert comparison.expected[lit].min() > 17_800
    check_total(comparison, sigmas=0)
    check_times(comparison, sigmas=0)
    assert np.max(np.abs(comparison.counted[lit] / comparison.expected[lit] - 1)) < WORST


@pytest.mark.slow
def test_pulls_over_all_sensors_are_standard_normal():
    pulls = np.concatenate([compare(name, case.full).pulls() for name, case in CASES.items()])
    assert len(pulls) >= 5000
    check_pulls(pulls, sigmas=0)
