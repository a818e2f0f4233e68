"""Places that may stay empty: a weight of 1 is a sensor, 0 is none, and what lies between is that part of its information."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Detector, InputError, OpticalSimulator, fisher_information, load_detector, replace, save_detector
from studio.detector import PhotosensorArray
from studio.inference.likelihood import likelihood_of
from studio.inference.sensitivity import log_likelihood
from tests import tanks

SIMULATOR = OpticalSimulator(segments=8, wavelengths=21, degree=4, kink_modes=2, process=False)
KEPT = np.sort(np.random.default_rng(0).permutation(70)[:45])


@pytest.fixture(scope="module")
def full():
    return tanks.cylinder()


@pytest.fixture(scope="module")
def masked(full):
    return replace(full, {"sensors.weight": np.isin(np.arange(full.sensors.count), KEPT).astype(float)})


@pytest.fixture(scope="module")
def chosen(full):
    return Detector(full.volume, full.medium, full.sensors.chosen(KEPT), full.electronics)


def information(detector):
    event = tanks.muon()
    return np.asarray(jax.jit(lambda d: fisher_information(SIMULATOR, d, event).matrix)(detector))


def test_a_place_without_weight_is_no_sensor(masked, chosen):
    """Against a detector that has the other sensors alone, to rounding."""
    np.testing.assert_allclose(information(masked), information(chosen), rtol=1e-10, atol=1e-18)
    charge = jax.jit(lambda detector: SIMULATOR.expected(detector, tanks.muon()).charge)
    expected = charge(masked)
    np.testing.assert_allclose(expected[KEPT], charge(chosen), rtol=1e-12)
    assert np.count_nonzero(expected) == len(KEPT)


def test_it_records_nothing_and_says_nothing(full, masked, chosen):
    readout = jax.jit(SIMULATOR.sample)(masked, tanks.muon(), jax.random.key(2))
    assert np.count_nonzero(readout.hit) > 20
    assert not np.any(np.asarray(readout.hit)[np.setdiff1d(np.arange(70), KEPT)])
    few = jax.tree.map(lambda leaf: leaf[KEPT], readout)
    likelihood, none = likelihood_of(SIMULATOR), jnp.zeros(0)
    judged = jax.jit(lambda detector, seen: log_likelihood(SIMULATOR, likelihood, detector, tanks.muon(), none, seen))
    both = [judged(detector, seen) for detector, seen in ((masked, readout), (chosen, few))]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-10)


def test_information_is_linear_in_the_weights(full):
    """Half of a sensor everywhere is half of the information, and that of two sets of sensors adds up to that of both."""
    half = replace(full, {"sensors.weight": np.full(70, 0.5)})
    np.testing.assert_allclose(2 * information(half), information(full), rtol=1e-10, atol=1e-18)


def test_a_geometry_file_keeps_weights(masked, tmp_path):
    save_detector(masked, tmp_path / "tank.yaml")
    again = load_detector(tmp_path / "tank.yaml")
    np.testing.assert_array_equal(again.sensors.weight, masked.sensors.weight)
    text = (tmp_path / "tank.yaml").read_text()
    broken = text.replace(text.splitlines()[-1], text.splitlines()[-1].rpartition(" ")[0] + " -1")
    (tmp_path / "tank.yaml").write_text(broken)
    with pytest.raises(InputError, match=r"weight is negative.*give weights from 0 to 1"):
        load_detector(tmp_path / "tank.yaml")


def test_weights_are_checked(full):
    sensors = full.sensors
    for weight, words in ((np.ones(3), "shape"), (np.full(70, -1.0), "negative"), (np.full(70, np.nan), "negative")):
        with pytest.raises(InputError, match=words) as caught:
            PhotosensorArray(sensors.uv, sensors.patch, sensors.types, weight=weight)
        assert caught.value.key == "sensors.weight"
