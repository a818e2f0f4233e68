"""`studio baselines`: every way within the same budget, judged on the same events, feasible by audit, and never computed twice.

What a way found is computed again here from its geometry file, event by event with NumPy's mean of logarithms.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from studio import InputError, LocalRunner, load_detector
from studio.cli import run
from studio.study import assembly, read_experiment
from studio.study.baselines import METHODS, compare_ways
from studio.study.objective_shards import ShardedObjective
from tests.stand_in import StandIn
from tests.study.studies import BATCHED, written

EXPERIMENT = BATCHED.replace("events: 60, shard: 10", "events: 0")
SEARCHES = ("random", "greedy", "cma_es")


@pytest.fixture
def folder(tmp_path, monkeypatch, compilation_cache) -> Path:
    written(tmp_path, EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(assembly, "physics_of", lambda file, detector: StandIn())
    return tmp_path


def judged(path: Path) -> tuple[float, float]:
    """Mean log σ of vertex and energy of a geometry file over the events of the experiment."""
    assembled = assembly.assemble(read_experiment("study.yaml"), StandIn())
    detector, physics = load_detector(path), StandIn()
    sigma = [jax.vmap(lambda event: physics.resolution(detector, event))(group) for group in assembled.groups]
    vertex, _, energy = np.mean(np.log(np.concatenate(sigma)), axis=0)
    return vertex, energy


def computed(monkeypatch) -> list[int]:
    """Counts the designs that are simulated from now on."""
    counts = [0]
    for name in ("values", "values_and_gradients"):
        whole = getattr(ShardedObjective, name)

        def counted(self, wanted, whole=whole):
            counts[0] += len(wanted)
            return whole(self, wanted)

        monkeypatch.setattr(ShardedObjective, name, counted)
    return counts


def test_every_way_within_the_budget_of_the_optimiser(folder, capsys, monkeypatch):
    assert run(["baselines", "study.yaml"]) == 0
    shown = capsys.readouterr()
    directory = folder / "runs" / "study_baselines"
    report = json.loads((directory / "baselines.json").read_text())
    methods = report["methods"]
    assert tuple(methods) == METHODS

    # The start and the end on all 12 events, eight steps on 6: 72 with gradient, each for three.
    assert methods["gradient"]["simulated_events"] == {"forward": 0, "with_gradient": 72, "weighted": 216.0}
    assert report["budget"]["simulated_events"] == 216
    for name in SEARCHES:
        assert methods[name]["simulated_events"] == {"forward": 216, "with_gradient": 0, "weighted": 216.0}
        assert methods[name]["evaluations"] == 18
    start = methods["as_built"]["objective"]["value"]
    for name, found in methods.items():
        assert found["feasible"], name
        assert {row["name"] for row in found["constraints"]} == {"budget", "minimum_spacing"}
        vertex, energy = judged(directory / f"{name}.yaml")
        # Arithmetic: float64 throughout, the sums in another order.
        assert found["objective"]["terms"] == pytest.approx(
            {"vertex_resolution": vertex, "energy_resolution": energy}, rel=1e-9
        )
        assert found["objective"]["value"] == pytest.approx(vertex + 0.5 * energy, rel=1e-9)
        assert found["gain"] == pytest.approx(start - found["objective"]["value"], abs=1e-12)
        events, best = np.asarray(found["curve"]).T
        assert np.all(np.diff(events) > 0)
        assert np.all(np.diff(best) <= 0)
        # What the search saw is what its file says, but for the digits of the file.
        assert best[-1] == pytest.approx(found["objective"]["value"], abs=1e-6)
    gains = {name: found["gain"] for name, found in methods.items()}
    assert gains["as_built"] == 0
    assert all(gains[name] >= 0 for name in SEARCHES)
    assert report["best"] == max(gains, key=gains.__getitem__)
    assert report["seconds_per_event"]["forward"] > 0
    assert report["measured_gradient_cost"] == pytest.approx(
        report["seconds_per_event"]["with_gradient"] / report["seconds_per_event"]["forward"]
    )

    for word in ("as built", "uniform", "random", "greedy", "cma es", "gradient", "vertex_resolution", "216"):
        assert word in shown.out, word
    assert "cma_es: 18/18" in shown.err
    assert "gradient: 8/8" in shown.err
    assert (directory / "baselines.png").stat().st_size > 10_000

    # Once more: nothing is simulated, the object is the same.
    counts = computed(monkeypatch)
    assert run(["baselines", "study.yaml", "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == report
    assert shown.err == ""
    assert counts == [0]

    # A way that was not done is done alone, and comes out the same.
    (directory / "greedy.json").unlink()
    assert run(["baselines", "study.yaml", "--json", "--quiet"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert counts == [18 + 1]  # and the design of the file once more
    assert again["methods"] == methods

    # Something else is not mixed in.
    for change in (["--budget", "400"], ["--seed", "6"], ["--gradient-cost", "4"]):
        assert run(["baselines", "study.yaml", *change]) == 2
        assert "holds the baselines of another experiment" in capsys.readouterr().err


def test_a_given_budget_is_kept_by_all(folder, capsys):
    """500 events: 41 designs of 12; and 3 · (12 + 6 n + 12 ⌈n / 10⌉) is 468 for n = 20 steps, 522 for 21."""
    assert run(["baselines", "study.yaml", "--out", "o", "--budget", "500", "--json", "--quiet"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["budget"]["simulated_events"] == 500
    for name in SEARCHES:
        assert report["methods"][name]["evaluations"] == 500 // 12
    gradient = report["methods"]["gradient"]
    assert gradient["simulated_events"]["with_gradient"] == 12 + 20 * 6 + 2 * 12
    assert gradient["reason"] == "made all 20 steps"


def test_an_optimiser_that_chooses_its_evaluations_is_stopped_at_the_budget(folder, capsys):
    text = EXPERIMENT.replace("kind: adam, learning_rate: 0.03, steps: 8, batch: 6", "kind: lbfgs, steps: 8")
    (folder / "study.yaml").write_text(text)
    assert run(["baselines", "study.yaml", "--out", "o", "--budget", "300", "--json", "--quiet"]) == 0
    gradient = json.loads(capsys.readouterr().out)["methods"]["gradient"]
    assert 300 - 3 * 12 < gradient["simulated_events"]["weighted"] <= 300
    assert gradient["status"] in ("steps_completed", "converged")
    assert gradient["gain"] > 0


def test_as_built_is_judged_even_where_it_breaks_a_constraint(folder, capsys):
    """The closest sensors stand 1.74 m apart; 1.76 m are wanted."""
    (folder / "study.yaml").write_text(EXPERIMENT.replace("0.6 m", "1.76 m"))
    assert run(["baselines", "study.yaml", "--out", "o", "--budget", "400", "--quiet"]) == 0
    assert "NO" in capsys.readouterr().out
    methods = json.loads(Path("o/baselines.json").read_text())["methods"]
    assert not methods["as_built"]["feasible"]
    assert methods["as_built"]["gain"] == 0
    for name in (*SEARCHES, "uniform", "gradient"):
        assert methods[name]["feasible"], name
    assert methods["uniform"]["evaluations"] == 2
    assert methods["uniform"]["reason"].endswith("restored to feasibility")


def test_bad_input_ends_with_2(folder, capsys):
    assert run(["baselines", "study.yaml", "--out", "o", "--budget", "50"]) == 2
    message = capsys.readouterr().err
    needed = 3 * (12 + 6 + 12)
    assert "--budget: does not suffice" in message
    assert re.search(rf"allow {needed} simulated events", message)
    assert run(["baselines", "study.yaml", "--out", "o2", "--budget", str(needed), "--quiet"]) == 0
    (folder / "o3").mkdir()
    (folder / "o3" / "study.json").write_text("{}")
    capsys.readouterr()
    assert run(["baselines", "study.yaml", "--out", "o3"]) == 2
    assert "holds a study" in capsys.readouterr().err


def test_a_choice_among_places_is_refused(folder, capsys):
    """A way that leaves parts of sensors has no design to compare. Nothing is written."""
    (folder / "study.yaml").write_text(EXPERIMENT.replace("sensors.uv: {}", "sensors.weight: {}"))
    assert run(["baselines", "study.yaml", "--out", "o", "--quiet"]) == 2
    message = capsys.readouterr().err
    for words in (
        "study.yaml:4",
        "free.sensors.weight",
        "only `studio optimise` rounds",
        "run `studio optimise`",
        "free other leaves",
    ):
        assert words in message
    assert not (folder / "o").exists()


def test_the_number_of_lanes_changes_nothing(folder):
    reports = []
    for lanes in (1, 2):
        with LocalRunner(lanes) as runner:
            file = read_experiment("study.yaml")
            reports.append(compare_ways(file, Path(f"lanes_{lanes}"), runner=runner, budget=100)["methods"])
    assert reports[0] == reports[1]


def test_an_objective_of_python_is_needed_where_the_experiment_names_one(folder):
    text = EXPERIMENT.replace("{kind: vertex_resolution}", "{kind: custom, name: mine}")
    (folder / "study.yaml").write_text(text)
    with LocalRunner(1) as runner, pytest.raises(InputError, match="can only come from Python"):
        compare_ways(read_experiment("study.yaml"), Path("o"), runner=runner)
