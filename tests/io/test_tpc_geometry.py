"""Geometry files of chambers: written and read again bit for bit; errors name line, key, value and remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from studio import (
    TPC,
    ColdElectronics,
    DriftVolumes,
    InputError,
    JoinedWires,
    LiquidArgon,
    WirePlane,
    load_detector,
    save_detector,
)
from studio.detector import GridSpaceCharge
from studio.io import check_geometry, read_geometry
from studio.medium.recombination import Birks, EllipsoidModifiedBox

FILE = """\
medium: {kind: liquid_argon, electron_lifetime: 3 ms, recombination: {kind: birks}}
drift:
  field: 500 V/cm
  length: 30 cm
  width: [40 cm, 60 cm]
  volumes:
    - {anode: [0 m, 0 m, 0 m], direction: [1, 0, 0], across: [0, 1, 0]}
planes:
  - {kind: wire_plane, pitch: 3 mm, angle: 60 deg, height: 3 mm, bias: 0 V}
  - {kind: wire_plane, pitch: 5 mm, height: 0 mm, bias: 440 V, smallest_pitch: 4 mm}
electronics: {kind: cold_electronics, gain: 7.8 mV/fC, ticks: 700}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "chamber.yaml"
    path.write_text(text)
    return path


def test_a_file_says_what_it_says(tmp_path):
    found = load_detector(written(tmp_path, FILE))
    assert isinstance(found, TPC)
    assert found.name == "chamber"
    assert (float(found.volumes.field), float(found.volumes.length)) == (50.0, 300.0)
    assert found.volumes.length.shape == ()
    assert [plane.slots for plane in found.planes] == [216, 150]  # (400 sin 60° + 600 cos 60°) / 3 mm; 600 mm / 4 mm
    assert isinstance(found.medium.recombination, Birks)
    assert float(found.medium.electron_lifetime) == 3e6
    assert float(found.electronics.gain) == pytest.approx(7.8e-3 / 6241.509)  # 1 fC is 6,241.5 e
    assert float(found.planes[1].angle) == 0.0


def test_modules_repeat_the_volumes_about_the_origin(tmp_path):
    """Thirty-five modules of two volumes: seventy, as in DUNE's liquid-argon near detector."""
    text = FILE.replace("  volumes:", "  modules: {count: [7, 1, 5], spacing: [1 m, 0 m, 2 m]}\n  volumes:").replace(
        "planes:", "    - {anode: [1 cm, 0 m, 0 m], direction: [-1, 0, 0], across: [0, 1, 0], length: 20 cm}\nplanes:"
    )
    volumes = load_detector(written(tmp_path, text)).volumes
    assert volumes.count == 70
    assert volumes.length.shape == (70,)
    np.testing.assert_array_equal(volumes.length[:4], [300, 200, 300, 200])
    np.testing.assert_allclose(
        volumes.anode[:4], [[-3000, 0, -4000], [-2990, 0, -4000], [-3000, 0, -2000], [-2990, 0, -2000]]
    )
    np.testing.assert_allclose(jnp.mean(volumes.anode[::2], axis=0), 0, atol=1e-9)


def everything() -> TPC:
    """A chamber in which no number has its default, and directions are no round ones."""
    random = np.random.default_rng(1)
    directions, across = random.normal(size=(4, 3)), random.normal(size=(4, 3))
    volumes = DriftVolumes(
        random.normal(size=(4, 3)) * 1e3,
        directions,
        across,
        random.uniform(100, 200, 4),
        random.uniform(100, 200, (4, 2)),
        43.21,
    )
    planes = (
        WirePlane(3.1, 0.1, 7.3, -301.7, 0.061, slots=44, read_out=False),
        WirePlane(3.3, -0.7, 2.9, 0.3, 0.071, slots=45, joined=JoinedWires(2, 60, 21)),
        WirePlane(4.7, 0.2, 0.0, 399.9, 0.081, slots=46),
    )
    numbers = (1.1e3, 3.3e-6, 211.1, 0.0431, 1.7, 0.21, -123.4)
    electronics = ColdElectronics(*numbers, bits=14, tick=400.0, ticks=777, threshold=3.5)
    medium = LiquidArgon(88.8, 3.3e6, 5e-7, 9e-7, 2.35e-5, 0.22, EllipsoidModifiedBox(0.9, 0.2, 1.2), 1.9e4, 987.0)
    nodes = random.normal(size=(4, 5, 6, 6))
    space_charge = GridSpaceCharge([-1.0, -2.0, -3.0], [1.5, 2.5, 3.5], nodes[..., :3], nodes[..., 3:])
    return TPC(volumes, medium, planes, electronics, 11.1, 2.2, space_charge, "it's all")


def test_everything_is_written_and_read_again_bit_for_bit(tmp_path):
    chamber = everything()
    save_detector(chamber, tmp_path / "saved.yaml")
    again = load_detector(tmp_path / "saved.yaml")
    assert eqx.tree_equal(again, chamber)
    save_detector(again, tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_bytes() == (tmp_path / "saved.yaml").read_bytes()


CASES = {
    "unknown key": (FILE.replace("height: 3 mm", "hight: 3 mm"), 9, "planes.0.hight", ("unknown key", "'height'")),
    "unknown section": (
        FILE.replace("electronics:", "electronic:"),
        11,
        "electronic",
        ("unknown key", "'electronics'"),
    ),
    "without a unit": (FILE.replace("pitch: 3 mm", "pitch: 3"), 9, "planes.0.pitch", ("without a unit",)),
    "another unit": (FILE.replace("500 V/cm", "500 V"), 3, "drift.field", ("'V' is not a unit of field", "V/cm")),
    "kind of plane": (
        FILE.replace("kind: wire_plane, pitch: 3", "kind: wires, pitch: 3"),
        9,
        "planes.0.kind",
        ("wire_plane",),
    ),
    "law": (FILE.replace("kind: birks", "kind: berks"), 1, "medium.recombination.kind", ("'berks'", "'birks'")),
    "no field": (FILE.replace("  field: 500 V/cm\n", ""), 2, "drift", ("volume 0 has no field", "add 'field: ...'")),
    "order": (FILE.replace("height: 3 mm", "height: 0 mm"), 8, "planes", ("not in the order", "the last one is 0")),
    "wires touch": (FILE.replace("pitch: 3 mm", "pitch: 0.1 mm"), 9, "planes.0.pitch", ("touch",)),
    "across": (FILE.replace("across: [0, 1, 0]", "across: [1, 0, 0]"), 2, "drift", ("along the drift",)),
    "smallest pitch": (FILE.replace("4 mm", "6 mm"), 10, "planes.1", ("larger than the pitch",)),
    "temperature": (FILE.replace("argon,", "argon, temperature: 20 K,"), 1, "medium.temperature", ("no liquid",)),
    "ticks": (FILE.replace("ticks: 700", "ticks: 7"), 11, "electronics.ticks", ("at least 16",)),
    "groups": (
        FILE.replace("440 V,", "440 V, joined: {channels: 9, shift: 1},"),
        10,
        "planes.1.joined",
        ("no whole number of groups",),
    ),
    "modules": (
        FILE.replace("  volumes:", "  modules: {count: [2, 1, 1], spacing: [0 m, 0 m, 0 m]}\n  volumes:"),
        6,
        "drift.modules",
        ("modules stand at one place",),
    ),
    "rows": (
        FILE + "space_charge:\n  kind: grid\n  lower: [0 m, 0 m, 0 m]\n  upper: [1 m, 1 m, 1 m]\n  nodes: [4, 4, 4]\n"
        "  rows: |\n    0 0 0 0 0 0\n    0 0 zero 0 0 0\n",
        19,
        "space_charge.rows",
        ("not a number", "'zero'"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_errors_name_line_key_value_and_remedy(case, tmp_path):
    text, line, key, words = CASES[case]
    with pytest.raises(InputError) as caught:
        load_detector(written(tmp_path, text))
    error = caught.value
    assert error.file == str(tmp_path / "chamber.yaml")
    assert error.line == line
    assert str(error.key).startswith(key)
    for word in words:
        assert word in str(error), str(error)


def test_what_no_file_can_describe_is_refused(tmp_path):
    class Own(Birks.__base__):
        def survival(self, loss, field, density, cosine=0.0):
            return 0.5

    chamber = everything()
    strange = eqx.tree_at(lambda tree: tree.medium.recombination, chamber, Own())
    with pytest.raises(InputError, match=r"medium.recombination: a geometry file cannot describe this"):
        save_detector(strange, tmp_path / "strange.yaml")
    assert not (tmp_path / "strange.yaml").exists()


def test_reading_a_chamber_imports_no_jax(tmp_path):
    path = written(tmp_path, FILE)
    code = f"import sys; from studio.io import read_geometry; read_geometry({str(path)!r}); assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_check_says_where_wires_are_missing(tmp_path):
    report = check_geometry(written(tmp_path, FILE.replace("smallest_pitch: 4 mm", "wires: 100")))
    assert report["warnings"] == ["planes.1: 100 wires in each volume, 120 would fit"]
    assert [plane["wires"] for plane in report["planes"]] == [216, 100]
    assert report["drift"]["cathode_kV"] == pytest.approx(15.0)  # 500 V/cm × 30 cm


def test_families_are_told_apart_by_their_keys(tmp_path):
    """A misspelt section does not make a chamber a tank."""
    for broken in (FILE.replace("drift:", "drifts:"), FILE.replace("planes:", "plains:")):
        with pytest.raises(InputError, match=r"unknown key.*(drift|planes)"):
            read_geometry(written(tmp_path, broken))
