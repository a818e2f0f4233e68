"""Sensors spread over a mesh by area: as many on each wall as its area says, apart, clear of creases, always the same."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, MeshVolume
from studio.detector import layouts
from studio.geometry import Sphere
from studio.units import m, mm
from tests.meshes import l_room, sphere_mesh


def test_every_wall_has_its_share():
    """Of 126 m² the floor is 27, ...: each of 400 sensors has 0.315 m², so a wall of perimeter p has its share within half a
    row along its edges: p / 2 · 0.56 m / 2 / 0.315 m² = 0.44 sensors a metre of p, half of which face sensors around the corner."""
    room = l_room()
    layout = layouts.by_area(room, 400, 50 * mm)
    corners = np.asarray(room.corners)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1) / 2
    walls = np.asarray(room.wall)
    found = np.bincount(walls[layout.patch], minlength=8)
    expected = 400 * np.bincount(walls, area) / area.sum()
    perimeter = np.where(
        expected > 80, 24, np.where(expected > 40, 18, 12)
    )  # m: floor and ceiling, long and short walls
    assert (np.abs(found - expected) < 0.22 * perimeter).all()


@pytest.mark.parametrize("name", ["room", "ball"])
def test_sensors_are_apart_and_clear_of_creases(name):
    """Evenly spread, N discs of diameter 1.075 √(A/N) touch in a hexagonal packing; three fifths of that are kept."""
    volume = l_room() if name == "room" else MeshVolume(*sphere_mesh(2 * m, 3))
    layout = layouts.by_area(volume, 200, 100 * mm)
    places = np.asarray(volume.surface_point(jnp.asarray(layout.patch), jnp.asarray(layout.uv)))
    closest = layouts.smallest_spacing(places).distance
    assert closest > 0.6 * 1.075 * np.sqrt(float(volume.area) / 200)
    assert layouts.overhang(volume, layout.patch, layout.uv, np.full(200, 100 * mm)).max() <= 0
    again = layouts.by_area(volume, 200, 100 * mm)
    np.testing.assert_array_equal(layout.uv, again.uv)


def test_only_meshes_have_it():
    with pytest.raises(InputError, match="needs a mesh.*kind: fibonacci"):
        layouts.by_area(Sphere(1 * m), 10, 10 * mm)
