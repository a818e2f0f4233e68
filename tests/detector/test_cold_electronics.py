"""The front end of wires: its published pulse, its gain, its noise, its digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.detector import ColdElectronics
from studio.simulation.tpc.noise import noise
from studio.units import fC, mV, us

STEP, SAMPLES = 10.0, 8192  # ns


def pulse(electronics):
    """The answer to one electron, by the inverse transform."""
    frequency = np.fft.rfftfreq(SAMPLES, STEP)
    return np.fft.irfft(np.asarray(electronics.transfer(jnp.asarray(frequency))), SAMPLES) / STEP


@pytest.mark.parametrize("shaping", [1.0, 2.0])
def test_the_pulse_peaks_and_is_as_wide_as_published(shaping):
    """Coded 2 µs: largest after 2.347 µs, 2.43 µs wide at half height; it scales with the shaping time. To a step of 10 ns."""
    found = pulse(ColdElectronics(shaping * us))
    assert np.argmax(found) * STEP == pytest.approx(shaping / 2 * 2347, abs=STEP)
    above = np.flatnonzero(found > found.max() / 2)
    assert (above[-1] - above[0]) * STEP == pytest.approx(shaping / 2 * 2430, abs=2 * STEP)


def test_the_height_is_the_gain():
    """The highest sample is within 5 ns of the peak, which is 1 µs wide: lower by at most 1e-5."""
    assert pulse(ColdElectronics(gain=14 * mV / fC)).max() * fC == pytest.approx(14 * mV, rel=2e-5)


def test_after_its_reach_nothing_is_left():
    electronics = ColdElectronics(2 * us)
    found = pulse(electronics)
    late = int(electronics.reach * 2000 / STEP)
    assert np.max(np.abs(found[late:-50])) < 2e-4 * found.max()


@pytest.mark.parametrize("samples", [1024, 999])
def test_noise_has_its_strength_and_spectrum(samples):
    """10,000 channels: the variance of each frequency is known to 1.4 %; five of them. Wires of no length are silent."""
    electronics = ColdElectronics()
    lengths = jnp.where(jnp.arange(10_001) < 10_000, 4660.0, 0.0)
    drawn = np.asarray(noise(jax.random.key(1), lengths, electronics, samples))
    assert np.all(drawn[-1] == 0)
    drawn = drawn[:-1]
    rms = float(electronics.noise(jnp.asarray(4660.0)))
    assert rms / float(electronics.gain) == pytest.approx(405, abs=1)  # MicroBooNE's 405 e at 4.66 m
    assert np.std(drawn) == pytest.approx(rms, rel=2e-3)
    power = np.mean(np.abs(np.fft.rfft(drawn, axis=1)) ** 2, axis=0) / samples / rms**2
    frequency = jnp.asarray(np.fft.rfftfreq(samples, electronics.tick))
    expected = np.asarray(electronics.noise_power(frequency, samples))
    assert power[:300:7] == pytest.approx(expected[:300:7], rel=0.07)


def test_digits():
    electronics = ColdElectronics(pedestal=0.5, threshold=3.0)
    half = electronics.digitized(jnp.asarray(0.0))
    assert float(half) == 2048
    step = float(electronics.full_scale) / 4095
    found = electronics.digitized(jnp.array([2.0, -2.0, 10.0, 2.2 * step, 4.0 * step]))
    assert np.asarray(found).tolist() == [4095, 0, 4095, 2048, 2052]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shaping_time": 0.0}, "positive"),
        ({"gain": np.nan}, "finite"),
        ({"bits": 0}, "bits"),
        ({"tick": -1.0}, "positive"),
    ],
)
def test_what_cannot_be_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        ColdElectronics(**changes)
