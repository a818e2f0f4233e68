"""What is left of a gain when the detector is not built as drawn, against the same detectors built by hand."""

import json

import jax
import numpy as np
import pytest

from studio import InputError, LocalRunner, load_detector, replace
from studio.cli import run
from studio.study.assembly import assemble
from studio.study.experiment_file import read_begun
from studio.study.observer import Silent
from studio.study.tolerance import Tolerances, tolerate
from tests.stand_in import StandIn
from tests.study.studies import objective_at


@pytest.fixture(scope="module")
def directory(short_study):
    return short_study


@pytest.fixture(scope="module")
def found(directory):
    def build(samples=40, **tolerances):
        with LocalRunner(1) as runner:
            wanted = Tolerances(**tolerances)
            file = read_begun(directory)
            return tolerate(
                file, directory, wanted, runner=runner, observer=Silent(), samples=samples, physics=StandIn()
            )

    return build


@pytest.fixture(scope="module")
def values(directory):
    """The objective of both designs after a change of their leaves, computed here."""
    assembly = assemble(read_begun(directory), StandIn())
    value = jax.jit(lambda tree: objective_at(assembly, tree))
    designs = [load_detector(directory / name) for name in ("baseline.yaml", "design.yaml")]
    return lambda change: [float(value(change(design))) for design in designs]


def test_as_drawn_is_the_study_itself(found, values, directory):
    report = found(dead=0.1, samples=2)
    baseline, optimum = values(lambda design: design)
    assert report["objective"]["baseline"]["drawn"] == pytest.approx(baseline, rel=1e-12)
    assert report["gain"]["drawn"] == pytest.approx(baseline - optimum, rel=1e-9)
    assert json.loads((directory / "tolerance.json").read_text()) == json.loads(json.dumps(report))
    assert report["objective"]["optimum"]["mean"] == pytest.approx(np.mean(report["built"]["optimum"]))
    assert (directory / "figures" / "tolerance.png").read_bytes().startswith(b"\x89PNG")
    by_terms = {name: row["drawn"] for name, row in report["gain_of_terms"].items()}
    total = by_terms["vertex_resolution"] + 0.5 * by_terms["energy_resolution"]
    assert total == pytest.approx(report["gain"]["drawn"], rel=1e-9)


def test_dead_sensors_against_all_that_can_die(found, values):
    """One of 16 sensors dies; sixteen samples walk through all of them, so the mean is that over every sensor."""
    report = found(dead=1 / 16, samples=16)
    assert report["dead_sensors"] == {"baseline": 1, "optimum": 1}
    alone = [
        values(lambda design, dead=dead: replace(design, {"sensors.weight": (np.arange(16) != dead).astype(float)}))
        for dead in range(16)
    ]
    for index, name in enumerate(("baseline", "optimum")):
        row, all_of_them = report["objective"][name], np.array([pair[index] for pair in alone])
        assert row["mean"] == pytest.approx(all_of_them.mean(), rel=1e-9)
        assert row["deviation"] == pytest.approx(all_of_them.std(ddof=1), rel=1e-9)
        assert row["mean"] > row["drawn"]  # losing a sensor never helps


def test_small_errors_of_position_spread_the_objective_as_its_gradient_says(found, directory):
    """To first order the variance is that of the gradient: σ² Σ |∂objective/∂position along the wall|². Of 200 samples the
    deviation is known to 5 % (one standard error); 20 % are four of them."""
    report = found(position_error=1.0, samples=200)
    assembly = assemble(read_begun(directory), StandIn())
    design = load_detector(directory / "baseline.yaml")
    slope_at = jax.grad(lambda uv: objective_at(assembly, replace(design, {"sensors.uv": uv})))
    slope = np.asarray(slope_at(design.sensors.uv))
    radius, half = float(design.volume.radius), float(design.volume.height) / 2
    barrel = np.asarray(design.sensors.patch) == 0
    unit = np.where(barrel[:, None], [radius, half], radius)  # mm per unit of each coordinate
    expected = np.sqrt(np.sum((slope / unit) ** 2))
    assert report["objective"]["baseline"]["deviation"] == pytest.approx(expected, rel=0.2)
    assert abs(report["objective"]["baseline"]["mean"] - report["objective"]["baseline"]["drawn"]) < 0.1 * expected


def test_the_same_errors_for_both_designs(found):
    """What both lose alike cancels in the gain: the stand-in knows no absorption, so nothing changes at all."""
    report = found(relative={"medium.absorption_length": 0.1}, samples=4)
    assert report["gain"]["deviation"] == pytest.approx(0.0, abs=1e-12)
    report = found(relative={"sensors.radius": 0.1}, samples=20)
    assert report["objective"]["baseline"]["deviation"] > 0.02
    assert report["gain"]["deviation"] < 1e-9  # a common factor of all faces


def test_the_command(directory, monkeypatch, capsys):
    monkeypatch.setattr("studio.study.assembly.physics_of", lambda file, detector: StandIn())
    command = ["tolerance", str(directory), "--position", "1 cm", "--dead", "7 %", "--samples", "4", "--quiet"]
    assert run([*command, "--relative", "sensors.radius=2%", "--events", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["events"] == 3
    assert printed["tolerances"] == {"position_error": 10.0, "dead": 0.07, "relative": {"sensors.radius": 0.02}}
    assert run(command) == 0
    assert "the optimum is better in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "nothing differs"),
        (["--position", "1"], "unit"),
        (["--dead", "90 %"], "not between"),
        (["--dead", "1 %"], "less than one of the 16 sensors"),
        (["--relative", "medium.absorbtion_length=5%"], "Did you mean 'medium.absorption_length'"),
        (["--relative", "medium.absorption_length"], "not a path with its width"),
    ],
)
def test_what_cannot_be_is_refused(directory, monkeypatch, capsys, options, words):
    monkeypatch.setattr("studio.study.assembly.physics_of", lambda file, detector: StandIn())
    assert run(["tolerance", str(directory), *options]) == 2
    assert words in capsys.readouterr().err


def test_a_study_without_a_design_is_refused(tmp_path, directory):
    with LocalRunner(1) as runner, pytest.raises(InputError, match="no design yet"):
        tolerate(
            read_begun(directory), tmp_path, Tolerances(dead=0.1), runner=runner, observer=Silent(), physics=StandIn()
        )
