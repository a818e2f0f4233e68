"""Measurements outside a study: designs on the same fresh events, and events in files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._checks import InputError
from ..event import Primary
from ..execution import AbstractRunner
from ..io.atomic import replace_file
from ..io.event_file import EventSet, read_events, write_events
from ..io.geometry import load_detector, load_optical
from .assembly import draw, fits, physics_of
from .experiment_file import BASELINE, ExperimentFile
from .metrics import Errors, failure_fraction, resolutions
from .objective_shards import split_events
from .observer import AbstractObserver
from .physics import AbstractPhysics
from .report import plain
from .validation import Validation, ValidationShard, event_count, event_errors, report, validation_key

_ANOTHER = 1  # added to the study's seed, so that a second measurement sees other events than the first


def measure(
    file: ExperimentFile,
    designs: Mapping[str, Path],
    *,
    runner: AbstractRunner,
    observer: AbstractObserver,
    events: int | None = None,
    seed: int | None = None,
    physics: AbstractPhysics | None = None,
) -> dict[str, Any]:
    """Designs (geometry files by name) measured on the same events; gains are against the first.

    Events are drawn in the first design and fit into all of them. `seed`: by default one behind the experiment's.
    """
    experiment = file.experiment
    chosen = experiment.seed + _ANOTHER if seed is None else seed
    detectors = {name: load_detector(path) for name, path in designs.items()}
    first = next(iter(detectors.values()))
    groups = draw(file, first, validation_key(chosen), events or experiment.validation.events or 400)
    kept = tuple(_kept(file, group, detectors.values()) for group in groups)
    kept = tuple(group for group in kept if group.count)
    if sum(group.count for group in kept) < 2:
        raise InputError(
            "no two events fit into all designs", key="designs", remedy="compare detectors of similar size"
        )
    shard = experiment.validation.shard
    family = (physics or physics_of(file, first)).prepared(tuple(detectors.values()), kept)
    validation = Validation(ValidationShard(family, chosen, True), runner, kept, shard)
    observer.stage("measure", validation.count(len(detectors)), 0)
    lines = validation.run(detectors, record=lambda line: observer.advance({"events": event_count(line)}))
    return {
        "seed": chosen,
        "designs": {k: str(v) for k, v in designs.items()},
        "cost": {name: file.costs.report(detector) for name, detector in detectors.items()},
        **report(lines, tuple(designs), seed=chosen),
    }


def _kept(file: ExperimentFile, group: Primary, detectors: Iterable[Any]) -> Primary:
    mask = np.all([fits(file, detector, group) for detector in detectors], axis=0)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[mask], group)


def study_designs(directory: Path) -> dict[str, Path]:
    """The geometry files of a finished study. **Raises** `InputError` where it has no design yet."""
    designs = {"baseline": directory / BASELINE, "optimum": directory / "design.yaml"}
    if not designs["optimum"].is_file():
        remedy = f"finish it with 'studio resume {directory}'"
        raise InputError("the study has no design yet", file=directory, remedy=remedy)
    return designs


def simulate_events(
    file: ExperimentFile,
    out: Path,
    *,
    events: int | None = None,
    design: Path | None = None,
    physics: AbstractPhysics | None = None,
) -> dict[str, Any]:
    """Samples events of an experiment into an event file; returns what was written."""
    experiment = file.experiment
    if not out.parent.is_dir():
        raise InputError("cannot be written: no such folder", file=out, remedy="choose a folder that exists")
    detector = load_optical(design or file.geometry)
    groups = draw(file, detector, validation_key(experiment.seed), events or experiment.validation.events or 400)
    family = physics or physics_of(file, detector)
    sampler = ValidationShard(family, experiment.seed, True)
    populations, first = [], 0
    for group in groups:
        parts = []
        for number, (piece, weights) in enumerate(split_events(group, experiment.validation.shard)):
            indices = first + number * len(weights) + np.arange(len(weights))
            readouts = sampler.sample(detector, piece, indices)
            parts.append(_first(readouts, int(weights.sum())))
        populations.append(EventSet(group, jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)))
        first += group.count
    write_events(
        out, populations, {"seed": experiment.seed, "geometry": detector.name, "experiment": file.document.file}
    )
    return {"file": str(out), "events": first, "seed": experiment.seed, "sensors": detector.sensors.count}


def _first(stack: Any, count: int) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], stack)


def reconstruct_events(
    file: ExperimentFile,
    source: Path,
    *,
    out: Path | None = None,
    design: Path | None = None,
    physics: AbstractPhysics | None = None,
) -> dict[str, Any]:
    """Reconstructs an event file; `out` takes one JSON line an event. Returns the resolutions against the truth in the file."""
    experiment = file.experiment
    stored = read_events(source)
    detector = load_optical(design or file.geometry)
    family = physics or physics_of(file, detector)
    rows: list[dict[str, Any]] = []
    errors = []
    for population in stored.populations:
        if population.readouts is None:
            raise InputError("holds primaries without readouts", file=source, remedy="make it with 'studio simulate'")
        sensors = np.shape(population.readouts.charge)[-1]
        if sensors != detector.sensors.count:
            problem = f"holds {sensors} sensors, the detector has {detector.sensors.count}"
            raise InputError(problem, file=source, remedy="name the geometry the events were made with (--design)")
        for piece, weights in split_events(EventSet(*population), experiment.validation.shard):
            estimates = family.reconstruct(detector, population.primaries.particle, piece.readouts)
            kept = int(weights.sum())
            found = event_errors(piece.primaries, estimates)
            errors.append(
                Errors(*(getattr(found, name)[:kept] for name in ("vertex", "direction", "energy", "failed")))
            )
            rows += _rows(population.primaries.particle, estimates, kept)
    if out is not None:
        text = "".join(json.dumps(plain(row)) + "\n" for row in rows)
        replace_file(out, lambda aside: aside.write_text(text, encoding="utf-8"))
    everything = Errors(
        *(np.concatenate([getattr(e, name) for e in errors]) for name in ("vertex", "direction", "energy", "failed"))
    )
    measured = {name: found.as_dict() for name, found in resolutions(everything, seed=experiment.seed).items()}
    measured["failed"] = failure_fraction(everything.failed).as_dict()
    return {"file": str(source), "events": everything.count, "measured": measured}


def _rows(particle: str, estimates: Any, kept: int) -> list[dict[str, Any]]:
    names = ("vertex", "direction", "kinetic_energy")
    return [
        {
            "particle": particle,
            **{name: np.asarray(getattr(estimates, name))[index] for name in names},
            "failure": estimates.failure[index],
        }
        for index in range(kept)
    ]
