"""Recombination laws against the printed table, and where they end: low losses, no field.

Survival at 0.5 kV/cm and 1.396 g/cm³ to the printed digits: half a unit of the last one.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.medium.recombination import LOWEST_LOSS, Birks, EllipsoidModifiedBox, ModifiedBox
from studio.units import MeV, V, cm

FIELD, DENSITY = 500 * V / cm, 1.396
LAWS = (Birks(), ModifiedBox(), EllipsoidModifiedBox())
TABLE = {  # dE/dx in MeV/cm: Birks, modified box, ellipsoid at 90°
    1.7: ("0.7153", "0.7147", "0.678"),
    2.1: ("0.6979", "0.7050", "0.680"),
    10.0: ("0.4716", "0.4537", "0.459"),
}


@pytest.mark.parametrize("loss", TABLE)
def test_survival_is_that_of_the_table(loss):
    for law, printed in zip(LAWS, TABLE[loss], strict=True):
        digits = len(printed.split(".")[1])
        found = float(law.survival(jnp.asarray(loss * MeV / cm), jnp.asarray(FIELD), DENSITY))
        assert found == pytest.approx(float(printed), abs=0.5000001 * 10**-digits), type(law).__name__


def test_the_law_holds_from_1_5_mev_per_cm_on_and_is_constant_at_low_losses():
    law = ModifiedBox()
    losses = jnp.asarray([1.5, 1.51, 3.0, 30.0]) * MeV / cm
    xi = 0.212 * losses / (MeV / cm) / (DENSITY * 0.5)
    np.testing.assert_allclose(law.survival(losses, jnp.asarray(FIELD), DENSITY), jnp.log(0.93 + xi) / xi, rtol=1e-14)
    low = law.survival(jnp.asarray([0.0, 0.1, 0.5]) * MeV / cm, jnp.asarray(FIELD), DENSITY)
    np.testing.assert_allclose(low, law.survival(jnp.asarray(LOWEST_LOSS), jnp.asarray(FIELD), DENSITY), atol=0.02)
    assert np.ptp(low) == 0


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_survival_is_twice_differentiable_where_the_low_losses_join(law):
    """Second derivatives on both sides of either end of the join agree as the distance goes to zero: their difference is
    the third derivative (below 100 per (MeV/cm)³ here) times the distance, 1e-5 MeV/cm."""
    second = jax.jit(jax.grad(jax.grad(lambda loss: law.survival(loss * MeV / cm, jnp.asarray(FIELD), DENSITY))))
    for place in (0.5, 1.5):
        assert abs(second(place + 5e-6) - second(place - 5e-6)) < 1e-3


def test_along_the_field_more_recombines_and_the_ratio_is_that_of_the_densities():
    """cos = 1 is the law across the field with β₉₀ R; equal to 1e-14."""
    law = EllipsoidModifiedBox()
    loss = jnp.asarray([2.1, 20.0]) * MeV / cm
    along = law.survival(loss, jnp.asarray(FIELD), DENSITY, 1.0)
    np.testing.assert_allclose(
        along, EllipsoidModifiedBox(beta_90=0.204 * 1.25).survival(loss, jnp.asarray(FIELD), DENSITY), rtol=1e-14
    )
    assert (along < law.survival(loss, jnp.asarray(FIELD), DENSITY, 0.0)).all()
    np.testing.assert_array_equal(along, law.survival(loss, jnp.asarray(FIELD), DENSITY, -1.0))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_without_field_nothing_survives_and_derivatives_are_finite(law):
    value, slope = jax.jit(jax.value_and_grad(lambda field: law.survival(jnp.asarray(0.2), field, DENSITY)))(0.0)
    assert 0 <= value < 0.01
    assert np.isfinite(slope)


@pytest.mark.parametrize("law", [Birks, ModifiedBox, EllipsoidModifiedBox])
def test_parameters_are_checked(law):
    name = next(iter(law.__init__.__annotations__))
    with pytest.raises(InputError, match=f"recombination.{name}: must be positive and finite"):
        law(-1.0)
