"""The README's commands are the ones that are tested, and its example runs."""

import re
import shlex
from pathlib import Path

import pytest

from studio.cli import commands
from studio.study.experiment_file import read_experiment

pytestmark = pytest.mark.slow  # minutes on two cores: compilation and Monte Carlo

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.S)


def test_the_first_two_blocks_do_everything():
    first, second = (block.splitlines() for block in blocks("bash")[:2])
    assert first[0].startswith("python3 -m venv")
    assert first[-1] == "studio optimise experiments/quickstart.yaml"
    assert any("[test]" in line for line in second)
    assert second[-1].startswith("pytest")


def test_ci_runs_the_second_block():
    """`.ci/run` reads the README instead of repeating it."""
    script = (ROOT / ".ci" / "run").read_text()
    assert "README.md" in script
    assert "block == 2" in script
    assert script.rstrip().endswith('eval "$tests"')


@pytest.mark.parametrize("experiment", sorted(path.name for path in (ROOT / "experiments").glob("*.yaml")))
def test_experiments_are_valid(experiment):
    assert read_experiment(ROOT / "experiments" / experiment).geometry.is_file()


def test_commands_exist_with_their_options():
    lines = re.findall(r"\| `studio ([^`]*)` \|", TEXT)
    assert len(lines) >= 8
    for line in lines:
        name, *arguments = shlex.split(line)
        options = {text for parameter in commands.commands[name].params for text in parameter.opts}
        assert {word for word in arguments if word.startswith("--")} <= options, line


def test_the_python_example_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    radius, charge = capsys.readouterr().out.split("\n")[:2]
    assert radius == "3.5 368"
    assert 500 < float(charge) < 5000  # 500 MeV in IWCD: 85,000 photons × 14 % coverage × QE of about 15 %
