"""A small study with a cheap detector family, and its result on this process's own runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio import LocalRunner, Study
from tests.stand_in import TANK, StandIn
from tests.study.studies import programs_kept_in

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 12}
free: {sensors.uv: {}}
objective: [{kind: vertex_resolution}, {kind: energy_resolution, weight: 0.5}]
constraints: [{kind: budget, at_most: baseline}, {kind: minimum_spacing, at_least: 0.6 m}]
optimiser: {kind: adam, learning_rate: 0.03, steps: 8, batch: 6, shard: 3}
validation: {events: 60, shard: 10}
seed: 5
"""


@pytest.fixture(scope="module")
def compilation_cache(tmp_path_factory):
    """Every study of a file runs the same programs: they are compiled once and read back."""
    folder = tmp_path_factory.mktemp("cache")
    with programs_kept_in(folder):
        yield folder


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "tank.yaml").write_text(TANK)
    (folder / "tank_study.yaml").write_text(EXPERIMENT)
    return folder / "tank_study.yaml"


@pytest.fixture(scope="module")
def reference(experiment, compilation_cache, tmp_path_factory):
    directory = tmp_path_factory.mktemp("reference") / "run"
    with LocalRunner(2) as runner:
        return Study.from_file(experiment, physics=StandIn()).run(directory, runner=runner)


@pytest.fixture(scope="module")
def several(experiment, compilation_cache, tmp_path_factory):
    """A study of three starts, each with one piece of work a step: its file and its result."""
    file = experiment.with_name("several_starts.yaml")
    file.write_text(EXPERIMENT.replace("steps: 8, batch: 6", "steps: 8, starts: 3, batch: 3"))
    directory = tmp_path_factory.mktemp("several") / "run"
    with LocalRunner(2) as runner:
        return file, Study.from_file(file, physics=StandIn()).run(directory, runner=runner)
