"""A study with a cheap detector family: better by its own measure, the same bits however it is run or interrupted."""

from __future__ import annotations

import csv
import json
import math
import random
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, LocalRunner, StudioError, Study, load_detector
from studio.console import show_gain
from studio.study import read_experiment
from studio.study.assembly import assemble, draw
from studio.study.trajectory import designs
from studio.study.validation import validation_key
from studio.tracking import AbstractTracker
from tests.stand_in import StandIn
from tests.study.studies import content, drive, interrupt_and_resume, lines

pytestmark = pytest.mark.usefixtures("compilation_cache")


def test_the_design_is_better_and_feasible(reference):
    objective = reference.result["objective"]
    assert objective["optimum"]["value"] < objective["baseline"]["value"] - 0.02
    assert reference.result["feasible"]
    assert all(row["satisfied"] for row in reference.audit)
    assert reference.gradient_check["passed"]
    assert [line["step"] for line in reference.history] == list(range(9))


class Blind(StandIn):
    """Sees nothing of the validation events above 700 MeV."""

    def resolution_and_shares(self, detector, event):
        sigma, shares = super().resolution_and_shares(detector, event)
        seen = event.kinetic_energy < 700.0
        return jnp.where(seen, sigma, jnp.nan), jnp.where(seen, shares, jnp.nan)


def test_events_that_determine_nothing_are_counted_and_left_out(experiment, tmp_path, capsys):
    with LocalRunner(1) as runner:
        study = Study.from_file(experiment, changes={"optimiser.steps": 1}, physics=Blind()).run(
            tmp_path / "run", runner=runner
        )
    file = read_experiment(experiment)
    (events,) = draw(file, study.baseline, validation_key(5), 60)
    dark = np.asarray(events.kinetic_energy) >= 700.0
    assert 0 < dark.sum() < 60
    validation = study.validation
    assert validation["events"] == 60
    assert validation["undetermined"] == {"baseline": dark.sum(), "optimum": dark.sum()}
    lines = [json.loads(line) for line in (tmp_path / "run" / "validation.jsonl").read_text().splitlines()]
    assert sum(row == [None] * 3 for line in lines for row in line["crlb"]) == 2 * dark.sum()
    sigma = jax.vmap(lambda event: StandIn().resolution(study.detector, event))(events)
    expected = np.exp(np.log(np.asarray(sigma)[~dark]).mean(axis=0))
    assert list(validation["crlb"]["optimum"].values()) == pytest.approx(expected, rel=1e-6)
    with np.load(tmp_path / "run" / "sensor_information.npz") as shares:
        assert all(np.all(np.isfinite(shares[name])) for name in shares)
    show_gain(study.result)
    assert f"left out of the CRLB: {dark.sum()} in the baseline" in capsys.readouterr().out


def test_the_result_says_everything(reference):
    result = json.loads((reference.directory / "result.json").read_text())
    assert result == reference.result
    assert result["counts"]["compilations"] == 1
    assert result["validation"]["events"] == 60
    for section in ("measured", "measured_gain", "predicted_gain", "crlb", "power"):
        assert result["validation"][section], section
    assert set(result["validation"]["measured"]) == {"baseline", "optimum"}
    assert set(result["versions"]) >= {"jax", "numpy", "python"}
    assert result["seed"] == 5


def test_the_design_file_is_the_design(reference):
    stored = load_detector(reference.directory / "design.yaml")
    assert stored.sensors.uv.tolist() == reference.detector.sensors.uv.tolist()
    assert stored.sensors.count == reference.baseline.sensors.count


def test_the_trajectory_holds_the_design_of_every_step(reference):
    """Single precision: 6e-8 of each number. The best design is among them; the first is the baseline."""
    lines = [json.loads(line) for line in (reference.directory / "trajectory.jsonl").read_text().splitlines()]
    found = designs(reference.baseline, lines, reference.result["best_step"])
    assert [step for step, _ in found] == [line["step"] for line in reference.history]
    assert np.allclose(found[0][1].sensors.uv, reference.baseline.sensors.uv, rtol=1e-7, atol=0)
    best = dict(found)[reference.result["best_step"]]
    assert np.allclose(best.sensors.uv, reference.detector.sensors.uv, rtol=1e-6, atol=1e-7)
    moved = [float(jnp.abs(design.sensors.uv - reference.baseline.sensors.uv).max()) for _, design in found]
    assert moved[-1] > 0.01


def test_history_as_a_table(reference):
    from pyarrow import parquet

    table = parquet.read_table(reference.directory / "history.parquet").to_pylist()
    assert [row["step"] for row in table] == list(range(9))
    assert table[-1]["terms.vertex_resolution"] == reference.history[-1]["terms"]["vertex_resolution"]


def test_what_it_was_run_with_is_written_down(reference):
    """Enough to install the same packages and to check out the same code."""
    study = json.loads((reference.directory / "study.json").read_text())
    lines = (reference.directory / "environment.txt").read_text().splitlines()
    assert f"numpy=={np.__version__}" in lines
    assert study["packages"]["jax"] == jax.__version__
    assert set(study["git"]) == {"package", "experiment"}
    assert study["git"]["experiment"] is None  # a temporary folder


def test_the_table_of_validation_says_what_the_result_says(reference):
    with (reference.directory / "validation.csv").open(newline="") as stream:
        rows = {(row["design"], row["quantity"]): row for row in csv.DictReader(stream)}
    validation = reference.result["validation"]
    assert set(rows) == {(d, q) for d in ("baseline", "optimum") for q in ("vertex", "direction", "energy")}
    row = rows["optimum", "direction"]
    assert row["unit"] == "rad"
    assert float(row["crlb"]) == validation["crlb"]["optimum"]["direction"]
    for name in ("measured", "predicted_gain", "measured_gain"):
        found = validation[name]["optimum"]["direction"]
        assert [float(row[name + end]) for end in ("", "_low", "_high")] == [
            found[key] for key in ("value", "low", "high")
        ]
    assert rows["baseline", "vertex"]["measured_gain"] == ""


def test_the_last_design_is_where_the_loop_stopped(reference):
    """After the last step the closest pair stands as far from its limit as the history says."""
    last = load_detector(reference.directory / "last.yaml").placed.positions
    distances = np.linalg.norm(np.asarray(last[:, None] - last[None]), axis=-1)
    closest = distances[~np.eye(len(distances), dtype=bool)].min()
    assert 600 - closest == pytest.approx(reference.history[-1]["violations"]["minimum_spacing"], abs=1e-6)  # mm


def test_one_lane_gives_the_same_bits(reference, experiment, tmp_path):
    with LocalRunner(1) as runner:
        Study.from_file(experiment, physics=StandIn()).run(tmp_path / "run", runner=runner)
    assert content(tmp_path / "run") == content(reference.directory)


def test_two_jax_devices_give_the_same_bits(reference, experiment, tmp_path, compilation_cache):
    """One CPU device for each of two lanes: another executable of the same program for each, and the same numbers."""
    process = drive(experiment, tmp_path / "run", "run", compilation_cache, devices=2)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    assert content(tmp_path / "run") == content(reference.directory)


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("append", 1),  # trajectory of the start
        ("append", 2),  # history of the start
        ("append", 7),
        ("append", 8),
        ("save", 1),
        ("save", 5),
        ("write_json", 2),
        ("append", 22),  # validation
    ],
)
def test_a_crash_between_two_writes_changes_nothing(reference, experiment, tmp_path, monkeypatch, method, call):
    """The study stops right after the n-th call of a ledger method, then is resumed."""
    interrupt_and_resume(experiment, tmp_path / "run", monkeypatch, method, call)
    assert content(tmp_path / "run") == content(reference.directory)


@pytest.mark.parametrize(("method", "call"), [("append", 7), ("append", 8), ("save", 4)])
def test_a_crash_of_several_starts_changes_nothing(several, monkeypatch, tmp_path, method, call):
    experiment, reference = several
    interrupt_and_resume(experiment, tmp_path / "run", monkeypatch, method, call)
    assert content(tmp_path / "run") == content(reference.directory)


def test_several_starts_step_together(several):
    """One line a step and start; the moving picture shows the start that found the design."""
    _, reference = several
    assert [line["start"] for line in reference.history] == [0] + [0, 1, 2] * 8
    lines = [json.loads(line) for line in (reference.directory / "trajectory.jsonl").read_text().splitlines()]
    best = reference.result["best_step"]
    owner = reference.history[best]["start"]
    found = designs(reference.baseline, lines, best)
    assert [step for step, _ in found] == [line["step"] for line in reference.history if line["start"] == owner]
    assert np.allclose(dict(found)[best].sensors.uv, reference.detector.sensors.uv, rtol=1e-6, atol=1e-7)


def test_kill_9_at_random_moments_changes_nothing(reference, experiment, tmp_path, compilation_cache):
    """SIGKILL a little after lines of the ledger have grown to a random length, several times, then resume to the end."""
    generator, directory = random.Random(11), tmp_path / "run"
    goals, interrupted = sorted(generator.sample(range(1, 18), 3)), 0
    for number, goal in enumerate(goals):
        process = drive(experiment, directory, "resume" if number else "run", compilation_cache)
        while process.poll() is None and lines(directory) < goal:
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.02))
        process.kill()
        process.communicate()
        interrupted += process.returncode == -signal.SIGKILL
    assert interrupted >= 2
    process = drive(experiment, directory, "resume", compilation_cache)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    assert content(directory) == content(reference.directory)


def test_resuming_a_finished_study_changes_nothing(reference):
    before = content(reference.directory)
    Study.in_directory(reference.directory, physics=StandIn()).resume(reference.directory)
    assert content(reference.directory) == before


def test_a_directory_holds_one_study(reference, experiment):
    with pytest.raises(InputError, match="already holds a study.*studio resume"):
        Study.from_file(experiment, physics=StandIn()).run(reference.directory)


class Broken(AbstractTracker):
    """A tracker that cannot do anything."""

    def start(self, facts):
        raise ConnectionError("no server")

    def record(self, steps, times):
        raise ConnectionError("no server")

    def finish(self, result, artifacts):
        raise ConnectionError("no server")

    def stop(self, reason):
        raise ConnectionError("no server")

    def notes(self):
        raise ConnectionError("no server")


def test_tracking_never_stops_a_study(experiment, tmp_path):
    study = Study.from_file(experiment, physics=StandIn(), changes={"optimiser.steps": 2, "validation.events": 0})
    solution = study.run(tmp_path / "run", tracker=Broken(), check_gradient=False)
    assert solution.result["counts"]["steps"] == 2
    assert solution.gradient_check is None


class Wrong(StandIn):
    """A family whose gradient is wrong by the sensors' positions."""

    def information(self, detector, event):
        true = super().information(detector, event)
        return jax.lax.stop_gradient(true) * 1.0 + 0.5 * (true - jax.lax.stop_gradient(true))


def test_a_wrong_gradient_stops_the_study(experiment, tmp_path):
    study = Study.from_file(experiment, physics=Wrong())
    with pytest.raises(StudioError, match=r"by sensors\.uv"):
        study.run(tmp_path / "run")
    with pytest.raises(StudioError, match=r"by sensors\.uv"):  # and still does when resumed
        Study.in_directory(tmp_path / "run", physics=Wrong()).resume(tmp_path / "run")


class BlindAt(StandIn):
    """A family without a finite resolution, or without a finite derivative of it, for the event of one energy."""

    energy: float = 0.0
    derivative_only: bool = False

    def information(self, detector, event):
        sigma = super().information(detector, event)
        blind = jnp.abs(event.kinetic_energy - self.energy) < 1e-9
        hollow = 0.0 * jnp.sqrt(
            jnp.where(blind, jnp.sum(jnp.zeros_like(detector.sensors.uv) * detector.sensors.uv), 1.0)
        )
        return sigma + hollow if self.derivative_only else jnp.where(blind, jnp.nan, sigma)


@pytest.mark.parametrize("derivative_only", [False, True])
@pytest.mark.parametrize("check", [True, False])
def test_an_event_that_spoils_the_objective_is_named(check, derivative_only, experiment, tmp_path):
    """Index, particle, energy, vertex, direction and what to do, whether the gradient check meets the event or the first step."""
    number = 2 if check else 7  # the check sees the first shard of three events alone
    (group,) = assemble(read_experiment(experiment), StandIn()).groups
    energy, vertex = float(group.kinetic_energy[number]), np.asarray(group.vertex[number]) / 1000
    study = Study.from_file(experiment, physics=BlindAt(energy=energy, derivative_only=derivative_only))
    with pytest.raises(StudioError) as caught:
        study.run(tmp_path / "run", check_gradient=check)
    message = str(caught.value)
    assert (
        f"1 of the 12 events have no finite resolution or derivative: event {number}, mu- of {energy:.5g} MeV"
        in message
    )
    assert f"at ({', '.join(f'{value:.4g}' for value in vertex)}) m along (1, 0, 0)" in message
    assert "another seed" in message


CUSTOM = [{"kind": "custom", "name": "twice the energy"}, {"kind": "direction_resolution"}]


def of_my_own(information, event):
    """The stand-in's information are the three σ."""
    return {"twice the energy": 2 * information[2], "unused": information[0] / event.kinetic_energy}


def test_an_objective_of_ones_own_stands_beside_those_that_ship(experiment, reference, tmp_path):
    """Twice the energy resolution: its mean log lies log 2 above that of the reference study, at the same baseline."""
    changes = {"objective": CUSTOM, "validation.events": 0, "optimiser.steps": 3}
    study = Study.from_file(experiment, physics=StandIn(), changes=changes, objective=of_my_own)
    solution = study.run(tmp_path / "run", check_gradient=False)
    before, after = (solution.result["objective"][name]["terms"] for name in ("baseline", "optimum"))
    assert set(before) == {"twice the energy", "direction_resolution"}
    energy = reference.result["objective"]["baseline"]["terms"]["energy_resolution"]
    assert before["twice the energy"] == pytest.approx(energy + math.log(2), abs=1e-12)
    assert sum(after.values()) < sum(before.values())
    with pytest.raises(InputError, match="can only come from Python.*'twice the energy'.*objective=function"):
        assemble(read_experiment(tmp_path / "run" / "experiment.yaml"), StandIn())


@pytest.mark.parametrize(
    ("objective", "key", "words"),
    [
        (None, "objective.0.name", "can only come from Python"),
        (
            lambda information, event: {"twice the enery": information[2]},
            "objective.0.name",
            "Allowed: twice the enery",
        ),
        (lambda information, event: {"twice the energy": information}, "objective.0.name", r"shape \(3,\)"),
        (
            lambda information, event: {"twice the energy": event.kinetic_energy > 0},
            "objective.0.name",
            "one real number",
        ),
    ],
)
def test_an_objective_that_does_not_fit_is_refused_before_anything_runs(objective, key, words, experiment, tmp_path):
    study = Study.from_file(experiment, physics=StandIn(), changes={"objective": CUSTOM}, objective=objective)
    with pytest.raises(InputError, match=words) as caught:
        study.run(tmp_path / "run")
    assert caught.value.key == key
    assert not (tmp_path / "run").exists()


def test_an_objective_that_no_term_uses_is_refused(experiment, tmp_path):
    with pytest.raises(InputError, match=r"no term uses it.*\{kind: custom"):
        Study.from_file(experiment, physics=StandIn(), objective=of_my_own).run(tmp_path / "run")


def test_constraints_that_cannot_be_met_are_reported(experiment, tmp_path):
    changes = {"constraints": [{"kind": "minimum_spacing", "at_least": "9 m"}], "validation.events": 0}
    with pytest.raises(StudioError, match=r"no feasible design was found.*minimum_spacing"):
        Study.from_file(experiment, physics=StandIn(), changes=changes).run(tmp_path / "run", check_gradient=False)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["feasible"] is False
    assert result["status"] == "infeasible"
