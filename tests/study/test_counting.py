"""Studies that decide how many sensors there are, and how large the detector is: tied weights, exposure, a layout of so many.

Independent of the studio: what the best split of a budget is where σ falls with the root of the number of sensors, by hand; sums
and volumes by numpy.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, LocalRunner, Study, replace
from studio.detector import PhotosensorArray, cost, sensor_type
from studio.io.geometry import save_detector
from studio.rendering.probe import opengl
from studio.study import read_experiment
from studio.study.assembly import assemble
from studio.study.certificate import certify
from studio.study.counting import counted
from studio.study.observer import Silent
from studio.study.tolerance import Tolerances, tolerate
from studio.study.uniform import uniform_layout
from studio.units import m
from tests.stand_in import StandIn
from tests.study.studies import content, ran, written

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: 500 MeV, vertex: centre, direction: beam, count: 4}
free:
  volume.radius: {between: [1 m, 8 m]}
  volume.height: {follows: volume.radius, factor: 2}
  sensors.weight: {together: all, between: [0.2, 20]}
objective: [{kind: energy_resolution}, {kind: exposure, weight: 1.5}]
constraints: [{kind: budget, at_most: baseline}]
costs: {excavation: {price: 9000 USD/m3, source: a test}}
optimiser: {kind: lbfgs, steps: 60, shard: 4}
validation: {events: 20, shard: 10}
seed: 5
"""


class CountsOnly(StandIn):
    """σ = 1 / √(number of sensors / radius in m): optimum by hand."""

    def information(self, detector, event):
        amount = jnp.sum(detector.sensors.weight) / (detector.volume.radius / m)
        return jnp.ones(3) / jnp.sqrt(amount)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    text = EXPERIMENT.replace("kinetic_energy: 500 MeV", "kinetic_energy: [500 MeV, 500 MeV]")
    return written(tmp_path_factory.mktemp("count"), text)


@pytest.fixture(scope="module")
def found(file, tmp_path_factory):
    with LocalRunner(1) as runner:
        return Study.from_file(file, physics=CountsOnly()).run(tmp_path_factory.mktemp("run") / "run", runner=runner)


def test_a_budget_is_split_as_by_hand(file, found):
    """Minimise −½ log(N / R) − ¾ log R³: with a N + b R³ = C that is −½ log N − ⁷⁄₄ log R, so the rock takes ⁷⁄₁₂ / (½ + ⁷⁄₁₂) of it."""
    prices = read_experiment(file).costs.prices
    baseline, design = cost(found.baseline, prices), found.detector
    sensor = prices.sensors[0].price + prices.channel
    digging = (prices.excavation + prices.media[0].price) * 2 * math.pi  # of R³
    share = (7 / 12) / (1 / 2 + 7 / 12)
    radius = (share * float(baseline.total) / digging) ** (1 / 3)
    number = (1 - share) * float(baseline.total) / sensor
    assert float(design.volume.radius) / m == pytest.approx(radius, rel=1e-4)
    assert float(design.volume.height) == pytest.approx(2 * float(design.volume.radius))
    # Whole sensors, and no more than there is money for.
    assert design.sensors.count == math.floor(number * (1 + 1e-4))
    assert number > 1.3 * found.baseline.sensors.count or number < 0.7 * found.baseline.sensors.count
    assert float(cost(design, prices).total) <= float(baseline.total) * (1 + 1e-3)
    assert np.all(np.asarray(design.sensors.weight) == 1)


def test_the_result_says_how_many_and_what_rounding_cost(found):
    choice, result = found.result["choice"], found.result
    assert choice["standing"] == found.detector.sensors.count == sum(choice["sensors"].values())
    assert set(choice["sensors"]) == {"barrel", "top", "bottom"}
    assert result["objective"]["optimum"]["value"] == choice["rounded"]
    assert choice["loss"] == pytest.approx(choice["rounded"] - choice["relaxed"])
    assert 0 <= choice["loss"] < 0.5 / found.detector.sensors.count * 1.01  # at most one sensor less
    row = next(row for row in result["objective_terms"] if row["name"] == "exposure")
    ratio = float(found.baseline.volume.volume / found.detector.volume.volume)
    assert row["change"] == pytest.approx(math.sqrt(ratio) - 1)
    assert result["feasible"]
    assert result["validation"]["events"] == 20


def test_pictures_of_other_numbers_of_sensors_are_made(found):
    """What moves are the places that the study weighed, all of them in every picture."""
    pictures = {
        "layout.png",
        "history.png",
        *(("layout_3d.png", "moving.gif", "layout.html") if opengl().works else ()),
    }
    assert {path.name for path in (found.directory / "figures").iterdir()} == pictures


def test_it_is_questioned_like_any_other(file, found):
    """Dead sensors take their part of the information, of one number of sensors and of the other."""
    arguments = {"runner": None, "observer": Silent(), "physics": CountsOnly()}
    with LocalRunner(1) as runner:
        arguments["runner"] = runner
        report = tolerate(read_experiment(file), found.directory, Tolerances(dead=0.1), samples=2, **arguments)
        moves = certify(read_experiment(file), found.directory, moves=1, **arguments)
    numbers = {"baseline": found.baseline.sensors.count, "optimum": found.detector.sensors.count}
    for name, count in numbers.items():
        dead = report["dead_sensors"][name]
        assert dead == round(0.1 * count)
        spread = report["objective"][name]
        assert spread["drawn"] == pytest.approx(found.result["objective"][name]["value"])
        assert spread["mean"] - spread["drawn"] == pytest.approx(-0.5 * math.log(1 - dead / count))
    assert moves["best"] is None  # it does not matter where they stand


def test_taken_up_again_it_is_the_same(file, found, tmp_path):
    with LocalRunner(1) as runner:
        Study.from_file(file, physics=CountsOnly()).run(tmp_path / "run", runner=runner)
        (tmp_path / "run" / "result.json").unlink()
        Study.in_directory(tmp_path / "run", physics=CountsOnly()).resume(tmp_path / "run", runner=runner)
    assert content(tmp_path / "run") == content(found.directory)


def test_one_weight_a_patch(file, tmp_path):
    text = file.read_text().replace("together: all", "together: patch").replace("count: 4", "count: 6")
    text = text.replace("vertex: centre", "vertex: uniform")
    result = ran(written(tmp_path, text), tmp_path / "run")
    free = assemble(read_experiment(tmp_path / "study.yaml"), StandIn())
    assert free.free["sensors.weight"].free.size == 3
    sensors = result.result["choice"]["sensors"]
    assert sum(sensors.values()) == result.detector.sensors.count
    # Muons along x from anywhere: the ends of the tank and its side are not worth the same.
    density = {"barrel": sensors["barrel"] / (2 * math.pi * 2), "top": sensors["top"] / math.pi}
    assert abs(math.log(density["barrel"] / density["top"])) > 0.05


def test_counts_are_those_of_the_weights(file):
    baseline = assemble(read_experiment(file), StandIn()).baseline
    patch = np.asarray(baseline.sensors.patch)
    weight = np.array([1.26, 1.5, 2.0])[patch]
    thinned = eqx.tree_at(lambda d: d.sensors.weight, baseline, weight)
    layout, count = counted(thinned, lambda detector: float(jnp.sum(detector.sensors.weight)))
    sums = np.array([weight[patch == index].sum() for index in range(3)])
    assert layout.sensors.count == math.floor(sums.sum() + 1e-9)
    assert np.all(np.abs(np.array(list(count.sensors.values())) - sums) <= 1)
    assert np.array_equal(np.bincount(np.asarray(layout.sensors.patch)), list(count.sensors.values()))
    assert count.relaxed == pytest.approx(sums.sum())
    assert np.all(np.asarray(layout.volume.edge_clearance(layout.sensors.patch, layout.sensors.uv)) > 0)


def test_kinds_keep_their_proportion(file):
    baseline = assemble(read_experiment(file), StandIn()).baseline
    types = (sensor_type("r3600_20_inch"), sensor_type("r14374_3_inch"))
    count = baseline.sensors.count
    kind = (np.arange(count) % 4 == 0).astype(int)
    mixed = PhotosensorArray(baseline.sensors.uv, baseline.sensors.patch, types, kind)
    layout = uniform_layout(eqx.tree_at(lambda d: d.sensors, baseline, mixed), {0: 30, 1: 10})
    assert np.bincount(np.asarray(layout.sensors.kind)).tolist() == pytest.approx([30, 10], abs=1)


@pytest.mark.parametrize(
    ("was", "instead", "words"),
    [
        ("together: all", "together: both", r"study.yaml:7: free.sensors.weight.together: .*'both'"),
        ("between: [0.2, 20]", "between: [2, 20]", "starts outside"),
        ("{between: [1 m, 8 m]}", "{between: [1 m, 8 m], together: all}", "volume.radius.together: only numbers of sensors"),
        ("weight: 1.5", "margin: 3 m", "margin: nothing of the volume lies so far from the wall"),
        ("weight: 1.5", "reduce: worst", "exposure.*reduce|reduce.*unknown"),
    ],
)  # fmt: skip
def test_bad_input_is_named(file, tmp_path, was, instead, words):
    assert was in file.read_text()
    path = written(tmp_path, file.read_text().replace(was, instead))
    with pytest.raises(InputError, match=words):
        assemble(read_experiment(path), StandIn())


def test_sensors_that_start_differently_are_not_tied(file, tmp_path):
    baseline = assemble(read_experiment(file), StandIn()).baseline
    weights = np.where(np.arange(baseline.sensors.count) == 3, 0.5, 1.0)
    path = written(tmp_path, file.read_text())
    save_detector(replace(baseline, {"sensors.weight": weights}), tmp_path / "tank.yaml")
    with pytest.raises(
        InputError, match="study.yaml:7: free.sensors.weight.together: sensors start with different values"
    ):
        assemble(read_experiment(path), StandIn())


def test_exposure_goes_with_the_inner_volume(file, tmp_path):
    text = file.read_text().replace("weight: 1.5", "margin: 0.5 m")
    assembly = assemble(read_experiment(written(tmp_path, text)), StandIn())
    part = next(part for part in assembly.objective.parts if part.name == "exposure")
    value = float(part.combine(part.summarise(assembly.baseline, None)[None]))
    assert value == pytest.approx(-0.5 * math.log(math.pi * 1.5**2 * 3.0))
