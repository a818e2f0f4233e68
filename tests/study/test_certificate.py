"""The best single move of a sensor, against all moves that there are."""

import json

import jax
import numpy as np
import pytest

from studio import InputError, LocalRunner, Study, load_detector, replace, save_detector
from studio.cli import run
from studio.design import audit
from studio.detector import layouts
from studio.study import read_experiment
from studio.study.assembly import assemble
from studio.study.certificate import certify
from studio.study.experiment_file import read_begun
from studio.study.observer import Silent
from studio.units import m
from tests.stand_in import TANK, StandIn

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 6}
free: {sensors.uv: {}}
objective: [{kind: vertex_resolution}, {kind: energy_resolution, weight: 0.5}]
constraints: [{kind: minimum_spacing, at_least: 0.9 m}]
optimiser: {kind: adam, learning_rate: 0.03, steps: 3, shard: 3}
validation: {events: 0}
seed: 5
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "tank.yaml").write_text(TANK)
    (folder / "study.yaml").write_text(EXPERIMENT)
    with LocalRunner(1) as runner:
        Study.from_file(folder / "study.yaml", physics=StandIn()).run(folder / "run", runner=runner)
    return folder / "run"


@pytest.fixture(scope="module")
def certificate(directory):
    with LocalRunner(1) as runner:
        return certify(
            read_begun(directory),
            directory,
            runner=runner,
            observer=Silent(),
            spacing=1 * m,
            moves=5,
            physics=StandIn(),
        )


@pytest.fixture(scope="module")
def every_move(directory, certificate):
    """The fall of the objective for each move to the places that the certificate speaks of, from the moved detectors
    themselves: no weights, no derivatives."""
    assembly = assemble(read_begun(directory), StandIn())
    design = load_detector(directory / "design.yaml")
    (events,) = assembly.groups

    @jax.jit
    def value(uv, patch):
        tree = replace(design, {"sensors.uv": uv, "sensors.patch": patch})
        return assembly.objective.combine(jax.vmap(lambda e: assembly.objective.summarise(tree, e))(events))

    layout = layouts.grid(design.volume, 1 * m, float(design.sensors.radius[0]))
    assert len(layout.patch) == certificate["places"]
    here = float(value(design.sensors.uv, design.sensors.patch))
    assert here == pytest.approx(certificate["objective"], rel=1e-12)
    gains = {}
    for sensor in range(design.sensors.count):
        for place in range(len(layout.patch)):
            uv, patch = np.array(design.sensors.uv), np.array(design.sensors.patch)
            uv[sensor], patch[sensor] = layout.uv[place], layout.patch[place]
            moved = replace(design, {"sensors.uv": uv, "sensors.patch": patch})
            gains[sensor, place] = (here - float(value(uv, patch)), moved)
    return gains, assembly.constraints


def test_the_best_move_is_the_best_of_all(certificate, every_move):
    """To first order moves are ranked; exactly, the best one that is allowed is among the first five."""
    gains, constraints = every_move
    assert len(gains) == certificate["moves"]
    best = next(pair for pair in sorted(gains.values(), key=lambda g: -g[0]) if audit(pair[1], constraints).feasible)
    assert certificate["best"]["gain"] == pytest.approx(best[0], rel=1e-9)
    sensor = certificate["best"]["sensor"]
    np.testing.assert_allclose(certificate["best"]["to"], np.asarray(best[1].placed.positions)[sensor], atol=1e-6)


def test_moves_that_break_a_constraint_are_left_out(certificate, every_move):
    gains, constraints = every_move
    forbidden = max(gains.values(), key=lambda g: g[0])
    assert not audit(forbidden[1], constraints).feasible  # the very best one would stand too near to another sensor
    assert certificate["best"]["gain"] < forbidden[0]
    assert len(certificate["evaluated"]) == 5
    assert certificate["evaluated"][0] == certificate["best"]


def test_a_design_that_a_move_has_improved_has_less_to_gain(directory, certificate, tmp_path):
    """Made once, the best move is not promised again."""
    design = load_detector(directory / "design.yaml")
    patch, uv, _ = design.volume.chart(np.asarray([certificate["best"]["to"]]))
    uvs, patches = np.array(design.sensors.uv), np.array(design.sensors.patch)
    uvs[certificate["best"]["sensor"]], patches[certificate["best"]["sensor"]] = uv[0], patch[0]
    for name in ("study.json", "experiment.yaml", "baseline.yaml"):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    save_detector(replace(design, {"sensors.uv": uvs, "sensors.patch": patches}), tmp_path / "design.yaml")
    with LocalRunner(1) as runner:
        again = certify(
            read_begun(tmp_path), tmp_path, runner=runner, observer=Silent(), spacing=1 * m, moves=5, physics=StandIn()
        )
    assert again["objective"] == pytest.approx(certificate["objective"] - certificate["best"]["gain"], rel=1e-9)
    assert (again["best"] or {"gain": 0.0})["gain"] < certificate["best"]["gain"]


def test_the_command(directory, monkeypatch, capsys, certificate):
    monkeypatch.setattr("studio.study.assembly.physics_of", lambda file, detector: StandIn())
    command = ["certify", str(directory), "--spacing", "1 m", "--moves", "5", "--quiet"]
    assert run([*command, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((directory / "certificate.json").read_text()) == json.loads(json.dumps(certificate))
    assert run(command) == 0
    table = capsys.readouterr().out
    assert f"the best single move gains {certificate['best']['gain']:.2e}" in table
    assert run([*command, "--events", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["events"] == 2
    for spacing, words in (("1", "unit"), ("-2 m", "not positive")):
        assert run(["certify", str(directory), "--spacing", spacing]) == 2
        assert words in capsys.readouterr().err


def test_what_has_no_design_or_another_certificate_is_refused(directory, tmp_path):
    with LocalRunner(1) as runner:
        file = read_begun(directory)
        with pytest.raises(InputError, match="no design yet"):
            certify(file, tmp_path, runner=runner, observer=Silent(), physics=StandIn())
        (tmp_path / "tank.yaml").write_text(TANK)
        text = EXPERIMENT.replace("sensors.uv: {}", "sensors.weight: {}")
        (tmp_path / "study.yaml").write_text(text)
        file = read_experiment(tmp_path / "study.yaml")
        with pytest.raises(InputError, match="chose among places"):
            certify(file, tmp_path, runner=runner, observer=Silent(), physics=StandIn())
