"""Particles of which only the deposits in argon are known are refused where light is asked for, not taken for electrons."""

import re

import jax
import pytest

from studio import OpticalSimulator, Primary
from studio._checks import InputError
from studio.event import CHARGE_ONLY, PARTICLES, require_light
from studio.simulation.optical.analog import analog
from tests import tanks


@pytest.mark.parametrize("particle", CHARGE_ONLY)
def test_no_light_is_simulated(particle):
    primary, detector = Primary(particle, kinetic_energy=300.0), tanks.cylinder()
    words = (
        re.escape(f"particle: its light is not simulated (received '{particle}')") + ".*Particles that make light: mu-"
    )
    with pytest.raises(InputError, match=words):
        OpticalSimulator().expected(detector, primary)
    with pytest.raises(InputError, match=words):
        OpticalSimulator().sample(detector, primary, jax.random.key(0))
    with pytest.raises(InputError, match=words):
        analog(detector, primary, seed=1, events=1)


def test_the_others_pass():
    for particle in PARTICLES:
        require_light(Primary(particle))
