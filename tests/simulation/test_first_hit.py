"""The first of Poisson(Q) photoelectrons: moments against brute force and exact integrals.

Brute force: 400,000 draws; the mean must agree within 5 σ/√N, the variance within 5 σ² √((κ−1)/N) with kurtosis κ of the
draws themselves. Sixteen Gaussian photoelectrons carry 3.8 units (1/σ²) of information about their common time in their
first hit, not 16; its variance, which the likelihood uses, promises less than that, never more.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from studio.simulation.optical.first_hit import first_hit

DRAWS = 400_000


def moments(charge, spread=1.0, skewness=0.0):
    shift, variance = first_hit(jnp.asarray(float(charge)), jnp.asarray(spread), jnp.asarray(skewness))
    return float(shift), float(variance)


def brute_force(charge, spread, skewness, generator):
    """Draw every photoelectron: counts from a Poisson law without zero, each time z + γ (z² − 1)/6, the least of them."""
    counts = generator.poisson(charge, int(DRAWS / -np.expm1(-charge) * 1.05) + 100)
    counts = counts[counts > 0][:DRAWS]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    z = generator.standard_normal(counts.sum())
    return spread * np.minimum.reduceat(z + skewness / 6 * (z**2 - 1), starts)


@pytest.mark.parametrize("charge", [0.05, 0.7, 3.0, 16.0, 60.0])
@pytest.mark.parametrize(("spread", "skewness"), [(1.0, 0.0), (2.3, 0.3), (0.8, -0.4)])
def test_moments_against_brute_force(charge, spread, skewness):
    times = brute_force(charge, spread, skewness, np.random.default_rng(7))
    count = len(times)
    shift, variance = moments(charge, spread, skewness)
    kurtosis = np.mean((times - times.mean()) ** 4) / times.var() ** 2
    assert shift == pytest.approx(times.mean(), abs=5 * times.std() / np.sqrt(count))
    assert variance == pytest.approx(times.var(), rel=5 * np.sqrt((kurtosis - 1) / count))


def exact_density(z, charge):
    return charge * np.exp(-charge * ndtr(z) - 0.5 * z**2) / np.sqrt(2 * np.pi) / -np.expm1(-charge)


@pytest.mark.parametrize("charge", [1.3e-4, 0.011, 0.37, 5.5, 130.0, 2.7e3, 6.1e5])
def test_moments_between_the_knots_of_the_table(charge):
    z = np.linspace(-9.5, 9.0, 200_001)
    weight = exact_density(z, charge) * (z[1] - z[0])
    mean = weight @ z
    shift, variance = moments(charge)
    assert shift == pytest.approx(mean, abs=1e-6)
    assert variance == pytest.approx(weight @ (z - mean) ** 2, rel=2e-5)


def test_moments_of_skewed_quantiles_against_integrals():
    z = np.linspace(-9.0, 9.0, 100_001)
    for charge, skewness in ((0.5, 0.5), (20.0, -0.5), (500.0, 0.8)):
        weight = exact_density(z, charge) * (z[1] - z[0])
        time = z + skewness / 6 * (z**2 - 1)
        mean = weight @ time
        shift, variance = moments(charge, 1.0, skewness)
        assert shift == pytest.approx(mean, abs=1e-5)
        assert variance == pytest.approx(weight @ (time - mean) ** 2, rel=1e-4)


def test_limits():
    # One photoelectron: its own mean and variance. Many: −√(2 ln Q) and a slowly falling variance.
    shift, variance = moments(1e-4)
    assert shift == pytest.approx(0.0, abs=1e-4)
    assert variance == pytest.approx(1.0, abs=1e-4)
    assert moments(1e-9) == moments(1e-4)
    assert -np.sqrt(2 * np.log(1e6)) < moments(1e6)[0] < -4.5
    assert 0.02 < moments(1e6)[1] < 0.07


def test_sixteen_photoelectrons_carry_less_than_four_units_of_time_information():
    z = np.linspace(-8.0, 5.0, 100_001)
    step = z[1] - z[0]
    gaussian = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    density = 16 * ndtr(-z) ** 15 * gaussian
    score = 15 * gaussian / np.maximum(ndtr(-z), 1e-300) + z  # −d ln density / dz
    assert step * density @ score**2 == pytest.approx(3.8, abs=0.05)
    # A mean of sixteen, with its Poisson spread: 3.37; the variance of the first hit alone promises 3.17.
    poisson_score = 16 * gaussian + z
    information = step * exact_density(z, 16.0) @ poisson_score**2
    promised = 1 / moments(16.0)[1]
    assert promised < information < 3.8
    assert promised == pytest.approx(information, rel=0.07)


def test_derivatives_against_central_differences():
    arguments = jnp.asarray([7.3, 1.9, 0.25])
    step = 1e-5
    exact = jax.jacobian(lambda a: jnp.stack(first_hit(a[0], a[1], a[2])))(arguments)
    numeric = jnp.stack(
        [
            (jnp.stack(first_hit(*(arguments + step * e))) - jnp.stack(first_hit(*(arguments - step * e)))) / (2 * step)
            for e in jnp.eye(3)
        ],
        axis=-1,
    )
    np.testing.assert_allclose(exact, numeric, rtol=1e-7, atol=1e-9)
