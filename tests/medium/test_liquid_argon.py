"""Liquid argon against published figures: density, quanta, index, scattering; and what is no liquid argon is refused.

Density 1.928 − 0.00615 T; 1.396 g/cm³ at 86.5 K. W_ph 19.5 eV. At 128 nm: n = 1.358 ± 0.003 and 1/v_g = 7.46 ± 0.08 ns/m
(Babicz et al., JINST 15 (2020) P09009). In the visible, n = 1.2316 ± 0.0005 at 546.1 nm and 83.8 K (Sinnock and Smith 1969; the
formula is at 90 K, 2 % less dense, so n − 1 is up to 2 % smaller).
"""

import jax
import jax.numpy as jnp
import pytest

import studio
from studio._checks import InputError
from studio.constants import SPEED_OF_LIGHT
from studio.medium import LiquidArgon
from studio.medium.recombination import EllipsoidModifiedBox
from studio.units import cm, eV, m, s


def test_every_number_is_a_leaf_with_a_path():
    argon = LiquidArgon(recombination=EllipsoidModifiedBox())
    assert set(studio.leaf_paths({"medium": argon})) == {
        f"medium.{name}"
        for name in (
            "temperature",
            "electron_lifetime",
            "longitudinal_diffusion",
            "transverse_diffusion",
            "w_ion",
            "excitation_ratio",
            "recombination.alpha",
            "recombination.beta_90",
            "recombination.ratio",
            "absorption_length",
            "rayleigh_length",
        )
    }


def test_published_figures():
    argon = LiquidArgon()
    assert argon.density == pytest.approx(1.391, abs=5e-4)  # the printed digits
    assert LiquidArgon(temperature=86.5).density == pytest.approx(1.396, abs=5e-4)
    assert argon.w_ph / eV == pytest.approx(19.5, abs=0.05)
    assert LiquidArgon(temperature=86.5).radiation_length / cm == pytest.approx(14.0, abs=0.05)
    assert argon.longitudinal_diffusion / (cm**2 / s) == pytest.approx(4.0)
    assert argon.refractive_index(jnp.asarray(128.0)) == pytest.approx(1.358, abs=0.003)
    assert argon.group_index(jnp.asarray(128.0)) / SPEED_OF_LIGHT * m == pytest.approx(7.46, abs=0.08)
    assert argon.refractive_index(jnp.asarray(546.1)) - 1 == pytest.approx(0.2316, rel=0.025)
    assert 1 / argon.scattering_coefficient(jnp.asarray(128.0)) / cm == pytest.approx(99.9)


def test_the_group_index_is_the_slope_of_the_index():
    """n − λ dn/dλ by automatic differentiation of the index; arithmetic, 1e-12."""
    argon = LiquidArgon()
    for wavelength in (115.0, 128.0, 175.0, 420.0):
        slope = jax.grad(lambda x: argon.refractive_index(x))(wavelength)
        expected = argon.refractive_index(jnp.asarray(wavelength)) - wavelength * slope
        assert argon.group_index(jnp.asarray(wavelength)) == pytest.approx(float(expected), rel=1e-12)


def test_rayleigh_scattering_falls_a_little_faster_than_the_fourth_power():
    """Far from the resonance [(n²−1)(n²+2)]² hardly changes: between 400 and 440 nm the exponent is −4 to −4.3."""
    low, high = (LiquidArgon().scattering_coefficient(jnp.asarray(x)) for x in (400.0, 440.0))
    assert -4.3 < float(jnp.log(high / low) / jnp.log(1.1)) < -4.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"temperature": -186.0}, ["medium.temperature", "kelvin"]),
        ({"temperature": 293.0}, ["medium.temperature", "293", "no liquid", "83.8"]),
        ({"electron_lifetime": 0.0}, ["medium.electron_lifetime", "positive", "ns"]),
        ({"transverse_diffusion": float("nan")}, ["medium.transverse_diffusion", "mm²/ns"]),
        ({"w_ion": jnp.ones(2)}, ["medium.w_ion", "one number"]),
        ({"recombination": 0.7}, ["medium.recombination", "Birks"]),
    ],
)
def test_bad_values_are_refused_by_name(arguments, words):
    with pytest.raises(InputError) as caught:
        LiquidArgon(**arguments)
    assert all(word in str(caught.value) for word in words)
