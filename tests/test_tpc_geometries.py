"""Every liquid-argon chamber that ships has the wires that its experiment published, and collects the charge that it should.

Charge: a 60 MeV muon that stops gives its kinetic energy to argon, by δ rays too. Recombination is the modified box of each step of
the muon's Bethe loss, 2.3 MeV/cm at 60 MeV rising to the end of the track, here summed by hand over a table of losses; the
collection wires, whose electronics have a known gain, then hold the electrons times exp(−t/τ).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from studio import TPC, Primary, TPCSimulator, load_detector, save_detector
from studio.cli import run
from studio.io.geometry import check_geometry, read_geometry
from studio.io.tpc_models import TPCModel

GEOMETRIES = Path(__file__).parents[1] / "geometries"


def has_wires(path: Path) -> bool:
    model = read_geometry(path)[1]
    return isinstance(model, TPCModel) and model.planes is not None


NAMES = sorted(path.stem for path in GEOMETRIES.glob("*.yaml") if has_wires(path))


class Published(NamedTuple):
    """What an experiment says: `channels` of each plane that is read, of one anode; `anodes`; the `longest` wires in m."""

    channels: tuple[int, ...]
    anodes: int
    longest: tuple[float, ...]


# MicroBooNE: JINST 12 (2017) P02017. SBND: JINST 15 (2020) P06033. ICARUS: Eur. Phys. J. C 83 (2023) 467. DUNE: JINST 15 (2020)
# T08010, of each of 50 frames; its induction wires are the pieces between two edges of a frame.
PUBLISHED = {
    "microboone": Published((2400, 2400, 3456), 1, (4.66, 4.66, 2.33)),
    "sbnd": Published((1984, 1984, 1664), 2, (5.79, 5.79, 4.0)),
    "icarus": Published((2112, 5600, 5600), 4, (8.95, 3.66, 3.66)),
    "dune_fd_hd": Published((800, 800, 960), 50, (3.95, 3.95, 5.98)),
}


@pytest.fixture(scope="module", params=NAMES)
def chamber(request) -> TPC:
    detector = load_detector(GEOMETRIES / f"{request.param}.yaml")
    assert isinstance(detector, TPC)
    return detector


def test_every_chamber_that_ships_is_compared():
    assert set(NAMES) == set(PUBLISHED)


def test_wires_are_as_many_and_as_long_as_published(chamber):
    """Wires within 0.5 %: sizes are known to a centimetre in some metres. ICARUS leaves the shortest wires in the corners out,
    110 of 5,710; those of full length are 4,640 (Nucl. Instrum. Meth. A 527 (2004) 329), within 0.5 % again."""
    known = PUBLISHED[chamber.name]
    for plane, lengths, channels, longest in zip(
        chamber.read_planes, chamber.wire_lengths, known.channels, known.longest, strict=True
    ):
        lengths = np.asarray(lengths)
        tolerance = 0.02 if chamber.name == "icarus" and channels == 5600 else 0.005
        assert np.sum(lengths > 0) == pytest.approx(known.anodes * channels, rel=tolerance)
        assert float(plane.lengths(chamber.volumes).max()) / 1000 == pytest.approx(longest, rel=0.005)
        if channels == 5600:
            assert np.sum(lengths > 0.999 * lengths.max()) == pytest.approx(4 * 4640, rel=0.005)


def test_wrapped_wires_go_from_the_head_of_the_frame_to_its_foot():
    """However a wire is wrapped, its pieces are height / cos(angle) long together, to the 0.3 mm by which 800 wires do not
    close the turn. A map that were off by one wire would be off by 8 mm in the first and last piece."""
    chamber = load_detector(GEOMETRIES / "dune_fd_hd.yaml")
    for plane in chamber.planes[1:3]:
        expected = 5980 / math.cos(float(plane.angle))
        np.testing.assert_allclose(plane.channel_lengths(chamber.volumes), expected, atol=0.5)


def test_a_file_is_read_again_bit_for_bit(chamber, tmp_path):
    save_detector(chamber, tmp_path / "saved.yaml")
    assert eqx.tree_equal(load_detector(tmp_path / "saved.yaml"), chamber)


def test_check_reports_it(chamber):
    """Mass and voltage by hand."""
    report = check_geometry(GEOMETRIES / f"{chamber.name}.yaml")
    json.dumps(report, allow_nan=False)
    volumes = chamber.volumes
    tonnes = float(jnp.sum(volumes.lengths * volumes.widths[:, 0] * volumes.widths[:, 1])) * 1e-9 * 1.39110
    assert report["drift"]["argon_tonnes"] == pytest.approx(tonnes, rel=1e-5)  # 1.928 − 0.00615 · 87.3 = 1.391105 g/cm³
    assert report["channels"] == sum(int((np.asarray(lengths) > 0).sum()) for lengths in chamber.wire_lengths)
    assert not report["warnings"]


def electrons(energy: float, field: float) -> float:
    """Electrons of a stopping muon: its energy loss in argon by the Bethe formula, modified box, 23.6 eV.

    dE/dx = K Z/A /β² (½ ln(2 m c² β²γ² T_max / I²) − β²) with I = 188 eV, K Z/A = 0.307075 · 18/39.948 MeV cm²/g (PDG 2022, eq.
    34.5, no density effect: below 100 MeV it is under 0.1 %).
    """
    mass, electron = 105.658, 0.511
    kinetic = np.linspace(0.5, energy, 4000)
    gamma = 1 + kinetic / mass
    square = 1 - gamma**-2
    largest = 2 * electron * square * gamma**2 / (1 + 2 * gamma * electron / mass + (electron / mass) ** 2)
    logarithm = 0.5 * np.log(2 * electron * square * gamma**2 * largest / (188e-6) ** 2) - square
    loss = 0.307075 * 18 / 39.948 / square * logarithm  # MeV cm²/g
    xi = 0.212 * loss / (field / 100)  # V/mm are 0.01 kV/cm
    return float(np.trapezoid(np.log(0.93 + xi) / xi, kinetic) + 0.5 * 0.2) / 23.6e-6


def test_a_stopping_muon_gives_the_charge_it_should(chamber):
    """Within 3 %: segments know the mean loss in 24 pieces, of which the last, with most recombination, is a fifth of the energy."""
    volumes = chamber.volumes
    middle = np.asarray(volumes.anode[0] - 0.5 * volumes.lengths[0] * volumes.direction[0])
    along = np.asarray(volumes.axes[0]) @ np.ones(3)
    muon = Primary("mu-", vertex=tuple(middle), direction=tuple(along), kinetic_energy=60.0)
    simulator = TPCSimulator(segments=24, bins=4, around=4)
    found = simulator.expected(chamber, muon)
    electronics = chamber.electronics
    collected = found.planes[-1].values - found.pedestal
    # The pulse of a charge q that arrives at once: q · gain high, of area gain · shaping / 0.78801628 (the filter's own peak).
    counts = electronics.gain / electronics.full_scale * (2**electronics.bits - 1)
    area = counts * electronics.shaping_time / 0.78801628 / electronics.tick
    time = 0.5 * float(volumes.lengths[0]) / float(velocity(chamber))
    expected = electrons(60.0, float(volumes.fields[0])) * math.exp(-time / float(chamber.medium.electron_lifetime))
    assert float(jnp.sum(collected) / area) == pytest.approx(expected, rel=0.03)
    assert float(found.outside) < 1e-6


def velocity(chamber: TPC) -> float:
    """REFERENCE: mm/µs at 87.3 K; 0.5 kV/cm: 1.591–1.596; 0.273 kV/cm: 1.125–1.147."""
    return {50.0: 1.594e-3, 27.3: 1.136e-3}[round(float(chamber.volumes.fields[0]), 3)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["new", "new.yaml", "--geometry", "sbnd"],
        ["compare", str(GEOMETRIES / "sbnd.yaml"), str(GEOMETRIES / "icarus.yaml")],
    ],
)
def test_commands_that_take_no_chambers_say_so(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    assert "only optical detectors can do that yet" in capsys.readouterr().err


def test_check_warns_of_planes_that_take_charge_away(tmp_path, capsys):
    """SBND's planes 5 mm apart: the mean field behind the first plane is about 200 V / 5 mm, 0.8 of the drift field, so by Gauss's
    law about a fifth of the field lines end on its wires; what the wires' own size moves is less than 0.07."""
    text = (
        (GEOMETRIES / "sbnd.yaml")
        .read_text()
        .replace("height: 6 mm", "height: 10 mm")
        .replace("height: 3 mm", "height: 5 mm")
    )
    (tmp_path / "wide.yaml").write_text(text)
    assert run(["check", "--json", str(tmp_path / "wide.yaml")]) == 0
    (report,) = json.loads(capsys.readouterr().out)["files"].values()
    assert report["transparency"] == pytest.approx(0.8, abs=0.07)
    assert any("of the charge reaches the last plane" in warning for warning in report["warnings"])
