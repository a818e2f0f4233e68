"""Sensor types: efficiency at numbers and arrays, types of one's own, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from studio import Cylinder, Detector, InputError, PhotosensorArray, Water, load_detector, save_detector
from studio.detector import EfficiencyTable, layouts, sensor_types
from studio.detector.sensor_types import register_sensor_type, sensor_type, sensor_type_names
from studio.units import m

TUBE = sensor_type("r3600_20_inch")


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(sensor_types, "_REGISTERED", {})


@pytest.mark.parametrize(
    "wavelength", [400.0, 400, np.float64(400), np.array(400.0), np.array([400.0]), np.full((2, 3), 400.0)]
)
def test_the_efficiency_has_the_shape_of_the_wavelength(wavelength):
    """Annotations are enforced in this room, so that numbers and arrays without axes must be allowed by them too."""
    found = TUBE.detection_efficiency(wavelength)
    assert isinstance(found, np.ndarray)
    assert found.shape == np.shape(wavelength)
    assert np.all(found == 0.211)  # the table


def test_a_registered_type_is_found_by_name_and_its_files_need_no_registration(registry, monkeypatch, tmp_path):
    mine = dataclasses.replace(TUBE, name="mine", radius=100.0)
    assert register_sensor_type(mine) is mine
    assert register_sensor_type(dataclasses.replace(mine)) is mine  # the same again is no other
    assert sensor_type("mine") is mine
    assert sensor_type_names()[-1] == "mine"
    text = "volume: {kind: cylinder, radius: 2 m, height: 3 m}\nmedium: {kind: water}\n"
    text += "sensors: {kind: photosensor_array, type: mine, layout: {kind: grid, spacing: 1 m}}\n"
    (tmp_path / "tank.yaml").write_text(text)
    detector = load_detector(tmp_path / "tank.yaml")
    save_detector(detector, tmp_path / "saved.yaml")
    monkeypatch.setattr(sensor_types, "_REGISTERED", {})
    assert load_detector(tmp_path / "saved.yaml").sensors.types == (mine,)
    with pytest.raises(InputError, match="unknown sensor type"):
        load_detector(tmp_path / "tank.yaml")


@pytest.mark.parametrize("name", ["multi_pmt_19", "mine"])
def test_a_name_stands_for_one_type(registry, name):
    register_sensor_type(dataclasses.replace(TUBE, name="mine", radius=100.0))
    with pytest.raises(InputError, match=f"another sensor type has this name.*{name}.*choose another"):
        register_sensor_type(dataclasses.replace(TUBE, name=name))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"efficiency_column": None}, "one quantum efficiency is needed"),
        ({"efficiency_table": EfficiencyTable((300.0, 400.0), (0.1, 0.2))}, "one quantum efficiency is needed"),
        ({"efficiency_column": "r3600"}, "no such column.*Did you mean 'r3600_20_inch'"),
        ({"radius": 0.0}, r"radius: must be positive \(received 0.0\)"),
        ({"efficiency_factor": float("nan")}, "efficiency_factor: must be positive"),
        ({"charge_spread": -0.1}, "charge_spread: must be zero or positive"),
        ({"dark_rate": float("inf")}, "dark_rate: must be zero or positive"),
    ],
)
def test_impossible_types_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        dataclasses.replace(TUBE, **changes)


@pytest.mark.parametrize(
    ("wavelength", "efficiency", "words"),
    [
        ((400.0,), (0.1,), "two or more points"),
        ((300.0, 400.0), (0.1,), "2 wavelengths and 1 efficiencies"),
        ((300.0, 300.0), (0.1, 0.1), r"wavelength\.1: wavelengths must rise.*300.*sort"),
        ((0.3, 0.4), (0.1, 0.1), r"wavelength\.0: not between 100 and 2000 nm.*0\.3"),
        ((300.0, 400.0), (10.0, 20.0), r"efficiency\.0: not between 0 and 1.*10.*0\.3 for 30 %"),
        ((300.0, float("nan")), (0.1, 0.1), r"wavelength\.1"),
        ((300.0, 400.0), (0.0, float("nan")), r"efficiency\.1"),
        ((300.0, 400.0), (0.0, 0.0), "zero everywhere between 280 and 700 nm"),
        ((800.0, 900.0), (0.1, 0.2), "zero everywhere between 280 and 700 nm"),
    ],
)
def test_impossible_tables_are_refused(wavelength, efficiency, words):
    with pytest.raises(InputError, match=words):
        EfficiencyTable(wavelength, efficiency)


def test_a_table_of_its_own_detects_as_the_column_it_was_copied_from():
    nodes = np.arange(280.0, 701.0, 20.0)
    copied = EfficiencyTable(tuple(nodes), tuple(TUBE.detection_efficiency(nodes)))
    own = dataclasses.replace(TUBE, efficiency_column=None, efficiency_table=copied)
    between = np.linspace(250.0, 790.0, 1001)
    np.testing.assert_allclose(own.detection_efficiency(between), TUBE.detection_efficiency(between), atol=1e-15)
    volume = Cylinder(2 * m, 3 * m)
    layout = layouts.grid(volume, 1 * m, own.radius)
    sensors = PhotosensorArray(layout.uv, layout.patch, (own,))
    assert hash(Detector(volume, Water(), sensors).sensors.types) == hash((own,))  # static, so compiled once
