"""Cascades in argon: energy is kept, electrons start with one minimum-ionising track and photons with two."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.event import Primary, cascade_deposits
from studio.event.cascades import CONVERSION
from studio.medium import LiquidArgon
from studio.medium.liquid_argon import CRITICAL_ENERGY
from studio.units import cm

ARGON = LiquidArgon()
UNIT = float(ARGON.radiation_length)


def _cascade(particle: str, energy: float, segments: int = 400):
    return cascade_deposits(Primary(particle, (0, 0, 0), (0, 0, 1), energy), ARGON, segments)


@pytest.mark.parametrize("particle", ["e-", "e+", "gamma"])
def test_energies_add_up(particle):
    """To 1e-12 of the energy, from rest to 100 GeV."""

    @jax.jit
    def total(energy):
        return cascade_deposits(Primary(particle, kinetic_energy=energy), ARGON).total_energy

    for energy in (0.0, 1e-5, 0.5, 20.0, 1e3, 1e5):
        np.testing.assert_allclose(total(energy), energy, rtol=1e-12)


@pytest.mark.parametrize(("particle", "tracks"), [("e-", 1), ("e+", 1), ("gamma", 2)])
def test_one_minimum_ionising_track_at_the_start_of_an_electron_two_of_a_photon(particle, tracks):
    """Over the first 2.4 cm, as experiments measure it. One track loses Ec/X₀ = 2.34 MeV/cm here (2.1 for an ideal
    minimum-ionising particle, 2.0–2.4 with its relativistic rise); what is radiated adds a few per cent, and segments of the
    trunk are up to 5 mm long: 12 %."""
    for energy in (150.0, 400.0, 1000.0):
        cascade = _cascade(particle, energy, 1600)
        start = 0.0 if particle != "gamma" else CONVERSION * UNIT
        depth = cascade.position[:, 2] - start
        near = jnp.sum(jnp.where(depth < 24.0, cascade.energy, 0.0)) / 2.4
        assert near == pytest.approx(tracks * CRITICAL_ENERGY / (UNIT / cm), rel=0.12)
    loss = cascade.energy / cascade.length * cm
    np.testing.assert_allclose(loss, CRITICAL_ENERGY / UNIT * cm, rtol=1e-9)


@pytest.mark.parametrize("energy", [300.0, 1000.0, 3000.0, 10000.0, 30000.0])
def test_mean_depth_is_that_of_the_gamma_profile(energy):
    """(ln y + 1.5) X₀ for electrons to 3 % (PDG 2022, eqs. 34.36 and 34.37: mean a/b with b = 0.5, t_max = (a − 1)/b =
    ln y − 0.5). Photons reach 0.5 (Rossi's approximation B) to 1.0 (the same PDG fit) radiation lengths deeper."""
    expected = np.log(energy / CRITICAL_ENERGY) + 1.5
    electron, photon = (_cascade(particle, energy) for particle in ("e-", "gamma"))
    depth = [float(jnp.sum(c.position[:, 2] * c.energy) / energy / UNIT) for c in (electron, photon)]
    assert depth[0] == pytest.approx(expected, rel=0.03)
    assert 0.5 < depth[1] - depth[0] < 1.0


def test_nine_tenths_lie_within_a_moliere_radius():
    """9.04 cm at 1.396 g/cm³; 90 % by its definition, 3 % for the model's change of width with depth."""
    cascade = _cascade("e-", 2000.0, 800)
    radius = jnp.linalg.norm(cascade.position[:, :2], axis=-1)
    inside = jnp.sum(jnp.where(radius < 90.4, cascade.energy, 0.0)) / 2000.0
    assert inside == pytest.approx(0.90, abs=0.03)
    middle = jnp.sum(cascade.position * cascade.energy[:, None], axis=0) / 2000.0
    assert np.abs(middle[:2]).max() < 3.0  # on the axis: no side is preferred


def test_a_soft_electron_is_a_track():
    """Far below the critical energy nothing is radiated and the track is T X₀ / Ec long: 0.5 MeV, 2.1 mm, to 2 %."""
    cascade = _cascade("e-", 0.5)
    trunk = cascade.energy[:100]
    assert jnp.sum(trunk) == pytest.approx(0.5, rel=0.02)
    assert jnp.max(cascade.position[:100, 2]) == pytest.approx(0.5 / CRITICAL_ENERGY * UNIT, rel=0.02)


def test_the_conversion_point_is_free():
    near, far = (
        cascade_deposits(Primary("gamma", (5, 0, 0), (1, 0, 0), 100.0), ARGON, conversion=x).position
        for x in (0.0, 2.0)
    )
    np.testing.assert_allclose(far - near, np.tile([2 * UNIT, 0, 0], (200, 1)), atol=1e-9)


def test_derivatives_are_finite_and_those_of_finite_differences():
    """Vertex, direction, energy, temperature: central differences of fourth order, 1e-7 relative; finite at rest."""
    weights = jnp.asarray(np.random.default_rng(5).normal(size=(200, 3)))

    @jax.jit
    def value(x):
        primary = Primary("gamma", x[:3], x[3:6], x[6])
        cascade = cascade_deposits(primary, LiquidArgon(temperature=x[7]))
        return jnp.sum(weights * cascade.position * cascade.energy[:, None]) + jnp.sum(cascade.energy * cascade.time)

    point = jnp.asarray([10.0, -20.0, 30.0, 0.4, 0.5, -0.6, 321.0, 87.0])
    slope = jax.jit(jax.grad(value))
    slopes = slope(point)
    for index in range(8):
        h = 1e-4 * max(1.0, abs(float(point[index])))
        step = jnp.zeros(8).at[index].set(h)
        near, far = (value(point + k * step) - value(point - k * step) for k in (1, 2))
        assert slopes[index] == pytest.approx(float(8 * near - far) / (12 * h), rel=1e-7, abs=1e-7)
    for energy in (0.0, 1e-12, 1e9):
        assert np.isfinite(slope(point.at[6].set(energy))).all()


def test_what_makes_no_cascade_is_refused():
    with pytest.raises(InputError, match="makes no electromagnetic cascade.*'mu-'"):
        cascade_deposits(Primary("mu-"), ARGON)
    with pytest.raises(InputError, match="at least 16"):
        cascade_deposits(Primary("e-"), ARGON, 4)
