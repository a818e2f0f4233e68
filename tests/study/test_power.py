"""The power calculation against its own definition, by simulation."""

import re
from pathlib import Path

import numpy as np
import pytest

from studio import InputError
from studio.study.metrics import Errors, gains
from studio.study.power import SPREAD, events_needed, measured_spread, smallest_gain


def errors(generator: np.random.Generator, count: int, width: float) -> Errors:
    normal = generator.standard_normal
    return Errors(
        width * np.linalg.norm(normal((count, 3)), axis=1),
        width * np.linalg.norm(normal((count, 2)), axis=1),
        width * normal(count),
        np.zeros(count, bool),
    )


@pytest.mark.parametrize("metric", ["vertex", "direction", "energy"])
def test_spread_of_gaussian_errors(metric):
    """k from theory within 5 % of the bootstrap's: 400 replicates give 3.5 %, 40,000 events about 1 %."""
    sample = errors(np.random.default_rng(1), 40_000, 1.0)
    assert measured_spread(getattr(sample, metric), metric) == pytest.approx(SPREAD[metric], rel=0.1)


def test_events_needed_and_smallest_gain_are_inverse():
    for metric, spread in SPREAD.items():
        gain = smallest_gain(2000, spread)
        assert events_needed(gain, spread) == pytest.approx(2000, abs=1), metric


def test_the_promised_power_is_reached():
    """With the events it asks for, the interval excludes zero in 90 % of experiments: 150 of them scatter by 2.5 %; 4 σ."""
    gain, seen, experiments = 0.25, 0, 150
    count = events_needed(gain, SPREAD["direction"])
    generator = np.random.default_rng(2)
    for number in range(experiments):
        before, after = errors(generator, count, 1.0), errors(generator, count, 1 - gain)
        seen += gains(before, after, seed=number, replicates=300)["direction"].low > 0
    assert seen / experiments == pytest.approx(0.9, abs=0.1)


def test_no_gain_needs_no_answer():
    with pytest.raises(InputError, match="no such gain"):
        events_needed(0.0, 1.0)


DOCUMENT = (Path(__file__).parents[2] / "docs" / "power_calculation.md").read_text()
METRICS = ("vertex", "direction", "energy")


def rows(pattern: str) -> list[list[float]]:
    return [[float(x) for x in found] for found in re.findall(pattern, DOCUMENT)]


def test_the_document_says_what_the_code_computes():
    needed = rows(r"\| (\d+) % \| (\d+) \| (\d+) \| (\d+) \|")
    assert len(needed) == 3
    for gain, *counts in needed:
        assert counts == [events_needed(gain / 100, SPREAD[name]) for name in METRICS]
    smallest = rows(r"\| (\d+) \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|")
    assert len(smallest) == 3
    for count, *gains_shown in smallest:
        assert gains_shown == [round(100 * smallest_gain(int(count), SPREAD[name]), 1) for name in METRICS]
    spreads = [float(k) for k in re.findall(r"Gaussian[^|]*\| ([\d.]+) \|", DOCUMENT)]
    assert spreads == [round(SPREAD[name], 3) for name in METRICS]
