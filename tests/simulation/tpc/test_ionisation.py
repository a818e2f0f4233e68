"""Charge and light of deposits: their sum is fixed, one minimum-ionising particle over 3 mm makes 15.4 ke."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio.medium import LiquidArgon
from studio.medium.recombination import Birks, EllipsoidModifiedBox, ModifiedBox
from studio.simulation.tpc.recombination import POINT_LOSS, ionise


def test_a_minimum_ionising_particle_over_3_mm():
    """1.7 MeV/cm over 3 mm at 0.5 kV/cm and 1.396 g/cm³: 15.4 ke as printed; 0.05 is half its last digit."""
    for law in (Birks(), ModifiedBox()):
        argon = LiquidArgon(temperature=86.504, recombination=law)
        made = ionise(*(jnp.asarray([x]) for x in (0.51, 3.0, 0.0, 50.0)), argon)
        assert made.electrons[0] / 1e3 == pytest.approx(15.4, abs=0.06)


@pytest.mark.parametrize("law", [Birks(), ModifiedBox(), EllipsoidModifiedBox()], ids=lambda law: type(law).__name__)
def test_charge_and_light_are_anticorrelated(law):
    """Electrons + photons = dE / W_ph at any field; more field gives more charge and less light."""
    argon = LiquidArgon(recombination=law)
    energy, length = jnp.full(5, 2.0), jnp.full(5, 3.0)
    made = ionise(energy, length, jnp.full(5, 0.3), jnp.asarray([5.0, 20.0, 50.0, 100.0, 200.0]), argon)
    np.testing.assert_allclose(made.electrons + made.photons, energy / argon.w_ph, rtol=1e-14)
    assert (np.diff(made.electrons) > 0).all()
    assert (np.diff(made.photons) < 0).all()
    assert (made.photons > 2.0 / argon.w_ion * 0.21).all()  # the light of excited atoms remains


def test_light_at_the_usual_field():
    """24,000 photons/MeV at 500 V/cm are quoted for minimum-ionising particles, 41,000 to 51,000 without field; the box law
    gives 21,700, within the 10 % that W and N_ex/N_i are known to."""
    argon = LiquidArgon()
    made = ionise(*(jnp.asarray([x]) for x in (0.21, 1.0, 0.0, 50.0)), argon)
    assert made.photons[0] / 0.21 == pytest.approx(24000, rel=0.11)
    dark = ionise(*(jnp.asarray([x]) for x in (0.21, 1.0, 0.0, 1e-9)), argon)
    assert dark.photons[0] / 0.21 == pytest.approx(float(1 / argon.w_ph), rel=0.01)


def test_deposits_without_length_or_energy_are_finite_with_their_derivatives():
    argon = LiquidArgon()

    def electrons(energy, length):
        return jnp.sum(ionise(energy, length, jnp.zeros(3), jnp.full(3, 50.0), argon).electrons)

    energy, length = jnp.asarray([1.0, 0.0, 0.0]), jnp.asarray([0.0, 0.0, 1.0])
    slopes = jax.grad(electrons, (0, 1))(energy, length)
    assert all(np.isfinite(slope).all() for slope in slopes)
    law = argon.recombination.survival(jnp.asarray(POINT_LOSS), jnp.asarray(50.0), argon.density)
    assert electrons(energy, length) == pytest.approx(float(law / argon.w_ion), rel=1e-12)
