"""Geometry files become detectors with the counts, coverage and positions they state, and come back bit for bit."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import KDTree

import studio.paths as paths
from studio._checks import InputError
from studio.detector import Detector, PhotosensorArray, sensor_type
from studio.geometry import Box, Cylinder, Sphere
from studio.io import check_geometry, geometry_schema, load_detector, read_positions, save_detector
from studio.medium import Water
from studio.units import cm, m
from tests.reference_data import reference

GEOMETRIES = Path(__file__).parents[2] / "geometries"
SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.stem for path in GEOMETRIES.glob("*.yaml"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tank.yaml"
    path.write_text(text)
    return path


def same(first: Detector, second: Detector) -> bool:
    if jax.tree.structure(first) != jax.tree.structure(second):
        return False
    leaves = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype for a, b in leaves)


# ---- the detectors that ship -----------------------------------------------------------------------------------------


def test_super_kamiokande_has_published_size_and_coverage():
    """33.68 m x 36.20 m; 11,129 tubes: a plain grid is within 10 of that; photocathode coverage 40.2 %."""
    report = check_geometry(GEOMETRIES / "super_kamiokande.yaml")
    assert (report["volume"]["radius_m"], report["volume"]["height_m"]) == (pytest.approx(16.84), pytest.approx(36.2))
    assert abs(report["sensors"]["count"] - 11_129) <= 10
    assert report["sensors"]["by_patch"] == {"barrel": 150 * 51, "top": 1741, "bottom": 1741}
    assert report["coverage"] == pytest.approx(0.402, abs=0.0005)
    assert report["spacing"]["smallest_gap_m"] > 0
    assert report["warnings"] == []


def test_iwcd_has_its_modules_on_the_wall():
    """368 modules of 19 x 40 mm radius on a 7 m x 8 m cylinder: coverage 19 x 368 x 40² / (2 R (R + H)) = 13.9 %."""
    report = check_geometry(GEOMETRIES / "iwcd.yaml")
    assert report["sensors"]["by_patch"] == {"barrel": 288, "top": 40, "bottom": 40}
    assert report["coverage"] == pytest.approx(19 * 368 * 0.04**2 / (2 * 3.5 * (3.5 + 8.0)), rel=1e-9)
    assert report["coverage"] == pytest.approx(0.139, abs=0.0005)
    assert report["placement"]["moved_onto_wall"] == 288
    # two columns on each flat face of a polygon with 12 sides at 3.5 m: 452.933 mm off its middle at 15°
    assert report["placement"]["largest_shift_mm"] == pytest.approx(31.27, abs=0.01)


def test_wcte_has_the_106_modules_of_the_table():
    report = check_geometry(GEOMETRIES / "wcte.yaml")
    assert report["sensors"]["by_patch"] == {"barrel": 64, "top": 21, "bottom": 21}
    assert report["placement"]["largest_shift_mm"] == pytest.approx(1530.2375 - 2714 / 2)
    assert any("Approximation" in warning for warning in report["warnings"])


def test_hyper_kamiokande_has_published_size_number_and_coverage():
    """64.8 m x 65.751 m, 20 % of 20-inch tubes; WCSim places about 19,750: within 0.1 % of it, and of the area
    19,750 π (254 mm)² / 2πR (R + H) = 20.03 %."""
    report = check_geometry(GEOMETRIES / "hyper_kamiokande.yaml")
    assert (report["volume"]["radius_m"], report["volume"]["height_m"]) == (pytest.approx(32.4), pytest.approx(65.751))
    assert report["sensors"]["count"] == pytest.approx(19_750, rel=0.001)
    assert report["sensors"]["by_patch"]["barrel"] == 288 * 92 // 2
    assert report["coverage"] == pytest.approx(0.2003, abs=0.0003)
    assert report["warnings"] == []


def test_the_multi_pmt_modules_of_hyper_kamiokande_stand_between_its_tubes():
    """816 modules of WCSim's hybrid design, within 1 %; the tubes are those of the other file, to the last one."""
    mixed = load_detector(GEOMETRIES / "hyper_kamiokande_multi_pmt.yaml")
    kinds = [one.name for one in mixed.sensors.types]
    modules = np.asarray(mixed.sensors.kind) == kinds.index("multi_pmt_19")
    assert modules.sum() == pytest.approx(816, rel=0.01)
    alone = load_detector(GEOMETRIES / "hyper_kamiokande.yaml")
    tubes, placed = np.asarray(mixed.placed.positions)[~modules], np.asarray(alone.placed.positions)
    np.testing.assert_array_equal(tubes, placed)
    # In the middle of four tubes that are a cell away; on the barrel a chord of it.
    distance = KDTree(tubes).query(np.asarray(mixed.placed.positions)[modules])[0] / m
    np.testing.assert_allclose(distance, 0.70684, rtol=1e-4)


def test_juno_has_published_size_number_and_coverage():
    """17,612 tubes that cover 75.2 % of the sphere through their faces: whole rings come within 0.5 % of both."""
    report = check_geometry(GEOMETRIES / "juno.yaml")
    assert report["sensors"]["count"] == pytest.approx(17_612, rel=0.005)
    assert report["coverage"] == pytest.approx(0.752, rel=0.005)
    assert report["spacing"]["smallest_gap_m"] > 0
    assert report["warnings"] == []


def test_juno_stands_where_the_published_positions_do():
    """The mean distance of the tubes from the centre to 0.1 %, and the share of them below any height: within that of a ring
    of each, which has 236 of 17,682 tubes at the equator, as rings stand at heights of their own."""
    table = read_positions(reference("sensors/PMTPos_CD_LPMT_ArseniiGav_J21_SYSU.csv"))
    detector = load_detector(GEOMETRIES / "juno.yaml")
    theirs, ours = np.asarray(table.positions), np.asarray(detector.placed.positions)
    assert np.linalg.norm(ours, axis=-1).mean() == pytest.approx(np.linalg.norm(theirs, axis=-1).mean(), rel=1e-3)
    heights = np.linspace(-19.4 * m, 19.4 * m, 400)
    below = [np.searchsorted(np.sort(points[:, 2]), heights) / len(points) for points in (ours, theirs)]
    np.testing.assert_allclose(*below, atol=2 * 236 / 17_682)


def test_juno_detects_what_its_tubes_do():
    """Mean detection efficiency of all 20-inch tubes of JUNO: 28.7 % (at 420 nm), to the two figures of the factor."""
    (one,) = (sensors := load_detector(GEOMETRIES / "juno.yaml").sensors).types
    assert float(sensors.efficiency[0]) * one.detection_efficiency(420.0) == pytest.approx(0.287, rel=0.01)


@pytest.mark.parametrize(("name", "file"), [("iwcd", "IWCD_OptionA"), ("wcte", "WCTE")])
def test_shipped_positions_are_those_of_the_published_table(name, file):
    """The same azimuth and height for every module of the barrel, the same x and y on the caps."""
    table = read_positions(reference(f"sensors/mPMT_Position_{file}.txt"))
    detector = load_detector(GEOMETRIES / f"{name}.yaml")
    placed = np.asarray(detector.placed.positions)
    barrel = detector.on_patch("barrel")
    assert np.allclose(placed[~barrel, :2], table.positions[~barrel, :2], atol=1e-9)
    assert np.allclose(placed[barrel, 2], table.positions[barrel, 2], atol=1e-9)
    ours, theirs = (np.arctan2(points[barrel, 1], points[barrel, 0]) for points in (placed, table.positions))
    assert np.allclose(ours, theirs, atol=1e-12)
    assert table.directions is not None
    assert (np.einsum("ni,ni->n", table.directions, np.asarray(detector.placed.normals)) > 0.9).all()


@pytest.mark.parametrize("name", NAMES)
def test_saved_detectors_reload_bit_for_bit(name, tmp_path):
    detector = load_detector(GEOMETRIES / f"{name}.yaml")
    save_detector(detector, tmp_path / "saved.yaml")
    again = load_detector(tmp_path / "saved.yaml")
    assert same(detector, again)
    save_detector(again, tmp_path / "twice.yaml")
    assert (tmp_path / "saved.yaml").read_bytes() == (tmp_path / "twice.yaml").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"saved.yaml", "twice.yaml"}, "no temporary file is left"


@pytest.mark.parametrize("name", NAMES)
def test_the_report_is_plain_json(name):
    report = check_geometry(GEOMETRIES / f"{name}.yaml")
    assert json.loads(json.dumps(report)) == report


# ---- saving ----------------------------------------------------------------------------------------------------------


def _scattered(volume, count: int, seed: int) -> Detector:
    """Sensors of two types and free radii anywhere on the wall, overlapping and hanging over edges as they may."""
    random = np.random.default_rng(seed)
    patch = random.integers(0, len(volume.patches), count)
    uv = random.uniform(-0.7, 0.7, (count, volume.chart_size))
    if volume.chart_size == 3:
        uv /= np.linalg.norm(uv, axis=-1, keepdims=True)
    types = (sensor_type("r14374_3_inch"), sensor_type("multi_pmt_19"))
    return Detector(
        volume=volume,
        medium=Water(absorption_length=math.pi * 100 * m, rayleigh_length=math.e * 50 * m),
        sensors=PhotosensorArray(
            uv,
            patch,
            types,
            kind=random.integers(0, 2, count),
            radius=random.uniform(10, 200, count),
            efficiency=np.array([0.93, 1 / 3]),
        ),
        name="it's: a #test",
    )


@pytest.mark.parametrize(
    "volume",
    [Cylinder(radius=math.sqrt(2) * m, height=3.3 * m), Sphere(radius=1.7 * m), Box(size=(1.1 * m, 2.3 * m, 3.7 * m))],
    ids=["cylinder", "sphere", "box"],
)
def test_any_detector_reloads_bit_for_bit(volume, tmp_path):
    """Also a design in the middle of its optimisation, whose sensors overlap or reach across an edge."""
    detector = _scattered(volume, 300, seed=1)
    save_detector(detector, tmp_path / "saved.yaml")
    assert same(detector, load_detector(tmp_path / "saved.yaml"))


def test_single_precision_detectors_reload_exactly(tmp_path):
    detector = _scattered(Cylinder(radius=16.84 * m, height=36.2 * m), 100, seed=2)
    single = jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.float32) if np.asarray(leaf).dtype.kind == "f" else leaf, detector
    )
    save_detector(single, tmp_path / "saved.yaml")
    again = load_detector(tmp_path / "saved.yaml")
    for path in ("volume.radius", "sensors.uv", "sensors.radius", "medium.absorption_length"):
        np.testing.assert_array_equal(
            np.asarray(paths.get(single, path)), np.asarray(paths.get(again, path), np.float32)
        )


def test_a_name_survives_whatever_it_holds(tmp_path):
    detector = _scattered(Sphere(radius=1 * m), 3, seed=3)
    save_detector(detector, tmp_path / "saved.yaml")
    assert load_detector(tmp_path / "saved.yaml").name == "it's: a #test"


def test_places_that_cannot_be_written_are_named(tmp_path):
    detector = _scattered(Sphere(radius=1 * m), 3, seed=3)
    with pytest.raises(InputError, match=r"absent/x\.yaml: cannot be written: No such file or directory"):
        save_detector(detector, tmp_path / "absent" / "x.yaml")
    with pytest.raises(InputError, match="is a directory"):
        save_detector(detector, tmp_path)


# ---- layouts in files ------------------------------------------------------------------------------------------------

SENSORS = "sensors: {kind: photosensor_array, type: r14374_3_inch, layout: "


def test_points_with_units_are_brought_onto_the_wall(tmp_path):
    text = (
        "volume: {kind: cylinder, radius: 1 m, height: 2 m}\nmedium: {kind: water, absorption_length: 90 m}\n"
        + SENSORS
        + "{kind: positions, points: [[101 cm, 0 m, 0 m], [0 m, 0 m, -0.99 m]]}}\n"
    )
    report = check_geometry(written(tmp_path, text))
    assert report["placement"] == {
        "moved_onto_wall": 2,
        "largest_shift_mm": pytest.approx(10),
        "mean_shift_mm": pytest.approx(10),
    }
    detector = load_detector(tmp_path / "tank.yaml")
    np.testing.assert_allclose(detector.placed.positions, [[1000, 0, 0], [0, 0, -1000]], atol=1e-9)
    assert float(paths.get(detector, "medium.absorption_length")) == 90 * m
    assert detector.name == "tank"


def test_a_fibonacci_sphere_has_the_count_it_states(tmp_path):
    text = "volume: {kind: sphere, radius: 2 m}\nmedium: {kind: water}\n" + SENSORS + "{kind: fibonacci, count: 200}}\n"
    report = check_geometry(written(tmp_path, text))
    assert report["sensors"]["count"] == 200
    assert report["coverage"] == pytest.approx(200 * 0.04**2 / (4 * 2.0**2))


@pytest.mark.parametrize(
    ("file", "volume", "count"),
    [
        ("geofile.txt", "{kind: cylinder, radius: 2 m, height: 3 m}", 6),
        ("mpmt_table.txt", "{kind: cylinder, radius: 1.5 m, height: 2 m}", 6),
        ("juno.csv", "{kind: sphere, radius: 3 m}", 4),
    ],
)
def test_position_files_stand_beside_the_geometry(file, volume, count, tmp_path):
    shutil.copy(SAMPLES / file, tmp_path)
    text = f"volume: {volume}\nmedium: {{kind: water}}\n" + SENSORS + f"{{kind: file, path: {file}}}}}\n"
    assert check_geometry(written(tmp_path, text))["sensors"]["count"] == count


def test_one_array_may_hold_several_types_from_several_groups(tmp_path):
    shutil.copy(SAMPLES / "mpmt_table.txt", tmp_path)
    text = """\
volume: {kind: cylinder, radius: 1.5 m, height: 2 m}
medium: {kind: water}
sensors:
  - {kind: photosensor_array, type: multi_pmt_19, layout: {kind: file, path: mpmt_table.txt, only_type: 1}}
  - {kind: photosensor_array, type: r14374_3_inch, layout: {kind: file, path: mpmt_table.txt, only_type: 2}}
  - kind: photosensor_array
    type: r14374_3_inch
    layout: {kind: positions, unit: cm, rows: "0 -150 20 # one more"}
electronics: {gate: 1 us}
"""
    detector = load_detector(written(tmp_path, text))
    assert [entry.name for entry in detector.sensors.types] == ["multi_pmt_19", "r14374_3_inch"]
    assert np.asarray(detector.sensors.kind).tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert float(detector.electronics.gate) == 1000.0
    save_detector(detector, tmp_path / "saved.yaml")
    assert check_geometry(tmp_path / "saved.yaml")["sensors"]["by_type"] == {"multi_pmt_19": 5, "r14374_3_inch": 2}


def test_a_radius_and_an_efficiency_replace_the_types_own(tmp_path):
    text = (
        "volume: {kind: box, size: [1 m, 1 m, 1 m]}\nmedium: {kind: water}\n"
        "sensors: {kind: photosensor_array, type: r14374_3_inch, radius: 5 cm, efficiency: 80 %, "
        "layout: {kind: grid, spacing: 30 cm, patches: [z_low]}}\n"
    )
    detector = load_detector(written(tmp_path, text))
    assert set(np.asarray(detector.sensors.radius).tolist()) == {5 * cm}
    assert np.asarray(detector.sensors.efficiency).tolist() == [0.8]
    assert detector.sensors.count == 16
    assert detector.on_patch("z_low").all()


def test_published_super_kamiokande_tubes_are_brought_onto_the_stated_wall(tmp_path):
    """Tubes of the file stand 9-14 cm outside 16.84 m and 9 cm outside 18.10 m: refused unless that much is allowed."""
    file = reference("sensors/geofile_SuperK.txt")
    template = (
        "volume: {{kind: cylinder, radius: 16.84 m, height: 36.2 m}}\nmedium: {{kind: water}}\n"
        "sensors: {{kind: photosensor_array, type: r3600_20_inch, tolerance: {{{}}}, layout: {{kind: file, path: {}}}}}\n"
    )
    with pytest.raises(InputError, match=r"tank\.yaml:3: sensors\.layout\.path: sensor .* outside the wall"):
        load_detector(written(tmp_path, template.format("off_wall: 5 cm", file)))
    report = check_geometry(written(tmp_path, template.format("off_wall: 14 cm", file)))
    assert report["sensors"]["by_patch"] == {"barrel": 7650, "top": 1685, "bottom": 1685}
    assert 130 < report["placement"]["largest_shift_mm"] < 140
    assert report["coverage"] == pytest.approx(0.398, abs=0.001)


def test_published_juno_tubes_cover_three_quarters_of_the_sphere(tmp_path):
    file = reference("sensors/PMTPos_CD_LPMT_ArseniiGav_J21_SYSU.csv")
    text = (
        "volume: {kind: sphere, radius: 19.4 m}\nmedium: {kind: water}\n"
        f"sensors: {{kind: photosensor_array, type: r3600_20_inch, layout: {{kind: file, path: {file}}}}}\n"
    )
    report = check_geometry(written(tmp_path, text))
    assert report["sensors"]["count"] == 17_612
    assert report["coverage"] == pytest.approx(0.752, abs=0.005)


def test_the_schema_names_every_kind():
    schema = geometry_schema()
    families = [schema["$defs"][member["$ref"].rpartition("/")[2]] for member in schema["anyOf"]]
    assert [family["required"] for family in families] == [
        ["volume", "medium", "sensors"],
        ["medium", "drift"],  # and planes or pixels
    ]
    assert all(family["additionalProperties"] is False for family in families)
    text = json.dumps(schema)
    for kind in (
        "cylinder",
        "sphere",
        "box",
        "water",
        "grid",
        "fibonacci",
        "positions",
        "table",
        "file",
        "wcsim_geofile",
        "liquid_argon",
        "wire_plane",
        "cold_electronics",
        "ellipsoid_modified_box",
    ):
        assert f'"{kind}"' in text
