"""Which channels bring the information: shares against finite differences, for a family of channels that is cheap to compile.

With a weight wₙ on the information of channel n and Σ(w) the covariance of the k wanted parameters, the share of the channel is
−∂(log det Σ)/∂wₙ / k at w = 1. A weight on a channel's information is a factor on its 1/σ², which the stand-in takes from
the radius of a sensor.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Primary, replace
from studio.inference import fisher_information, information_by_channel
from studio.inference.likelihood import AbstractLikelihood, Judged, Measured
from studio.simulation import AbstractSimulator
from tests import tanks

EVENT = Primary("point", (200.0, -100.0, 300.0), kinetic_energy=10.0)
WANTED = ("vertex", "kinetic_energy")


class Ranging(AbstractSimulator):
    """Every sensor measures an amount of light and a time, both disturbed by two latents."""

    chunk: int = 512

    def expected(self, detector, event):
        raise NotImplementedError

    def sample(self, detector, event, key):
        raise NotImplementedError

    def latent_count(self, event):
        return 2

    def emit(self, detector, event, latents):
        energy = event.kinetic_energy * detector.sensors.efficiency[0] * (1 + 0.05 * latents[0])
        return event.vertex + jnp.array([0.0, 0.0, 1.0]) * 20.0 * latents[1], energy, event.time

    def receive(self, detector, emitted, channels):
        vertex, energy, time = emitted
        offset = detector.placed.positions[channels] - vertex
        distance = jnp.sqrt(jnp.sum(offset**2, axis=-1))
        return 1e6 * energy / distance**2, time + distance / 200.0, (detector.sensors.radius[channels] / 174.0) ** 2


class Gaussian(AbstractLikelihood):
    """Independent errors whose inverse variance grows with the sensor's area."""

    def channel_count(self, detector):
        return detector.sensors.count

    def measured(self, detector, received):
        light, time, area = received
        return Measured(light, area / 0.1), Measured(time, area / 4.0)

    def judge(self, detector, readout, measured, channels):
        return Judged(jnp.zeros(len(channels)), jnp.zeros(len(channels)))


def asked(detector, chunk=512, nuisance=None):
    nuisance = {"sensors.efficiency": 0.05} if nuisance is None else nuisance
    return Ranging(chunk), detector, EVENT, WANTED, nuisance, Gaussian()


def log_determinant(detector) -> float:
    information = fisher_information(*asked(detector))
    return float(np.linalg.slogdet(np.asarray(information.matrix))[1])


@pytest.mark.parametrize("chunk", [512, 16])
def test_the_information_is_that_of_all_channels(chunk):
    """The same sums in another order: 1e-9 for matrices of condition 1e5."""
    found, _ = information_by_channel(*asked(tanks.cylinder(), chunk))
    expected = fisher_information(*asked(tanks.cylinder(), chunk))
    assert found.names == expected.names
    scale = np.sqrt(np.diag(expected.matrix))
    np.testing.assert_allclose(
        found.matrix / np.outer(scale, scale), expected.matrix / np.outer(scale, scale), atol=1e-9
    )


@pytest.mark.parametrize("chunk", [512, 16])
def test_shares_are_derivatives_by_the_weight_of_a_channel(chunk):
    """Central differences of step 1e-3: an error of 1e-6 of the derivative, and rounding of 1e-13 / 1e-3."""
    detector = tanks.cylinder()
    _, shares = information_by_channel(*asked(detector, chunk))
    radius, step = np.asarray(detector.sensors.radius), 1e-3
    for channel in (0, 17, 69):
        values = []
        for weight in (1 + step, 1 - step):
            changed = radius.copy()
            changed[channel] *= np.sqrt(weight)
            values.append(log_determinant(replace(detector, {"sensors.radius": changed})))
        assert shares[channel] == pytest.approx((values[0] - values[1]) / (2 * step) / 4, rel=1e-4, abs=1e-9)


def test_shares_add_up_to_one_without_priors():
    """And to less with them: what the priors of nuisances and latents bring is missing. Ten times the information makes
    the priors count less."""
    detector = tanks.cylinder()
    large = replace(detector, {"sensors.radius": np.sqrt(10.0) * np.asarray(detector.sensors.radius)})
    sums = []
    for tank in (detector, large):
        _, shares = information_by_channel(*asked(tank))
        assert float(jnp.min(shares)) >= 0
        sums.append(float(jnp.sum(shares)))
    assert sums[0] < 1 - 1e-3
    assert sums[1] < 1 - 1e-3
    without = Ranging(), detector, EVENT, ("vertex",), (), Gaussian()
    _, shares = information_by_channel(*without)
    # The vertex's z shares its direction with a latent of 20 mm, whose prior matters; x and y are free of priors.
    _, vertical = fisher_information(*without).sigma()[1:]
    assert float(vertical) > 19.0
    assert 2 / 3 - 1e-6 < float(jnp.sum(shares)) < 1


def test_near_sensors_bring_more_than_far_ones():
    detector = tanks.cylinder()
    _, shares = information_by_channel(*asked(detector))
    distance = np.linalg.norm(np.asarray(detector.placed.positions) - np.asarray(EVENT.vertex), axis=-1)
    nearest, farthest = np.argsort(distance)[:10], np.argsort(distance)[-10:]
    assert np.mean(np.asarray(shares)[nearest]) > 2 * np.mean(np.asarray(shares)[farthest])


def test_compiles_and_maps_over_events():
    events = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), EVENT)
    detector = tanks.cylinder()
    run = jax.jit(
        lambda stack: jax.lax.map(
            lambda e: information_by_channel(Ranging(), detector, e, WANTED, (), Gaussian())[1], stack
        )
    )
    found = run(events)
    alone = information_by_channel(*asked(detector, nuisance=()))[1]
    np.testing.assert_allclose(found, np.stack([alone, alone]), rtol=1e-9)
