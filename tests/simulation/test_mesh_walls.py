"""Expected light in mesh volumes: as in the analytic ones, and none around a corner.

Sensors of an analytic tank brought onto a mesh with its corners on the wall stand up to h²/8R inwards, h the side of a
triangle, and are turned by up to h/2R. A mean over many sensors, whose turns cancel, is off by the order of h², that is as 1 /
(number of triangles); each sensor's own charge by its turn, of order h, so its mean square falls as 1 / (number of triangles).
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Box, Detector, MeshVolume, OpticalSimulator, PhotosensorArray, Primary, Water, replace
from studio.detector import layouts
from studio.simulation.optical.shadow import visible_share
from studio.simulation.optical.sources import Sensors
from studio.units import m, mm
from tests.meshes import cylinder_mesh, in_l_room, l_room, sphere_mesh
from tests.tanks import cylinder, muon, plain_sensor, single, sphere

SIMULATOR = OpticalSimulator(segments=16, wavelengths=20, degree=5, process=False)
EVENTS = {"point": Primary("point", (100.0, 50.0, -300.0), (1.0, 0.0, 0.0), 100.0), "muon": muon()}
FINENESS = (12, 24, 48)
MESHES = {
    "cylinder": lambda n: cylinder_mesh(1.5 * m, 3.0 * m, 2 * n, n - 1),
    "sphere": lambda n: sphere_mesh(1.5 * m, {12: 2, 24: 3, 48: 4}[n]),
}


def tank_of(name: str) -> Detector:
    if name == "cylinder":
        return cylinder(spacing=0.35 * m, kind=plain_sensor(100 * mm))
    return sphere(1.5 * m, 300, plain_sensor(), 0.3, Water())


@eqx.filter_jit
def charge(detector, event):
    return SIMULATOR.expected(detector, event).charge


def on_mesh(tank: Detector, mesh) -> Detector:
    """The same sensors, brought onto the nearest point of a mesh."""
    volume = MeshVolume(*mesh)
    layout = layouts.from_positions(volume, np.asarray(tank.placed.positions), off_wall=100 * mm).layout
    return Detector(
        volume, tank.medium, PhotosensorArray(layout.uv, layout.patch, tank.sensors.types, radius=tank.sensors.radius)
    )


@pytest.mark.parametrize("particle", EVENTS)
@pytest.mark.parametrize("name", MESHES)
def test_charges_come_to_those_of_the_analytic_wall(name, particle):
    tank = tank_of(name)
    exact = np.asarray(charge(tank, EVENTS[particle]))
    total, square = [], []
    for fineness in FINENESS:
        found = np.asarray(charge(on_mesh(tank, MESHES[name](fineness)), EVENTS[particle]))
        total.append(found.sum() / exact.sum() - 1)
        square.append(np.sum((found - exact) ** 2) / np.sum(exact**2))
    # 1/4 a step, with room for the next order and for the chance of where sensors come to stand on their triangles.
    assert np.abs(total[0]) < 0.03
    assert (np.abs(np.divide(total[1:], total[:-1])) < 0.3).all()
    assert (np.divide(square[1:], square[:-1]) < 0.3).all()


def room(count=60) -> Detector:
    volume, kind = l_room(), plain_sensor(150 * mm)
    layout = layouts.by_area(volume, count, kind.radius)
    return Detector(volume, Water(), PhotosensorArray(layout.uv, layout.patch, (kind,)))


def seen_by_marching(origins, targets) -> np.ndarray:
    """Whether the straight line stays in the room, by points 0.1 % of it apart. NumPy, and the plan instead of the mesh."""
    share = np.linspace(0, 0.999, 1000)
    return np.array([in_l_room(a + share[:, None] * (b - a)).all() for a, b in zip(origins, targets, strict=True)])


def test_no_light_goes_around_the_corner():
    """Sensors whose face the plan shows whole get what they get in the box around the room (the same longest chord, so the same
    tables); hidden ones get nothing, dark counts being 0. Faces that a shadow's edge crosses are left out."""
    detector, source = room(), Primary("point", (2.0 * m, -1.0 * m, 0.2 * m), (1.0, 0.0, 0.0), 100.0)
    found = np.asarray(charge(detector, source))
    positions, normals, _ = (np.asarray(part) for part in detector.placed)
    across = np.cross(normals, [0.3, 0.5, 0.8])
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    rim = [
        positions + 1e-3 * normals + np.cos(t) * 150 * across + np.sin(t) * 150 * np.cross(normals, across)
        for t in 2 * np.pi * np.arange(12) / 12
    ]
    seen = np.array([seen_by_marching(np.broadcast_to(source.vertex, points.shape), points) for points in rim])
    whole, hidden = seen.all(axis=0), ~seen.any(axis=0)
    assert whole.sum() > 25
    assert hidden.sum() > 10
    np.testing.assert_array_equal(found[hidden], 0.0)
    outer = whole & (np.abs(positions / m) > np.array([2.99, 2.99, 1.49])).any(axis=1)
    box = Box((6 * m, 6 * m, 3 * m))
    layout = layouts.from_positions(box, positions[outer], off_wall=1e-6).layout
    twin = Detector(box, Water(), PhotosensorArray(layout.uv, layout.patch, detector.sensors.types))
    assert outer.sum() > 20
    np.testing.assert_allclose(found[outer], charge(twin, source), rtol=1e-9)
    np.testing.assert_allclose(charge(single(detector), single(source)), found, rtol=2e-3, atol=1e-4)


def test_the_visible_share_is_that_of_many_lines():
    """Four lines against 144 from 12 places of a piece to 12 of the face: at most 0.5 off where an edge crosses both, and by
    chance as often too much as too little: over n such pairs, each off by 0.2, the mean is within 3 · 0.2 / √n."""
    detector = room()
    placed, sensors = detector.placed, detector.sensors
    generator = np.random.default_rng(8)
    middle = np.array([2.0, -1.5, 0.0]) * m + generator.uniform(-0.5, 0.5, (12, 3)) * m
    extent = 0.4 * m * generator.normal(size=(12, 3))
    chunk = Sensors(*placed, sensors.kind, sensors.weight, jnp.arange(sensors.count))
    found = np.asarray(visible_share(chunk, detector.volume, jnp.asarray(middle), jnp.asarray(extent)))
    positions, normals = np.asarray(placed.positions), np.asarray(placed.normals)
    across = np.cross(normals, [0.3, 0.5, 0.8])
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    shares = []
    for step in range(12):
        turn, reach = step * np.pi * (3 - np.sqrt(5)), 150 * mm * np.sqrt((step + 0.5) / 12)
        face = positions + 1e-3 * normals
        face = face + reach * (np.cos(turn) * across + np.sin(turn) * np.cross(normals, across))
        for along in (np.arange(12) + 0.5) / 12 - 0.5:
            origins = np.broadcast_to(middle + along * extent, (len(face), 12, 3)).reshape(-1, 3)
            shares.append(seen_by_marching(origins, np.repeat(face, 12, axis=0)).reshape(len(face), 12))
    exact = np.mean(shares, axis=0)
    edge = (exact > 0) & (exact < 1)
    assert edge.sum() > 25
    np.testing.assert_allclose(found[~edge], exact[~edge], atol=0.26)  # one line may find a sliver that 144 miss
    assert np.abs(found - exact).max() < 0.5
    assert abs(np.mean((found - exact)[edge])) < 3 * 0.2 / np.sqrt(edge.sum())


def test_gradients_in_a_room_with_shadows():
    """Total charge of a point source in one arm, by its vertex and the room's scale; central differences of steps so small that
    no shadow's edge passes one of the lines, since derivatives leave that out."""
    detector, event = room(24), Primary("point", (2.0 * m, -1.5 * m, 0.2 * m), (1.0, 0.0, 0.0), 100.0)

    def total(shift, scale):
        moved = eqx.tree_at(lambda e: e.vertex, event, event.vertex + shift)
        return jnp.sum(SIMULATOR.expected(replace(detector, {"volume.scale": scale}), moved).charge)

    at = jnp.zeros(3), jnp.ones(())
    slopes = jax.grad(total, (0, 1))(*at)
    value = eqx.filter_jit(total)
    for axis in range(3):
        step = 0.01 * jnp.eye(3)[axis]
        difference = (value(step, at[1]) - value(-step, at[1])) / 0.02
        np.testing.assert_allclose(slopes[0][axis], difference, rtol=1e-4, atol=1e-6)
    difference = (value(at[0], 1 + 1e-6) - value(at[0], 1 - 1e-6)) / 2e-6
    np.testing.assert_allclose(slopes[1], difference, rtol=1e-4)
