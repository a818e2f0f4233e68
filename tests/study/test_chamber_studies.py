"""Studies of a chamber from end to end, with resolutions whose best pitch is known: whatever a study of a tank's sensors does is done
to wires, or refused in words."""

import json
import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from studio import load_detector
from studio.cli import run
from studio.study import assembly
from studio.study.physics import AbstractPhysics

MODULE = Path(__file__).parents[2] / "experiments" / "geometries" / "wire_module.yaml"

EXPERIMENT = f"""
geometry: {MODULE}
events: {{kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 4}}
free:
  planes.0.pitch: {{between: [2 mm, 10 mm]}}
  planes.1.pitch: {{follows: planes.0.pitch}}
  planes.2.pitch: {{follows: planes.0.pitch}}
objective: [{{kind: vertex_resolution}}, {{kind: energy_resolution, weight: 0.5}}]
constraints: [{{kind: cathode_voltage, at_most: 120 kV}}]
optimiser: {{kind: lbfgs, steps: 20}}
validation: {{events: 0}}
seed: 5
"""


class KnownPitch(AbstractPhysics):
    """σ of vertex √(1 + p²/16) mm and of energy 1 mm/p: ln σ_vertex + ½ ln σ_energy is least at a pitch p of 4 mm."""

    def information(self, detector, event):
        pitch = detector.planes[0].pitch
        return jnp.stack([jnp.sqrt(1 + pitch**2 / 16), jnp.ones(()), 1 / pitch])

    def resolutions(self, information, event):
        return information

    def natural_information(self, information, event):
        return jnp.diag((jnp.array([10.0, 0.01, 0.01]) / information) ** 2)

    def resolution_and_shares(self, detector, event):
        return self.resolution(detector, event), jnp.zeros(0)

    def sample(self, detector, event, key):
        raise NotImplementedError

    def reconstruct(self, detector, particle, readouts):
        raise NotImplementedError


def objective(pitch):
    return 0.5 * math.log(1 + pitch**2 / 16) - 0.5 * math.log(pitch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that holds a finished study, `run`; further commands are given in it."""
    folder = tmp_path_factory.mktemp("chamber")
    (folder / "study.yaml").write_text(EXPERIMENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(assembly, "physics_of", lambda file, detector: KnownPitch())
        assert run(["optimise", "study.yaml", "--out", "run"]) == 0
        yield folder


def test_the_best_pitch_is_found(folder):
    """A minimum is flat: where the objective is known to 1e-8, a pitch is to 1e-3."""
    design = load_detector(folder / "run" / "design.yaml")
    assert [float(plane.pitch) for plane in design.planes] == pytest.approx([4.0] * 3, rel=1e-3)
    result = json.loads((folder / "run" / "result.json").read_text())
    assert result["objective"]["optimum"]["value"] == pytest.approx(objective(4.0), abs=1e-6)


def test_every_way_to_a_pitch(folder, capsys):
    """Within one budget; chambers have no sensors to spread, and the other ways are judged at the pitch in their file."""
    assert run(["baselines", "study.yaml", "--out", "ways", "--budget", "400"]) == 0
    report = json.loads((folder / "ways" / "baselines.json").read_text())
    ways = report["methods"]
    assert ways.pop("uniform")["status"] == "not_available"
    for name, found in ways.items():
        pitch = float(load_detector(folder / "ways" / f"{name}.yaml").planes[0].pitch)
        assert found["objective"]["value"] == pytest.approx(objective(pitch), abs=1e-9), name
    assert ways["gradient"]["gain"] == pytest.approx(objective(3.0) - objective(4.0), abs=1e-6)


def test_the_curve_of_the_objective(folder, capsys):
    """Values, slopes and differences of five pitches in closed form: differences of 8 µm are good to their square; the minimum is
    between the pieces' ends, where cubics are right to the fourth power of a step. More values use what is there."""
    command = ["scan", "study.yaml", "planes.0.pitch", "--out", "curve"]
    assert run([*command, "--points", "5", "--differences"]) == 0
    report = json.loads((folder / "curve" / "scan.json").read_text())
    pitches = np.array([row["value"] for row in report["rows"]])
    assert pitches == pytest.approx(np.geomspace(2.008, 9.992, 5))
    slopes = pitches / (16 + pitches**2) - 0.5 / pitches
    for key, expected, error in (
        ("objective", [objective(pitch) for pitch in pitches], 1e-12),
        ("slope", slopes, 1e-9),
        ("difference", slopes, 1e-5),
    ):
        assert [row[key] for row in report["rows"]] == pytest.approx(expected, abs=error), key
    assert report["minimum"] == pytest.approx(4.0, abs=0.05)
    assert (folder / "curve" / "scan.png").read_bytes().startswith(b"\x89PNG")
    before = report["rows"]
    capsys.readouterr()
    assert run([*command, "--at", "4", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert [row for row in after["rows"] if row["value"] != 4.0] == before
    assert after["best"] == {"value": 4.0, "objective": pytest.approx(objective(4.0), abs=1e-12)}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["planes.1.pitch"], "not a free number with a range"),
        (["planes.0.pitch", "--at", "12"], "give values from 2 to 10"),
        (["planes.0.pitch", "--seed", "6"], "holds a scan of another experiment"),
        (["planes.0.pitch", "--out", "run"], "holds a study"),
    ],
)
def test_scans_that_cannot_be(folder, capsys, command, words):
    (folder / "curve").mkdir(exist_ok=True)
    if not (folder / "curve" / "scan.json").exists():
        assert run(["scan", "study.yaml", "planes.0.pitch", "--out", "curve", "--at", "4"]) == 0
    out = [] if "--out" in command else ["--out", "curve"]
    assert run(["scan", "study.yaml", *command, *out]) == 2
    assert words in capsys.readouterr().err


def test_a_pitch_that_is_not_built_as_drawn(folder):
    """ln of a pitch has an error of 5 %: the optimum's objective rises by ½ · ½ · 0.05², its second derivative by
    ln p being ½ there."""
    command = ["tolerance", "run", "--relative", "planes.0.pitch=0.05", "--samples", "200", "--seed", "3"]
    assert run(command) == 0
    report = json.loads((folder / "run" / "tolerance.json").read_text())
    rise = np.array(report["built"]["optimum"]) - objective(4.0)
    error = np.std(rise) / math.sqrt(200)
    assert abs(np.mean(rise) - 0.25 * 0.05**2) < 4 * error
    assert np.min(rise) > -1e-9


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["tolerance", "run", "--dead", "0.1"], "a chamber has no photosensors"),
        (["tolerance", "run", "--position", "1 cm"], "a chamber has no photosensors"),
        (["certify", "run"], "only optical detectors can do that yet"),
        (["simulate", "study.yaml", "--out", "events.h5"], "only optical detectors can do that yet"),
    ],
)
def test_what_belongs_to_sensors_is_refused(folder, capsys, command, words):
    assert run(command) == 2
    assert words in capsys.readouterr().err
