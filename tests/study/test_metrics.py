"""Metrics recover known widths, intervals cover the truth as often as they say, failures count."""

import numpy as np
import pytest

from studio.study.metrics import Errors, failure_fraction, gains, predicted_gains, resolutions

from .test_power import errors


def test_widths_of_gaussian_errors():
    """68.27 % quantiles of chi distributions (3 and 2 degrees of freedom) and of a Gaussian; 100,000 events give 0.3 %."""
    found = resolutions(errors(np.random.default_rng(0), 100_000, 2.0), seed=0, replicates=50)
    expected = {"vertex": 2 * 1.8780, "direction": 2 * 1.5152, "energy": 2.0}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=0.015), name


def test_intervals_cover_the_true_gain():
    """95 % of 200 intervals, 1.5 % scatter; at least 90 % and not all within 4 σ of that."""
    generator, covered = np.random.default_rng(3), 0
    for number in range(200):
        gain = gains(errors(generator, 400, 1.0), errors(generator, 400, 0.8), seed=number, replicates=300)["energy"]
        covered += gain.low < 0.2 < gain.high
    assert 0.89 <= covered / 200 <= 1.0


def test_shared_fluctuations_sharpen_the_gain():
    """The same errors, 10 % smaller: the paired interval has no width, however few the events."""
    before = errors(np.random.default_rng(4), 50, 1.0)
    after = Errors(0.9 * before.vertex, 0.9 * before.direction, 0.9 * before.energy, before.failed)
    for gain in gains(before, after, seed=0).values():
        assert (gain.low, gain.value, gain.high) == pytest.approx((0.1, 0.1, 0.1), abs=1e-12)


def test_predicted_gain_is_that_of_the_mean_log():
    before = np.array([[1.0, 2.0], [4.0, 2.0]])
    after = before * np.array([[0.9, 1.0], [0.8, 1.0]])
    found = predicted_gains(before, after, ("vertex", "energy"))
    assert found["vertex"].value == pytest.approx(1 - np.sqrt(0.9 * 0.8))
    assert found["energy"].as_dict() == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_failure_interval_at_zero_failures():
    """Wilson's upper end for 0 of n is z²/(n + z²)."""
    z2 = 1.959964**2
    found = failure_fraction(np.zeros(100, bool))
    assert found.value == 0.0
    assert found.low == pytest.approx(0.0, abs=1e-12)
    assert found.high == pytest.approx(z2 / (100 + z2), rel=1e-6)
