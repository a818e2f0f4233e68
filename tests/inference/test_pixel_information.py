"""Information of what pads record, by vertex and energy: against derivatives of the predicted numbers by central differences, and against
the likelihood of what is sampled."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import PixelSimulator, Primary, StudioError
from studio.inference.likelihood import likelihood_of
from studio.inference.parameters import groups_of, scales
from studio.inference.sensitivity import information_matrix
from tests.simulation.tpc.small_pixels import small_pixels

MUON = {"vertex": (100.0, 3.0, -30.0), "direction": (0.2, 0.3, 1.0), "kinetic_energy": 20.0}


@functools.cache
def setting():
    detector, event = small_pixels(), Primary("mu-", **MUON)
    return detector, event, PixelSimulator(segments=3, around=1, start=8.0).fitted(detector, [event])


@functools.cache
def information():
    detector, event, simulator = setting()
    still, likelihood, groups = jnp.zeros(simulator.latent_count(event)), likelihood_of(simulator), groups_of(event)
    return jax.jit(lambda event: information_matrix(simulator, likelihood, detector, event, still, groups))(event)


def test_information_is_that_of_differences():
    """F = Σ P (∂t)²/σ²_t + P (∂q')²/σ²_q + (∂P)²/(P (1 − P)) over pads and triggers, with derivatives by differences of 1e-4 in the event's natural
    units; 1e-3 of the diagonal, for kinks of the running maximum within a step. The first term is as the likelihood has it
    once the part of the charge that follows the time is held."""
    detector, event, simulator = setting()
    still, likelihood = jnp.zeros(simulator.latent_count(event)), likelihood_of(simulator)
    channels = jnp.arange(likelihood.channel_count(detector))

    @jax.jit
    def measured(vertex, energy):
        moved = Primary("mu-", vertex, MUON["direction"], energy)
        return likelihood.measured(
            detector, simulator.receive(detector, simulator.emit(detector, moved, still), channels)
        )

    at, kept = np.array([*MUON["vertex"], MUON["kinetic_energy"]]), [0, 1, 2, 5]
    units = np.asarray(scales(event, groups_of(event)))[kept]
    level, time, charge, slope, number = measured(at[:3], at[3])
    slopes = []
    for index, unit in enumerate(units):
        step = 1e-4 * unit * np.eye(4)[index]
        ends = [measured((at + sign * step)[:3], (at + sign * step)[3]) for sign in (1, -1)]
        assert all(np.array_equal(end[4].mean, number.mean) for end in ends)
        # The slope of charge on time is held where the derivative is taken.
        charges = [end[2].mean + (end[3].mean - slope.mean) * end[1].mean for end in ends]
        fires = [jax.scipy.special.ndtr(end[0].mean) for end in ends]
        slopes.append([(a - b) / 2e-4 for a, b in (fires, [end[1].mean for end in ends], charges)])
    fires = np.asarray(jax.scipy.special.ndtr(level.mean))
    reached = np.cumprod(np.pad(fires[:, :-1], ((0, 0), (1, 0)), constant_values=1.0), axis=1)
    of_firing = np.where(np.asarray(number.mean) >= 0, reached, 0.0) / np.maximum(fires * (1 - fires), 1e-12)
    weights = np.stack([of_firing, np.asarray(time.information), np.asarray(charge.information)])
    slopes = np.array(slopes)
    expected = np.einsum("akpt,kpt,bkpt->ab", slopes, weights, slopes)
    size = np.sqrt(np.diag(expected))
    got = np.asarray(information())[np.ix_(kept, kept)]
    assert got / np.outer(size, size) == pytest.approx(expected / np.outer(size, size), abs=1e-3)


@pytest.mark.slow  # a minute of compilation
def test_the_likelihood_of_samples_is_highest_near_the_truth_and_as_sharp_as_the_information_says():
    """Along one axis across the track, without scattering in sample or hypothesis: the mean over 60 samples of half the drop of
    log L at ±3 CRLB is 9/2, but for the non-normal tails of times and second triggers: within a factor of 2; and the mean maximum of a
    parabola lies within 4 σ/√60 and a third of σ of the truth."""
    detector, event, simulator = setting()
    still, likelihood = jnp.zeros(simulator.latent_count(event)), likelihood_of(simulator)
    sigma = 10.0 / np.sqrt(float(information()[1, 1]))  # all else known; the natural unit is 10 mm
    deposits = simulator.deposits(detector, event, still)
    samples = jax.jit(
        lambda keys: jax.lax.map(lambda key: simulator.sample(detector, deposits, key), keys, batch_size=10)
    )(jax.random.split(jax.random.key(0), 60))
    channels = jnp.arange(likelihood.channel_count(detector))

    @jax.jit
    def value(shift):
        vertex = jnp.asarray(MUON["vertex"]) + jnp.array([0.0, 1.0, 0.0]) * shift
        sent = simulator.emit(detector, Primary("mu-", vertex, MUON["direction"], MUON["kinetic_energy"]), still)
        measured = likelihood.measured(detector, simulator.receive(detector, sent, channels))
        return jax.vmap(lambda one: jnp.sum(likelihood.judge(detector, one, measured, channels).value))(samples)

    low, middle, high = (np.asarray(value(shift)) for shift in (-3 * sigma, 0.0, 3 * sigma))
    assert 0.5 < np.mean(middle - 0.5 * (low + high)) / 4.5 < 2.0
    best = 3 * 0.5 * (high - low) / (2 * middle - low - high)  # in σ
    assert abs(np.mean(best)) < 4 / np.sqrt(60) + 0.33


def test_without_windows_there_is_no_likelihood():
    with pytest.raises(StudioError, match="fitted"):
        likelihood_of(PixelSimulator())
