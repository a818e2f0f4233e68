"""Studies that choose among places, against all choices that there are, and which objectives have a bound."""

import itertools
import json
import math

import jax
import numpy as np
import pytest

from studio import InputError, LocalRunner, OpticalSimulator, Study, replace
from studio.design import Evaluation
from studio.design.criteria import criterion_width
from studio.study import read_experiment
from studio.study.assembly import assemble
from studio.study.choosing import WEIGHT, decided, without_bound
from studio.study.optical import OpticalPhysics
from tests import tanks
from tests.stand_in import StandIn
from tests.study.studies import content, objective_at, ran, written

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
OBJECTIVE = "[{kind: vertex_resolution}, {kind: energy_resolution, weight: 0.5}]"
PLACES, COUNT = 16, 6


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return written(tmp_path_factory.mktemp("choice"), EXPERIMENT)


@pytest.fixture(scope="module")
def found(file, tmp_path_factory):
    return ran(file, tmp_path_factory.mktemp("run") / "run")


def at_weights(file):
    """The objective of an experiment as a function of the weights, and what it is made of."""
    assembly = assemble(read_experiment(file), StandIn())
    return assembly, lambda weight: objective_at(assembly, replace(assembly.baseline, {WEIGHT: weight}))


def of_every_choice(value):
    """A function of the weights at all 8008 choices of 6 among the 16 places."""
    masks = np.zeros((math.comb(PLACES, COUNT), PLACES))
    for row, kept in enumerate(itertools.combinations(range(PLACES), COUNT)):
        masks[row, list(kept)] = 1.0
    return np.asarray(jax.jit(lambda m: jax.lax.map(value, m, batch_size=1001))(masks))


@pytest.fixture(scope="module")
def every_choice(file):
    """The objective of all choices, without the studio's optimiser or rounding."""
    return of_every_choice(at_weights(file)[1])


def test_the_choice_is_nearly_the_best_and_says_how_nearly(found, every_choice):
    choice, best = found.result["choice"], float(every_choice.min())
    assert (choice["places"], choice["standing"]) == (16, 6)
    assert found.result["objective"]["optimum"]["value"] == pytest.approx(choice["rounded"], rel=1e-12)
    assert choice["bound"] <= best <= choice["rounded"] + 1e-12
    assert choice["gap"] < 0.01 * (every_choice.max() - best)
    assert choice["rounded"] <= np.quantile(every_choice, 0.01)
    assert choice["loss"] == pytest.approx(choice["rounded"] - choice["relaxed"])
    assert choice["no_bound"] is None


OBJECTIVES = {
    "logarithms of means": (OBJECTIVE.replace("resolution}", "resolution, reduce: log_mean}"), ""),
    "criteria": ("[{kind: a_criterion}, {kind: d_criterion, weight: 2}, {kind: e_criterion}]", ""),
    "direction of some": ("[{kind: direction_resolution, particle: mu-}, {kind: energy_resolution}]", ""),
    "dead sensors": (OBJECTIVE, "robust: {dead: 7 %, position_error: 3 cm, samples: 2}"),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_tangent_bounds_every_choice_from_any_weights(file, name):
    """A convex function lies above its tangents; weights that add up to less than 6, which rounding makes 6, count as 6."""
    terms, robust = OBJECTIVES[name]
    text = EXPERIMENT.replace(OBJECTIVE, terms) + robust
    assembly, value = at_weights(written(file.parent, text, "other.yaml"))
    best = float(of_every_choice(value).min())
    evaluate = evaluation_of(value)
    generator = np.random.default_rng(0)
    for total in (6.0, 5.8, 5.6):
        weights = generator.uniform(0.05, 1, PLACES)
        weights = np.minimum(weights * total / weights.sum(), 1.0)
        weights[np.argmin(weights)] += total - weights.sum()
        _, choice = decided(replace(assembly.baseline, {WEIGHT: weights}), assembly, evaluate)
        assert np.count_nonzero(choice.kept) == COUNT
        assert choice.no_gap == ""
        assert choice.bound <= best


def evaluation_of(value):
    """As a study evaluates designs."""
    compiled = jax.jit(jax.value_and_grad(value))

    def evaluate(design, step):
        found, slope = compiled(np.asarray(design.sensors.weight))
        return Evaluation(np.asarray(found), {WEIGHT: np.asarray(slope)}, {})

    return evaluate


def test_rounding_up_does_not_spoil_the_bound(file):
    """Of a linear objective the bound is exact: the sum of the six lowest slopes, which a total of 5.6 does not reach."""
    slope = -np.linspace(1.0, 2.0, PLACES)
    assembly, _ = at_weights(file)
    weights = np.full(PLACES, 5.6 / PLACES)
    design = replace(assembly.baseline, {WEIGHT: weights})
    _, choice = decided(design, assembly, evaluation_of(lambda weight: weight @ slope))
    assert np.count_nonzero(choice.kept) == 6
    assert choice.bound == pytest.approx(np.sort(slope)[:6].sum(), rel=1e-12)
    assert choice.bound < np.sort(slope)[:5].sum() + 0.6 * np.sort(slope)[5] - 0.1


def test_the_resolutions_of_the_optical_physics_have_convex_logarithms():
    """At the middle of two designs each is below the mean of both, with nuisances and process noise marginalized. Rounding of
    float64 in a matrix of condition up to 1e8: 1e-8."""
    simulator = OpticalSimulator(segments=8, wavelengths=21, degree=4, kink_modes=2)
    physics = OpticalPhysics(
        {"medium.absorption_length": 0.05, "medium.rayleigh_length": None}, simulator, single=False
    )
    tank, event = tanks.cylinder(), tanks.muon()

    @jax.jit
    def logarithms(weight):
        information = physics.information(replace(tank, {WEIGHT: weight}), event)
        natural = physics.natural_information(information, event)
        widths = [criterion_width(natural, letter) for letter in "ade"]
        return jax.numpy.log(jax.numpy.concatenate([physics.resolutions(information, event), jax.numpy.stack(widths)]))

    generator = np.random.default_rng(3)
    slack = []
    for _ in range(12):
        first, second = generator.uniform(0, 1, (2, tank.sensors.count)) ** 3
        slack.append((logarithms(first) + logarithms(second)) / 2 - logarithms((first + second) / 2))
    assert np.min(slack) > -1e-8
    assert np.all(np.max(slack, axis=0) > 0.01)  # and far from linear


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("", "", ""),
        ("{sensors.weight: {}}", "{sensors.weight: {}, sensors.uv: {}}", "sensors.uv was free, too"),
        ("resolution}", "resolution, reduce: {quantile: 50 %}}", "vertex_resolution q50 is no mean over events"),
        ("resolution}", "resolution, reduce: {tail: 50 %}}", "vertex_resolution tail50 is no mean over events"),
        ("{kind: vertex_resolution}", "{kind: custom, name: mine}", "nothing is known of the custom term mine"),
        ("seed: 5", "robust: {dead: 7 %, over: worst}", "the worst of the detectors that may be built"),
    ],
)
def test_there_is_no_bound_where_convexity_is_not_known(file, before, after, words):
    text = EXPERIMENT.replace(before, after) if before else EXPERIMENT
    reason = without_bound(read_experiment(written(file.parent, text, "other.yaml")).experiment)
    assert reason.startswith(words)
    assert bool(reason) == bool(words)


def test_a_study_without_a_bound_says_so(file, tmp_path):
    """`gap` and `bound` are null, with the reason; what the choice itself is worth is there."""
    text = EXPERIMENT.replace("vertex_resolution}", "vertex_resolution, reduce: worst}").replace(
        "steps: 60", "steps: 4"
    )
    study = ran(written(tmp_path, text.replace("events: 20, shard: 10", "events: 0")), tmp_path / "run")
    choice = json.loads((tmp_path / "run" / "result.json").read_text())["choice"]
    assert (choice["gap"], choice["bound"]) == (None, None)
    assert choice["no_bound"] == "vertex_resolution worst is no mean over events"
    assert choice["rounded"] == pytest.approx(study.result["objective"]["optimum"]["value"], rel=1e-12)


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
        other = written(file.parent, EXPERIMENT.replace("at_most: 6", f"at_most: {limit}"), "other.yaml")
        with pytest.raises(InputError, match=words) as caught:
            read_experiment(other)
        assert caught.value.line == 6
