"""Ranges and stopping powers in liquid argon against published tables.

Muons: range in g/cm² from Groom, Mokhov, Striganov, At. Data Nucl. Data Tables 78 (2001) 183, table 289. From 40 MeV to
40 GeV within 0.2 %; below, the tables' own start (shell corrections end near 1 MeV) matters, 1.5 % at 10 MeV. Protons: PSTAR
(NIST), argon gas, whose density effect differs above 2 GeV; 0.3 % up to 1 GeV.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.constants import MUON_MASS, PION_MASS, PROTON_MASS
from studio.event.stopping import (
    heavy,
    kinetic_energy_at,
    mass_range,
    mass_stopping_power,
    range_straggling,
    scattering_power,
    velocity,
)

MUON = {
    10: 0.9833, 14: 1.786, 20: 3.321, 30: 6.598, 40: 10.58, 80: 30.84, 100: 42.50, 140: 67.32, 200: 106.3, 300: 172.5,
    400: 238.5, 800: 493.4, 1000: 616.3, 2000: 1202.0, 4000: 2297.0, 10000: 5354.0, 20000: 10130.0, 40000: 19100.0,
}  # fmt: skip
PROTON = {
    10: 0.1887, 15: 0.3823, 20: 0.6335, 30: 1.296, 40: 2.159, 80: 7.375, 100: 10.92, 150: 22.15, 200: 36.27, 300: 71.44,
    400: 113.8, 500: 161.4, 700: 268.1, 1000: 445.4,
}  # fmt: skip


def test_range_of_muons():
    energies, published = np.array(list(MUON), dtype=float), np.array(list(MUON.values()))
    found = np.asarray(mass_range(jnp.asarray(energies), MUON_MASS))
    np.testing.assert_allclose(found[energies >= 40], published[energies >= 40], rtol=2e-3)
    np.testing.assert_allclose(found, published, rtol=0.016)


def test_range_of_protons():
    found = mass_range(jnp.asarray(list(PROTON), dtype=float), PROTON_MASS)
    np.testing.assert_allclose(found, list(PROTON.values()), rtol=3e-3)


def test_minimum_ionisation():
    """1.508 MeV cm²/g for muons in liquid argon (Groom et al.), to its last digit, near 266 MeV."""
    energies = np.linspace(100.0, 600.0, 501)
    loss = mass_stopping_power(energies, MUON_MASS)
    assert loss.min() == pytest.approx(1.508, abs=0.0015)
    assert energies[loss.argmin()] == pytest.approx(266, abs=15)


@pytest.mark.parametrize("mass", [MUON_MASS, PION_MASS, PROTON_MASS])
def test_range_and_energy_undo_each_other_and_follow_the_stopping_power(mass):
    """Two splines: 1e-6 relative. dT/dR is the stopping power: 1e-3, the error of a spline's derivative between knots."""
    energies = jnp.exp(jnp.linspace(np.log(0.02 * mass), np.log(50 * mass), 300))
    ranges = mass_range(energies, mass)
    back, slopes = jax.jit(jax.vmap(jax.value_and_grad(lambda r: kinetic_energy_at(r, mass))))(ranges)
    np.testing.assert_allclose(back, energies, rtol=1e-6)
    np.testing.assert_allclose(slopes, mass_stopping_power(np.asarray(energies), mass), rtol=1e-3)


def test_a_particle_at_rest_has_finite_derivatives():
    for function in (mass_range, kinetic_energy_at, range_straggling, scattering_power, velocity):
        value, slope = jax.jit(jax.value_and_grad(lambda x, f=function: f(x, MUON_MASS)))(0.0)
        assert np.isfinite(value)
        assert np.isfinite(slope), function.__name__
    assert mass_range(jnp.asarray(0.0), MUON_MASS) == 0 == kinetic_energy_at(jnp.asarray(0.0), MUON_MASS)


def test_range_straggling():
    """Protons of 100 to 200 MeV straggle by 1.1 to 1.4 % (Janni 1982: 1.2 % in media of this charge); heavier particles of
    the same velocity straggle less, as 1/√m, here to 5 % because the largest transfer depends on the mass too."""
    protons = range_straggling(jnp.asarray([100.0, 200.0]), PROTON_MASS)
    assert ((protons > 0.011) & (protons < 0.014)).all()
    muon = range_straggling(jnp.asarray(150.0 * MUON_MASS / PROTON_MASS), MUON_MASS)
    proton = range_straggling(jnp.asarray(150.0), PROTON_MASS)
    assert muon / proton == pytest.approx(np.sqrt(PROTON_MASS / MUON_MASS), rel=0.05)


def test_what_leaves_no_single_track_is_refused():
    with pytest.raises(InputError, match="leaves no single track.*'muon'.*mu-"):
        heavy("muon")
