"""A sensor type of one's own stands in the geometry file; a malformed one is refused with file, line, key, value, remedy."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from studio import Cylinder, Detector, InputError, PhotosensorArray, Water, load_detector, save_detector
from studio.detector import EfficiencyTable, SensorType, TimeResolution, layouts, sensor_type
from studio.io import check_geometry
from studio.units import GHz, kHz, m, mm, ns

TEXT = """\
volume: {kind: cylinder, radius: 2 m, height: 3 m}
medium: {kind: water}
sensor_types:
  eight_inch:
    radius: 100 mm
    efficiency_table: |
      wavelength/nm  efficiency   # of the data sheet
      300  0.05

      400  0.30
      500  0.2
    efficiency_factor: 95 %
    charge_spread: 0.35
    time_resolution: {floor: 0.4 ns, stochastic: 1.69 ns2}
    dark_rate: 2 kHz
    source: invented
  small:
    radius: 4 cm
    efficiency_column: r14374_3_inch
    charge_spread: 0.4
    time_resolution: {floor: 600 ps}
    dark_rate: 1 kHz
    source: invented
sensors:
  - {kind: photosensor_array, type: eight_inch, layout: {kind: grid, spacing: 50 cm, patches: [barrel]}}
  - {kind: photosensor_array, type: small, layout: {kind: grid, spacing: 50 cm, patches: [top]}}
"""


def written(folder, text: str):
    (folder / "tank.yaml").write_text(text)
    return folder / "tank.yaml"


def test_a_file_describes_its_own_types(tmp_path):
    detector = load_detector(written(tmp_path, TEXT))
    eight_inch, small = detector.sensors.types
    assert (eight_inch.name, eight_inch.radius, eight_inch.charge_spread) == ("eight_inch", 100 * mm, 0.35)
    assert eight_inch.time_resolution == TimeResolution(0.4 * ns, 0.0, 1.69)
    assert eight_inch.dark_rate == 2 * kHz
    # Half way between two points, at a point, and outside: 0.95 times 0.175, 0.3 and 0.
    np.testing.assert_allclose(
        eight_inch.detection_efficiency(np.array([350.0, 400.0, 299.0, 501.0])), [0.16625, 0.285, 0, 0]
    )
    assert small.detection_efficiency(400.0) == 0.2676
    assert small.time_resolution.offset == 0.0
    report = check_geometry(tmp_path / "tank.yaml")
    assert set(report["sensors"]["by_type"]) == {"eight_inch", "small"}


def test_they_are_saved_and_reload_bit_for_bit(tmp_path):
    odd = SensorType(
        name="odd",
        radius=math.pi * 30 * mm,
        efficiency_table=EfficiencyTable((280.0, math.e * 150, 700.0), (0.1, 1 / 3, 0.0)),
        efficiency_factor=math.sqrt(0.9),
        charge_spread=1 / 7,
        time_resolution=TimeResolution(floor=1 / 3, offset=1 / 9, stochastic=math.sqrt(2)),
        dark_rate=math.pi * 1e-7 * GHz,
        source='quoted "twice", it\'s: a #test\nin two lines with √ and \\',
    )
    volume = Cylinder(2 * m, 3 * m)
    layout = layouts.grid(volume, 0.6 * m, odd.radius)
    kind = np.arange(len(layout.patch)) % 3
    types = (sensor_type("multi_pmt_19"), odd, dataclasses.replace(odd, name="other"))
    detector = Detector(volume, Water(), PhotosensorArray(layout.uv, layout.patch, types, kind=kind))
    save_detector(detector, tmp_path / "saved.yaml")
    again = load_detector(tmp_path / "saved.yaml")
    assert again.sensors.types == types
    assert np.array_equal(again.sensors.kind, kind)
    assert "multi_pmt_19:" not in (tmp_path / "saved.yaml").read_text()  # what ships is named, not repeated
    save_detector(again, tmp_path / "twice.yaml")
    assert (tmp_path / "saved.yaml").read_bytes().replace(b"saved", b"twice") == (tmp_path / "twice.yaml").read_bytes()


@pytest.mark.parametrize(
    ("name", "words"),
    [("multi_pmt_19", "ships with the studio, with other numbers"), ("8 inch", "letters, digits and _")],
)
def test_a_type_without_a_name_of_its_own_is_not_saved(name, words, tmp_path):
    kind = dataclasses.replace(sensor_type("r14374_3_inch"), name=name)
    volume = Cylinder(2 * m, 3 * m)
    layout = layouts.grid(volume, 1 * m, kind.radius)
    with pytest.raises(InputError, match=words):
        save_detector(
            Detector(volume, Water(), PhotosensorArray(layout.uv, layout.patch, (kind,))), tmp_path / "t.yaml"
        )
    assert not list(tmp_path.iterdir())


TYPE, TABLE = "sensor_types.eight_inch", "sensor_types.eight_inch.efficiency_table"
MALFORMED = {
    "no unit": ("radius: 100 mm", "radius: 100", 5, f"{TYPE}.radius", ("received 100", "mm")),
    "negative": ("dark_rate: 2 kHz", "dark_rate: -2 kHz", 15, f"{TYPE}.dark_rate", ("'-2 kHz'", "zero or positive")),
    "wrong dimension": ("1.69 ns2", "1.3 ns", 14, f"{TYPE}.time_resolution.stochastic", ("'1.3 ns'", "ns2")),
    "no resolution": ("floor: 0.4 ns", "floor: 0 ns", 14, f"{TYPE}.time_resolution.floor", ("'0 ns'", "positive")),
    "misspelt key": ("charge_spread: 0.35", "charge_spred: 0.35", 13, f"{TYPE}.charge_spred", ("Did you mean 'charge_spread'",)),
    "no source": ("source: invented\n  small", "x: 1\n  small", 4, f"{TYPE}.source", ("is missing", "line 16", "unknown key")),
    "both efficiencies": ("efficiency_factor: 95 %", "efficiency_column: r14374_3_inch", 4, TYPE, ("either",)),
    "unknown column": ("column: r14374_3_inch", "column: r14374", 19, "sensor_types.small.efficiency_column", ("'r14374'", "r14374_3")),
    "no header": ("      wavelength/nm  efficiency   # of the data sheet\n", "", 7, TABLE, ("300 0.05", "does not name the columns", "wavelength/nm")),
    "not a number": ("400  0.30", "400  30%", 10, TABLE, ("'30%'", "not a number")),
    "per cent": ("400  0.30", "400  30", 10, TABLE, ("received 30.0", "0.3 for 30 %")),
    "one column": ("400  0.30", "400", 10, TABLE, ("1 numbers where 2 belong",)),
    "micrometres": ("300  0.05", "0.3  0.05", 8, TABLE, ("received 0.3", "nanometres")),
    "falling": ("500  0.2", "350  0.2", 11, TABLE, ("received 350.0", "must rise", "sort")),
    "not finite": ("500  0.2", "500  nan", 11, TABLE, ("'nan'", "not a finite number")),
    "one point": ("      400  0.30\n      500  0.2\n", "", 6, TABLE, ("1 wavelengths", "two or more points")),
    "a taken name": ("  small:", "  multi_pmt_19:", 17, "sensor_types.multi_pmt_19", ("ships with the studio", "another name")),
    "no name": ("  small:", "  3 inch:", 17, "sensor_types.3 inch", ("'3 inch'", "letters, digits")),
    "misspelt use": ("type: small", "type: smal", 26, "sensors.1.type", ("'smal'", "Did you mean 'small'", "sensor_types")),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_type_is_refused_with_line_key_value_and_remedy(name, tmp_path):
    old, new, line, key, words = MALFORMED[name]
    assert TEXT.count(old) == 1
    path = written(tmp_path, TEXT.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_detector(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: {key}: "), message
    for word in words:
        assert word in message, message
    assert caught.value.remedy
