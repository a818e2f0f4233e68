"""Known answer 5: a bar of length L read at both ends, attenuation length Λ free, light at its middle.

Each end sees N₀ exp(−L/2Λ) photons whose number changes by 1/Λ per mm the source moves: the information on its place is
2 N₀ exp(−L/2Λ)/Λ², largest at Λ = L/4 exactly, where it is 32 N₀ / (L² e²).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio.inference.likelihood.optical import charge_information

pytestmark = pytest.mark.slow  # minutes on two cores: compilation and Monte Carlo

LENGTH, PHOTONS = 2000.0, 400.0  # mm


def charges(place, attenuation):
    distances = LENGTH / 2 + jnp.stack([place, -place])
    return PHOTONS * jnp.exp(-distances / attenuation)


def information(attenuation, spread=0.0):
    """Of Poisson charges about the place, by the derivative of the charges."""
    mean, slope = jax.jvp(lambda place: charges(place, attenuation), (jnp.zeros(()),), (jnp.ones(()),))
    per_charge = 1 / mean if spread == 0.0 else charge_information(mean, spread)
    return jnp.sum(slope**2 * per_charge)


@pytest.mark.parametrize("start", [120.0, 6000.0])
def test_the_best_attenuation_length_is_a_quarter_of_the_bar(start):
    result = studio.optimise(
        {"attenuation": np.asarray(start)},
        {"attenuation": (50.0, 20000.0)},
        lambda tree: -jnp.log(information(tree["attenuation"])),
        optimiser="lbfgs",
        steps=100,
    )
    found = float(result.tree["attenuation"])
    assert found == pytest.approx(LENGTH / 4, rel=1e-5)
    assert float(information(jnp.asarray(found))) == pytest.approx(32 * PHOTONS / (LENGTH * np.e) ** 2, rel=1e-9)


def test_the_formula_holds_away_from_the_optimum():
    for attenuation in (200.0, 900.0, 5000.0):
        expected = 2 * PHOTONS * np.exp(-LENGTH / 2 / attenuation) / attenuation**2
        assert float(information(jnp.asarray(attenuation))) == pytest.approx(expected, rel=1e-12)


def test_charge_spread_costs_its_share_of_the_information_and_moves_nothing_much():
    # With many photoelectrons a relative spread of 0.4 costs 1/(1 + 0.16); 54 an end at the optimum are many, to 1 %.
    ratio = float(information(jnp.asarray(LENGTH / 4), 0.4) / information(jnp.asarray(LENGTH / 4)))
    assert ratio == pytest.approx(1 / 1.16, rel=1e-2)
