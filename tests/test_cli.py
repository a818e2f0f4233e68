"""The command line: exit codes 0, 1, 2, messages without tracebacks, one JSON object on standard output."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from studio.cli import commands, run
from studio.doctor import Finding, programs
from studio.study import assembly
from tests.stand_in import TANK, StandIn

ROOT = Path(__file__).parents[1]

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], direction: isotropic, count: 4}
free: {sensors.uv: {}}
objective: [{kind: vertex_resolution}]
constraints: [{kind: minimum_spacing, at_least: 0.6 m}]
optimiser: {learning_rate: 0.03, steps: 3}
validation: {events: 20, shard: 10}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a small experiment, judged by the cheap stand-in physics."""
    (tmp_path / "tank.yaml").write_text(TANK)
    (tmp_path / "study.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(assembly, "physics_of", lambda file, detector: StandIn())
    monkeypatch.setattr("studio.study.measure.physics_of", lambda file, detector: StandIn())
    return tmp_path


def process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    environment = dict(os.environ)
    if not list(metadata.Distribution.discover(name="detector-studio")):
        environment["PYTHONPATH"] = str(ROOT)  # an installed package is tested as it is installed
    command = [sys.executable, "-m", "studio", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_optimise_then_everything_that_follows(folder, capsys):
    assert run(["optimise", "study.yaml", "--out", "run", "--seed", "3"]) == 0
    shown = capsys.readouterr()
    for word in ("baseline", "optimum", "gain", "CRLB", "measured", "minimum_spacing", "feasible"):
        assert word in shown.out, word
    for word in ("gradient check", "optimise: 3/3", "objective", "gradient", "violation", "validate: 4/4"):
        assert word in shown.err, word
    for stage in ("optimise: 3/3 ", "validate: 4/4 "):
        assert re.search(rf"^{stage}.* events/s$", shown.err, re.M), stage
    assert "\x1b" not in shown.err + shown.out  # piped output stays plain
    result = json.loads((folder / "run" / "result.json").read_text())
    assert result["seed"] == 3
    assert {path.name for path in (folder / "run").iterdir()} >= {
        "result.json", "design.yaml", "baseline.yaml", "experiment.yaml", "history.jsonl", "history.parquet", "figures"
    }  # fmt: skip

    assert run(["resume", "run", "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == result
    assert shown.err == ""

    assert run(["validate", "run", "--events", "20", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert set(measured["measured"]) == {"baseline", "optimum"}
    assert measured["seed"] == 4

    assert run(["compare", "tank.yaml", "run", "--events", "20", "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert list(compared["measured"]) == ["tank", "run"]
    assert set(compared["measured_gain"]) == {"run"}
    assert compared["cost"]["tank"] == compared["cost"]["run"]  # sensors have moved, and that is all
    assert compared["measured"]["tank"]["vertex"]["low"] < compared["measured"]["tank"]["vertex"]["high"]

    assert run(["check", "run/design.yaml", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["files"]["run/design.yaml"]
    assert report["kind"] == "geometry"

    assert run(["optimise", "study.yaml", "--out", "run"]) == 2
    assert "already holds a study" in capsys.readouterr().err


def test_simulate_then_reconstruct(folder, capsys):
    assert run(["simulate", "study.yaml", "--out", "events.h5", "--events", "25", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["events"] == 25
    assert run(["reconstruct", "study.yaml", "--input", "events.h5", "--out", "fits.jsonl", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["events"] == 25
    assert report["measured"]["vertex"]["value"] > 0
    rows = [json.loads(line) for line in (folder / "fits.jsonl").read_text().splitlines()]
    assert len(rows) == 25
    assert set(rows[0]) == {"particle", "vertex", "direction", "kinetic_energy", "failure"}
    assert run(["reconstruct", "study.yaml", "--input", "events.h5"]) == 0
    assert "Measured resolution" in capsys.readouterr().out
    (folder / "other.yaml").write_text(TANK.replace("1.8 m", "1.5 m"))
    assert run(["reconstruct", "study.yaml", "--input", "events.h5", "--design", "other.yaml"]) == 2
    assert "holds" in capsys.readouterr().err


def test_json_is_one_object_and_everything_else_goes_to_standard_error(folder, capfd, monkeypatch):
    """Each command that has --json, by file descriptor, so that what libraries print counts, too; progress and notes of the
    long ones are on standard error, and the object is the same where they are not wanted."""
    fine = Finding(name="tried", state="ok", detail="well")
    for name in ("devices", "opengl", "ray"):
        monkeypatch.setattr(programs, name, lambda timeout: fine)
    (folder / "number.yaml").write_text(EXPERIMENT.replace("sensors.uv: {}", "volume.radius: {between: [1.5 m, 3 m]}"))
    lines = [
        ("optimise study.yaml --out run --skip-gradient-check", "optimise: 3/3"),
        ("optimise study.yaml --out quiet --skip-gradient-check --quiet", ""),
        ("baselines study.yaml --out ways", "gradient: 3/3"),
        ("resume run", ""),
        ("scan number.yaml volume.radius --points 2", "scan: 2/2"),
        ("certify run --moves 2", "certify: "),
        ("tolerance run --dead 0.1 --samples 4", "tolerance: 5/5"),
        ("validate run --events 20", "measure: 4/4"),
        ("validate study.yaml --events 20", "measure: 2/2"),
        ("compare tank.yaml run --events 20", "measure: 4/4"),
        ("check tank.yaml study.yaml run/design.yaml", ""),
        ("simulate study.yaml --out events.h5 --events 20", ""),
        ("reconstruct study.yaml --input events.h5", ""),
        ("render tank.yaml --format glb", ""),
        ("doctor", "looking at"),
    ]
    offered = {name for name, command in commands.commands.items() if any(p.name == "as_json" for p in command.params)}
    assert offered == {line.split()[0] for line, _ in lines}
    objects = {}
    for line, progress in lines:
        assert run([*line.split(), "--json"]) == 0, line
        shown = capfd.readouterr()
        objects[line] = json.loads(shown.out)
        assert isinstance(objects[line], dict), line
        assert (progress in shown.err) if progress else shown.err == "", line
    first, second, *_ = objects.values()
    assert first["objective"] == second["objective"]


def test_default_directories_do_not_collide(folder):
    for name in ("study", "study-2"):
        assert run(["optimise", "study.yaml", "--steps", "1", "--skip-gradient-check", "--quiet"]) == 0
        assert (folder / "runs" / name / "result.json").exists()


def test_check_an_experiment(folder, capsys):
    assert run(["check", "study.yaml", "tank.yaml", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert files["study.yaml"]["events"] == {"mu-": 4}
    assert files["study.yaml"]["free_numbers"] > 0
    assert files["tank.yaml"]["sensors"]["count"] > 0
    assert run(["check", "study.yaml"]) == 0
    assert "free_numbers" in capsys.readouterr().out


def test_check_shows_constraints_as_a_table_and_keeps_json_exact(folder, capsys):
    (folder / "study.yaml").write_text(
        EXPERIMENT.replace("constraints: [", "constraints: [{kind: sensitive_area}, {kind: budget}, ")
    )
    assert run(["check", "study.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "{" not in shown
    rows = [line.split("  ") for line in shown.partition("baseline_constraints:\n")[2].splitlines()]
    (spacing,) = ([word.strip() for word in row if word] for row in rows if "minimum_spacing" in "".join(row))
    assert spacing[:2] == ["minimum_spacing", "600"]
    assert spacing[3:5] == ["mm", "yes"]
    assert "radius_mm: [254, 254]" in shown
    assert run(["check", "study.yaml", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["files"]["study.yaml"]
    area, budget, *_ = report["baseline_constraints"]
    assert area["value"] == pytest.approx(math.pi * 0.254**2 * 16, rel=1e-14)  # 16 faces in m², rounding
    assert str(area["value"]) not in shown
    assert budget["unit"] == "MUSD"
    assert budget["value"] == pytest.approx(report["cost"]["total"], rel=1e-14)  # compiled or not: rounding


def test_a_baseline_that_breaks_its_constraints_is_said_plainly(folder, capsys):
    """The closest sensors stand about 1.8 m apart. A line in `check` and at the start of `optimise`, no error."""
    (folder / "study.yaml").write_text(EXPERIMENT.replace("0.6 m", "1.9 m"))
    words = "violates its constraints, so the optimisation starts from the nearest design that satisfies them: minimum_spacing: "
    assert run(["check", "study.yaml"]) == 0
    assert f"baseline: {words}" in capsys.readouterr().out
    assert run(["optimise", "study.yaml", "--skip-gradient-check", "--steps", "1"]) == 0
    assert f"note: the baseline {words}" in capsys.readouterr().err


def test_new_writes_what_check_accepts(folder, capsys):
    assert run(["new", "mine.yaml"]) == 0
    assert run(["check", "mine.yaml"]) == 0
    assert run(["new", "mine.yaml"]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["optimise", "none.yaml"], "none.yaml: no such file"),
        (["optimise", "."], "is a directory"),
        (["optimise", "study.yaml", "--out", "tank.yaml/run"], "cannot be written"),
        (["optimise", "study.yaml", "--seed", "x"], "--seed"),
        (["optimise", "study.yaml", "--steps", "0"], "--steps"),
        (["optimise", "study.yaml", "--runner", "cloud"], "cloud"),
        (["optimise", "study.yaml", "--address", "head:6379"], "--address: is an option of Ray's workers"),
        (["optimise", "study.yaml", "--runner", "ray", "--address", "127.0.0.1:6"], "no Ray cluster answers there"),
        (["validate", "study.yaml", "--gpus-per-worker", "0.5"], "add --runner ray"),
        (["optimise"], "EXPERIMENT"),
        (["optimize", "study.yaml"], "optimize"),
        (["resume", "."], "holds no study"),
        (["resume", "nowhere"], "holds no study"),
        (["validate", "nowhere.yaml"], "no such file"),
        (["compare", "nowhere.yaml", "tank.yaml"], "no such file"),
        (["compare", "."], "holds no design"),
        (["simulate", "study.yaml", "--out", "none/events.h5"], "no such folder"),
        (["reconstruct", "study.yaml", "--input", "tank.yaml"], "HDF5"),
        (["reconstruct", "study.yaml", "--input", "none.h5"], "none.h5"),
        (["new", "none/new.yaml"], "cannot be written"),
        (["new", "new.yaml", "--geometry", "iwdc"], "Did you mean 'iwcd'"),
        (["check", "none.yaml"], "no such file"),
    ],
)
def test_bad_input_ends_with_2(folder, capsys, arguments, message):
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("studio: error: ")
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_an_unwritable_folder_ends_with_2(folder, capsys):
    (folder / "locked").mkdir(mode=0o500)
    if os.access(folder / "locked", os.W_OK):
        pytest.skip("this user may write everywhere")
    assert run(["optimise", "study.yaml", "--out", "locked/run"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_what_runs_and_fails_ends_with_1(folder, capsys):
    (folder / "study.yaml").write_text(EXPERIMENT.replace("0.6 m", "9 m"))
    assert run(["optimise", "study.yaml", "--skip-gradient-check", "--quiet"]) == 1
    error = capsys.readouterr().err
    assert "no feasible design" in error
    assert "Traceback" not in error


def test_ctrl_c_says_how_to_go_on(folder, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("studio.study.study.Optimisation.step", interrupted)
    assert run(["optimise", "study.yaml", "--skip-gradient-check", "--out", "run"]) == 1
    assert "studio resume" in capsys.readouterr().err
    monkeypatch.undo()


MALFORMED = {
    "unknown key": ("events:", "evnets:"),
    "missing unit": ("0.6 m", "0.6"),
    "wrong unit": ("1 GeV", "1 GV"),
    "duplicate key": ("seed: 1", "seed: 1\nseed: 2"),
    "not a number": ("0.03", ".nan"),
    "unknown particle": ("mu-", "muon"),
    "free path that does not exist": ("sensors.uv", "sensors.xy"),
    "no events": ("count: 4", "count: 0"),
    "unknown objective": ("vertex_resolution", "vertex"),
    "unknown constraint": ("minimum_spacing", "spacing"),
    "range upside down": ("[200 MeV, 1 GeV]", "[1 GeV, 200 MeV]"),
    "geometry that is not there": ("tank.yaml", "tnak.yaml"),
    "binary junk": ("geometry", "\x00\x01"),
}


def test_malformed_files_in_the_real_command(tmp_path):
    """One process a file: exit code 2; file, line, key and value named; no traceback, and jax was never needed for most."""
    (tmp_path / "tank.yaml").write_text(TANK)
    failures = []
    for number, (case, (old, new)) in enumerate(MALFORMED.items()):
        file = tmp_path / f"malformed_{number}.yaml"
        file.write_text((EXPERIMENT + "seed: 1\n").replace(old, new))
        done = process("optimise", file.name, "--out", "run", cwd=tmp_path)
        expected = [file.name if case != "geometry that is not there" else "tnak.yaml"]
        good = done.returncode == 2 and all(word in done.stderr for word in expected)
        good = good and "Traceback" not in done.stderr and not (tmp_path / "run").exists() and done.stdout == ""
        if not good:
            failures.append((case, done.returncode, done.stderr))
    assert not failures


def test_the_real_command_in_a_pipe(tmp_path):
    """`studio check --json` prints one JSON object even where nobody reads standard error."""
    (tmp_path / "tank.yaml").write_text(TANK)
    done = process("check", "tank.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"]["tank.yaml"]["name"] == "tank"


def test_version_and_help():
    done = process("--help", cwd=ROOT)
    assert done.returncode == 0
    for command in (
        "new",
        "check",
        "simulate",
        "reconstruct",
        "optimise",
        "validate",
        "resume",
        "compare",
        "baselines",
        "doctor",
    ):
        assert f"  {command} " in done.stdout
