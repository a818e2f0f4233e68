"""Tracks on wires: fits from far and of the waveforms, without truth, on sampled readouts of a small chamber."""

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, Primary, TPCSimulator, reconstruct
from studio.event.primary import stack
from studio.inference import Status
from studio.inference.likelihood import likelihood_of
from studio.inference.parameters import moved, scales
from studio.inference.sensitivity import information_matrix
from studio.inference.track_images import mismatch_problem, picture, starts, towards, track_features, views_of, waves
from studio.inference.track_windows import arrival_of, bucket_of, needs, passing, ribbons_along, spectra_for
from studio.inference.wire_tracks import GROUPS, TrackModel, track_problem
from studio.simulation.optical.directions import turned
from tests.simulation.tpc.small_tpc import small_tpc

SIMULATOR = TPCSimulator(segments=16, process=False)
TRUTHS = [
    {"vertex": (100.0, 0.0, -100.0), "direction": (0.2, 0.3, 1.0), "kinetic_energy": 70.0},
    {"vertex": (180.0, -60.0, 90.0), "direction": (-0.3, 0.7, -0.5), "kinetic_energy": 70.0},
    {"vertex": (90.0, 80.0, 20.0), "direction": (0.1, -0.9, 0.4), "kinetic_energy": 70.0},
    {"vertex": (150.0, 10.0, 60.0), "direction": (0.4, 0.2, -0.9), "kinetic_energy": 70.0},
]


@functools.cache
def sampled(index):
    return SIMULATOR.sample(small_tpc(), Primary("mu-", **TRUTHS[index]), jax.random.key(index))


@functools.cache
def setting():
    detector = small_tpc()
    truths = [Primary("mu-", **truth) for truth in TRUTHS]
    readouts = [sampled(index) for index in range(len(truths))]
    faint = Primary("mu-", (100.0, 0.0, 0.0), (0.0, 0.3, 1.0), 0.1)
    readouts.append(SIMULATOR.sample(detector, faint, jax.random.key(99)))
    return detector, truths, jax.tree.map(lambda *leaves: jnp.stack(leaves), *readouts)


@functools.cache
def fitted():
    detector, _, readouts = setting()
    return reconstruct(SIMULATOR, detector, readouts, "mu-")


@pytest.mark.slow  # minutes of compilation
def test_fits_without_truth_converge():
    found = fitted()
    assert found.ok[: len(TRUTHS)].all(), found.failures()


@pytest.mark.slow  # minutes of compilation
def test_fits_without_truth_have_pulls_of_unit_width():
    """δᵀC⁻¹δ of four fits with six parameters each: χ² with 24 degrees of freedom, of which a mean of 1 ± 0.29 is expected."""
    _, truths, _ = setting()
    found = fitted()
    squares = []
    for index, truth in enumerate(truths):
        covariance = np.asarray(found.covariance[index])
        fit = jax.tree.map(lambda leaf, index=index: leaf[index], found.primary)
        tangents = jax.jacobian(lambda step, axis=fit.direction: turned(axis, step))(jnp.zeros(2))
        along = np.asarray((truth.direction - fit.direction) @ tangents)
        energy = float(truth.kinetic_energy - fit.kinetic_energy)
        off = np.array([*np.asarray(truth.vertex - fit.vertex), *along, energy])
        squares.append(off @ np.linalg.solve(covariance, off))
    assert 1 - 3 * 0.29 < np.sum(squares) / 24 < 1 + 3 * 0.29
    # The electronics' noise alone: less than what a digitizer's rounding and the charge's own fluctuation add.
    assert np.all(np.abs(np.asarray(found.goodness)[: len(truths)] - 1) < 0.2)


@pytest.mark.slow  # minutes of compilation
def test_nothing_recorded_is_a_failure_with_a_reason():
    found = fitted()
    assert int(found.status[-1]) == Status.TOO_LITTLE_CHARGE
    assert found.failures() == {"too_little_charge": 1}


@pytest.mark.slow  # minutes of compilation
def test_a_particle_that_is_not_there_is_a_poor_fit():
    """A proton as far as this muon has four times the energy to leave: charge and range do not agree."""
    detector, _, readouts = setting()
    first = jax.tree.map(lambda leaf: leaf[:1], readouts)
    found = reconstruct(SIMULATOR, detector, first, "proton")
    assert int(found.status[0]) in (Status.POOR_FIT, Status.NOT_CONVERGED)


@functools.cache
def seen():
    detector = small_tpc()
    spectra = spectra_for(SIMULATOR, detector, 200)
    return detector, Primary("mu-", **TRUTHS[0]), picture(detector, sampled(0), spectra, jnp.zeros(()))


def test_a_start_follows_from_the_charge_alone():
    """One of the two ways along the charge: to a fifth of the track's 135 mm, and 0.15 rad."""
    detector, truth, found = seen()
    tried = starts(detector, found, "mu-", jnp.zeros(()))
    best = int(jnp.argmax(tried.direction @ truth.direction))
    assert float(tried.direction[best] @ truth.direction) > np.cos(0.15)
    assert float(jnp.linalg.norm(tried.vertex[best] - truth.vertex)) < 27.0
    assert float(tried.kinetic_energy[best]) == pytest.approx(70.0, rel=0.15)


def test_the_basin_is_as_wide_as_the_blur():
    """From 300 mm and 20° off, twice as far as the track is long and anywhere in the chamber: the end is within 25 mm, the finest blur,
    from seven starts of eight at least."""
    detector, truth, found = seen()
    generator = np.random.default_rng(3)
    tried = []
    for _ in range(8):
        away, across = generator.normal(size=3), np.cross(generator.normal(size=3), truth.direction)
        direction = np.asarray(truth.direction) * np.cos(0.35) + across / np.linalg.norm(across) * np.sin(0.35)
        tried.append(Primary("mu-", np.asarray(truth.vertex) + 300 * away / np.linalg.norm(away), direction, 84.0))
    go = jax.jit(lambda start: towards(detector, found, start, jnp.zeros(0), 16, 20))
    ends = [go(start)[0] for start in tried]
    near = [float(jnp.linalg.norm(end.vertex - truth.vertex)) < 25.0 for end in ends]
    assert sum(near) >= 7


def test_the_slope_of_the_mismatch_against_differences():
    """Central differences of 1e-4 in natural units: good to 1e-7 of the value's curvature."""
    detector, truth, found = seen()
    start = moved(truth, GROUPS, jnp.array([30.0, -20.0, 10.0, 0.1, -0.05, 3.0]))
    wave, scale, views = jnp.asarray(waves()[2]), jnp.asarray(150.0), views_of(detector)
    electrons = found.electrons[0]
    problem = mismatch_problem(detector, views, found.features[:, 2], electrons, (start, jnp.zeros(0)), 16, wave, scale)
    slope = np.asarray(jax.jit(problem.slope)((start, jnp.zeros(0)))[1])

    @jax.jit
    def value(change):
        event = moved(start, GROUPS, change * scales(start, GROUPS))
        of_track = track_features(detector, views, event, jnp.zeros(0), 16, wave, scale)
        made = jnp.sum(SIMULATOR.emit(detector, event, jnp.zeros(0)).electrons)
        off = jnp.sum(jnp.abs((of_track - found.features[:, 2]) / 0.1) ** 2)
        return -0.5 * (off + (jnp.log(made / electrons) / 0.1) ** 2)

    steps = 1e-4 * np.eye(6)
    expected = [float(value(step) - value(-step)) / 2e-4 for step in steps]
    assert slope == pytest.approx(np.array(expected), rel=1e-5, abs=1e-6 * np.abs(slope).max())


@functools.cache
def at_the_truth():
    detector, event, still = small_tpc(), Primary("mu-", **TRUTHS[0]), jnp.zeros(0)
    plan = bucket_of(SIMULATOR, detector, needs(SIMULATOR, detector, event, still))
    model = TrackModel(SIMULATOR, plan.sizes, spectra_for(SIMULATOR, detector, plan.sizes[0].samples))
    rows = model.rows(detector, event, still)
    ribbons = ribbons_along(detector, rows, plan.sizes, 1, arrival_of(SIMULATOR, detector))
    observed = model.observed(detector, sampled(0), ribbons)
    problem = track_problem(model, detector, observed, event, still, jnp.asarray(passing(detector, plan.sizes[0]))[-1])
    return event, problem


def test_information_is_that_of_whole_windows():
    """σ of every parameter from the information that the fit uses, and from `information_matrix` of the simulator's own windows:
    2 %, for frequencies that the fit leaves out."""
    detector, (event, problem) = small_tpc(), at_the_truth()
    still = jnp.zeros(0)
    whole = SIMULATOR.fitted(detector, [event])
    matrix = jax.jit(lambda at: information_matrix(whole, likelihood_of(whole), detector, at, still, GROUPS))(event)
    found = jax.jit(problem.information)((event, still))
    sigma, expected = (np.sqrt(np.diag(np.linalg.inv(np.asarray(one)))) for one in (found, matrix))
    assert sigma == pytest.approx(expected, rel=0.02)


def test_the_slope_of_the_likelihood_against_differences():
    """Central differences of 1e-2 in natural units, half a millimetre off the truth, where slopes are 1e4: 1 % of the largest, which
    the rounding of residuals in float32 stays far below."""
    event, problem = at_the_truth()
    point = (moved(event, GROUPS, jnp.array([0.5, -0.5, 0.5, 0.002, -0.002, 0.2])), jnp.zeros(0))
    slope = jax.jit(problem.slope)
    gradient = np.asarray(slope(point)[1])
    steps = 1e-2 * np.eye(6)
    there = [
        [
            float(slope((moved(point[0], GROUPS, sign * step * scales(point[0], GROUPS)), jnp.zeros(0)))[0])
            for sign in (1, -1)
        ]
        for step in steps
    ]
    expected = np.array([(up - down) / 2e-2 for up, down in there])
    assert gradient == pytest.approx(expected, rel=0.01, abs=0.01 * np.abs(expected).max())


def test_what_does_not_fit_together_is_refused():
    detector = small_tpc()
    readouts = jax.tree.map(lambda leaf: leaf[None], sampled(0))
    two = stack([Primary("mu-", **truth) for truth in TRUTHS[:2]])
    with pytest.raises(InputError, match="this chamber"):
        reconstruct(SIMULATOR, small_tpc(pitch=5.0), readouts)
    with pytest.raises(InputError, match="one primary an event"):
        reconstruct(SIMULATOR, detector, readouts, start=two)
    with pytest.raises(InputError, match="no single track"):
        reconstruct(SIMULATOR, detector, readouts, "e-")
    with pytest.raises(InputError, match="cannot be reconstructed"):
        reconstruct(cast(Any, None), detector, readouts)
