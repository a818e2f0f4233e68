"""Walls, glass and grains in geometry files: they come back bit for bit, and what is wrong is named with its line."""

import math

import numpy as np
import pytest

import studio
from studio import Detector, InputError, PhotosensorArray, Sphere, Water, load_detector, save_detector, sensor_type
from studio.detector import Reflector, tyvek
from studio.io import check_geometry
from studio.study import natural_bound
from studio.units import deg, m

HEAD = "volume: {kind: sphere, radius: 2 m}\nmedium: {kind: water}\n"  # two lines
GROUP = "sensors: {kind: photosensor_array, type: r14374_3_inch, layout: {kind: fibonacci, count: 20}"
SENSORS = GROUP + "}\n"  # the third line


def read(tmp_path, text):
    path = tmp_path / "tank.yaml"
    path.write_text(text)
    return path, load_detector(path)


def test_surfaces_and_grains_reload_bit_for_bit(tmp_path):
    uv = np.eye(3)
    types = (sensor_type("r14374_3_inch"), sensor_type("multi_pmt_19"))
    glass = Reflector([1 / 3, 0.1], [math.pi / 7, 0.0], [0.1 / 3, 1.0])
    sensors = PhotosensorArray(uv, np.zeros(3, int), types, np.array([0, 1, 0]), glass=glass)
    water = Water(mie_inverse_length=math.e * 1e-6, mie_asymmetry=1 / 7)
    tank = Detector(Sphere(2 * m), water, sensors, wall=Reflector(1 / 9, math.sqrt(0.5), math.pi / 10))
    save_detector(tank, tmp_path / "saved.yaml")
    again = load_detector(tmp_path / "saved.yaml")
    assert studio.leaf_paths(tank) == studio.leaf_paths(again)
    for path in studio.leaf_paths(tank):
        assert np.array_equal(studio.get(tank, path), studio.get(again, path)), path


def test_presets_may_be_changed_and_one_glass_is_for_all(tmp_path):
    text = (
        HEAD + "wall: {kind: tyvek, diffuse: 85 %}\n" + GROUP + ", glass: {specular: 2 %, diffuse: 0, lobe: 3 deg}}\n"
    )
    path, tank = read(tmp_path, text)
    assert float(tank.wall.diffuse) == pytest.approx(0.85)  # what the preset says otherwise stays
    assert float(tank.wall.specular) == float(tyvek().specular)
    assert float(tank.sensors.glass.lobe[0]) == 3 * deg
    report = check_geometry(path)
    assert report["wall"]["reflected_at_normal_incidence"] == pytest.approx(0.1 + 0.9 * 0.85)
    assert report["sensors"]["glass"]["r14374_3_inch"]["specular"] == pytest.approx(0.02)
    bare = check_geometry(read(tmp_path, HEAD + SENSORS)[0])
    assert bare["wall"] is None
    assert bare["sensors"]["glass"] is None


def test_leaves_of_surfaces_are_free_within_their_range(tmp_path):
    _, tank = read(tmp_path, HEAD + "wall: {kind: black_sheet}\n" + SENSORS)
    assert natural_bound(tank, "wall.diffuse").describe() == "between 0 and 1"
    assert natural_bound(tank, "wall.lobe").describe() == "between 0.01 and 1"


MALFORMED = {
    "unknown wall": (HEAD + "wall: {kind: tyveck}\n" + SENSORS, 3, "wall.kind", "Did you mean 'tyvek'"),
    "missing": (
        HEAD + "wall: {kind: reflector, specular: 5 %, diffuse: 90 %}\n" + SENSORS,
        3,
        "wall.lobe",
        "is missing",
    ),
    "too much": (HEAD + "wall: {kind: tyvek, diffuse: 110 %}\n" + SENSORS, 3, "wall.diffuse", "at most 1"),
    "wide lobe": (HEAD + "wall: {kind: tyvek, lobe: 80 deg}\n" + SENSORS, 3, "wall.lobe", "between 0.01 and 1"),
    "no unit": (HEAD + "wall: {kind: tyvek, lobe: 0.1}\n" + SENSORS, 3, "wall.lobe", "without a unit"),
    "glass without": (
        HEAD + GROUP + ", glass: {specular: 2 %, lobe: 3 deg}}\n",
        3,
        "sensors.glass.diffuse",
        "is missing",
    ),
    "glass of nobody": (
        HEAD + GROUP + ", glass: {r14374: {specular: 2 %, diffuse: 0, lobe: 3 deg}}}\n",
        3,
        "sensors.glass.r14374",
        "Did you mean 'r14374_3_inch'",
    ),
    "grains": (
        HEAD.replace("water", "water, mie_inverse_length: -1 1/m") + SENSORS,
        2,
        "medium.mie_inverse_length",
        "zero or",
    ),
    "asymmetry": (
        HEAD.replace("water", "water, mie_asymmetry: 1.0") + SENSORS,
        2,
        "medium.mie_asymmetry",
        "less than 1",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_wrong_is_named_with_its_line(name, tmp_path):
    text, line, key, words = MALFORMED[name]
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert f"tank.yaml:{line}: {key}: " in message
    assert words in message
    assert caught.value.remedy
