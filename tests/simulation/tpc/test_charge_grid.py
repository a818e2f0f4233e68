"""Charge on the grid and its convolution, against sums over fine steps of place and time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from studio.detector import ColdElectronics
from studio.simulation.tpc.charge_grid import GridOrigin, GridSize, Pulses, charge_grid, fits
from studio.simulation.tpc.wire_readout import convolved, response_spectrum

BINS, AROUND, STEP, SAMPLES = 10, 5, 100.0, 512
SIZE = GridSize(BINS, 64, SAMPLES, 64, 24, 1, 8)
ORIGIN = GridOrigin(jnp.array([0]), jnp.array([100]), jnp.array([1000]))
TIMES = np.arange(600) * STEP
ELECTRONICS = ColdElectronics(ticks=2000)


def row(electrons=1000.0, place=130.2, width=0.4, extent=0.7, sample=1200.37, spread=1.3, volume=0):
    """One row of charge; `spread` is its own, without the width that the grid adds."""
    numbers = (electrons, place, width, extent, sample, np.sqrt(spread**2 + 1))
    return Pulses(*(jnp.array([float(number)]) for number in numbers), volume=jnp.array([volume]))


def response(distance, time):
    """A bipolar current in e/ns by the distance of the wire in pitches."""
    late = (time - 20_000) / 3000
    return -np.exp(-0.5 * (distance / 0.6) ** 2) * late * np.exp(-0.5 * late**2) / 3000


def below(edge, width, extent):
    """The part below `edge` of a box folded with a normal density, by 20,001 points over the box."""
    points = (np.arange(20_001) + 0.5) / 20_001 - 0.5
    return np.mean(ndtr((edge[:, None] - extent * points) / width), axis=1)


@pytest.mark.parametrize(
    ("width", "extent"), [(0.4, 0.7), (0.4, 0.0), (0.03, 1.5), (0.2, 0.005), (0.3, 0.0089), (0.3, 0.0091)]
)
def test_every_bin_has_its_share(width, extent):
    """On both sides of where a short box is taken for a normal density (0.03 widths)."""
    found = np.asarray(charge_grid(row(width=width, extent=extent), ORIGIN, SIZE)).sum(axis=-1).reshape(-1)
    edges = 99.5 + np.arange(SIZE.wires * BINS + 1) / BINS - 130.2
    expected = 1000 * np.diff(below(edges, width, extent))
    assert found == pytest.approx(expected, abs=2e-6)


def test_the_sum_over_samples_is_the_charge_wherever_it_stands_between_them():
    found = [float(charge_grid(row(sample=1200 + part), ORIGIN, SIZE).sum()) for part in np.linspace(0, 1, 11)]
    assert found == pytest.approx([1000.0] * 11, rel=2e-7)


def test_voltages_are_the_sum_over_all_places_and_times():
    """Bin by bin with the response of its middle; the electronics on steps of 100 ns, in a transform of their own."""
    currents = jnp.asarray(
        [
            [response(offset - (bin + 0.5) / BINS + 0.5, TIMES) for bin in range(BINS)]
            for offset in range(-AROUND, AROUND + 1)
        ]
    )
    spectrum = response_spectrum(currents, STEP, ELECTRONICS, SAMPLES, smoothing=0)
    found = np.asarray(convolved(charge_grid(row(), ORIGIN, SIZE), spectrum))[0]

    frequency = np.fft.rfftfreq(8192, STEP)
    transfer = np.asarray(ELECTRONICS.transfer(jnp.asarray(frequency)))
    smear = np.exp(-0.5 * (2 * np.pi * frequency * 1.3 * ELECTRONICS.tick) ** 2)
    shift = np.exp(-2j * np.pi * frequency * 200.37 * ELECTRONICS.tick)
    edges = np.arange(127.5, 133.5 + 1e-9, 1 / BINS)
    shares = np.diff(below(edges - 130.2, 0.4, 0.7))
    largest = np.max(np.abs(found))
    for wire in (126, 129, 130, 131, 134):
        current = np.zeros(8192)
        for share, middle in zip(shares, 0.5 * (edges[1:] + edges[:-1]), strict=True):
            nearest = round(middle)
            if abs(wire - nearest) <= AROUND:
                current += 1000 * share * response(wire - middle, np.arange(8192) * STEP)
        expected = np.fft.irfft(np.fft.rfft(current) * transfer * smear * shift, 8192)[::5]
        # To the charge beyond the wires looked at here, and what the electronics pass beyond half the sampling frequency.
        assert found[wire - 100] == pytest.approx(expected[:SAMPLES], abs=2e-6 * largest)


def test_rows_add_up_in_their_own_volumes_and_what_does_not_fit_is_told():
    two = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), row(), row(300.0, 140.0, volume=7), row(200.0, 900.0))
    origin = GridOrigin(jnp.array([7, 0]), jnp.array([100, 100]), jnp.array([1000, 1000]))
    found = charge_grid(two, origin, SIZE).sum(axis=(1, 2, 3))
    assert np.asarray(found) == pytest.approx([300.0, 1000.0], rel=1e-6)
    assert float(fits(two, origin, SIZE)) == pytest.approx(1300 / 1500, rel=1e-6)


def test_derivatives_of_a_grid_against_differences():
    """By everything a row is, summed with fixed random weights; central differences of relative 1e-5 are good to 1e-8."""
    weights = jax.random.normal(jax.random.key(0), (1, SIZE.wires, BINS, SAMPLES))

    def value(numbers):
        rows = Pulses(*(number[None] for number in numbers), volume=jnp.array([0]))
        return jnp.sum(weights * charge_grid(rows, ORIGIN, SIZE))

    at = jnp.array([1000.0, 130.2, 0.4, 0.7, 1200.37, 1.6])
    exact = jax.grad(value)(at)
    for index, step in enumerate((1.0, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5)):
        shift = jnp.zeros(6).at[index].set(step)
        differences = float(value(at + shift) - value(at - shift)) / (2 * step)
        assert float(exact[index]) == pytest.approx(differences, rel=1e-6)


@pytest.mark.parametrize("change", [{"width": 0.0, "extent": 0.0}, {"width": 0.0}, {"extent": 0.0}, {"electrons": 0.0}])
def test_derivatives_at_the_edges_are_finite(change):
    given = row(**change)
    found = jax.grad(lambda rows: jnp.sum(charge_grid(rows, ORIGIN, SIZE) ** 2), allow_int=True)(given)
    for name in ("electrons", "place", "width", "extent", "sample", "spread"):
        assert np.all(np.isfinite(getattr(found, name))), name
