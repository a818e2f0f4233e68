"""What an experiment file may say, and what a person is told where it says something else."""

from __future__ import annotations

import math
import re

import pytest

from studio import InputError
from studio.event import PARTICLES
from studio.event.stopping import HEAVY
from studio.io.geometry import read_geometry
from studio.io.optical_models import OpticalModel
from studio.study.checking import check_file
from studio.study.config import PARTICLES as CONFIG_PARTICLES
from studio.study.config import DirectionAround, experiment_schema
from studio.study.example import rounded_down, write_example
from studio.study.experiment_file import parse_experiment, read_experiment, shipped_geometries, yaml_text

OPTICAL = [name for name, path in shipped_geometries().items() if isinstance(read_geometry(path)[1], OpticalModel)]

LINES = """\
geometry: iwcd
events:
  kind: gun
  particle: mu-
  kinetic_energy: [200 MeV, 1 GeV]
  vertex: uniform
  direction: {around: beam, spread: 20 deg}
  contained: true
  count: 64
free:
  sensors.uv: {}
  volume.radius: {between: [3 m, 5 m]}
objective:
  - {kind: direction_resolution, weight: 1.0}
  - {kind: vertex_resolution, reduce: worst}
nuisance: {medium.absorption_length: {prior: 10 %}, sensors.efficiency: {}}
constraints:
  - {kind: budget, at_most: baseline}
  - {kind: minimum_spacing, at_least: 0.6 m}
optimiser: {kind: adam, learning_rate: 0.01, steps: 200}
validation: {events: 2000, reconstruct: true}
""".splitlines()

# number of the line (from 1), what it is replaced with, key in the message, what the message must also hold
MALFORMED = {
    "unknown key": (
        20,
        "optimiser: {kind: adam, steps: 9, rate: 0.01}",
        "optimiser.rate",
        "unknown key.*Allowed: .*learning_rate",
    ),
    "misspelt section": (13, "objectives:", "objectives", "unknown key.*Did you mean 'objective'"),
    "duplicate key": (10, "events:", "events", "given twice, first on line 2"),
    "no unit": (
        19,
        "  - {kind: minimum_spacing, at_least: 0.6}",
        "constraints.1.at_least",
        "length without a unit.*0.6 *|'1.5 mm'",
    ),
    "wrong unit": (
        12,
        "  volume.radius: {between: [3 MeV, 5 GeV]}",
        "free.volume.radius.between",
        "energy where a length belongs",
    ),
    "energy in metres": (5, "  kinetic_energy: [200 m, 300 m]", "events.kinetic_energy", "'m' is not a unit of energy"),
    "range upside down": (5, "  kinetic_energy: [2 GeV, 1 GeV]", "events.kinetic_energy", "low end is above.*2 GeV"),
    "three ends": (5, "  kinetic_energy: [1 MeV, 2 MeV, 3 MeV]", "events.kinetic_energy", "two ends, here are 3"),
    "negative energy": (5, "  kinetic_energy: -1 GeV", "events.kinetic_energy", "must be positive.*-1 GeV"),
    "not a number": (20, "optimiser: {learning_rate: .nan}", "optimiser.learning_rate", "nan"),
    "unknown particle": (4, "  particle: muon", "events.particle", "muon.*Did you mean 'mu-'"),
    "no particle": (4, "  particle: []", "events.particle", "one or several"),
    "unknown word": (6, "  vertex: unifrom", "events.vertex", "unifrom.*uniform"),
    "no direction": (7, "  direction: [0, 0, 0]", "events.direction", "length zero"),
    "unknown objective": (
        14,
        "  - {kind: direction_resolutoin}",
        "objective.0.kind",
        "Did you mean 'direction_resolution'",
    ),
    "no such population": (
        14,
        "  - {kind: direction_resolution, particle: e-}",
        "objective.0.particle",
        "no events of this particle.*e-.*there are: mu-",
    ),
    "unknown statistic": (
        14,
        "  - {kind: direction_resolution, reduce: worts}",
        "objective.0.reduce",
        "Did you mean 'worst'",
    ),
    "unknown tail": (
        14,
        "  - {kind: direction_resolution, reduce: {tial: 10 %}}",
        "objective.0.reduce",
        "not a statistic.*tial.*Did you mean 'tail'.*{tail: 10 %}",
    ),
    "quantile above one": (
        14,
        "  - {kind: direction_resolution, reduce: {quantile: 90}}",
        "objective.0.reduce",
        "at most 1.*90",
    ),
    "tail of no event": (
        14,
        "  - {kind: direction_resolution, reduce: {tail: 1 %}}",
        "objective.0.reduce",
        "less than one of the 64 events",
    ),
    "worst of a batch": (
        20,
        "optimiser: {batch: 8}",
        None,
        "objective.1.reduce.*worst of 8 events a step is not the worst of 64",
    ),
    "no tolerance": (16, "robust: {samples: 3}", "robust", "nothing differs.*position_error"),
    "tolerance without unit": (16, "robust: {position_error: 2}", "robust.position_error", "without a unit"),
    "most sensors dead": (16, "robust: {dead: 70 %}", "robust.dead", "at most 0.5"),
    "worse than worst": (16, "robust: {dead: 1 %, over: maximum}", "robust.over", "mean.*worst"),
    "objective twice": (15, "  - {kind: direction_resolution}", "objective.1", "stands twice"),
    "negative weight": (14, "  - {kind: direction_resolution, weight: -1}", "objective.0.weight", "-1"),
    "unknown constraint": (18, "  - {kind: bugdet, at_most: baseline}", "constraints.0.kind", "Did you mean 'budget'"),
    "prior with unit": (16, "nuisance: {sensors.efficiency: {prior: 5 kg}}", "nuisance.sensors.efficiency.prior", "kg"),
    "no events": (9, "  count: 0", "events.count", "0"),
    "batch too large": (20, "optimiser: {batch: 65}", "optimiser.batch", "more than the 64 events.*65"),
    "half a step": (20, "optimiser: {steps: 2.5}", "optimiser.steps", "whole number.*2.5"),
    "text for truth": (8, "  contained: perhaps", "events.contained", "true or false.*perhaps"),
    "unknown geometry": (1, "geometry: iwdc", "geometry", "Did you mean 'iwcd'"),
    "no such file": (1, "geometry: tank.yaml", "geometry", "no such file.*tank.yaml"),
    "tab": (4, "\tparticle: mu-", None, "tab"),
    "bracket": (17, "constraints: [", None, "YAML"),
    "learning rate for lbfgs": (
        20,
        "optimiser: {kind: lbfgs, learning_rate: 0.1}",
        "optimiser.learning_rate",
        "chooses its steps itself",
    ),
    "growth for lbfgs": (
        20,
        "optimiser: {kind: lbfgs, grow: 8}",
        "optimiser.grow",
        "lbfgs needs all events.*choose adam",
    ),
    "growth beyond all events": (20, "optimiser: {grow: 8}", "optimiser.grow", "nothing to grow to.*optimiser.batch"),
    "no growth": (20, "optimiser: {batch: 8, grow: 0}", "optimiser.grow", "0"),
    "no patience": (20, "optimiser: {patience: 0}", "optimiser.patience", "0"),
    "gain without patience": (
        20,
        "optimiser: {least_gain: 1 %}",
        "optimiser.least_gain",
        "belongs to patience.*how many",
    ),
    "gain in metres": (
        20,
        "optimiser: {patience: 9, least_gain: 1 m}",
        "optimiser.least_gain",
        "not a unit of fraction",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(case, tmp_path):
    line, text, key, expected = MALFORMED[case]
    file = tmp_path / "experiment.yaml"
    file.write_text("\n".join([*LINES[: line - 1], text, *LINES[line:]]) + "\n")
    with pytest.raises(InputError) as caught:
        read_experiment(file)
    error, message = caught.value, str(caught.value)
    assert error.exit_code == 2
    assert str(file) in message
    assert error.remedy, message
    assert re.search(expected, message, re.S), message
    if key is not None:
        assert error.key == key, message
    if key is not None:
        assert error.line == line, message


def test_free_path_must_exist(tmp_path):
    from studio.study.assembly import assemble

    for line, text, key, wanted in (
        (11, "  sensors.vu: {}", "free.sensors.vu", "Did you mean 'sensors.uv'"),
        (12, "  volume.radius: {between: [4 m, 5 m]}", "free.volume.radius.between", "starts outside"),
        (11, "  sensors.patch: {}", "free.sensors.patch", "no such leaf"),
        (16, "nuisance: [medium.absorbtion_length]", "nuisance", "Did you mean 'medium.absorption_length'"),
        (16, "robust: {dead: 0.01 %}", "robust.dead", "less than one of the 368 sensors"),
        (16, "robust: {position_error: 1 m}", "robust.position_error", "larger than the radius of a sensor"),
        (5, "  kinetic_energy: 9 GeV", "events", "lower the energy"),
    ):
        file = tmp_path / "experiment.yaml"
        file.write_text("\n".join([*LINES[: line - 1], text, *LINES[line:]]) + "\n")
        with pytest.raises(InputError, match=wanted) as caught:
            assemble(read_experiment(file))
        assert caught.value.key == key
        assert caught.value.line == (2 if key == "events" else line)


def test_units_arrive_in_the_studios_own(tmp_path):
    file = tmp_path / "experiment.yaml"
    file.write_text("\n".join(LINES))
    experiment = read_experiment(file).experiment
    assert experiment.events.kinetic_energy == (200.0, 1000.0)
    assert experiment.free["volume.radius"].between == (3000.0, 5000.0)
    assert isinstance(experiment.events.direction, DirectionAround)
    assert experiment.events.direction.spread == pytest.approx(math.radians(20))
    assert experiment.nuisances == {"medium.absorption_length": 0.1, "sensors.efficiency": None}
    assert experiment.wanted == ("direction", "vertex")
    assert experiment.batch == 64


def test_changed_values_are_checked_too(tmp_path):
    file = tmp_path / "experiment.yaml"
    file.write_text("\n".join(LINES))
    changed = read_experiment(file).with_values({"optimiser.steps": 3, "seed": 8})
    assert (changed.experiment.optimiser.steps, changed.experiment.seed) == (3, 8)
    with pytest.raises(InputError, match="optimiser.steps"):
        read_experiment(file).with_values({"optimiser.steps": 0})


def test_an_experiment_written_again_says_the_same(tmp_path):
    file = tmp_path / "experiment.yaml"
    file.write_text("\n".join(LINES))
    read = read_experiment(file)
    again = parse_experiment(yaml_text(read.document.data), str(file))
    assert again.experiment == read.experiment
    assert again.document.data == read.document.data


@pytest.mark.parametrize("geometry", OPTICAL)
def test_the_example_is_valid_commented_and_feasible(geometry, tmp_path):
    write_example(tmp_path / "new.yaml", geometry)
    assert read_experiment(tmp_path / "new.yaml").experiment.geometry == geometry
    report = check_file(tmp_path / "new.yaml")
    assert report["baseline"] == "satisfies all constraints"
    assert all(row["satisfied"] for row in report["baseline_constraints"])
    assert (tmp_path / "new.yaml").read_text().count("#") > 15
    with pytest.raises(InputError, match="exists already"):
        write_example(tmp_path / "new.yaml", geometry)


@pytest.mark.parametrize(
    ("spacing", "diameter", "expected"),
    [
        (0.4384, 0.3487, 0.4),
        (0.5095, 0.508, 0.509),
        (0.7, 0.1, 0.7),
        (0.7 - 1e-16, 0.1, 0.7),
        (12.9, 1.0, 10.0),
        (0.5, 0.6, 0.5),
    ],
)
def test_a_spacing_is_rounded_down_but_not_below_the_faces(spacing, diameter, expected):
    assert rounded_down(spacing, diameter) == expected


def test_the_example_shows_every_section(tmp_path):
    """One section is costly, so it stands there as a comment; uncommented it is valid."""
    write_example(tmp_path / "new.yaml", "iwcd")
    text = (tmp_path / "new.yaml").read_text().replace("# robust:", "robust:")
    file = parse_experiment(text, str(tmp_path / "new.yaml"))
    assert set(file.document.data) == set(experiment_schema()["properties"])


def test_there_is_no_example_for_a_chamber_yet(tmp_path):
    with pytest.raises(InputError, match=r"only optical detectors can do that yet"):
        write_example(tmp_path / "new.yaml", "sbnd")


def test_names_are_those_of_the_events():
    assert set(CONFIG_PARTICLES) == {*PARTICLES, *HEAVY}


def test_schema_describes_units():
    text = str(experiment_schema())
    for word in ("kinetic_energy", "minimum_spacing", "learning_rate", "MeV"):
        assert word in text


def test_geometries_ship():
    assert {"iwcd", "super_kamiokande", "wcte"} <= set(shipped_geometries())
