"""Chambers with pads that ship: as many pads as their area over the pitch squared, files, and the charge of a stopping muon."""

from __future__ import annotations

import math
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import pytest

from studio import InputError, PixelSimulator, PixelTPC, Primary, load_detector, save_detector
from studio.io.geometry import check_geometry
from tests.test_tpc_geometries import electrons

GEOMETRIES = Path(__file__).parents[1] / "geometries"
CUBE = GEOMETRIES / "pixel_cube.yaml"


@pytest.mark.parametrize(
    ("name", "volumes", "area", "tonnes"), [("dune_nd_lar", 70, 210.0, 146.1), ("pixel_cube", 1, 0.09, 0.0376)]
)
def test_pads_and_mass(name, volumes, area, tonnes):
    """Pads at the edge of a plane count as whole ones: a row and a column more, at most, than the area holds."""
    found = check_geometry(GEOMETRIES / f"{name}.yaml")
    assert found["drift"]["volumes"] == volumes
    assert found["drift"]["argon_tonnes"] == pytest.approx(tonnes, rel=2e-3)
    pitch = 4.434e-3
    rim = volumes * 2 * (found["pixels"]["rows"] + found["pixels"]["columns"])
    assert 0 <= found["channels"] - area / pitch**2 <= rim


def test_a_file_is_read_again_bit_for_bit(tmp_path):
    for name in ("dune_nd_lar", "pixel_cube"):
        detector = load_detector(GEOMETRIES / f"{name}.yaml")
        save_detector(detector, tmp_path / "again.yaml")
        assert eqx.tree_equal(detector, load_detector(tmp_path / "again.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pixel_electronics", "cold_electronics", "electronics of kind cold_electronics do not read this"),
        ("electronics:", "planes: []\nelectronics:", "planes"),
        ("pitch: 4.434 mm", "pitch: 2 mm", "'smallest_pitch' is larger than the pitch"),
        ("smallest_pitch: 2.5 mm", "pad: 5 mm", "pads larger than the pitch"),
    ],
)
def test_what_does_not_fit_names_its_line(old, new, words, tmp_path):
    text = CUBE.read_text()
    assert old in text
    (tmp_path / "wrong.yaml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=words) as caught:
        load_detector(tmp_path / "wrong.yaml")
    assert caught.value.line is not None


def test_a_stopping_muon_gives_the_charge_it_should():
    """As for wires: its Bethe loss, the modified box, e⁻ᵗᐟᵗᵃᵘ; within 3 %, most of which is the coarse track."""
    cube = load_detector(CUBE)
    assert isinstance(cube, PixelTPC)
    muon = Primary("mu-", vertex=(0.0, -60.0, -60.0), direction=(0.0, 1.0, 1.0), kinetic_energy=50.0)
    simulator = PixelSimulator(segments=24).fitted(cube, [muon])
    collected = float(jnp.sum(simulator.expected(cube, muon).total))
    survived = math.exp(-150.0 / 1.594e-3 / float(cube.medium.electron_lifetime))
    assert collected == pytest.approx(electrons(50.0, 50.0) * survived, rel=0.03)
