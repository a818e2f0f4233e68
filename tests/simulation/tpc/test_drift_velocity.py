"""Drift velocity: the printed table at 87.3 K, the temperature law, and the end at zero field.

Table in mm/µs: 0.273 kV/cm: 1.125–1.147; 0.5: 1.591–1.596; 1.0: 2.107–2.164 (the last digit printed, so 0.0005 is added).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio.simulation.tpc.drift_velocity import drift_velocity
from studio.units import V, cm, kV, mm, us

TABLE = {0.273: (1.125, 1.147), 0.5: (1.591, 1.596), 1.0: (2.107, 2.164)}


@pytest.mark.parametrize("field", TABLE)
def test_velocity_is_that_of_the_table(field):
    low, high = TABLE[field]
    assert low - 5e-4 <= float(drift_velocity(field * kV / cm)) / (mm / us) <= high + 5e-4


def test_velocity_falls_with_temperature_as_measured():
    """dv/v per kelvin is −1.5/T = −1.72 % at 87.3 K; Walkowiak (NIM A 449 (2000) 288) measured −1.7 ± 0.1 %."""
    slope = jax.grad(lambda t: jnp.log(drift_velocity(500 * V / cm, t)))(87.3)
    assert slope == pytest.approx(-1.5 / 87.3, rel=1e-12)
    assert 100 * slope == pytest.approx(-1.7, abs=0.1)


def test_velocity_rises_monotonically_from_zero():
    fields = jnp.linspace(0.0, 5 * kV / cm, 2001)
    velocity = drift_velocity(fields)
    assert velocity[0] == 0
    assert (np.diff(velocity) > 0).all()
    # The mobility at zero field is the constant a0 = 551.6 cm²/(V s) at 89 K.
    slope = jax.grad(lambda field: drift_velocity(field, 89.0))(0.0)
    assert slope == pytest.approx(551.6 * cm**2 / V / 1e9, rel=1e-12)
