"""Drift against closed formulas: t = d/v, exp(−t/τ), 2 D t; volumes share what crosses them; nothing is lost uncounted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.detector import DriftVolumes, GridSpaceCharge
from studio.event import Deposits, Primary, track_deposits
from studio.medium import LiquidArgon
from studio.simulation.tpc.drift import drift
from studio.simulation.tpc.drift_velocity import drift_velocity
from studio.simulation.tpc.recombination import ionise
from studio.units import cm, m, ms, s, us

ARGON = LiquidArgon()


def two_volumes(length: float = 2000.0) -> DriftVolumes:
    """Back to back along z with a common cathode at z = 0, anodes at ±`length`."""
    return DriftVolumes(
        anode=[[0, 0, length], [0, 0, -length]],
        direction=[[0, 0, 1], [0, 0, -1]],
        across=[[1, 0, 0], [1, 0, 0]],
        length=length,
        width=[4000.0, 3000.0],
        field=50.0,
    )


def _points(z) -> Deposits:
    z = np.atleast_1d(np.asarray(z, float))
    position = np.stack([np.full_like(z, 100.0), np.full_like(z, -200.0), z], axis=-1)
    return Deposits(position, np.ones_like(z), np.full_like(z, 3.0), 40.0, (1.0, 0, 0))


def test_a_deposit_arrives_after_distance_over_velocity_fainter_and_wider():
    """Closed formulas to 1e-12: 1.5 m at 500 V/cm take 0.94 ms; with a lifetime of 3 ms 27 % are lost; σ are √(2 D t)."""
    argon = LiquidArgon(electron_lifetime=3 * ms)
    one = drift(_points(500.0), two_volumes(), argon, parts=1)
    time = 1.5 * m / drift_velocity(jnp.asarray(50.0))
    assert time / us == pytest.approx(941.7, abs=0.5)
    np.testing.assert_allclose(one.drift_time, [time], rtol=1e-12)
    np.testing.assert_allclose(one.time, [40.0 + time], rtol=1e-12)
    made = ionise(*(jnp.asarray([x]) for x in (1.0, 3.0, 0.0, 50.0)), argon)
    np.testing.assert_allclose(one.electrons, made.electrons * np.exp(-time / (3 * ms)), rtol=1e-12)
    np.testing.assert_allclose(one.photons, made.photons, rtol=1e-12)
    np.testing.assert_allclose(one.position, [[100, -200, 2000]], atol=1e-9)
    seconds = float(time) / s
    np.testing.assert_allclose(one.longitudinal_spread, [np.sqrt(2 * 4.0 * seconds) * cm], rtol=1e-12)
    np.testing.assert_allclose(one.transverse_spread, [np.sqrt(2 * 8.8 * seconds) * cm], rtol=1e-12)
    np.testing.assert_allclose(one.time_spread * one.velocity, one.longitudinal_spread, rtol=1e-12)


def test_each_volume_drifts_to_its_own_anode():
    both = drift(_points([1900.0, -1900.0, 5.0, -5.0]), two_volumes(), ARGON, parts=1)
    np.testing.assert_array_equal(both.volume, [0, 1, 0, 1])
    np.testing.assert_allclose(both.position[:, 2], [2000, -2000, 2000, -2000], atol=1e-9)
    np.testing.assert_allclose(both.drift_time[::2], both.drift_time[1::2], rtol=1e-12)
    assert both.outside == 0
    assert both.outside_count == 0


def test_what_crosses_the_cathode_is_shared():
    """A segment of 10 mm along z with its middle at z = 2: 7/10 in the upper volume, 3/10 in the lower; 1e-12. Each part
    drifts from its own middle, at z = 3.5 and −1.5."""
    segment = Deposits([[0.0, 0, 2.0]], [2.0], 10.0, direction=(0, 0, 1.0))
    parts = drift(segment, two_volumes(), ARGON)
    np.testing.assert_allclose(parts.share, [0.7, 0.3], rtol=1e-12)
    np.testing.assert_array_equal(parts.volume, [0, 1])
    np.testing.assert_allclose(parts.drift_time * parts.velocity, [1996.5, 1998.5], rtol=1e-12)
    np.testing.assert_allclose(parts.extent, [[0, 0, 7], [0, 0, 3]], atol=1e-12)
    assert parts.outside == pytest.approx(0.0, abs=1e-12)
    inside_wall = drift(Deposits([[0.0, 0, 0]], [2.0], 10.0, direction=(1.0, 0, 0)), two_volumes(), ARGON)
    np.testing.assert_allclose(inside_wall.share, [0.5, 0.5])


def test_energy_outside_every_volume_is_counted_and_its_charge_lost():
    """Three points inside, two outside, one segment that leaves through a side with 3/4 of its length."""
    z = [100.0, -300.0, 1999.0, 2001.0, 5000.0]
    points = drift(_points(z), two_volumes(), ARGON)
    assert points.outside == pytest.approx(2.0)
    assert points.outside_count == 2
    assert (np.asarray(points.electrons).reshape(5, 2).sum(axis=1) > 0).tolist() == [True] * 3 + [False] * 2
    leaving = Deposits([[2001.0, 0, 500.0]], [4.0], 4.0, direction=(1.0, 0, 0))
    part = drift(leaving, two_volumes(), ARGON)
    assert part.outside == pytest.approx(3.0)
    assert part.outside_count == 0
    np.testing.assert_allclose(part.position[0], [1999.5, 0, 2000], atol=1e-9)


def test_padding_brings_no_charge():
    track = track_deposits(Primary("mu-", (0, 0, 500), (1.0, 0.2, 0.5), 300.0), ARGON, 50)
    plain, padded = drift(track, two_volumes(), ARGON), drift(track.padded(80), two_volumes(), ARGON)
    assert padded.electrons.shape == (160,)
    np.testing.assert_allclose(padded.electrons[:100], plain.electrons, rtol=1e-12)
    assert not padded.electrons[100:].any()
    assert padded.outside == pytest.approx(float(plain.outside), abs=1e-9)
    assert padded.outside_count == plain.outside_count


def test_seventy_volumes_are_one_structure():
    """A near detector of 7 × 5 modules, each with two drifts of 0.5 m: a track through all of them keeps its charge: with no
    loss on the way, the electrons are those of the deposits, to 1e-12."""
    x, z = np.meshgrid(np.arange(5) * 1000.0, np.arange(7) * 1000.0, indexing="ij")
    middle = np.stack([x.ravel(), np.zeros(35), z.ravel()], axis=-1)
    side = np.array([500.0, 0, 0])
    volumes = DriftVolumes(
        np.concatenate([middle - side, middle + side]),
        np.repeat([[-1.0, 0, 0], [1.0, 0, 0]], 35, axis=0),
        np.tile([0, 1.0, 0], (70, 1)),
        500.0,
        [3000.0, 1000.0],
        50.0,
    )
    argon = LiquidArgon(electron_lifetime=1e30)
    track = track_deposits(Primary("mu-", (-300.0, 0, -300.0), (0.5, 0.01, 0.8), 1500.0), argon, 300)
    charge = drift(track, volumes, argon, parts=4)
    assert volumes.count == 70
    assert charge.outside == pytest.approx(0.0, abs=1e-9)
    assert len(set(np.asarray(charge.volume)[np.asarray(charge.share) > 0])) > 8
    cosine = jnp.abs(track.direction[:, 0])
    made = ionise(track.energy, track.length, cosine, jnp.full(300, 50.0), argon)
    assert jnp.sum(charge.electrons) == pytest.approx(float(jnp.sum(made.electrons)), rel=1e-12)


def test_the_charge_inside_follows_the_length_of_the_drift():
    """d(charge inside)/d(drift length) of a track that leaves through the moving cathode is its ionisation density times the
    length it gains: equal to the loss per length over the cosine, 1 % (dE/dx differs between segments, lifetime is off)."""
    argon = LiquidArgon(electron_lifetime=1e30)
    track = track_deposits(Primary("mu-", (0, 0, 1900.0), (0.6, 0, -0.8), 5000.0), argon, 400, longest=5000.0)

    def charge(length):
        volume = DriftVolumes([[0, 0, 2000.0]], [[0, 0, 1.0]], [[1.0, 0, 0]], length, [9000.0, 9000.0], 50.0)
        return jnp.sum(drift(track, volume, argon).electrons)

    slope = jax.jit(jax.grad(charge))(1500.0)
    crossing = int(jnp.argmin(jnp.abs(track.position[:, 2] - 500.0)))
    made = ionise(track.energy, track.length, jnp.full(400, 0.8), jnp.full(400, 50.0), argon)
    assert slope == pytest.approx(float(made.electrons[crossing] / track.length[crossing] / 0.8), rel=0.01)


def test_space_charge_moves_charge_and_changes_recombination():
    """A constant displacement (2, 3, −10) mm shifts the arrival point and lengthens the drift by 10 mm; a distortion along the
    drift field of +10 % is a field of 55 V/mm for recombination, while the velocity stays that of 50; 1e-12."""
    volumes = two_volumes()
    shape = (4, 4, 4, 3)
    moved = GridSpaceCharge(
        [-2500.0] * 3,
        [2500.0] * 3,
        np.broadcast_to([2.0, 3.0, -10.0], shape),
        np.broadcast_to([0.0, 0, -5.0], shape),  # the field points against the drift direction +z
    )
    plain, charged = (drift(_points(500.0), volumes, ARGON, one, parts=1) for one in (None, moved))
    np.testing.assert_allclose(charged.position - plain.position, [[2, 3, 0]], atol=1e-9)
    np.testing.assert_allclose((charged.drift_time - plain.drift_time) * plain.velocity, [10.0], rtol=1e-9)
    law = ARGON.recombination
    ratio = np.divide(*(law.survival(jnp.asarray(1 / 3), jnp.asarray(f), ARGON.density) for f in (55.0, 50.0)))
    lost = np.exp(-(charged.drift_time - plain.drift_time) / ARGON.electron_lifetime)
    np.testing.assert_allclose(charged.electrons / plain.electrons, ratio * lost, rtol=1e-12)


def test_stacked_events_are_mapped():
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), _points([100.0, 200.0]), _points([300.0, -400.0]))
    with pytest.raises(InputError, match="jax.vmap"):
        drift(stack, two_volumes(), ARGON)
    mapped = jax.vmap(lambda event: drift(event, two_volumes(), ARGON))(stack)
    alone = drift(_points([300.0, -400.0]), two_volumes(), ARGON)
    np.testing.assert_allclose(mapped.electrons[1], alone.electrons, rtol=1e-14)
