"""How a study's gain bears up when the detector is not built quite as drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from .. import paths
from .._checks import InputError, choice_remedy
from ..design import Robust
from ..detector import AbstractTPC, Detector
from ..execution import AbstractRunner
from ..io.geometry import load_detector
from .as_built import as_built
from .assembly import assemble
from .experiment_file import ExperimentFile
from .ledger import Ledger
from .measure import study_designs
from .objective_shards import ShardedObjective, first_events
from .observer import AbstractObserver
from .physics import AbstractPhysics
from .report import plain

TOLERANCE, FIGURE = "tolerance.json", "figures/tolerance.png"
_OTHERS = 0x70  # added to the study's seed: other errors than those that a robust objective saw


@dataclasses.dataclass(frozen=True)
class Tolerances:
    """How far a detector may be from its drawing.

    - `position_error`: mm, standard deviation of a sensor's place along each direction of the wall.
    - `dead`: part of the sensors that see nothing.
    - `relative`: relative standard deviations of leaves by path, such as `{"medium.absorption_length": 0.05}`.
    """

    position_error: float = 0.0
    dead: float = 0.0
    relative: Mapping[str, float] = dataclasses.field(default_factory=dict)


def tolerate(
    file: ExperimentFile,
    directory: Path,
    tolerances: Tolerances,
    *,
    runner: AbstractRunner,
    observer: AbstractObserver,
    samples: int = 64,
    events: int | None = None,
    seed: int | None = None,
    physics: AbstractPhysics | None = None,
) -> dict[str, Any]:
    """The objective of baseline and optimum of a study over `samples` detectors that differ from the drawing, and the gain.

    Both designs get the same errors, sensor by sensor where they have as many, and the study's own events (the first `events`
    of them), so the spread of the gain is that of the construction alone. `seed`: by default one that no robust objective of the study has seen. What is returned is written to
    `tolerance.json` in the study's directory, too, and drawn in `figures/tolerance.png`.

    **Raises** `InputError` where the study has no design yet, nothing differs from the drawing, less than one sensor is dead,
    sensors differ of a chamber, which has none, or a path does not exist.
    """
    assembly = assemble(file, physics)
    designs = {name: load_detector(path) for name, path in study_designs(directory).items()}
    chosen = assembly.experiment.seed + _OTHERS if seed is None else seed
    built = {name: _Built(design, tolerances, chosen) for name, design in designs.items()}
    drawn = assembly.objective.objective if isinstance(assembly.objective, Robust) else assembly.objective

    def objective_of(name: str) -> ShardedObjective:
        free = tuple(dict.fromkeys((*assembly.experiment.free_paths, *built[name].paths)))
        return ShardedObjective(drawn, designs[name], free, runner, shard=assembly.experiment.optimiser.shard)

    objective = objective_of("baseline")
    alike = _sensors(designs["baseline"]) == _sensors(designs["optimum"])
    objectives = {"baseline": objective, "optimum": objective if alike else objective_of("optimum")}
    observer.stage("tolerance", samples + 1, 0)
    values: dict[str, list[float]] = {name: [] for name in designs}
    terms: dict[str, list[Mapping[str, float]]] = {name: [] for name in designs}
    groups = first_events(assembly.groups, events)
    seen = sum(group.count for group in groups)
    for sample in range(-1, samples):  # the drawing itself first
        detectors = {name: design if sample < 0 else built[name](design, sample) for name, design in designs.items()}
        for name, detector in detectors.items():
            (result,) = objectives[name].values([(detector, groups)])
            values[name].append(result.value)
            terms[name].append(result.terms)
        observer.advance({"events": len(designs) * seen})
    report = {
        "samples": samples,
        "events": seen,
        "seed": chosen,
        "tolerances": dataclasses.asdict(tolerances),
        "dead_sensors": {name: one.dead for name, one in built.items()},
        "objective": {name: _spread(np.array(found)) for name, found in values.items()},
        "gain": _gain(np.array(values["baseline"]), np.array(values["optimum"])),
        "gain_of_terms": {
            name: _gain(*(np.array([row[name] for row in terms[design]]) for design in ("baseline", "optimum")))
            for name in terms["baseline"][0]
        },
        "built": {name: found[1:] for name, found in values.items()},
    }
    report = plain(report)
    Ledger(directory).write_json(TOLERANCE, report)
    _draw(report, directory, observer)
    return report


def _draw(report: Mapping[str, Any], directory: Path, observer: AbstractObserver) -> None:
    """`figures/tolerance.png`: objective and gain over the detectors that may be built."""
    from ..rendering.figures import tolerance_plot

    drawn = {name: row["drawn"] for name, row in report["objective"].items()}
    try:
        (directory / FIGURE).parent.mkdir(exist_ok=True)
        tolerance_plot(drawn, report["built"], directory / FIGURE)
    except OSError as error:
        observer.note(f"no picture was written: {error}")


def _sensors(design: Detector | AbstractTPC) -> int:
    return design.sensors.count if isinstance(design, Detector) else 0


class _Built:
    """`(design, sample) -> detector` as it may be built: the same errors for every design of as many sensors."""

    def __init__(self, design: Detector | AbstractTPC, tolerances: Tolerances, seed: int):
        self.relative, self.seed = dict(tolerances.relative), seed
        self.dead = round(tolerances.dead * _sensors(design))
        for key, value in (("--position", tolerances.position_error), ("--dead", tolerances.dead)):
            if value and not isinstance(design, Detector):
                raise InputError(
                    "a chamber has no photosensors", key=key, value=value, remedy="give --relative instead"
                )
        if tolerances.dead and not self.dead:
            problem = f"less than one of the {_sensors(design)} sensors"
            raise InputError(problem, key="--dead", value=tolerances.dead, remedy="raise it or leave it out")
        if not (tolerances.position_error or self.dead or self.relative):
            remedy = "give --position, --dead or --relative"
            raise InputError("nothing differs from the drawing", key="tolerance", remedy=remedy)
        leaves = paths.leaf_paths(design)
        for path in self.relative:
            if path not in leaves:
                remedy = choice_remedy(path, leaves)
                raise InputError("no such leaf of the detector", key="--relative", value=path, remedy=remedy)
        self._sensors = None
        if isinstance(design, Detector):
            errors = as_built(design, position_error=tolerances.position_error, dead=self.dead, seed=seed)
            self._sensors = jax.jit(errors.__call__)
        names = {"sensors.uv": tolerances.position_error, "sensors.weight": self.dead}
        self.paths = [*(name for name, used in names.items() if used), *self.relative]

    def __call__(self, design: Any, sample: int) -> Any:
        factors = np.random.default_rng([self.seed, sample, 1]).standard_normal(len(self.relative))
        changed = {
            path: np.asarray(paths.get(design, path)) * np.exp(width * factor)
            for (path, width), factor in zip(self.relative.items(), factors, strict=True)
        }
        return paths.replace(design if self._sensors is None else self._sensors(design, sample), changed)


def _spread(values: Float[np.ndarray, " samples+1"]) -> dict[str, float]:
    """As drawn, and over what may be built: mean, standard deviation, and the 5 % and 95 % quantiles."""
    built = values[1:]
    low, high = np.quantile(built, [0.05, 0.95])
    return {
        "drawn": float(values[0]),
        "mean": float(built.mean()),
        "deviation": float(built.std(ddof=1)) if built.size > 1 else 0.0,
        "low": float(low),
        "high": float(high),
    }


def _gain(baseline: np.ndarray, optimum: np.ndarray) -> dict[str, float]:
    """By how much the optimum is below the baseline, with the part of the samples in which it is."""
    gains = baseline - optimum
    return {**_spread(gains), "better": float(np.mean(gains[1:] > 0))}
