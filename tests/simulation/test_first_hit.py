"""The first of Poisson(Q) photoelectrons: moments against brute force and exact integrals.

Brute force: 200,000 draws; the mean must agree within 5 σ/√N, the variance within 5 σ² √((κ−1)/N) with kurtosis κ of the
draws themselves. Sixteen Gaussian photoelectrons carry 3.8 units (1/σ²) of information about their common time in their
first hit, not 16; its variance, which the likelihood uses, promises less than that, never more.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from studio.simulation.optical.first_hit import Pulse, first_hit

DRAWS = 200_000


def pulse_of(*groups):
    """Of groups (share, mean, variance over the face, other variance, third central moment)."""
    return Pulse(*(jnp.asarray([column]) for column in zip(*groups, strict=True)))


NORMAL = pulse_of((1.0, 0.0, 0.0, 1.0, 0.0))
PULSES = {
    "normal": NORMAL,
    "early skew": pulse_of((1.0, 3.0, 0.0, 0.64, -0.4 * 0.8**3)),
    "late skew": pulse_of((1.0, -2.0, 0.0, 5.29, 0.3 * 2.3**3)),
    "core and tail": pulse_of((0.7, 0.0, 0.0, 0.04, 0.0), (0.2, 0.8, 0.0, 0.5, 0.2), (0.1, 6.0, 0.0, 9.0, 0.0)),
}


def moments(charge, pulse=NORMAL):
    mean, variance = jax.jit(first_hit)(jnp.asarray([float(charge)]), pulse)
    return float(mean[0]), float(variance[0])


def drawn(pulse, count, generator):
    """Times: a group by its share, a semicircle and a normal deviate, then the parabola that gives the third moment."""
    share, mean, face, other, third = (np.asarray(column)[0] for column in pulse)
    group = generator.choice(len(share), count, p=share)
    chord = 2 * np.sqrt(face[group]) * (2 * generator.beta(1.5, 1.5, count) - 1)
    variance = (face + other)[group]
    standard = (chord + np.sqrt(other[group]) * generator.standard_normal(count)) / np.sqrt(variance)
    sixth = third[group] / variance**1.5 / 6
    skewed = (standard + sixth * (standard**2 - 1)) / np.sqrt(1 + 2 * sixth**2)
    return mean[group] + np.sqrt(variance) * skewed


def brute_force(charge, pulse, generator):
    """Draw every photoelectron: counts from a Poisson law without zero, and the least of their times."""
    counts = generator.poisson(charge, int(DRAWS / -np.expm1(-charge) * 1.05) + 100)
    counts = counts[counts > 0][:DRAWS]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.minimum.reduceat(drawn(pulse, counts.sum(), generator), starts)


@pytest.mark.parametrize("charge", [0.05, 0.7, 3.0, 16.0, 60.0])
@pytest.mark.parametrize("name", PULSES)
def test_moments_against_brute_force(charge, name):
    times = brute_force(charge, PULSES[name], np.random.default_rng(7))
    count = len(times)
    mean, variance = moments(charge, PULSES[name])
    kurtosis = np.mean((times - times.mean()) ** 4) / times.var() ** 2
    assert mean == pytest.approx(times.mean(), abs=5 * times.std() / np.sqrt(count))
    # 3e-4: the quadrature, where the pulse is a hundred times longer than the first hit.
    assert variance == pytest.approx(times.var(), rel=5 * np.sqrt((kurtosis - 1) / count) + 3e-4)


@pytest.mark.parametrize("charge", [0.05, 0.7, 3.0, 16.0])
def test_a_detached_early_group_costs_accuracy(charge):
    # Light in two separate bursts, the fainter one first, which no track sends: nodes are coarse where they are not
    # gathered, and the mean is off by up to 3 % of the first hit's width, the variance by up to 7 %.
    pulse = pulse_of((0.1, -4.0, 0.0, 0.09, 0.0), (0.9, 0.0, 0.0, 0.25, 0.0))
    times = brute_force(charge, pulse, np.random.default_rng(7))
    mean, variance = moments(charge, pulse)
    assert mean == pytest.approx(times.mean(), abs=0.03 * times.std())
    assert variance == pytest.approx(times.var(), rel=0.08)


@pytest.mark.parametrize("charge", [0.7, 16.0, 100.0])
@pytest.mark.parametrize("face", [0.5, 0.9, 1.0])
def test_a_semicircle_is_better_taken_as_two_gaussians_than_as_one(charge, face):
    times = brute_force(charge, pulse_of((1.0, 0.0, face, 1 - face, 0.0)), np.random.default_rng(8))
    mean, variance = moments(charge, pulse_of((1.0, 0.0, face, 1 - face, 0.0)))
    one_mean, _ = moments(charge)
    # 0.003: the draws' own error.
    assert abs(mean - times.mean()) < 0.35 * abs(one_mean - times.mean()) + 0.003
    # At 90 % from the face, and for the first of a hundred photoelectrons, both are off by 0.07 of the pulse's width.
    if face <= 0.9:
        assert mean == pytest.approx(times.mean(), abs=0.08)
        assert np.sqrt(variance) == pytest.approx(times.std(), abs=0.08)


def exact_density(z, charge):
    return charge * np.exp(-charge * ndtr(z) - 0.5 * z**2) / np.sqrt(2 * np.pi) / -np.expm1(-charge)


@pytest.mark.parametrize("charge", [1.3e-4, 0.011, 0.37, 5.5, 130.0, 2.7e3, 6.1e5])
def test_moments_of_normal_times_against_integrals(charge):
    z = np.linspace(-9.5, 9.0, 200_001)
    weight = exact_density(z, charge) * (z[1] - z[0])
    mean = weight @ z
    found, variance = moments(charge)
    assert found == pytest.approx(mean, abs=1e-4)
    assert variance == pytest.approx(weight @ (z - mean) ** 2, rel=1e-3)


@pytest.mark.parametrize("name", PULSES)
def test_quantiles_invert_the_cumulative(name):
    pulse = PULSES[name]
    probability = jnp.asarray([1e-7, 1e-3, 0.2, 0.9, 0.9999])
    repeated = Pulse(*(jnp.repeat(column, len(probability), axis=0) for column in pulse))
    found = repeated.quantile(probability)
    np.testing.assert_allclose(repeated.cumulative(found[:, None])[:, 0], probability, rtol=1e-6)
    # The rough one places nodes: a seventh of the pulse's width is near enough, and more of it far out.
    off = jnp.abs(repeated.rough_quantile(probability) - found) / jnp.sqrt(jnp.max(pulse.other))
    assert jnp.max(off) < 0.6
    assert jnp.max(off[1:]) < 0.15


@pytest.mark.parametrize("far", [-30.0, 12.0])
def test_a_group_without_light_moves_nothing(far):
    # Its moments are those of rounding errors: nodes that followed it changed the mean by 1e-5 of the width.
    alone = moments(2.0, pulse_of((1.0, 0.0, 0.0, 1.0, 0.0)))
    beside = moments(2.0, pulse_of((1.0 - 1.6e-11, 0.0, 0.0, 1.0, 0.0), (1.6e-11, far, 0.0, 1.0, 0.0)))
    assert beside[0] == pytest.approx(alone[0], abs=1e-6)
    assert beside[1] == pytest.approx(alone[1], abs=1e-6)


def test_limits():
    # One photoelectron: its own mean and variance. Many: −√(2 ln Q) and a slowly falling variance.
    mean, variance = moments(1e-4)
    assert mean == pytest.approx(0.0, abs=1e-4)
    assert variance == pytest.approx(1.0, abs=5e-4)
    assert moments(0.0) == pytest.approx(moments(1e-4), abs=1e-4)
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


@pytest.mark.parametrize("name", PULSES)
@pytest.mark.parametrize("charge", [0.3, 7.3, 90.0])
def test_derivatives_against_central_differences(charge, name):
    # Nodes are held fixed in derivatives: what is left is the quadrature's own error, here 1e-3 of the largest.
    leaves, tree = jax.tree.flatten((jnp.asarray([charge]), PULSES[name]))
    sizes = np.cumsum([leaf.size for leaf in leaves])[:-1]

    @jax.jit
    def both(flat):
        parts = [part.reshape(leaf.shape) for part, leaf in zip(jnp.split(flat, sizes), leaves, strict=True)]
        return jnp.concatenate(first_hit(*jax.tree.unflatten(tree, parts)))

    point = jnp.concatenate([leaf.ravel() for leaf in leaves])
    point = jnp.where(point == 0.0, 0.01, point)  # within the domain of variances
    step = 1e-5
    exact = jax.jacobian(both)(point)
    numeric = jnp.stack(
        [(both(point + step * e) - both(point - step * e)) / (2 * step) for e in jnp.eye(point.size)], -1
    )
    assert jnp.max(jnp.abs(exact - numeric)) < 1e-3 * jnp.max(jnp.abs(numeric))
