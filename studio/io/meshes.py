"""Bodies with colours as mesh files: GLB, STL, OBJ, and a web page that turns them; walls read from such files. Nothing else
imports trimesh.

Lengths are in mm in the studio and in STL and OBJ files, z upwards. GLB files are in metres with y upwards, as their
specification (glTF 2.0, section 3.4) wants it.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, Int
from trimesh.exchange.gltf import export_glb
from trimesh.scene import Camera
from trimesh.viewer.notebook import scene_to_html

from .._checks import InputError, choice_remedy
from ..detector import Detector
from ..geometry.triangulation import disc_sides, plates, wall_triangles
from ..units import m
from .atomic import replace_file

FORMATS = ("glb", "stl", "obj")
_THICKNESS = 0.1  # of a sensor's body, in units of its radius
_WALL = (0.85, 0.87, 0.90)
_SENSOR = (0.0, 0.447, 0.698)
# x, y, z of the studio to x right, y up, z towards the onlooker, in metres.
_UPRIGHT = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]) @ np.diag([1 / m, 1 / m, 1 / m, 1.0])


@dataclasses.dataclass(frozen=True)
class Body:
    """A named set of triangles: `vertices` in mm, `faces` turning left as seen from outside, one colour (red, green, blue
    between 0 and 1) or one a vertex, and how opaque it is."""

    name: str
    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    colours: Any
    opacity: float = 1.0


def detector_bodies(detector: Detector, colours: Float[np.ndarray, "sensors 3"] | None = None) -> list[Body]:
    """The wall as a closed surface, and the sensors as plates whose faces lie where theirs are, each watertight."""
    present = np.asarray(detector.sensors.present)
    positions, normals, radii = (np.asarray(part, float)[present] for part in detector.placed)
    sides = disc_sides(len(radii))
    sensors = plates(positions, normals, radii, _THICKNESS * radii, sides)
    given = _SENSOR if colours is None else np.repeat(np.asarray(colours)[present], 2 * (sides + 1), axis=0)
    return [Body("wall", *wall_triangles(detector.volume), _WALL, 0.25), Body("sensors", *sensors, given)]


def read_mesh(path: str | os.PathLike[str]) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """The triangles of a mesh file that trimesh reads (STL, OBJ, PLY, OFF, GLB), equal vertices merged: vertices in the
    file's own unit and axes, and faces. What is no surface is left out; several bodies are joined.

    **Raises** `InputError` for a missing file, one of an unknown ending, and one without triangles.
    """
    if not Path(path).is_file():
        # Its name in the words, where a long folder cannot push it out of what was received.
        problem, remedy = f"no such mesh file, {Path(path).name}", "give its path relative to the geometry file"
        raise InputError(problem, value=os.fspath(path), remedy=remedy)
    ending = Path(path).suffix.removeprefix(".").lower()
    if ending not in trimesh.available_formats():
        raise InputError("not a format of meshes", value=os.fspath(path), remedy="convert it to STL, OBJ or PLY")
    try:
        mesh = trimesh.load_mesh(path)
    except Exception as error:  # each format's reader fails in its own way
        remedy = "open it in a program for meshes and write it as STL"
        raise InputError(f"cannot be read as a mesh: {error}", value=os.fspath(path), remedy=remedy) from None
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0:
        raise InputError("holds no triangles", value=os.fspath(path), remedy="write the wall as a surface of triangles")
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    return np.asarray(mesh.vertices, float), np.asarray(mesh.faces)


def write_mesh(bodies: Sequence[Body], path: str | os.PathLike[str]) -> None:
    """Writes bodies into one file; the ending of `path` chooses the format. STL knows neither names nor colours.

    **Raises** `InputError` for another ending and a path that cannot be written.
    """
    ending = Path(path).suffix.removeprefix(".").lower()
    if ending not in FORMATS:
        raise InputError("not a format of meshes", key="path", value=str(path), remedy=choice_remedy(ending, FORMATS))
    replace_file(path, lambda aside: aside.write_bytes(_content(bodies, ending)))


def _content(bodies: Sequence[Body], ending: str) -> bytes:
    if ending == "glb":
        return _glb(bodies, flat=False)
    meshes = {body.name: _mesh(body, body.colours) for body in bodies}
    stream = io.BytesIO()
    whole = trimesh.util.concatenate(list(meshes.values())) if ending == "stl" else _scene(meshes)
    whole.export(stream, file_type=ending)
    return stream.getvalue()


def web_page(bodies: Sequence[Body], eye: Float[np.ndarray, "3"], angle: float) -> str:
    """A page that shows bodies in their plain colours, from the side their faces turn to, and lets them be turned and zoomed.

    The first look is from `eye` in mm at the origin, `angle` degrees high. Everything is in the page: three.js
    from trimesh's own viewer, and the bodies as GLB.
    """
    return scene_to_html(_Ready(_glb(bodies, flat=True, eye=eye, angle=angle)))


class _Ready:
    """What `scene_to_html` asks of a scene, for one that is exported already."""

    camera = None

    def __init__(self, content: bytes):
        self.content = content

    def export(self, file_type: str) -> bytes:
        assert file_type == "glb"
        return self.content


def _glb(bodies: Sequence[Body], *, flat: bool, eye: np.ndarray | None = None, angle: float = 0.0) -> bytes:
    """`flat`: without light and shade, and with colours as the screen shows them. A file has them as the specification wants
    them, linear in the light; trimesh's viewer takes them as they are."""
    meshes = {}
    for body in bodies:
        colours = np.asarray(body.colours, float)
        meshes[body.name] = _mesh(body, colours if flat else _linear(colours))
    scene = _scene(meshes)
    scene.apply_transform(_UPRIGHT)
    if eye is not None:
        scene.camera = _camera(float(np.linalg.norm(eye)) / m, angle)
        scene.camera_transform = _looking(_UPRIGHT[:3, :3] @ np.asarray(eye, float))
    opacities = {body.name: body.opacity for body in bodies}

    def finish(tree: dict[str, Any]) -> None:
        tree["materials"] = [_material(opacities[mesh["name"]], flat) for mesh in tree["meshes"]]
        for index, mesh in enumerate(tree["meshes"]):
            for primitive in mesh["primitives"]:
                primitive["material"] = index
        if flat:
            tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", ()), "KHR_materials_unlit"})

    return export_glb(scene, include_normals=not flat, tree_postprocessor=finish)


def _material(opacity: float, flat: bool) -> dict[str, Any]:
    metal = {"baseColorFactor": [1.0, 1.0, 1.0, opacity], "metallicFactor": 0.0, "roughnessFactor": 0.8}
    material: dict[str, Any] = {"pbrMetallicRoughness": metal, "doubleSided": not flat}
    if opacity < 1:
        material["alphaMode"] = "BLEND"
    if flat:
        material["extensions"] = {"KHR_materials_unlit": {}}
    return material


def _mesh(body: Body, colours: Any) -> trimesh.Trimesh:
    rows = np.broadcast_to(np.asarray(colours, float), (len(body.vertices), 3))
    bytes_ = np.column_stack([np.round(255 * rows), np.full(len(rows), 255)]).astype(np.uint8)
    return trimesh.Trimesh(body.vertices, body.faces, vertex_colors=bytes_, process=False)


def _scene(meshes: dict[str, trimesh.Trimesh]) -> trimesh.Scene:
    scene = trimesh.Scene()
    for name, mesh in meshes.items():
        scene.add_geometry(mesh, node_name=name, geom_name=name)
    return scene


def _linear(colours: np.ndarray) -> np.ndarray:
    """Colours of a screen (sRGB, IEC 61966-2-1) as shares of the light."""
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def _camera(distance: float, angle: float) -> Camera:
    return Camera(resolution=(1200, 900), fov=(angle * 4 / 3, angle), z_near=distance / 50, z_far=20 * distance)


def _looking(eye: np.ndarray) -> np.ndarray:
    """The pose of a camera at `eye` that looks at the origin, y upwards."""
    back = eye / np.linalg.norm(eye)
    right = np.cross([0.0, 1.0, 0.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(back, right), back], axis=-1)
    pose[:3, 3] = eye
    return pose
