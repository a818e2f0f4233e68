"""Guns in liquid argon: what is contained ends inside, by the tracks themselves."""

import jax
import numpy as np
import pytest

from studio import Gun, InputError, LiquidArgon, Primary
from studio.event.tracks import track_deposits
from studio.geometry import Box

BOX = Box((600.0, 600.0, 600.0))


@pytest.mark.parametrize(("particle", "energy"), [("proton", 200.0), ("mu-", 100.0)])
def test_contained_tracks_end_inside(particle, energy):
    """Their range is half the box: 25 cm and 33 cm, so that most draws leave it."""
    medium = LiquidArgon()
    events = Gun(particle, BOX, kinetic_energy=energy, contained=True, medium=medium).sample(jax.random.key(3), 32)
    ends = []
    for index in range(32):
        one = events[index]
        last = track_deposits(one, medium, 8)
        ends.append(np.asarray(last.position[-1]))
    assert np.max(np.abs(ends)) < 300.0
    free = Gun(particle, BOX, kinetic_energy=energy, medium=medium).sample(jax.random.key(3), 32)
    reach = np.linalg.norm(ends[0] - np.asarray(events[0].vertex))
    gone = np.abs(np.asarray(free.vertex) + reach * np.asarray(free.direction)).max(axis=-1) > 300.0
    assert np.count_nonzero(gone) > 8


def test_particles_without_light_need_argon():
    with pytest.raises(InputError, match="not an allowed word"):
        Gun("proton", BOX)
    assert Gun("proton", BOX, medium=LiquidArgon()).sample(jax.random.key(0), 2).particle == "proton"
    assert Primary("proton").particle == "proton"
