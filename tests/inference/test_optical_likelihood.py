"""What charges and times of photosensors say: information and log density of a charge against direct sums."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from studio import Readout
from studio.inference.likelihood import Measured, OpticalLikelihood
from studio.inference.likelihood.optical import charge_information, charge_log_density
from tests import tanks

pytestmark = pytest.mark.slow  # minutes on two cores: compilation and Monte Carlo


def density(charge, mean, spread):
    """Σₙ Poisson(n | Q) N(q | n, n σ²) over n ≥ 1, reflected at zero charge or not as the caller folds it."""
    counts = np.arange(1, int(mean + 12 * np.sqrt(mean) + 30))
    terms = stats.poisson.pmf(counts, mean) * stats.norm.pdf(
        np.asarray(charge)[..., None], counts, spread * np.sqrt(counts)
    )
    return terms.sum(axis=-1)


def recorded(charge, mean, spread):
    return density(charge, mean, spread) + density(-np.asarray(charge), mean, spread)


@pytest.mark.parametrize("spread", [0.35, 0.5])
@pytest.mark.parametrize("mean", [0.02, 0.4, 2.0, 9.0, 60.0])
def test_charge_information_is_the_mean_squared_score(mean, spread):
    """Scores by central differences of the density, integrated over the charge, and the hit-or-not part exp(−Q)."""
    charge = np.linspace(1e-3, mean + 12 * np.sqrt(mean * (1 + spread**2)) + 8, 20001)
    step = 1e-4 * mean
    here = recorded(charge, mean, spread)
    slope = (recorded(charge, mean + step, spread) - recorded(charge, mean - step, spread)) / (2 * step)
    seen = here > 1e-200
    expected = np.trapezoid(np.where(seen, slope**2 / np.where(seen, here, 1.0), 0.0), charge) + np.exp(-mean)
    assert float(charge_information(jnp.asarray(mean), spread)) == pytest.approx(expected, rel=2e-3)


def test_charge_information_in_its_limits():
    # Few photoelectrons: hit or not, 1/Q. Many: a normal charge of variance Q (1 + σ²).
    assert float(charge_information(jnp.asarray(1e-3), 0.5)) == pytest.approx(1e3, rel=2e-3)
    assert float(charge_information(jnp.asarray(800.0), 0.5)) == pytest.approx(1 / 800 / 1.25, rel=2e-3)
    # Never more than the number of photoelectrons itself would say.
    means = jnp.exp(jnp.linspace(-8.0, 6.5, 101))
    product = np.asarray(charge_information(means, 0.35) * means)
    assert np.all(product <= 1 + 1e-6)
    assert np.all(product >= 1 / (1 + 0.35**2) - 1e-3)


@pytest.mark.parametrize(
    ("charge", "mean"),
    [(0.2, 0.03), (0.2, 4.0), (1.1, 0.03), (1.1, 0.8), (3.7, 0.8), (3.7, 15.0), (14.0, 4.0), (14.0, 15.0), (33.0, 22.0),
     (33.0, 31.0), (33.0, 45.0)],
)  # fmt: skip
def test_log_density_of_a_charge(charge, mean):
    """Sixteen terms around the charge carry the sum: all of it to 20 photoelectrons; at 33, where they reach 3.5 standard
    deviations of the charge spread, to 1e-2 in the logarithm."""
    value = log_density(charge, mean, 0.4)
    assert value == pytest.approx(np.log(density(charge, mean, 0.4)), abs=1e-3 if charge < 20 else 1e-2)


@functools.cache
def compiled():
    return jax.jit(jax.value_and_grad(lambda mean, charge, hit, spread: charge_log_density(charge, hit, mean, spread)))


def log_density(charge, mean, spread, hit=True):
    return float(compiled()(jnp.asarray(mean), jnp.asarray(charge), jnp.asarray(hit), jnp.asarray(spread))[0])


@pytest.mark.parametrize(("charge", "mean"), [(0.5, 0.1), (3.0, 2.5), (38.0, 42.0), (44.0, 42.0), (300.0, 280.0)])
def test_score_of_a_charge_against_central_differences(charge, mean):
    step = 1e-4 * mean
    numeric = (log_density(charge, mean + step, 0.4) - log_density(charge, mean - step, 0.4)) / (2 * step)
    arguments = (jnp.asarray(mean), jnp.asarray(charge), jnp.asarray(True), jnp.asarray(0.4))
    assert float(compiled()(*arguments)[1]) == pytest.approx(numeric, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("mean", [5.0, 25.0, 40.0, 70.0, 200.0])
@pytest.mark.parametrize("spread", [0.35, 0.5])
def test_the_score_is_unbiased_and_carries_the_information(mean, spread):
    """Over the true distribution of the charge: mean score below 2 % of its standard deviation; mean square within 4 % of
    `charge_information`, and within 15 % near 40 photoelectrons, where the skewness that the normal form leaves out is
    largest."""
    charge = np.linspace(1e-3, mean + 9 * np.sqrt(mean * (1 + spread**2)) + 5, 8001)
    weight = density(charge, mean, spread) * (charge[1] - charge[0])
    arguments = (jnp.asarray(mean), jnp.asarray(charge), jnp.ones(len(charge), bool), jnp.asarray(spread))
    score = np.asarray(jax.vmap(compiled(), in_axes=(None, 0, 0, None))(*arguments)[1])
    information = float(charge_information(jnp.asarray(mean), spread))
    assert weight @ score - np.exp(-mean) == pytest.approx(0.0, abs=0.02 * np.sqrt(information))
    assert weight @ score**2 + np.exp(-mean) == pytest.approx(information, rel=0.15 if 20 < mean < 100 else 0.04)


def test_no_hit_has_the_poisson_probability_of_zero():
    assert log_density(0.0, 0.7, 0.4, hit=False) == pytest.approx(-0.7, rel=1e-12)
    arguments = (jnp.asarray(0.7), jnp.asarray(0.0), jnp.asarray(False), jnp.asarray(0.4))
    assert float(compiled()(*arguments)[1]) == pytest.approx(-1.0, rel=1e-12)


def judged(doubt, observed, mean):
    """Log likelihood of one charge, where the time fits."""
    detector = tanks.cylinder()
    count = detector.sensors.count
    every = jnp.ones(count)
    readout = Readout(jnp.full(count, observed), 0.0 * every, every > 0)
    measured = Measured(jnp.full(1, mean), every[:1]), Measured(0.0 * every[:1], every[:1])
    return float(OpticalLikelihood(doubt).judge(detector, readout, measured, jnp.zeros(1, int)).value[0])


def test_with_doubt_one_sensor_does_not_decide():
    """300 photoelectrons where one was to be seen cost ½ 299² / (1 + σ²), 36,000 units and more by a normal law. With 30 % of
    doubt, taken at their middle, the pull is 299 / 47 = 6.3: 12.5 ln(1 + 6.3²/25) = 11.9 units by Student's."""
    assert judged(0.0, 300.0, 300.0) - judged(0.0, 300.0, 1.0) > 30_000
    assert 0 < judged(0.3, 300.0, 300.0) - judged(0.3, 300.0, 1.0) < 13
    # What is right is still the likeliest, within its doubt.
    means = np.geomspace(100.0, 900.0, 60)
    best = means[np.argmax([judged(0.3, 300.0, mean) for mean in means])]
    assert 230 < best < 330
