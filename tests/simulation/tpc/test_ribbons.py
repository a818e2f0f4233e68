"""Windows along a track hold what the simulator of whole windows says, whatever they are cut from and wherever they begin."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Primary, TPCSimulator
from studio.inference.track_windows import arrival_of, bucket_of, needs, ribbons_along, spectra_for
from studio.inference.wire_tracks import TrackModel, occupied
from studio.simulation.tpc.charge_grid import in_parts
from studio.simulation.tpc.ribbons import (
    Ribbons,
    RibbonSize,
    cut,
    folded,
    transformed_charge,
    voltages,
    voltages_and_slopes,
)
from tests.simulation.tpc.small_tpc import small_tpc

SAMPLES, WIRES = 256, 64
SIZE = RibbonSize(bins=10, wires=WIRES, samples=SAMPLES, frequencies=129, parts=8, patch=10)


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
    """Cut out of the simulator's waveforms, which cuts this track into as many parts. Currents 60 µs before arrival, longer than a
    window of 256 samples holds, are 1e-3 of the peak on each of many wires: 5e-3 of the rms."""
    detector, event, simulator, rows, ribbons, spectra = setting()
    mean = simulator.expected(detector, event)
    for seen, stands, spectrum, signal in zip(rows, ribbons, spectra, mean.planes, strict=True):
        voltage = detector.electronics.voltage(cut(signal, stands, SAMPLES, mean.pedestal))
        expected = np.asarray(folded(voltage, stands, 129))
        found = np.asarray(voltages(transformed_charge(seen, stands, SIZE), spectrum))
        assert np.sum(np.abs(found - expected) ** 2) < 0.005**2 * np.sum(np.abs(expected) ** 2)


def test_slopes_from_piece_to_piece_are_those_of_the_whole():
    """Along random changes of all that is seen of the pieces, a tenth of one at least where that is 0: forward derivatives of the
    sum over all parts at once, which is in float32, so to 1e-6 of the largest."""
    detector, event, simulator, _, ribbons, spectra = setting()
    charge = occupied(simulator.emit(detector, event, jnp.zeros(0)), 20)
    random = np.random.default_rng(1)
    for plane, stands, spectrum in zip(detector.planes, ribbons, spectra, strict=True):
        pieces, fixed = eqx.partition(simulator.pieces(detector, charge, plane), eqx.is_inexact_array)
        changes = jax.tree.map(
            lambda leaf: random.normal(size=(3, *leaf.shape)) * jnp.maximum(jnp.abs(leaf), 0.1), pieces
        )

        def whole(pieces, fixed=fixed, stands=stands, spectrum=spectrum):
            rows = in_parts(eqx.combine(pieces, fixed), SIZE.parts)
            return voltages(transformed_charge(rows, stands, SIZE), spectrum)

        found, slopes = voltages_and_slopes(eqx.combine(pieces, fixed), changes, stands, SIZE, spectrum)
        assert np.max(np.abs(found - whole(pieces))) < 1e-6 * np.max(np.abs(found))
        for number, slope in enumerate(slopes):
            change = jax.tree.map(lambda leaf, number=number: leaf[number], changes)
            _, expected = jax.jvp(whole, (pieces,), (change,))
            assert np.max(np.abs(slope - expected)) < 1e-6 * np.max(np.abs(expected))


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


@pytest.mark.parametrize("direction", [(-0.7, 0.6, 0.4), (-0.7, -0.2, 0.7)])
def test_fits_expect_what_the_simulator_does(direction):
    """In the windows that a fit chooses, also for steep tracks along the wires of an induction plane, the difference from the
    simulator's waveforms is together less than two σ of the noise, in thousands of numbers that all count: no parameter can be off by
    more than two of its σ, and would be only if the difference looked like its derivative."""
    detector, simulator = small_tpc(), TPCSimulator(segments=16, process=False)
    event, still = Primary("mu-", (150.0, 0.0, 0.0), direction, 60.0), jnp.zeros(0)
    plan = bucket_of(simulator, detector, needs(simulator, detector, event, still))
    model = TrackModel(simulator, plan.sizes, spectra_for(simulator, detector, plan.sizes[0].samples))
    rows = model.rows(detector, event, still)
    ribbons = ribbons_along(detector, rows, plan.sizes, 1, arrival_of(simulator, detector))
    observed = model.observed(detector, simulator.expected(detector, event), ribbons)
    found = model.expected(detector, event, still, ribbons)
    off = [white * (seen - mean) for white, seen, mean in zip(observed.white, observed.seen, found, strict=True)]
    assert sum(float(jnp.sum(jnp.abs(one) ** 2)) for one in off) < 2.0**2
