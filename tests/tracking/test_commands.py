"""The commands and what is recorded: on by default, found again by run id, with the directory and without it."""

from __future__ import annotations

import json
import re
import shutil
import socket
from pathlib import Path

import pytest

from studio.cli import run
from studio.study import assembly
from tests.stand_in import StandIn
from tests.tracking.stores import runs, steps_of


@pytest.fixture
def folder(experiment, store, tmp_path, monkeypatch) -> Path:
    """Where a user works: an experiment, and a store at its default place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STUDIO_TRACKING_URI")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(assembly, "physics_of", lambda file, detector: StandIn())
    monkeypatch.setattr("studio.study.measure.physics_of", lambda file, detector: StandIn())
    return tmp_path


def optimise(*more: str) -> int:
    return run(["optimise", "tank_study.yaml", "--steps", "2", "--skip-gradient-check", *more])


def test_a_year_later(folder, store, capsys):
    """What somebody looks for who remembers the geometry; then by its run id: compared, resumed, and compared once more after
    the directory is gone."""
    assert optimise("--out", "runs/mine") == 0
    noted = re.search(r"recorded as run ([0-9a-f]{32}) at (\S+)", capsys.readouterr().err)
    (study,) = runs(store, "tags.geometry = 'tank' and params.seed = '5'")
    assert noted.groups() == (study.info.run_id, store)
    tags, name = study.data.tags, study.info.run_id
    assert tags["objective"] == "0.5 energy_resolution + vertex_resolution"
    assert tags["directory"] == str(folder / "runs" / "mine")
    assert tags["host"] == socket.gethostname()
    assert Path(tags["source"]).name == "tank_study.yaml"
    # As it was asked, with units, and with what the file left to its default.
    assert study.data.params["events.kinetic_energy.1"] == "1 GeV"
    assert study.data.params["optimiser.starts"] == "1"
    assert study.data.params["optimiser.steps"] == "2"
    assert study.data.params["free.sensors.uv"] == "{}"
    assert study.data.params["geometry"] == "tank"

    assert run(["compare", "tank.yaml", name, "--events", "20", "--json", "--quiet"]) == 0
    with_directory = json.loads(capsys.readouterr().out)
    assert list(with_directory["measured"]) == ["tank", "mine"]
    assert run(["resume", name, "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((folder / "runs/mine/result.json").read_text())
    assert steps_of(store, *runs(store), "objective") == [0, 1, 2]

    shutil.rmtree(folder / "runs" / "mine")
    assert run(["compare", "tank.yaml", name, "--events", "20", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"] == with_directory["measured"]
    assert run(["resume", name]) == 2
    message = capsys.readouterr().err
    assert f"it was in {folder / 'runs' / 'mine'} on {socket.gethostname()}" in message
    assert "copy that directory back" in message


def test_another_study_in_the_directory_of_the_first_is_not_taken_for_it(folder, store, capsys):
    assert optimise("--out", "runs/same", "--quiet") == 0
    (first,) = runs(store)
    shutil.rmtree(folder / "runs" / "same")
    assert optimise("--out", "runs/same", "--quiet") == 0
    assert run(["resume", first.info.run_id]) == 2
    assert "not on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("variable", [None, "STUDIO_TRACKING_URI", "MLFLOW_TRACKING_URI"])
def test_tracking_is_switched_off(folder, store, variable, monkeypatch):
    if variable:
        monkeypatch.setenv(variable, "none")
    assert optimise("--out", "runs/off", *([] if variable else ["--tracking-uri", "none"])) == 0
    assert run(["resume", "runs/off", "--quiet"]) == 0
    assert runs(store) == []
    assert not (folder / "runs" / "off" / "tracking.jsonl").exists()


def test_a_study_that_was_not_tracked_is_recorded_when_it_is_asked_for(folder, store):
    assert optimise("--out", "runs/late", "--tracking-uri", "none") == 0
    before = Path("runs/late/result.json").stat().st_mtime
    assert run(["resume", "runs/late", "--quiet", "--tracking-uri", store]) == 0
    (late,) = runs(store)
    assert late.data.tags["complete"] == "yes"
    assert late.info.end_time == pytest.approx(1000 * before, abs=5000)  # when it was done, not when it was recorded


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resume", 32 * "0"], "no run of that id at sqlite:///"),
        (["compare", 32 * "0"], "name the store with --tracking-uri"),
        (["compare", 32 * "0", "--tracking-uri", "sqlite:///absent.db"], "there is no such tracking store"),
        (["compare", 32 * "0", "--tracking-uri", "http://127.0.0.1:9"], "cannot be read"),
        (["optimise", "tank_study.yaml", "--tracking-uri", "server:5000"], "not the address of an MLflow store"),
    ],
)
def test_what_cannot_be_found_is_said_with_the_remedy(folder, arguments, words, capsys):
    assert run(arguments) == 2
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message
    assert not Path("absent.db").exists()
