"""Information and likelihood of wires against the same in samples of time: F = Jᵀ C⁻¹ J with J by central differences and the
covariance C of the noise between samples, wire by wire."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import circulant

from studio import InputError, Primary, fisher_information
from studio.event.deposits import Deposits
from studio.inference.likelihood import likelihood_of
from studio.inference.parameters import groups_of, scales
from studio.inference.sensitivity import information_matrix
from studio.paths import get, leaf_paths, replace
from studio.simulation import TPCSimulator
from tests.simulation.tpc.small_tpc import small_tpc

MUON = {"vertex": (100.0, 0.0, -100.0), "direction": (0.2, 0.3, 1.0), "kinetic_energy": 60.0}
SEGMENTS = 12


@functools.cache
def setting():
    detector, event = small_tpc(), Primary("mu-", **MUON)
    return detector, event, TPCSimulator(segments=SEGMENTS).fitted(detector, [event])


def covariance(electronics, length, samples):
    """Between samples of a wire of that length, in V²: the noise's own, and that of rounding."""
    power = np.asarray(electronics.noise_power(jnp.asarray(np.fft.rfftfreq(samples, electronics.tick)), samples))
    noise = float(electronics.noise(jnp.asarray(length))) ** 2 * np.fft.irfft(power, samples)
    step = float(electronics.full_scale) / (2**electronics.bits - 1)
    return circulant(noise) + step**2 / 12 * np.eye(samples)


def test_information_is_that_of_differences_and_the_covariance_in_time():
    """By vertex and energy, to 1e-4: differences of 1e-3 in the event's natural units are good to 1e-6."""
    detector, event, simulator = setting()
    still = jnp.zeros(simulator.latent_count(event))
    likelihood, groups = likelihood_of(simulator), groups_of(event)
    found = np.asarray(
        jax.jit(lambda event: information_matrix(simulator, likelihood, detector, event, still, groups))(event)
    )
    channels = jnp.arange(likelihood.channel_count(detector))

    @jax.jit
    def voltage(vertex, energy):
        moved = Primary("mu-", vertex, MUON["direction"], energy)
        return simulator.receive(detector, simulator.emit(detector, moved, still), channels)

    at = np.array([*MUON["vertex"], MUON["kinetic_energy"]])
    units = np.asarray(scales(event, groups))[[0, 1, 2, 5]]
    slopes = []
    for index, unit in enumerate(units):
        up, down = at.copy(), at.copy()
        up[index] += 1e-3 * unit
        down[index] -= 1e-3 * unit
        slopes.append((voltage(up[:3], up[3]).voltage - voltage(down[:3], down[3]).voltage) / 2e-3)
    slopes, lengths = np.array(slopes), np.asarray(voltage(at[:3], at[3]).length)
    expected = np.zeros((4, 4))
    for channel in np.flatnonzero(lengths > 0):
        jacobian = slopes[:, channel]
        weighed = np.linalg.solve(covariance(detector.electronics, lengths[channel], slopes.shape[-1]), jacobian.T)
        expected += jacobian @ weighed
    size = np.sqrt(np.diag(expected))
    kept = found[np.ix_([0, 1, 2, 5], [0, 1, 2, 5])]
    assert kept / np.outer(size, size) == pytest.approx(expected / np.outer(size, size), abs=1e-4)


def test_information_from_piece_to_piece_is_that_of_all_at_once():
    """A nuisance that changes how charge is received makes everything go through whole waveforms, one parameter after the other. Shares
    that either way leaves out, beyond 5 σ of diffusion, are 6e-7 of the charge."""
    detector, event, simulator = setting()
    still, likelihood = jnp.zeros(simulator.latent_count(event)), likelihood_of(simulator)
    by_pieces, at_once = (
        np.asarray(
            eqx.filter_jit(information_matrix)(simulator, likelihood, detector, event, still, groups_of(event), names)
        )
        for names in (("medium.w_ion",), ("medium.w_ion", "electronics.gain"))
    )
    kept = np.delete(np.arange(len(at_once)), 8)
    at_once = at_once[np.ix_(kept, kept)]
    size = np.sqrt(np.maximum(np.diag(at_once), 1e-30))
    assert by_pieces / np.outer(size, size) == pytest.approx(at_once / np.outer(size, size), abs=5e-5)


def test_what_is_received_follows_the_leaves_that_say_so():
    """Every leaf of the detector, 1 % more, with the same charge: voltages change with some of those that say so, and with none
    of the others."""
    detector, event, simulator = setting()
    charge = simulator.emit(detector, event, jnp.zeros(simulator.latent_count(event)))
    channels = jnp.arange(likelihood_of(simulator).channel_count(detector))
    before = simulator.receive(detector, charge, channels).transform
    leaves = [path for path in leaf_paths(detector) if jnp.issubdtype(jnp.asarray(get(detector, path)).dtype, float)]
    silent = [path for path in leaves if not simulator.receives_by(path)]
    assert {"medium.w_ion", "medium.electron_lifetime", "medium.longitudinal_diffusion"} <= set(silent)
    for path in silent:
        moved = replace(detector, {path: 1.01 * jnp.asarray(get(detector, path))})
        assert np.array_equal(simulator.receive(moved, charge, channels).transform, before), path
    for path in ("planes.0.pitch", "electronics.gain", "medium.temperature"):
        moved = replace(detector, {path: 1.01 * jnp.asarray(get(detector, path))})
        assert not np.array_equal(simulator.receive(moved, charge, channels).transform, before), path


def test_scattering_limits_the_direction():
    """A muon of 60 MeV scatters by (13.6 MeV/βp) √(x/X₀) = 36 mrad in a centimetre, one of its twelve pieces. Its direction at
    the vertex is known to about that; without scattering it would be known ten times better."""
    detector, event, simulator = setting()
    information = jax.jit(lambda event: fisher_information(simulator, detector, event))(event)
    sigma = dict(zip(information.names, np.asarray(information.sigma()), strict=True))
    still = jnp.zeros(simulator.latent_count(event))
    size = len(groups_of(event)) + 3  # three places, two angles
    full = jax.jit(
        lambda event: information_matrix(simulator, likelihood_of(simulator), detector, event, still, groups_of(event))
    )(event)
    unscattered = 0.01 * np.sqrt(np.diag(np.linalg.inv(np.asarray(full)[:size, :size])))[3:5]
    for name, alone in zip(("direction.1", "direction.2"), unscattered, strict=True):
        assert 0.018 < sigma[name] < 0.072
        assert sigma[name] > 10 * alone


def test_what_is_wanted_and_known_is_marginalized_by_hand():
    """Places and the scale of the charge, with light that tells the time to 20 ns and a calibration of 1 %: the covariance is a
    block of the inverse of the whole information, with (step / σ)² where something else is known and 1 for each latent."""
    detector, event, simulator = setting()
    still = jnp.zeros(simulator.latent_count(event))
    likelihood, groups, priors = likelihood_of(simulator), groups_of(event), {"medium.w_ion": 0.01}
    whole = eqx.filter_jit(information_matrix)(simulator, likelihood, detector, event, still, groups, priors)
    steps = np.array([*np.asarray(scales(event, groups)), 0.01 * float(detector.medium.w_ion)])
    before = np.zeros(len(whole))
    before[6], before[7], before[8:] = (steps[6] / 20.0) ** 2, 1.0, 1.0
    kept = [0, 1, 2, 7]
    expected = np.linalg.inv(np.asarray(whole) + np.diag(before))[np.ix_(kept, kept)]

    def asked(event):
        wanted = ("vertex", "medium.w_ion")
        return fisher_information(simulator, detector, event, wanted, priors, known={"time": 20.0})

    found = jax.jit(asked)(event)
    size = steps[kept] * np.sqrt(np.diag(expected))
    expected = expected / np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert found.names == ("vertex.x", "vertex.y", "vertex.z", "medium.w_ion")
    assert np.asarray(found.covariance()) / np.outer(size, size) == pytest.approx(expected, abs=1e-8)


def test_pearson_of_noise_alone_is_the_number_of_samples():
    """With so little charge that it does not count, 184 wires with 320 samples each: known to 0.6 %. Rounding errors of noise
    that changes slowly are not quite white: where they are all there is, their power is 10 % less, in the sum 3 %."""
    detector, _, simulator = setting()
    nothing = Deposits(np.array([MUON["vertex"], (80.0, 60.0, -60.0)]), np.full(2, 1e-2), 1.0)
    readout = simulator.sample(detector, nothing, jax.random.key(1))
    likelihood = likelihood_of(simulator)
    channels = jnp.arange(likelihood.channel_count(detector))
    received = simulator.receive(detector, simulator.emit(detector, nothing, jnp.zeros(0)), channels)
    judged = likelihood.judge(detector, readout, likelihood.measured(detector, received), channels)
    wires = np.asarray(received.length) > 0
    assert np.all(np.asarray(judged.pearson)[~wires] == 0)
    assert np.asarray(judged.value) == pytest.approx(-0.5 * np.asarray(judged.pearson))
    ratio = np.mean(np.asarray(judged.pearson)[wires]) / received.voltage.shape[-1]
    assert 0.97 - 0.02 < ratio < 0.97 + 0.02


def test_without_windows_there_is_no_likelihood():
    with pytest.raises(InputError, match="windows are not known"):
        likelihood_of(TPCSimulator())
