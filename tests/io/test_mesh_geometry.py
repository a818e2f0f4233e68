"""Geometry files with a mesh as volume: read, checked, saved so that they need no other file, and refused with the line."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import trimesh

from studio import InputError, MeshVolume, replace
from studio.io import check_geometry, load_detector, save_detector
from studio.units import m
from tests.meshes import l_room_mesh

TANK = """\
volume: {{kind: mesh, file: {file}{unit}}}
medium: {{kind: water}}
sensors:
  kind: photosensor_array
  type: r14374_3_inch
  layout: {{kind: {layout}}}
"""


def written(folder, *, file="room.stl", unit=", unit: m", layout="area, count: 40"):
    path = folder / "tank.yaml"
    path.write_text(TANK.format(file=file, unit=unit, layout=layout))
    return path


def exported(folder, name="room.stl", faces=slice(None)) -> None:
    vertices, triangles = l_room_mesh()
    trimesh.Trimesh(vertices / m, triangles[faces], process=False).export(folder / name)


@pytest.mark.parametrize("name", ["room.stl", "room.obj", "room.ply"])
def test_a_mesh_file_is_the_volume(name, tmp_path):
    """In the unit that is given; STL and PLY store single precision, 3 m exactly."""
    exported(tmp_path, name)
    report = check_geometry(written(tmp_path, file=name))
    assert report["volume"]["kind"] == "mesh"
    assert report["volume"]["volume_m3"] == pytest.approx(81)
    assert report["volume"]["area_m2"] == pytest.approx(126)
    assert (report["volume"]["from_m"], report["volume"]["to_m"]) == ([-3, -3, -1.5], [3, 3, 1.5])
    assert (report["volume"]["vertices"], report["volume"]["triangles"], report["volume"]["convex"]) == (12, 20, False)
    assert len(report["sensors"]["by_patch"]) == 8
    assert sum(report["sensors"]["by_patch"].values()) == 40


def test_a_saved_detector_needs_no_mesh_file_and_comes_back_bit_for_bit(tmp_path):
    """Also after its vertices were moved by numbers with many digits, and its scale."""
    exported(tmp_path)
    detector = load_detector(written(tmp_path))
    moved = np.asarray(detector.volume.vertices) * np.array([1.0, 1 / 3, np.pi])
    detector = replace(detector, {"volume.vertices": moved, "volume.scale": 1 / 7 + 1})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    save_detector(detector, elsewhere / "saved.yaml")
    again = load_detector(elsewhere / "saved.yaml")
    assert isinstance(again.volume, MeshVolume)
    first, second = jax.tree.leaves(detector), jax.tree.leaves(again)
    assert len(first) == len(second)
    assert all(
        np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype for a, b in zip(first, second, strict=True)
    )
    assert again.volume.convex == detector.volume.convex


ROWS = """\
volume:
  kind: mesh
  unit: cm
  vertices: |
    0 0 0
    100 0 0
    0 100 0
    0 0 100
  triangles: |
    0 2 1
    0 1 3
    0 3 {last}
    1 2 3
medium: {{kind: water}}
sensors:
  kind: photosensor_array
  type: r14374_3_inch
  layout: {{kind: area, count: 4}}
"""


def test_vertices_and_triangles_as_rows(tmp_path):
    path = tmp_path / "corner.yaml"
    path.write_text(ROWS.format(last=2))
    assert float(load_detector(path).volume.volume) == pytest.approx(m**3 / 6)
    path.write_text(ROWS.format(last=7))
    with pytest.raises(InputError, match=r"corner.yaml:12: volume.triangles: no such vertex.*from 0 to 3"):
        load_detector(path)
    path.write_text(ROWS.format(last=2.5))
    with pytest.raises(InputError, match=r"corner.yaml:12: volume.triangles: not whole numbers"):
        load_detector(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"file": "nothing.stl"},
            "tank.yaml:1: volume.file: no such mesh file.*nothing.stl.*relative to the geometry file",
        ),
        ({"file": "tank.yaml"}, "volume.file: not a format of meshes.*STL, OBJ or PLY"),
        ({"file": "words.stl"}, "volume.file: (cannot be read as a mesh|holds no triangles)"),
        (
            {"file": "open.stl"},
            "tank.yaml:1: volume.file: the mesh: not closed: 3 edges have only one triangle.*fill the holes",
        ),
        ({"unit": ""}, "tank.yaml:1: volume: a mesh without a 'unit'.*unit: mm"),
        ({"unit": ", unit: m, vertices: '0 0 0'"}, "give either 'file' or 'vertices' and 'triangles'"),
        ({"unit": ", unit: feet"}, "volume.unit"),
        ({"layout": "grid, spacing: 1 m"}, "layout.kind: a mesh has no grid layout.*kind: area"),
        ({"layout": "fibonacci, count: 10"}, "layout.kind: this layout needs a sphere"),
    ],
)
def test_what_is_wrong_is_said(changes, message, tmp_path):
    exported(tmp_path)
    exported(tmp_path, "open.stl", slice(0, -1))
    (tmp_path / "words.stl").write_text("solid of words\nthat are no mesh\n")
    with pytest.raises(InputError, match=message):
        load_detector(written(tmp_path, **changes))


def test_sensors_too_large_for_their_number_and_for_every_wall(tmp_path):
    exported(tmp_path)
    path = written(tmp_path, layout="area, count: 200")
    text = path.read_text()
    path.write_text(text.replace("r14374_3_inch", "r14374_3_inch\n  radius: 50 cm"))
    with pytest.raises(InputError, match="layout.count: .*pairs of sensors overlap"):
        load_detector(path)
    path.write_text(text.replace("r14374_3_inch", "r14374_3_inch\n  radius: 4 m"))
    with pytest.raises(
        InputError, match="layout.count: only 0 places keep a face of radius 4000 mm clear of all creases"
    ):
        load_detector(path)
