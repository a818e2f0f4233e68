"""Objectives of experiment files: what each term is, by hand, and a study with populations, tails and tolerances whose bits
depend on neither lanes nor interruptions."""

from __future__ import annotations

import json
import math

import jax
import numpy as np
import pytest

from studio import LocalRunner, Study
from studio.design import LocalEvaluation
from studio.study import read_experiment
from studio.study.assembly import assemble
from studio.study.objective_shards import event_means
from tests.stand_in import TANK, StandIn
from tests.study.studies import content, interrupt_and_resume

pytestmark = pytest.mark.usefixtures("compilation_cache")

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: [mu-, e-], kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 12}
free: {sensors.uv: {}}
objective:
  - {kind: vertex_resolution, reduce: worst}
  - {kind: energy_resolution, particle: e-, weight: 2}
  - {kind: direction_resolution, reduce: {tail: 25 %}, particle: mu-}
  - {kind: e_criterion, weight: 0.5}
robust: {position_error: 5 cm, dead: 5 %, samples: 2}
constraints: [{kind: minimum_spacing, at_least: 0.6 m}]
optimiser: {kind: adam, learning_rate: 0.02, steps: 6, shard: 4}
validation: {events: 12, shard: 6, reconstruct: false}
seed: 2
"""
LABELS = ("vertex_resolution worst", "energy_resolution e-", "direction_resolution mu- tail25", "e_criterion")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("populations")
    (folder / "tank.yaml").write_text(TANK)
    (folder / "study.yaml").write_text(EXPERIMENT)
    return folder / "study.yaml"


@pytest.fixture(scope="module")
def reference(experiment, compilation_cache, tmp_path_factory):
    directory = tmp_path_factory.mktemp("reference") / "run"
    with LocalRunner(2) as runner:
        return Study.from_file(experiment, physics=StandIn()).run(directory, runner=runner)


def sigma(detector, groups):
    return {g.particle: np.asarray(jax.vmap(lambda e: StandIn().resolution(detector, e))(g)) for g in groups}


def expected_terms(rows):
    """The terms of the experiment from σ `(events, 3)` by particle."""
    both = np.concatenate([rows["mu-"], rows["e-"]])
    tail = np.sort(np.log(rows["mu-"][:, 1]))[::-1][:2]  # a quarter of six: the worst, and half of the next
    return {
        LABELS[0]: np.log(both[:, 0].max()),
        LABELS[1]: np.log(rows["e-"][:, 2]).mean(),
        LABELS[2]: (tail[0] + 0.5 * tail[1]) / 1.5,
        LABELS[3]: np.log(np.max(both / [10.0, 0.01, 0.01], axis=1)).mean(),  # the stand-in's matrix is diagonal
    }


def test_terms_are_what_they_say(experiment, reference):
    """Every sample worked out by hand with numpy; only sums are ordered differently: 1e-11."""
    assembly = assemble(read_experiment(experiment), StandIn())
    perturb = assembly.objective.perturb
    each = [expected_terms(sigma(perturb(assembly.baseline, k), assembly.groups)) for k in range(2)]
    found = reference.result["objective"]["baseline"]
    for name in LABELS:
        assert found["terms"][name] == pytest.approx(np.mean([one[name] for one in each]), rel=1e-11), name
    weights = dict(zip(LABELS, (1, 2, 1, 0.5), strict=True))
    assert found["value"] == pytest.approx(sum(w * found["terms"][n] for n, w in weights.items()), rel=1e-12)


def test_the_design_is_better_and_the_result_tells_from_start_to_end(reference):
    assert reference.gradient_check["passed"]
    rows = reference.result["objective_terms"]
    assert [(row["name"], row["statistic"], row["weight"]) for row in rows] == [
        (LABELS[0], "worst log", 1.0),
        (LABELS[1], "mean log", 2.0),
        (LABELS[2], "mean log of worst 25 %", 1.0),
        (LABELS[3], "mean log", 0.5),
    ]
    for row in rows:
        for design in ("baseline", "optimum"):
            assert row[design] == reference.result["objective"][design]["terms"][row["name"]]
        assert row["change"] == pytest.approx(math.exp(row["optimum"] - row["baseline"]) - 1)
    objective = reference.result["objective"]
    assert objective["optimum"]["value"] < objective["baseline"]["value"] - 0.02


def test_one_lane_gives_the_same_bits(experiment, reference, tmp_path):
    with LocalRunner(1) as runner:
        Study.from_file(experiment, physics=StandIn()).run(tmp_path / "run", runner=runner)
    assert content(tmp_path / "run") == content(reference.directory)


def test_an_interrupted_study_gives_the_same_bits(experiment, reference, tmp_path, monkeypatch):
    interrupt_and_resume(experiment, tmp_path / "run", monkeypatch, "save", 4)
    assert content(tmp_path / "run") == content(reference.directory)


def test_batches_of_means_over_populations_need_one_pass(experiment):
    """Terms over other populations than all events, and a mean over samples, are still sums over events."""
    changes = {
        "objective": [{"kind": "vertex_resolution"}, {"kind": "energy_resolution", "particle": "e-", "weight": 2.0}],
        "optimiser.batch": 4,
    }
    file = read_experiment(experiment)
    means = event_means(assemble(file.with_values(changes), StandIn()).objective)
    assert means is not None
    assert [mean.weight for mean in means.values()] == [1.0, 2.0]
    for statistic in ("log_mean", {"tail": "50 %"}, {"quantile": "50 %"}):
        other = {**changes, "objective": [*changes["objective"], {"kind": "vertex_resolution", "reduce": statistic}]}
        assert event_means(assemble(file.with_values(other), StandIn()).objective) is None, statistic
    worst = file.with_values({**changes, "robust.over": "worst"})
    assert event_means(assemble(worst, StandIn()).objective) is None


def test_the_worst_sample_may_be_asked_for(experiment):
    """With all weight on one term, the worst of the samples is the largest of its values."""
    changes = {"objective": [{"kind": "vertex_resolution"}], "robust": {"position_error": "10 cm", "samples": 3}}
    file = read_experiment(experiment).with_values({**changes, "events.particle": "mu-"})
    mean, worst = (assemble(file.with_values({"robust.over": over}), StandIn()) for over in ("mean", "worst"))
    perturb, group = worst.objective.perturb, worst.groups[0]
    each = [np.log(sigma(perturb(worst.baseline, k), worst.groups)["mu-"][:, 0]).mean() for k in range(3)]
    for assembly, expected in ((mean, np.mean(each)), (worst, np.max(each))):
        value = LocalEvaluation(assembly.objective, ("sensors.uv",), group).value(assembly.baseline, 0)
        assert value == pytest.approx(expected, rel=1e-12)


def test_the_record_names_the_objective(experiment, reference):
    from studio.study.ledger import Ledger
    from studio.study.tracked import study_facts

    with Ledger(reference.directory) as ledger:
        facts = study_facts(read_experiment(experiment), ledger)
    assert facts.tags["objective"] == (
        "direction_resolution mu- tail25 + 0.5 e_criterion + 2 energy_resolution e- + vertex_resolution worst, robust"
    )
    json.dumps(facts.parameters)  # what trackers are sent is plain
