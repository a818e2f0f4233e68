"""Light by wavelength: Frank–Tamm yields, efficiency-weighted yields, group velocities, and distance polynomials against
direct sums.

Numbers: 389.4 (300–700 nm) and 341.7 (300–600 nm) photons/cm at β = 1, 275.8 at β = 0.9; detected at full coverage
46.6 photoelectrons/cm (R3600) and 94.6 (box-and-line, efficiency / 0.73, without collection efficiency). Each is given
to four digits, so to 2e-4, or 1e-3 for three.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio.constants import SPEED_OF_LIGHT
from studio.detector import sensor_type
from studio.medium import Water
from studio.simulation.optical.spectrum import DistanceTable, Optics, Wavelengths, cherenkov_yield
from studio.units import cm, m

TYPES = tuple(sensor_type(name) for name in ("r3600_20_inch", "box_and_line_20_inch", "r14374_3_inch"))


def photons_per_cm(beta, shortest, longest, bins=4000):
    width = (longest - shortest) / bins
    nodes = shortest + width * (np.arange(bins) + 0.5)
    return float(jnp.sum(cherenkov_yield(jnp.asarray(beta), Water(), jnp.asarray(nodes))) * width * cm)


@pytest.mark.parametrize(
    ("beta", "shortest", "longest", "yielded"),
    [(1.0, 300.0, 700.0, 389.4), (1.0, 300.0, 600.0, 341.7), (0.9, 300.0, 700.0, 275.8)],
)
def test_frank_tamm_yield(beta, shortest, longest, yielded):
    assert photons_per_cm(beta, shortest, longest) == pytest.approx(yielded, rel=2e-4)


def test_no_light_below_threshold():
    # 1/n at 280 nm is 0.733.
    assert photons_per_cm(0.72, 280.0, 700.0) == 0.0


@pytest.mark.parametrize("count", [42, 168])
@pytest.mark.parametrize(
    ("index", "collection", "detected"), [(0, 1.0, 46.6), (1, 0.95, 94.6)], ids=["r3600", "box_and_line"]
)
def test_detected_yield_at_full_coverage(index, collection, detected, count):
    wavelengths = Wavelengths.of(TYPES, count)
    spectrum = cherenkov_yield(jnp.asarray(1.0), Water(), jnp.asarray(wavelengths.nodes))
    total = float(jnp.sum(spectrum * wavelengths.efficiency[index]) * wavelengths.width * cm)
    assert total / collection == pytest.approx(detected, rel=1.1e-3)


@pytest.mark.parametrize(
    ("wavelength", "index", "velocity"),
    [(300, 1.3594, 20.90), (350, 1.3499, 21.41), (400, 1.3442, 21.71), (450, 1.3403, 21.89), (500, 1.3375, 22.01),
     (600, 1.3336, 22.16)],
)  # fmt: skip
def test_refractive_index_and_group_velocity_of_water(wavelength, index, velocity):
    at = jnp.asarray(float(wavelength))
    # The fit is within 2.6e-5 of the table of n; the table of v (cm/ns) is a difference quotient with two decimals.
    assert float(Water().refractive_index(at)) == pytest.approx(index, abs=8e-5)
    assert SPEED_OF_LIGHT / float(Water().group_index(at)) / cm == pytest.approx(velocity, abs=0.0101)


def test_group_index_is_the_derivative_of_the_index():
    wavelength = jnp.linspace(280.0, 700.0, 43)
    slope = jax.vmap(jax.grad(Water().refractive_index))(wavelength)
    expected = Water().refractive_index(wavelength) - wavelength * slope
    np.testing.assert_allclose(Water().group_index(wavelength), expected, rtol=1e-12)


# How far the polynomials of default degree are from direct sums, over the longest chord of each tank.
@pytest.mark.parametrize(("longest", "tolerance"), [(4.1 * m, 1e-7), (10.63 * m, 2e-6), (49.4 * m, 2e-3)])
@pytest.mark.parametrize("beta", [1.0, 0.8])
def test_distance_polynomials_against_direct_sums(longest, beta, tolerance):
    medium, wavelengths = Water(), Wavelengths.of(TYPES, 42)
    optics = Optics.of(medium, wavelengths, jnp.asarray(longest), 6)
    spectrum = cherenkov_yield(jnp.asarray(beta), medium, optics.nodes)
    distance = np.linspace(0.0, longest, 301)
    nodes = jnp.asarray(wavelengths.nodes)
    inverse, group = 1 / np.asarray(medium.refractive_index(nodes)), np.asarray(medium.group_index(nodes))
    left = np.exp(-distance[:, None] * np.asarray(medium.extinction_coefficient(nodes)))
    colour, delay = optics.colour(spectrum), optics.delay(spectrum)
    for index in range(len(TYPES)):
        weight = np.asarray(spectrum) * wavelengths.efficiency[index] * wavelengths.width * left
        total = weight.sum(axis=1)
        share = weight / total[:, None]

        def moments(quantity, share=share):
            mean = share @ quantity
            offset = quantity - mean[:, None]
            return mean, (share * offset**2).sum(axis=1), (share * offset**3).sum(axis=1)

        at = jnp.asarray(distance)
        np.testing.assert_allclose(np.exp(colour.log_light[index](at)), total, rtol=tolerance)
        mean, variance, _ = moments(inverse)
        np.testing.assert_allclose(colour.inverse_index.mean[index](at), mean, rtol=0.1 * tolerance)
        np.testing.assert_allclose(colour.inverse_index.variance[index](at), variance, rtol=20 * tolerance)
        for row, expected in enumerate(moments(group)):
            got = np.asarray(delay[row][index](at))
            relative = tolerance * np.array([0.1, 20, 60])[row]
            np.testing.assert_allclose(got, expected, rtol=relative, err_msg=f"type {index}, moment {row + 1}")


def test_polynomials_pass_through_their_nodes():
    longest = jnp.asarray(12.0 * m)
    nodes = DistanceTable.nodes(longest, 8)
    values = jnp.stack([jnp.exp(-nodes / 9000.0), jnp.sin(nodes / 4000.0)])
    table = DistanceTable.fit(longest, values)
    for row in range(2):
        np.testing.assert_allclose(table[row](nodes), values[row], rtol=1e-11)


def test_tables_follow_the_medium():
    """d log(light)/d log(absorption length) against a central difference, to 1e-7: the tables carry the derivative."""
    wavelengths, distance = Wavelengths.of(TYPES[:1], 42), jnp.asarray([20.0 * m])

    def light(length):
        medium = studio.replace(Water(), {"absorption_length": length})
        optics = Optics.of(medium, wavelengths, jnp.asarray(49.4 * m), 6)
        return optics.colour(cherenkov_yield(jnp.asarray(1.0), medium, optics.nodes)).log_light[0](distance)[0]

    length = jnp.asarray(553.1 * m)
    numeric = (light(length * 1.0001) - light(length * 0.9999)) / (length * 2e-4)
    assert float(jax.grad(light)(length)) == pytest.approx(float(numeric), rel=1e-7)
