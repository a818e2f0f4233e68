"""Mesh files, read back by trimesh: wall and sensors are closed, stand where they stand in the detector, in the file's units."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
import trimesh

from studio import Box, Detector, InputError, PhotosensorArray, Water
from studio.detector import layouts
from studio.io.meshes import Body, detector_bodies, write_mesh
from studio.units import m, mm
from tests.tanks import cylinder, plain_sensor, sphere

SIDES = 24
POLYGON = SIDES / (2 * math.pi) * math.sin(2 * math.pi / SIDES)  # of a disc's area
TO_METRES_UPRIGHT = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) / m


def box() -> Detector:
    kind, volume = plain_sensor(100 * mm), Box((2.0 * m, 3.0 * m, 4.0 * m))
    layout = layouts.grid(volume, 0.8 * m, kind.radius)
    return Detector(volume, Water(), PhotosensorArray(layout.uv, layout.patch, (kind,)))


TANKS = {"cylinder": cylinder, "sphere": lambda: sphere(2 * m, 40, plain_sensor(), 0.3), "box": box}


def read(path, ending: str) -> dict[str, trimesh.Trimesh]:
    """Wall and sensors of a file, in mm with z upwards. Only GLB keeps them apart in trimesh: elsewhere the largest is the
    wall."""
    if ending != "glb":
        parts = trimesh.load_mesh(path).split(only_watertight=False)
        largest = max(parts, key=lambda part: part.extents.max())
        return {"wall": largest, "sensors": trimesh.util.concatenate([part for part in parts if part is not largest])}
    scene = trimesh.load_scene(path)
    turned = np.eye(4)
    turned[:3, :3] = np.linalg.inv(TO_METRES_UPRIGHT)
    scene.apply_transform(turned)
    return {name: scene.geometry[name].copy().apply_transform(scene.graph.get(name)[0]) for name in scene.geometry}


@pytest.mark.parametrize("ending", ["glb", "stl", "obj"])
@pytest.mark.parametrize("name", TANKS)
def test_a_file_holds_the_detector(name, ending, tmp_path):
    """To 1e-5 of 2 m: GLB and STL store single precision, OBJ eight digits."""
    tank = TANKS[name]()
    path = tmp_path / f"tank.{ending}"
    write_mesh(detector_bodies(tank), path)
    found = read(path, ending)
    assert set(found) == {"wall", "sensors"}
    for mesh in found.values():
        mesh.merge_vertices()
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
    half = {"cylinder": [1.5, 1.5, 1.5], "sphere": [2.0, 2.0, 2.0], "box": [1.0, 1.5, 2.0]}[name]
    np.testing.assert_allclose(found["wall"].bounds, [np.negative(half) * m, np.multiply(half, m)], atol=0.02)
    assert found["wall"].volume == pytest.approx(float(tank.volume.volume), rel=2e-3)  # 96 corners a circle
    positions, normals, radii = (np.asarray(part) for part in tank.placed)
    bodies = found["sensors"].split(only_watertight=True)
    assert len(bodies) == tank.sensors.count
    # A plate of thickness 0.1 r behind its face: its middle lies 0.05 r behind the sensor.
    expected = positions - 0.05 * radii[:, None] * normals
    middles = np.array([body.center_mass for body in bodies])
    nearest = np.linalg.norm(middles[:, None] - expected, axis=-1)
    assert sorted(nearest.argmin(axis=1).tolist()) == list(range(len(radii)))
    np.testing.assert_allclose(nearest.min(axis=1), 0.0, atol=0.05)
    assert found["sensors"].volume == pytest.approx(POLYGON * math.pi * np.sum(0.1 * radii**3), rel=1e-4)


def colourful() -> tuple[Detector, np.ndarray]:
    """Red at half on the screen everywhere, green on every other sensor."""
    tank = cylinder()
    colours = np.zeros((tank.sensors.count, 3))
    colours[:, 0], colours[:, 1] = 0.5, np.arange(len(colours)) % 2
    return tank, colours


def test_an_obj_has_names_and_the_colours_of_sensors(tmp_path):
    """Most of a body's vertices: trimesh merges the few that sensors share with the wall."""
    tank, colours = colourful()
    write_mesh(detector_bodies(tank, colours), tmp_path / "tank.obj")
    bodies = read(tmp_path / "tank.obj", "obj")["sensors"].split()
    assert len(bodies) == len(colours)
    for body in bodies:
        (sensor,) = np.flatnonzero(np.linalg.norm(tank.placed.positions - body.center_mass, axis=-1) < 20 * mm)
        found = np.median(body.visual.vertex_colors, axis=0)[:3] / 255
        np.testing.assert_allclose(found, colours[sensor], atol=1.01 / 255)
    names = [line for line in (tmp_path / "tank.obj").read_text().splitlines() if line.startswith("o ")]
    assert names == ["o wall", "o sensors"]


def test_a_glb_has_colours_as_shares_of_the_light_and_a_wall_to_look_through(tmp_path):
    """Half on the screen (sRGB) is ((0.5 + 0.055) / 1.055)^2.4 = 0.214 of the light, which glTF wants (section 3.7.2.1).

    Read without trimesh, which leaves out colours where there are materials: a header of JSON, then arrays.
    """
    tank, colours = colourful()
    write_mesh(detector_bodies(tank, colours), tmp_path / "tank.glb")
    content = (tmp_path / "tank.glb").read_bytes()
    length = int.from_bytes(content[12:16], "little")
    header, data = json.loads(content[20 : 20 + length]), content[20 + length + 8 :]
    meshes = {mesh["name"]: mesh["primitives"][0] for mesh in header["meshes"]}
    accessor = header["accessors"][meshes["sensors"]["attributes"]["COLOR_0"]]
    assert (accessor["componentType"], accessor["type"]) == (5121, "VEC4")  # bytes
    start = header["bufferViews"][accessor["bufferView"]].get("byteOffset", 0) + accessor.get("byteOffset", 0)
    stored = np.frombuffer(data[start : start + 4 * accessor["count"]], np.uint8).reshape(len(colours), -1, 4) / 255
    np.testing.assert_allclose(stored[..., 0], 0.214, atol=0.51 / 255)
    np.testing.assert_allclose(stored[..., 1], np.broadcast_to(colours[:, 1:2], stored.shape[:2]))
    materials = {name: header["materials"][primitive["material"]] for name, primitive in meshes.items()}
    assert materials["wall"]["alphaMode"] == "BLEND"
    assert materials["wall"]["pbrMetallicRoughness"]["baseColorFactor"][3] == 0.25
    assert "alphaMode" not in materials["sensors"]


def test_another_ending_is_refused(tmp_path):
    body = Body("one", np.eye(3), np.array([[0, 1, 2]]), (1.0, 0.0, 0.0))
    with pytest.raises(InputError, match="not a format of meshes.*Allowed: glb, stl, obj"):
        write_mesh([body], tmp_path / "tank.step")
    with pytest.raises(InputError, match="cannot be written"):
        write_mesh([body], tmp_path / "nowhere" / "tank.stl")
    assert not list(tmp_path.iterdir())


def test_a_stl_of_one_triangle(tmp_path):
    body = Body("one", 1000 * np.eye(3), np.array([[0, 1, 2]]), (1.0, 0.0, 0.0))
    write_mesh([body], tmp_path / "one.stl")
    mesh = trimesh.load_mesh(io.BytesIO((tmp_path / "one.stl").read_bytes()), file_type="stl")
    np.testing.assert_allclose(mesh.triangles[0], 1000 * np.eye(3))
