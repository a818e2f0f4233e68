"""Scattering in water: the sum of Rayleigh's and of grains', these ∝ 1/λ⁴; what is no water is refused.

WCSim's table of Mie scattering, from SKDETSIM, in m at 200, 400, 600 and 790 nm: 320, 5120, 25920, 77900.2. Its six digits: 1e-6.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio import InputError
from studio.medium import LiquidArgon, Water
from studio.units import m

TABLE = {200.0: 320.0, 400.0: 5120.0, 600.0: 25920.0, 790.0: 77900.2}
WAVELENGTHS = jnp.asarray([300.0, 400.0, 550.0])


def test_grains_scatter_as_in_wcsims_table():
    water = Water(mie_inverse_length=1 / (5120 * m))
    for wavelength, length in TABLE.items():
        assert 1 / float(water.mie_coefficient(jnp.asarray(wavelength))) / m == pytest.approx(length, rel=1e-6)


def test_scattering_is_that_of_molecules_and_of_grains():
    """To arithmetic; without grains, the default, it is Rayleigh's to the last bit."""
    pure, cloudy = Water(), Water(mie_inverse_length=1e-5)
    rayleigh = pure.rayleigh_coefficient(WAVELENGTHS)
    assert np.array_equal(pure.scattering_coefficient(WAVELENGTHS), rayleigh)
    grains = 1e-5 * (400 / np.asarray(WAVELENGTHS)) ** 4
    assert np.asarray(cloudy.scattering_coefficient(WAVELENGTHS)) == pytest.approx(
        np.asarray(rayleigh) + grains, rel=1e-12
    )
    lost = cloudy.absorption_coefficient(WAVELENGTHS) + rayleigh + grains
    assert np.asarray(cloudy.extinction_coefficient(WAVELENGTHS)) == pytest.approx(np.asarray(lost), rel=1e-12)
    argon = LiquidArgon()
    assert np.array_equal(argon.scattering_coefficient(WAVELENGTHS), argon.rayleigh_coefficient(WAVELENGTHS))


def test_the_first_grain_has_a_derivative():
    """d(coefficient)/d(inverse length) = (400/λ)⁴ also at zero, where most water starts."""
    slope = jax.grad(lambda x: Water(mie_inverse_length=x).scattering_coefficient(jnp.asarray(300.0)))(0.0)
    assert float(slope) == pytest.approx((4 / 3) ** 4, rel=1e-12)


def test_every_number_is_a_leaf_with_a_path():
    water = {"medium": Water()}
    names = ("absorption_length", "rayleigh_length", "mie_inverse_length", "mie_asymmetry")
    assert set(studio.leaf_paths(water)) == {f"medium.{name}" for name in names}
    changed = studio.replace(water, {"medium.mie_inverse_length": 2e-6, "medium.mie_asymmetry": 0.8})
    assert float(studio.get(changed, "medium.mie_inverse_length")) == 2e-6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mie_inverse_length": -1e-6}, ("medium.mie_inverse_length", "-1e-06", "not be negative", "0 for none")),
        ({"mie_inverse_length": float("nan")}, ("medium.mie_inverse_length", "finite")),
        ({"mie_asymmetry": 1.0}, ("medium.mie_asymmetry", "1.0", "between -1 and 1")),
        ({"mie_asymmetry": float("nan")}, ("medium.mie_asymmetry", "finite")),
        ({"rayleigh_length": 0.0}, ("medium.rayleigh_length", "positive")),
    ],
)
def test_what_is_no_water_is_refused(arguments, words):
    with pytest.raises(InputError) as caught:
        Water(**arguments)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy
