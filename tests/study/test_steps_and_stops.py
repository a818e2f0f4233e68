"""Studies whose batches grow with the noise and that end where nothing more is gained: what they tell, and the same bits where one
is interrupted."""

import itertools

import pytest

from studio import InputError, LocalRunner, Study
from studio.study import read_experiment
from studio.study.observer import Silent
from tests.stand_in import StandIn
from tests.study.studies import content, interrupt_and_resume, written

pytestmark = pytest.mark.usefixtures("compilation_cache")

EXPERIMENT = """
geometry: tank.yaml
events: {kind: gun, particle: mu-, kinetic_energy: [200 MeV, 1 GeV], vertex: uniform, direction: beam, count: 12}
free: {sensors.uv: {}}
objective: [{kind: vertex_resolution}, {kind: energy_resolution, weight: 0.5}]
constraints: [{kind: minimum_spacing, at_least: 0.6 m}]
optimiser: {learning_rate: 0.06, steps: 60, batch: 2, grow: 4, patience: 10, least_gain: 4 %, shard: 2}
validation: {events: 12, shard: 6, reconstruct: false}
seed: 5
"""


class Counting(Silent):
    """Adds up the events that steps are said to have simulated."""

    def __init__(self):
        self.events = 0

    def advance(self, details):
        self.events += details.get("events", 0) if "gradient_norm" in details else 0


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return written(tmp_path_factory.mktemp("noisy"), EXPERIMENT)


@pytest.fixture(scope="module")
def reference(experiment, compilation_cache, tmp_path_factory):
    observer = Counting()
    with LocalRunner(2) as runner:
        directory = tmp_path_factory.mktemp("reference") / "run"
        return Study.from_file(experiment, physics=StandIn()).run(directory, runner=runner, observer=observer), observer


def test_the_history_tells_noise_and_batches(reference):
    """Every batch is an evaluation of two events; every tenth design is one more on the reference events."""
    study, observer = reference
    lines = study.history[1:]
    batches = [line["batches"] for line in lines]
    assert list(dict.fromkeys(batches)) == [1, 2, 4]
    assert batches == sorted(batches)
    for line, spent in zip(lines, itertools.accumulate(batches), strict=True):
        assert line["evaluations"] == 1 + spent + line["step"] // 10
    assert observer.events == 2 * (lines[-1]["evaluations"] - 1)
    assert all(line["signal_to_noise"] is None for line in study.history[:6])
    assert all(line["signal_to_noise"] >= 0 for line in study.history[6:])


def test_the_study_ends_where_ten_steps_gain_less_than_four_percent(reference):
    study, _ = reference
    best = {line["step"]: line["best"] for line in study.history}
    last = study.history[-1]["step"]
    assert last < 60
    assert [best[step - 10] - best[step] < 0.04 for step in range(10, last + 1, 10)] == [False] * (last // 10 - 1) + [
        True
    ]
    assert study.result["status"] == "stalled"
    assert study.result["reason"] == f"stopped after {last} steps, no better by more than 0.04 within 10 steps"


def test_an_interrupted_study_grows_and_ends_alike(experiment, reference, tmp_path, monkeypatch):
    interrupt_and_resume(experiment, tmp_path / "run", monkeypatch, "save", 35)
    assert content(tmp_path / "run") == content(reference[0].directory)


def test_the_file_says_what_the_optimiser_is_told(experiment):
    file = read_experiment(experiment)
    told = file.experiment.optimiser
    assert told.description == {"kind": "adam", "learning_rate": 0.06, "grow": 4}
    assert told.stop == {"steps": 10, "relative": 0.0, "absolute": 0.04}
    plain = file.with_values({"optimiser": {"patience": 30}}).experiment.optimiser
    assert plain.description == {"kind": "adam"}
    assert plain.stop == {"steps": 30, "relative": 0.0, "absolute": 1e-3}
    assert file.with_values({"optimiser": {}}).experiment.optimiser.stop is None


def test_no_step_can_average_more_than_all_events(experiment, tmp_path):
    path = written(tmp_path, experiment.read_text().replace("grow: 4", "grow: 7"))
    with pytest.raises(
        InputError, match=r"study.yaml:7: optimiser.grow: more than the 12 events.*in batches of 2.*write 6 or less"
    ):
        read_experiment(path)
