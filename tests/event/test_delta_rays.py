"""Knock-on light of muons: fractions of the primary's light, Geant4 totals of muons, normalisation, derivatives."""

from __future__ import annotations

import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from studio.event import delta_rays, energy_loss, knock_on, shower
from tests.reference_data import reference

pytestmark = pytest.mark.slow  # minutes on two cores: compilation and Monte Carlo

MUON_MASS = 105.6583755
WAVELENGTH = np.linspace(275.0, 674.0, 800)
PHOTONS_275_674 = 2.0 * np.pi / 137.036 * 1e6  # times the integral of sin^2(theta) / lambda^2 (nm): photons per mm
REFERENCE_INDEX = 1.333 + 0.0044 * (1239.842 / WAVELENGTH - 1.77)  # PhotonSim's: see test_shower.photons_per_mm


def water_index() -> np.ndarray:
    from studio.medium import Water

    return np.asarray(Water().refractive_index(jnp.asarray(WAVELENGTH)))


def photons(kinetic_energy: float, index: np.ndarray) -> tuple[float, float]:
    """Photons (275 to 674 nm) of the muon itself and of its knock-on electrons, slowing down from `kinetic_energy`."""
    energies = np.geomspace(20.0, kinetic_energy, 3000)
    gamma = 1.0 + energies / MUON_MASS
    beta2 = 1.0 - 1.0 / gamma**2

    def yields(squared):
        light = np.clip(1.0 - 1.0 / (index**2 * np.atleast_1d(squared)[:, None]), 0.0, None)
        return PHOTONS_275_674 * np.trapezoid(light / WAVELENGTH**2, WAVELENGTH, axis=1)

    loss = energy_loss.bethe(energies)
    delta = np.asarray(delta_rays.light_per_length(jnp.asarray(energies))) * yields(1.0)
    return float(np.trapezoid(yields(beta2) / loss, energies)), float(np.trapezoid(delta / loss, energies))


@pytest.mark.parametrize("energy", [100.0, 200.0, 500.0, 1000.0, 2000.0])
def test_muon_totals_agree_with_geant4(energy):
    """The design asks for 3 %; with that simulation's refractive index 0.5 % is found, and 1 % asked for here."""
    with reference("optical/water_mu-_smax_data.csv").open() as lines:
        rows = {float(r["energy_mev"]): float(r["entries"]) / float(r["n_events"]) for r in csv.DictReader(lines)}
    assert sum(photons(energy, REFERENCE_INDEX)) == pytest.approx(rows[energy], rel=0.01)


def test_delta_ray_fraction():
    """Knock-on light over the muon's own: 11 % at 1 GeV, 8.3 % at 500 MeV.

    Comparing one refractive index's primary with another's total gives 9 to 10 % and 6 %; with one index the totals
    of Geant4 are met to 0.5 % by these fractions.
    """
    fractions = {}
    for energy in (500.0, 1000.0):
        primary, delta = photons(energy, water_index())
        fractions[energy] = delta / primary
    assert 0.075 < fractions[500.0] < 0.09
    assert 0.10 < fractions[1000.0] < 0.115


@pytest.mark.parametrize("energy", [80.0, 300.0, 1000.0, 8000.0])
def test_light_per_length_is_the_integral_of_the_knock_on_spectrum(energy):
    """Adaptive quadrature of spectrum times light, 2e-4: the accuracy of the table's splines."""

    def integrand(log_electron):
        electron = np.exp(log_electron)
        return electron * float(knock_on.spectrum(electron, energy)) * float(length(electron))

    length = jax.jit(shower.equivalent_length)
    low, high = np.log(shower.LIGHT_THRESHOLD), np.log(float(energy_loss.maximum_transfer(np.array(energy))))
    expected = quad(integrand, low, high, epsrel=1e-6, limit=200)[0]
    assert float(delta_rays.light_per_length(energy)) == pytest.approx(expected, rel=2e-4)


def test_angular_weights_are_positive_and_sum_to_one():
    for energy in (25.0, 100.0, 1000.0, 15000.0):
        weights = np.asarray(delta_rays.angular_profile(energy))
        assert np.all(weights >= 0.0)
        assert np.sum(weights) == pytest.approx(1.0, abs=1e-12)
    assert np.max(shower.table()["delta_cdf_deviation"]) < 0.005


def test_mean_cosine_follows_from_kinematics():
    """<cos(light, muon)> = <cos(electron, muon)> <cos(light, electron)>, azimuths being independent.

    Both sides from the tables: the right one with the electrons' fitted profiles over all shares of their light, 0.01.
    """
    energy = 1000.0
    x = np.linspace(-1.0, 1.0, 8001)

    def means(basis):
        density = np.exp(-0.5 * ((x[:, None] - basis.centres) / basis.sigmas) ** 2)
        return np.trapezoid(x[:, None] * density, x, axis=0) / np.trapezoid(density, x, axis=0)

    electrons = np.geomspace(0.3, float(energy_loss.maximum_transfer(np.array(energy))) * 0.999, 60)
    light = np.asarray(shower.equivalent_length(jnp.asarray(electrons)))
    weight = electrons * knock_on.spectrum(electrons, energy) * light
    profiles = jax.vmap(jax.vmap(shower.angular_profile, (None, 0)), (0, None))
    weights = np.asarray(profiles(jnp.asarray(electrons), jnp.asarray((np.arange(12) + 0.5) / 12)))
    own = np.mean(weights, axis=1) @ means(shower.angular_basis())
    expected = np.sum(weight * own * knock_on.emission_cosine(electrons, energy)) / np.sum(weight)
    found = np.asarray(delta_rays.angular_profile(energy)) @ means(delta_rays.angular_basis())
    assert found == pytest.approx(expected, abs=0.01)


def outputs(energy):
    light, variance = delta_rays.light_per_length(energy), delta_rays.light_variance_per_length(energy)
    return jnp.concatenate([jnp.stack([light, variance]), delta_rays.angular_profile(energy)])


@pytest.mark.parametrize("energy", [45.0, 210.0, 1300.0, 9000.0])
def test_derivatives_agree_with_finite_differences(energy):
    """Central differences: 1e-6 (step^2 times the third derivative, and rounding)."""
    step = 1e-5 * energy
    numerical = np.asarray((outputs(energy + step) - outputs(energy - step)) / (2.0 * step))
    exact = np.asarray(jax.jacfwd(outputs)(energy))
    scale = np.abs(numerical) + np.abs(np.asarray(outputs(energy))) / energy
    assert np.max(np.abs(exact - numerical) / scale) < 1e-6


def test_variance_is_that_of_a_poisson_process_of_electrons():
    """Above the mean light squared per mean electron, and growing faster than the mean: the spectrum's tail."""
    light = [float(delta_rays.light_per_length(e)) for e in (200.0, 2000.0)]
    variance = [float(delta_rays.light_variance_per_length(e)) for e in (200.0, 2000.0)]
    assert variance[1] / variance[0] > 10.0 * light[1] / light[0]
