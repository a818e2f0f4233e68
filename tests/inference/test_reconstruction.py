"""Reconstruction of sampled events without their truth: most converge, errors are what the covariance says, failures
say why.

Twelve events and seven parameters: the rms of 84 pulls of unit width is 1 ± 0.08 for independent ones; the bound of
[0.6, 1.5] is five times that.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, OpticalSimulator, Primary, Readout, reconstruct
from studio.inference import Status
from tests import tanks

pytestmark = pytest.mark.slow  # minutes on two cores: compilation and Monte Carlo

# Process off keeps the compilation in seconds; closure with process fluctuations is measured with real tanks.
SIMULATOR = OpticalSimulator(segments=16, process=False)
COUNT = 12


@functools.cache
def tank():
    return tanks.cylinder(2500.0, 5000.0, 1200.0)


@functools.cache
def truth(particle):
    generator = np.random.default_rng(5)
    vertices, directions = generator.uniform(-900, 900, (COUNT, 3)), generator.standard_normal((COUNT, 3))
    energies = generator.uniform(*{"mu-": (250.0, 350.0), "point": (5.0, 20.0)}[particle], COUNT)
    return Primary(particle, vertices, directions, energies, generator.uniform(-5, 5, COUNT))


@functools.cache
def sampled(particle):
    """Twelve events, and a thirteenth without any light."""
    sample = eqx.filter_jit(eqx.filter_vmap(SIMULATOR.sample, in_axes=(None, 0, 0)))
    readouts = sample(tank(), truth(particle), jax.random.split(jax.random.key(3), COUNT))
    return Readout(*(jnp.concatenate([leaf, jnp.zeros_like(leaf[:1])]) for leaf in jax.tree.leaves(readouts)))


@functools.cache
def fitted(particle):
    """All thirteen in one batch."""
    return reconstruct(SIMULATOR, tank(), sampled(particle), particle)


def pulls(particle):
    result, true = fitted(particle), truth(particle)
    sigma = np.sqrt(np.diagonal(np.asarray(result.covariance), axis1=1, axis2=2))
    estimate = result.primary
    columns = {
        "vertex.x": estimate.vertex[:COUNT, 0] - true.vertex[:, 0],
        "vertex.y": estimate.vertex[:COUNT, 1] - true.vertex[:, 1],
        "vertex.z": estimate.vertex[:COUNT, 2] - true.vertex[:, 2],
        "kinetic_energy": estimate.kinetic_energy[:COUNT] - true.kinetic_energy,
        "time": estimate.time[:COUNT] - true.time,
    }
    found = {name: np.asarray(column) / sigma[:COUNT, result.names.index(name)] for name, column in columns.items()}
    if particle != "point":
        cosine = jnp.sum(estimate.direction[:COUNT] * true.direction, axis=1)
        index = result.names.index("direction.1")
        # Two tangent coordinates: the angle over the rms of both has the rms √2.
        found["direction"] = (
            np.arccos(np.minimum(cosine, 1.0)) / np.hypot(*sigma[:COUNT, index : index + 2].T) * np.sqrt(2)
        )
    return {name: column[result.ok[:COUNT]] for name, column in found.items()}


@pytest.mark.parametrize("particle", ["point", pytest.param("mu-", marks=pytest.mark.slow)])
def test_most_events_converge_and_pulls_are_sane(particle):
    result = fitted(particle)
    assert np.sum(result.ok[:COUNT]) >= COUNT - 1, result.failures()
    of = pulls(particle)
    together = np.concatenate([column for name, column in of.items() if name != "direction"])
    assert 0.6 < np.sqrt(np.mean(together**2)) < 1.5
    assert np.max(np.abs(together)) < 5
    assert all(np.sqrt(np.mean(column**2)) < 2.2 for column in of.values())
    assert 0.6 < np.median(np.asarray(result.goodness)[:COUNT]) < 1.6


@pytest.mark.parametrize("particle", ["point", pytest.param("mu-", marks=pytest.mark.slow)])
def test_an_event_without_light_is_a_failure_with_a_reason(particle):
    result = fitted(particle)
    assert int(result.status[COUNT]) == Status.TOO_LITTLE_LIGHT
    assert not result.ok[COUNT]
    assert result.failures()["too_little_light"] == 1


@pytest.mark.parametrize("particle", ["point", pytest.param("mu-", marks=pytest.mark.slow)])
def test_a_dark_event_does_not_disturb_its_batch(particle):
    result = fitted(particle)
    assert np.all(np.isfinite(np.asarray(result.primary.vertex)[:COUNT]))
    assert np.all(np.isfinite(np.asarray(result.log_likelihood)[:COUNT]))


def test_readouts_of_another_detector_are_refused():
    zero = jnp.zeros((2, 5))
    with pytest.raises(InputError, match="sensors"):
        reconstruct(SIMULATOR, tank(), Readout(zero, zero, zero > 0))


def test_where_the_clock_has_its_zero_does_not_matter():
    """Single precision has steps of 1 ns at 10 ms: times must be counted from the event. What is left are roundings of times
    to 2e-9 ns, and what the fit makes of them: far less than the errors of 20 mm."""
    readouts = sampled("point")
    later = Readout(readouts.charge, jnp.where(readouts.hit, readouts.time + 1e7, 0.0), readouts.hit)
    now, then = fitted("point").primary, reconstruct(SIMULATOR, tank(), later, "point").primary
    np.testing.assert_allclose(then.vertex[:COUNT], now.vertex[:COUNT], atol=0.2)
    np.testing.assert_allclose(then.time[:COUNT] - 1e7, now.time[:COUNT], atol=2e-3)
