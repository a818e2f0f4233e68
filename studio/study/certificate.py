"""What gradients cannot see: the best move of a single sensor to anywhere else on the wall."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from .. import paths
from ..design import audit
from ..detector import Detector, PhotosensorArray, layouts
from ..event import Primary
from ..execution import AbstractRunner
from ..geometry import Sphere
from ..io.geometry import load_optical
from .assembly import Assembly, assemble
from .choosing import WEIGHT, refuse_choice
from .experiment_file import ExperimentFile
from .ledger import Ledger
from .measure import study_designs
from .objective_shards import ShardedObjective, first_events
from .observer import AbstractObserver
from .physics import AbstractPhysics
from .report import plain

CERTIFICATE = "certificate.json"

# Moves that are audited at most before one gives up finding allowed ones.
_AUDITED = 2000


def certify(
    file: ExperimentFile,
    directory: Path,
    *,
    runner: AbstractRunner,
    observer: AbstractObserver,
    spacing: float | None = None,
    moves: int = 8,
    events: int | None = None,
    physics: AbstractPhysics | None = None,
) -> dict[str, Any]:
    """The best single move of a sensor of a study's design to a place of a grid, on the study's own events (the first
    `events` of them).

    Every sensor of a type may move to every place of a grid over the wall with `spacing` (mm; by default the diameter of a
    face). The derivative of the objective by the weight of sensors and of empty places ranks all moves; the `moves` first ones
    that the constraints allow, to as many different places, are then evaluated exactly. A gain of none of them says that no single
    move is worth making, as far as the first order can tell. What is returned is written to `certificate.json` in the study's
    directory, too.

    **Raises** `InputError` where the study has no design yet, or chose among places, which has a certificate of its own.
    """
    refuse_choice(
        file,
        "this study chose among places",
        "see `choice` in its result.json: its bound, where there is one, holds for every choice",
    )
    assembly = assemble(file, physics)
    design = load_optical(study_designs(directory)["optimum"])
    grid = spacing or 2 * float(np.max(np.asarray(design.sensors.radius)))
    search = _Search(assembly, first_events(assembly.groups, events), design, runner, grid)
    observer.stage("certify", 1 + moves, 0)
    promised = search.promised()
    observer.advance({"events": search.events})
    found = []
    for sensor, place in search.allowed(promised, moves):
        found.append(search.moved(sensor, place, float(promised[sensor, place])))
        observer.advance({"events": search.events})
    found.sort(key=lambda move: -move["gain"])
    best = found[0] if found and found[0]["gain"] > 0 else None
    report = plain(
        {
            "events": search.events,
            "objective": search.value,
            "spacing": search.spacing,
            "places": search.places.sensors.count,
            "moves": int(np.count_nonzero(np.isfinite(promised))),
            "promising": int(np.count_nonzero(promised > 0)),
            "evaluated": found,
            "best": best,
        }
    )
    Ledger(directory).write_json(CERTIFICATE, report)
    return report


class _Search:
    """A design beside empty places, as one detector, so that a move is a change of weights and nothing compiles anew."""

    def __init__(
        self,
        assembly: Assembly,
        groups: tuple[Primary, ...],
        design: Detector,
        runner: AbstractRunner,
        spacing: float,
    ):
        self.assembly, self.groups, self.design, self.spacing = assembly, groups, design, spacing
        self.places = _places(design, spacing)
        self.both = _joined(design, self.places)
        shard = assembly.experiment.optimiser.shard
        self.objective = ShardedObjective(assembly.objective, self.both, (WEIGHT,), runner, shard=shard)
        self.events = sum(group.count for group in groups)
        self.value = math.nan

    def promised(self) -> np.ndarray:
        """To first order, by how much the objective falls where a sensor moves to a place: (sensors, places), −inf for a place
        of another type, and for one of the design's places that has no sensor.

        Derivatives are taken with the weight of one sensor spread over all places: without it, an event that hardly any sensor
        sees would promise much from everywhere, more than it keeps, and decide the order alone.
        """
        count, places = self.design.sensors.count, self.places.sensors.count
        weight = np.array(self.both.sensors.weight)
        weight[count:] = 1 / places
        found = self.objective.value_and_gradient(paths.replace(self.both, {WEIGHT: weight}), self.groups)
        (exact,) = self.objective.values([(self.both, self.groups)])
        self.value, slope = exact.value, found.gradient[WEIGHT]
        own, other = np.asarray(self.design.sensors.kind), np.asarray(self.places.sensors.kind)
        movable = (own[:, None] == other[None, :]) & np.asarray(self.design.sensors.present)[:, None]
        return np.where(movable, slope[:count, None] - slope[None, count:], -np.inf)

    def allowed(self, promised: np.ndarray, moves: int) -> Iterator[tuple[int, int]]:
        """The first moves that promise something and that the constraints allow: of those to one place the first alone."""
        given: set[int] = set()
        audited = 0
        for index in np.argsort(-promised, axis=None, kind="stable"):
            sensor, place = (int(i) for i in np.unravel_index(index, promised.shape))
            if len(given) == moves or audited == _AUDITED or promised[sensor, place] <= 0:
                return
            if place in given:
                continue
            audited += 1
            if audit(self._design(sensor, place), self.assembly.constraints).feasible:
                given.add(place)
                yield sensor, place

    def moved(self, sensor: int, place: int, promised: float) -> dict[str, Any]:
        """A move with what it is worth."""
        weight = np.array(self.both.sensors.weight)
        weight[sensor], weight[self.design.sensors.count + place] = 0.0, 1.0
        value = self.objective.value(paths.replace(self.both, {WEIGHT: weight}), self.groups).value
        positions = np.asarray(self.both.placed.positions)
        return {
            "sensor": sensor,
            "from": positions[sensor],
            "to": positions[self.design.sensors.count + place],
            "promised": promised,
            "gain": self.value - value,
        }

    def _design(self, sensor: int, place: int) -> Detector:
        uv, patch = np.array(self.design.sensors.uv), np.array(self.design.sensors.patch)
        uv[sensor], patch[sensor] = self.places.sensors.uv[place], self.places.sensors.patch[place]
        return paths.replace(self.design, {"sensors.uv": uv, "sensors.patch": patch})


def _places(design: Detector, spacing: float) -> Detector:
    """A detector of a sensor of every type at every place of a grid."""
    sensors, volume = design.sensors, design.volume
    uv, patch, kind, radius = [], [], [], []
    for index in range(len(sensors.types)):
        own = np.asarray(sensors.radius)[np.asarray(sensors.kind) == index]
        if not own.size:
            continue
        face = float(np.median(own))
        if isinstance(volume, Sphere):
            layout = layouts.fibonacci(volume, max(1, round(float(volume.area) / spacing**2)))
        else:
            layout = layouts.grid(volume, spacing, face)
        uv.append(layout.uv)
        patch.append(layout.patch)
        kind.append(np.full(len(layout.patch), index))
        radius.append(np.full(len(layout.patch), face))
    parts = (np.concatenate(part) for part in (uv, patch, kind, radius))
    uv, patch, kind, radius = parts
    array = PhotosensorArray(uv, patch, sensors.types, kind, radius, sensors.efficiency, glass=sensors.glass)
    return eqx.tree_at(lambda changed: changed.sensors, design, array)


def _joined(design: Detector, places: Detector) -> Detector:
    """Both in one detector; the places have weight zero."""
    first, second = design.sensors, places.sensors
    leaves = ("uv", "patch", "kind", "radius")
    uv, patch, kind, radius = (np.concatenate([getattr(first, name), getattr(second, name)]) for name in leaves)
    weight = np.concatenate([np.asarray(first.weight), np.zeros(second.count)])
    array = PhotosensorArray(uv, patch, first.types, kind, radius, first.efficiency, weight, first.glass)
    return eqx.tree_at(lambda changed: changed.sensors, design, array)
