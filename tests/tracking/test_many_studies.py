"""Many studies in one store: eight started at once, on SQLite and on PostgreSQL, and twenty among which the best is found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from studio import MlflowTracker, Study
from studio.cli import run as studio_command
from studio.study import read_experiment
from tests.stand_in import TANK, StandIn
from tests.tracking.stores import Server, artifacts_of, assert_complete, postgresql, runs

PAGE = Path(__file__).parents[2] / "docs" / "how_to" / "track_studies.md"
FILES = {
    "study.json", "experiment.yaml", "environment.txt", "baseline.yaml", "design.yaml", "last.yaml", "result.json",
    "gradient_check.json", "history.jsonl", "history.parquet", "validation.jsonl", "validation.csv", "timing.jsonl",
    "figures/layout.png", "figures/history.png", "figures/layout.html", "trajectory.jsonl", "sensor_information.npz",
}  # fmt: skip
STATE = {"checkpoint.npz", "tracking.jsonl", ".lock"}  # of a loop that is over


def eight_at_once(drive, experiment: Path, directory: Path, address: str) -> None:
    """Eight processes; afterwards every study is there with every step, and says the numbers of its own result."""
    drive(experiment, directory.parent / "first", "run").communicate()  # compiles what the eight read back
    folders = [directory / f"study{number}" for number in range(8)]
    processes = [drive(experiment, folder, "run", address) for folder in folders]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
    found = {run.info.run_name: run for run in runs(address)}
    assert set(found) == {folder.name for folder in folders}
    for folder in folders:
        run, result = found[folder.name], json.loads((folder / "result.json").read_text())
        assert_complete(address, run, result["counts"]["steps"])
        assert run.data.metrics["objective.optimum.value"] == result["objective"]["optimum"]["value"]
        left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - STATE
        assert artifacts_of(address, run) == left
        assert left >= FILES


def test_eight_studies_at_once_on_a_fresh_sqlite_store(experiment, drive, tmp_path):
    """Nobody has made the store: its folder does not exist."""
    eight_at_once(drive, experiment, tmp_path / "runs", f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")


def test_eight_studies_at_once_on_a_server_with_postgresql(experiment, drive, tmp_path):
    with postgresql() as backend:
        server = Server(backend, tmp_path)
        server.start()
        try:
            eight_at_once(drive, experiment, tmp_path / "runs", server.address)
        finally:
            server.stop()


def page_block(beginning: str) -> str:
    """The block of the page whose code begins so."""
    found = re.findall(r"^```\w*\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    return next(text for text in found if text.startswith(beginning))


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr("studio.study.measure.physics_of", lambda file, detector: StandIn())


def test_the_best_of_twenty_is_found_by_the_search_of_the_page(
    experiment, store, stand_in, tmp_path, monkeypatch, capsys
):
    """Two geometries, two objectives, several seeds and learning rates. The page's own code finds the best for one geometry
    and objective, as all result files together say it; `studio compare` measures what it found on the same events."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wide.yaml").write_text(TANK.replace("name: tank", "name: wide").replace("2 m", "2.5 m"))
    both = read_experiment(experiment).document.data["objective"]
    generator = np.random.default_rng(1)
    kinds = [(geometry, terms) for geometry in ("tank.yaml", "wide.yaml") for terms in (both, both[:1])]
    for number in range(20):
        geometry, terms = kinds[number % 4]
        text = experiment.read_text().replace("tank.yaml", geometry).replace("steps: 8", "steps: 3")
        (tmp_path / "one.yaml").write_text(text)
        changes = {
            "objective": terms,
            "validation.events": 0,
            "optimiser.learning_rate": generator.uniform(0.005, 0.05),
        }
        study = Study.from_file(tmp_path / "one.yaml", physics=StandIn(), changes=changes)
        study.run(tmp_path / "runs" / f"n{number}", tracker=MlflowTracker(store), check_gradient=False)
    results = {f"n{number}": json.loads((tmp_path / f"runs/n{number}/result.json").read_text()) for number in range(20)}
    wanted = {
        name: r for number, (name, r) in enumerate(results.items()) if kinds[number % 4] == ("tank.yaml", both[:1])
    }
    assert len(wanted) == 5
    by_value = sorted(wanted, key=lambda name: wanted[name]["objective"]["optimum"]["value"])

    search = page_block("from mlflow import MlflowClient").replace("geometry = 'iwcd'", "geometry = 'tank'")
    search = re.sub(r"tags\.objective = '[^']*'", "tags.objective = 'vertex_resolution'", search)
    # Whole, because MLflow keeps what it opened by its address for the life of a process, and that is relative on the page.
    search = search.replace("sqlite:///runs/mlflow.db", store)
    assert store in search
    namespace: dict = {}
    exec(search, namespace)
    found = namespace["found"]
    assert [run.info.run_name for run in found] == by_value
    capsys.readouterr()

    ids = [run.info.run_id for run in found[:2]]
    assert studio_command(["compare", "tank.yaml", *ids, "--tracking-uri", store, "--events", "20", "--quiet"]) == 0
    table = capsys.readouterr().out
    assert re.search(rf"│ {by_value[0]} +│ [\d.]+ \[[\d.]+, [\d.]+\]", table), table
    assert f"gain of {by_value[1]}: vertex" in table
    command = ["compare", *ids, "--tracking-uri", store, "--events", "20", "--quiet", "--json"]
    assert studio_command(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["events"] == 20
    assert list(report["measured"]) == by_value[:2]
