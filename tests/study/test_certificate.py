"""The best single move of a sensor, against all moves that there are."""

import json

import jax
import numpy as np
import pytest

from studio import InputError, LocalRunner, load_detector, replace, save_detector
from studio.cli import run
from studio.design import audit
from studio.detector import layouts
from studio.study import read_experiment
from studio.study.assembly import assemble
from studio.study.certificate import certify
from studio.study.experiment_file import read_begun
from studio.study.observer import Silent
from studio.units import m
from tests.stand_in import StandIn
from tests.study.studies import SHORT, objective_at, written


@pytest.fixture(scope="module")
def directory(short_study):
    return short_study


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

    @jax.jit
    def value(uv, patch):
        return objective_at(assembly, replace(design, {"sensors.uv": uv, "sensors.patch": patch}))

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


def test_every_place_stands_once_with_the_best_sensor_for_it(certificate, every_move):
    """By the exact gains, of the sensors whose move to that place is allowed; sensors of one type, so all may go anywhere."""
    gains, constraints = every_move
    places = [tuple(move["to"]) for move in certificate["evaluated"]]
    assert len(set(places)) == len(places) == 5
    for move in certificate["evaluated"]:
        sensor = move["sensor"]
        (place,) = {
            p for (s, p), (_, moved) in gains.items() if s == sensor
            if np.allclose(np.asarray(moved.placed.positions)[s], move["to"], atol=1e-6)
        }  # fmt: skip
        allowed = {s: gains[s, p][0] for s, p in gains if p == place and audit(gains[s, p][1], constraints).feasible}
        assert move["gain"] == pytest.approx(max(allowed.values()), rel=1e-9)


def certified(directory, folder, design):
    """The certificate of another design of the same study."""
    for name in ("study.json", "experiment.yaml", "baseline.yaml"):
        (folder / name).write_bytes((directory / name).read_bytes())
    save_detector(design, folder / "design.yaml")
    with LocalRunner(1) as runner:
        return certify(
            read_begun(folder), folder, runner=runner, observer=Silent(), spacing=1 * m, moves=5, physics=StandIn()
        )


def test_an_empty_place_has_no_sensor_that_could_move(directory, certificate, tmp_path):
    """The sensor of the best move taken away: what is left are moves of the others, and no sensor comes out of nothing."""
    design, away = load_detector(directory / "design.yaml"), certificate["best"]["sensor"]
    weight = (np.arange(design.sensors.count) != away).astype(float)
    again = certified(directory, tmp_path, replace(design, {"sensors.weight": weight}))
    assert again["moves"] == certificate["moves"] - certificate["places"]
    assert again["objective"] > certificate["objective"]
    assert again["evaluated"]
    assert all(move["sensor"] != away for move in again["evaluated"])


def test_a_design_that_a_move_has_improved_has_less_to_gain(directory, certificate, tmp_path):
    """Made once, the best move is not promised again."""
    design = load_detector(directory / "design.yaml")
    patch, uv, _ = design.volume.chart(np.asarray([certificate["best"]["to"]]))
    uvs, patches = np.array(design.sensors.uv), np.array(design.sensors.patch)
    uvs[certificate["best"]["sensor"]], patches[certificate["best"]["sensor"]] = uv[0], patch[0]
    again = certified(directory, tmp_path, replace(design, {"sensors.uv": uvs, "sensors.patch": patches}))
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
        file = read_experiment(written(tmp_path, SHORT.replace("sensors.uv: {}", "sensors.weight: {}")))
        with pytest.raises(InputError, match=r"study\.yaml:4.*chose among places") as caught:
            certify(file, tmp_path, runner=runner, observer=Silent(), physics=StandIn())
        assert caught.value.key == "free.sensors.weight"
