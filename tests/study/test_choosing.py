"""A study that chooses among places, against all choices that there are."""

import itertools

import jax
import numpy as np
import pytest

from studio import InputError, LocalRunner, Study, replace
from studio.study import read_experiment
from studio.study.assembly import assemble
from tests.stand_in import TANK, StandIn
from tests.study.studies import content

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 6}
free: {sensors.weight: {}}
objective: [{kind: vertex_resolution}, {kind: energy_resolution, weight: 0.5}]
constraints: [{kind: sensor_count, at_most: 6}]
optimiser: {kind: lbfgs, steps: 60, shard: 3}
validation: {events: 20, shard: 10}
seed: 5
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("choice")
    (folder / "tank.yaml").write_text(TANK)
    (folder / "study.yaml").write_text(EXPERIMENT)
    return folder / "study.yaml"


@pytest.fixture(scope="module")
def found(file, tmp_path_factory):
    with LocalRunner(1) as runner:
        return Study.from_file(file, physics=StandIn()).run(tmp_path_factory.mktemp("run") / "run", runner=runner)


@pytest.fixture(scope="module")
def every_choice(file):
    """The objective of all 8008 choices of 6 among the 16 places, without the studio's optimiser or rounding."""
    assembly = assemble(read_experiment(file), StandIn())
    (events,) = assembly.groups

    def value(weight):
        tree = replace(assembly.baseline, {"sensors.weight": weight})
        summaries = jax.vmap(lambda event: assembly.objective.summarise(tree, event))(events)
        return assembly.objective.combine(summaries)

    masks = np.zeros((8008, 16))
    for row, kept in enumerate(itertools.combinations(range(16), 6)):
        masks[row, list(kept)] = 1.0
    return np.asarray(jax.jit(lambda m: jax.lax.map(value, m, batch_size=1001))(masks))


def test_the_choice_is_nearly_the_best_and_says_how_nearly(found, every_choice):
    choice, best = found.result["choice"], float(every_choice.min())
    assert (choice["places"], choice["standing"]) == (16, 6)
    assert found.result["objective"]["optimum"]["value"] == pytest.approx(choice["rounded"], rel=1e-12)
    assert choice["bound"] <= best <= choice["rounded"] + 1e-12
    assert choice["gap"] < 0.01 * (every_choice.max() - best)
    assert choice["rounded"] <= np.quantile(every_choice, 0.01)
    assert choice["loss"] == pytest.approx(choice["rounded"] - choice["relaxed"])


def test_what_is_reported_stands_or_does_not(found):
    weights = np.asarray(found.detector.sensors.weight)
    assert set(weights.tolist()) == {0.0, 1.0}
    assert weights.sum() == 6
    (count,) = (row for row in found.audit if row["name"] == "sensor_count")
    assert (count["limit"], count["value"], count["satisfied"]) == (6, 6, True)
    assert found.detector.sensors.chosen(np.flatnonzero(weights)).count == 6


def test_it_is_resumed_to_the_same_bytes(found, file, tmp_path):
    with LocalRunner(2) as runner:
        Study.from_file(file, physics=StandIn()).run(tmp_path / "run", runner=runner)
    assert content(tmp_path / "run") == content(found.directory)


def test_more_sensors_than_places_are_no_constraint_and_none_is_refused(file):
    for limit, words in (("0", "at_most"), ("some", "at_most")):
        text = EXPERIMENT.replace("at_most: 6", f"at_most: {limit}")
        other = file.with_name("other.yaml")
        other.write_text(text)
        with pytest.raises(InputError, match=words) as caught:
            read_experiment(other)
        assert caught.value.line == 6
