"""The simulator of wires as a whole: charge is kept, nothing jumps, samples have the expectation as their mean, and derivatives are
those of the answer.

Charge on the wires is what the voltages of a plane sum to, over the integral of the electronics' pulse.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, Primary, StudioError, get, replace
from studio.event.deposits import Deposits
from studio.simulation import TPCSimulator
from studio.simulation.tpc.drift import drift
from studio.simulation.tpc.field_response import field_response
from tests.simulation.tpc.small_tpc import small_tpc

AT = (150.0, 20.0, -30.0)


@functools.cache
def tank():
    return small_tpc()


def track(direction, length=60.0, at=AT, count=60, energy=0.21):
    """A straight track of so many MeV a mm around a place, in segments of 1 mm."""
    direction = np.array(direction) / np.linalg.norm(direction)
    along = (np.arange(count) + 0.5) / count * length - length / 2
    return Deposits(
        np.array(at) + along[:, None] * direction,
        np.full(count, energy * length / count),
        length / count,
        0.0,
        direction,
    )


def drifted(detector, event):
    charge = drift(event, detector.volumes, detector.medium, detector.space_charge)
    return float(jnp.sum(charge.electrons))


def collected(detector, readout, plane=2):
    """Electrons, from the sum over wires and samples of one plane."""
    electronics = detector.electronics
    counts = float(jnp.sum(readout.planes[plane].values - readout.pedestal))
    voltage = counts / (2**electronics.bits - 1) * float(electronics.full_scale)
    return voltage * electronics.tick / abs(complex(electronics.transfer(jnp.zeros(()))))


DIRECTIONS = ((0, 0, 1), (0, 1, 0), (1, 0, 0.02), (0.5, 0.3, 0.8), (-0.9, 0.1, 0.3))


@functools.cache
def for_all_directions():
    return TPCSimulator().fitted(tank(), [track(direction) for direction in DIRECTIONS])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_is_collected_is_what_drifts(direction):
    """Along, across and between the wires: 0.5 %, with a transparency of 1; induction planes keep nothing."""
    event = track(direction)
    found = for_all_directions().expected(tank(), event)
    whole = drifted(tank(), event)
    assert collected(tank(), found) == pytest.approx(whole, rel=5e-3)
    assert abs(collected(tank(), found, 0)) < 0.01 * whole
    assert abs(collected(tank(), found, 1)) < 0.01 * whole
    assert float(found.outside) < 1e-6


@pytest.mark.parametrize(
    ("pitch", "gap", "biases"), [(2.5, 3.0, (-200.0, 0.0, 440.0)), (4.7, 4.8, (-365.0, 0.0, 860.0))]
)
def test_pitch_and_gap_keep_the_charge_that_passes(pitch, gap, biases):
    detector = small_tpc(pitch, gap, biases)
    event = track((0.2, 0.5, 0.7))
    planes = detector.planes
    through = field_response(
        jnp.stack([plane.pitch for plane in planes]),
        jnp.stack([plane.height for plane in planes]),
        jnp.stack([plane.bias for plane in planes]),
        50.0,
    ).transparency
    assert float(through) > 0.995
    expected = drifted(detector, event) * float(through)
    assert collected(detector, TPCSimulator().expected(detector, event)) == pytest.approx(expected, rel=5e-3)


def bends(waveforms):
    """The largest second difference along a scan over the peak: a jump stays as large as it is, what is smooth falls as the
    square of the step."""
    return np.abs(np.diff(waveforms, n=2, axis=0)).max() / np.abs(waveforms).max()


def test_nothing_jumps_where_charge_changes_from_one_wire_to_the_next():
    """In 20 steps of 2 µm across the middle between two wires, diffusion being 0.4 mm: 1e-4 of the peak."""
    found = []
    assert float(tank().planes[2].number(jnp.asarray(-30.0))) % 1 == 0.5
    for shift in np.linspace(-0.02, 0.02, 21):
        event = track((0, 0, 1), 1.0, at=(150.0, 20.0, -30.0 + shift), count=1)
        found.append(np.asarray(for_all_directions().expected(tank(), event).waveforms[2])[40:80] - 2047.5)
    assert bends(np.array(found)) < 1e-4


def test_nothing_jumps_with_the_pitch():
    """In 20 steps of 5e-5 of a pitch, which move the wire that is hit by 9 µm, diffusion being 0.4 mm: 1e-4 of the peak."""
    found, event = [], track((0.1, 0.3, 1), 1.0, at=(150.0, 150.0, -170.0), count=1)
    for stretch in np.linspace(0, 1e-3, 21):
        detector = small_tpc(3.0 * (1 + stretch), smallest=2.9)
        found.append(np.asarray(for_all_directions().expected(detector, event).waveforms[2]) - 2047.5)
    assert bends(np.array(found)) < 1e-4


def test_samples_have_the_expectation_as_their_mean():
    """400 samples: each count is known to 0.1, a twentieth of the noise. Of 10,000 a plane 2,000 are independent, since noise lasts
    over five samples: their spread about the expectation is known to 1.6 %, four of which are 7 %."""
    detector = small_tpc()
    event = track((0.3, 0.2, 0.9))
    simulator = TPCSimulator().fitted(detector, [event])
    draw = jax.jit(jax.vmap(lambda key: simulator.sample(detector, event, key).planes))
    planes = draw(jax.random.split(jax.random.key(3), 400))
    mean = simulator.expected(detector, event)
    for plane, expected in zip(planes, mean.planes, strict=True):
        counts = np.asarray(plane.values)
        error = counts.std(axis=0) / np.sqrt(len(counts))
        pulls = (counts.mean(axis=0) - np.asarray(expected.values)) / np.maximum(error, 0.02)
        assert np.abs(pulls).max() < 5.5
        assert np.std(pulls[error > 0.05]) == pytest.approx(1.0, abs=0.07)


FREE = (
    "medium.longitudinal_diffusion",
    "medium.transverse_diffusion",
    "medium.electron_lifetime",
    "medium.temperature",
    "volumes.field",
    "planes.0.pitch",
    "planes.2.pitch",
    "planes.1.height",
    "planes.0.bias",
    "planes.0.angle",
    "electronics.shaping_time",
    "electronics.gain",
)


@functools.cache
def weighed():
    """The waveforms by leaves of the detector, and the gradient of their sum with random weights."""
    event = track((0.3, 0.2, 0.9), 30.0, count=10)
    simulator = TPCSimulator().fitted(tank(), [event], room=10.0)

    def waveforms(leaves):
        return simulator.expected(replace(tank(), leaves), event).waveforms

    leaves = {name: jnp.asarray(get(tank(), name), float) for name in FREE}
    random = np.random.default_rng(0)
    weights = [random.normal(size=plane.shape) for plane in jax.eval_shape(waveforms, leaves)]

    def value(leaves):
        return sum(jnp.sum(weight * counts) for weight, counts in zip(weights, waveforms(leaves), strict=True))

    return leaves, weights, jax.jit(waveforms), jax.jit(jax.grad(value))(leaves)


@pytest.mark.parametrize("path", FREE)
def test_derivatives_against_differences(path):
    """Central differences in float64 of every sample: with weights of unit variance, a derivative is as large as the root of the sum
    of their squares, or smaller by accident. 1e-4 of that root, and the differences' rounding: 1e-15 of 2,048 counts."""
    leaves, weights, waveforms, slope = weighed()
    step = 1e-5 * abs(float(leaves[path]))
    up, down = (waveforms({**leaves, path: leaves[path] + sign * step}) for sign in (1, -1))
    differences = [(np.asarray(more) - np.asarray(less)) / (2 * step) for more, less in zip(up, down, strict=True)]
    size = np.sqrt(sum(np.sum(plane**2) for plane in differences))
    rounding = 1e-15 * 2048 * np.sqrt(sum(plane.size for plane in differences)) / step
    expected = sum(np.sum(weight * plane) for weight, plane in zip(weights, differences, strict=True))
    assert float(slope[path]) == pytest.approx(expected, rel=0.0, abs=1e-4 * size + rounding)


def test_a_particle_leaves_its_energy_on_the_wires():
    """A muon of 60 MeV that stops: what is collected is what drifts; a sample reads out every wire and differs by noise."""
    primary = Primary("mu-", (100.0, 0.0, -100.0), (0.2, 0.3, 1.0), 60.0)
    simulator = TPCSimulator(segments=40)
    mean = simulator.expected(tank(), primary)
    assert collected(tank(), mean) == pytest.approx(drifted(tank(), simulator.deposits(tank(), primary)), rel=5e-3)
    drawn = simulator.sample(tank(), primary, jax.random.key(0))
    assert [waveform.shape for waveform in drawn.waveforms] == [(plane.slots, 700) for plane in tank().planes]
    quiet = np.asarray(drawn.waveforms[2])[10]
    lengths = tank().wire_lengths[2]
    noise = float(tank().electronics.noise(lengths[10])) / float(tank().electronics.full_scale) * 4095
    assert np.std(quiet) == pytest.approx(np.sqrt(noise**2 + 1 / 12), rel=0.15)  # 700 samples, correlated over 4


def test_without_sizes_a_traced_geometry_is_refused():
    with pytest.raises(StudioError, match="give the simulator windows"):
        jax.jit(
            lambda pitch: TPCSimulator().expected(replace(tank(), {"planes.2.pitch": pitch}), track((0, 0, 1))).outside
        )(3.1)


def test_a_stack_is_refused():
    two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), track((0, 0, 1)))
    with pytest.raises(InputError, match="stack of events"):
        TPCSimulator().expected(tank(), two)
