"""Windows along a track hold what the simulator of whole windows says, whatever they are cut from and wherever they begin."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Primary, TPCSimulator
from studio.inference.track_windows import arrival_of, ribbons_along, spectra_for
from studio.inference.wire_tracks import occupied
from studio.simulation.tpc.ribbons import (
    Ribbons,
    RibbonSize,
    answers,
    at_sources,
    at_targets,
    cells,
    cut,
    folded,
    transformed_charge,
)
from tests.simulation.tpc.small_tpc import small_tpc

SAMPLES, WIRES = 256, 64
SIZE = RibbonSize(bins=10, wires=WIRES, samples=SAMPLES, frequencies=129, parts=4, patch=10)


@functools.cache
def setting():
    """A muon of 40 MeV, 8 cm, through the rows of charge that both ways of reckoning take."""
    detector = small_tpc()
    event = Primary("mu-", (120.0, 10.0, -30.0), (0.2, 0.4, 1.0), 40.0)
    simulator = TPCSimulator(segments=20, process=False)
    charge = occupied(simulator.emit(detector, event, jnp.zeros(0)), 20)
    rows = tuple(simulator.pulses(detector, charge, plane, SIZE.parts) for plane in detector.planes)
    ribbons = ribbons_along(detector, rows, (SIZE,) * 3, 1, arrival_of(simulator, detector))
    spectra = spectra_for(simulator, detector, SAMPLES)
    return detector, event, simulator, rows, ribbons, spectra


def test_transforms_are_those_of_the_whole_simulator():
    """Cut out of the simulator's waveforms. Two approximations: of the currents on far wires the second order across the pitch, and
    responses longer than a window; 1 % of the rms. Pieces of track are cut differently by the two, the same to that."""
    detector, event, simulator, rows, ribbons, spectra = setting()
    mean = simulator.expected(detector, event)
    for seen, stands, spectrum, signal in zip(rows, ribbons, spectra, mean.planes, strict=True):
        voltage = detector.electronics.voltage(cut(signal, stands, SAMPLES, mean.pedestal))
        expected = np.asarray(folded(voltage, stands, 129))
        found = np.asarray(answers(transformed_charge(seen, stands, SIZE), spectrum).total)
        assert np.sum(np.abs(found - expected) ** 2) < 0.01**2 * np.sum(np.abs(expected) ** 2)


def test_where_a_window_begins_is_no_part_of_its_transform():
    """Of a pulse that both windows hold whole; rounding of float64."""
    detector, event, simulator, _, ribbons, _ = setting()
    mean = simulator.expected(detector, event)
    stands = ribbons[2]
    moved = Ribbons(stands.volume, stands.wire, stands.sample + 7)
    pedestal = mean.pedestal
    one, other = (folded(cut(mean.planes[2], at, SAMPLES, pedestal) - pedestal, at, 129) for at in (stands, moved))
    size = float(jnp.max(jnp.abs(one)))
    # Currents 60 µs before arrival are 1e-3 of the peak.
    assert float(jnp.max(jnp.abs(one - other))) < 3e-3 * size


def test_cells_hold_all_charge_at_its_mean_time():
    _, _, _, rows, ribbons, _ = setting()
    for seen, stands in zip(rows, ribbons, strict=True):
        found = cells(seen, stands, SIZE)
        # Five standard deviations of diffusion are followed: 6e-7 is lost.
        assert float(jnp.sum(found.electrons)) == pytest.approx(float(jnp.sum(seen.electrons)), rel=1e-6)
        first = float(jnp.sum(found.electrons * found.sample))
        # Cells of less than an electron have no time.
        assert first == pytest.approx(float(jnp.sum(seen.electrons * seen.sample)), rel=1e-4)


def test_derivatives_of_cells_against_differences():
    """By place and time of all rows, along a direction; central differences of 1e-5, good to 1e-7."""
    _, _, _, rows, ribbons, _ = setting()
    seen, stands = rows[0], ribbons[0]
    weight = jnp.asarray(np.random.default_rng(0).normal(size=(2, 1, WIRES, 5)))

    def value(shift):
        from equinox import tree_at

        moved = tree_at(lambda tree: (tree.place, tree.sample), seen, (seen.place + shift, seen.sample + 3 * shift))
        found = cells(moved, stands, SIZE)
        return jnp.sum(weight[0] * found.electrons) + 1e3 * jnp.sum(weight[1] * found.sample)

    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    assert float(jax.grad(value)(0.0)) == pytest.approx(float(slope), rel=1e-5)


def test_from_sources_to_targets_and_back():
    values = jnp.asarray(np.random.default_rng(1).normal(size=(5, 1, 12, 3)))
    there = np.asarray(at_targets(values))
    for offset in range(-2, 3):
        for wire in range(2, 10):
            assert there[offset + 2, 0, wire] == pytest.approx(np.asarray(values)[offset + 2, 0, wire - offset])
    assert np.asarray(at_sources(at_targets(values)))[:, :, 2:-2] == pytest.approx(np.asarray(values)[:, :, 2:-2])
