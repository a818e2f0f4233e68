"""The objective of an experiment along one free number: a curve, with its terms, its slope and what the limits say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from .. import paths
from .._checks import InputError, choice_remedy
from ..design import Follows, audit
from ..design.transforms import Interval
from ..execution import AbstractRunner
from .assembly import Assembly, assemble
from .experiment_file import ExperimentFile
from .ledger import Ledger
from .objective_shards import PopulationResult, ShardedObjective
from .observer import AbstractObserver, Silent
from .physics import AbstractPhysics
from .report import plain

REPORT, FIGURE = "scan.json", "scan.png"
_STEP = 1e-3  # of the range: how far apart the values of a difference are to either side


def scan(
    file: ExperimentFile,
    directory: Path,
    path: str,
    *,
    runner: AbstractRunner,
    observer: AbstractObserver | None = None,
    values: Sequence[float] | None = None,
    points: int = 9,
    differences: bool = False,
    physics: AbstractPhysics | None = None,
) -> dict[str, Any]:
    """The objective at several values of one free number, all on the experiment's own events; what `scan.json` in `directory` holds.

    What follows the number moves with it, everything else stays as it is in the geometry. A value that was computed there
    already is not computed again; `scan.png` draws the curve.

    **Arguments**: `path`: a free leaf that is a single number and has a range; `values`: in the units of the detector (mm, V, ns),
    by default `points` of them, evenly spread over the range, by factors where it is positive; `differences`: central
    differences as well, over 1e-3 of the range to either side, for three times the work.

    **Raises** `InputError` where `path` is no such leaf, a value is outside its range, or `directory` holds another scan.
    """
    assembly = assemble(file, physics)
    places = _places(file, assembly, path, values, points)
    with Ledger(Path(directory)) as ledger:
        rows = _begun(ledger, file, assembly, path)
        experiment = assembly.experiment
        objective = ShardedObjective(
            assembly.objective, assembly.baseline, experiment.free_paths, runner, shard=experiment.optimiser.shard
        )
        work = _Scan(assembly, objective, path)
        missing = [place for place in places if not _has(rows.get(place), differences)]
        observer = observer or Silent()
        observer.stage("scan", len(missing), 0)
        for place in missing:
            rows[place] = plain(work.row(place, differences))
            report = _report(file, assembly, path, [rows[value] for value in sorted(rows)])
            ledger.write_json(REPORT, report)
            observer.advance({"objective": rows[place]["objective"], "events": work.events})
        report = _report(file, assembly, path, [rows[value] for value in sorted(rows)])
        ledger.write_json(REPORT, report)
        _draw(report, ledger.directory, observer)
        return report


class _Scan:
    """Evaluates the objective where one number has a value."""

    def __init__(self, assembly: Assembly, objective: ShardedObjective, path: str):
        self.assembly, self.objective, self.path = assembly, objective, path
        followers = ((name, bound) for name, bound in assembly.free.items() if isinstance(bound, Follows))
        self.followers = {name: bound for name, bound in followers if bound.path == path}
        bound = assembly.free[path]
        self.step = _STEP * (bound.upper - bound.lower) if isinstance(bound, Interval) else 0.0
        self.events = sum(group.count for group in assembly.groups)

    def at(self, value: float) -> Any:
        """The baseline, with the number and what follows it there."""
        baseline = self.assembly.baseline
        number = np.full_like(np.asarray(paths.get(baseline, self.path), float), value)
        changes = {name: bound.factor * number + bound.offset for name, bound in self.followers.items()}
        return paths.replace(baseline, {self.path: number, **changes})

    def row(self, value: float, differences: bool) -> dict[str, Any]:
        steps = (0.0, self.step, -self.step) if differences else (0.0,)
        wanted = [(self.at(value + step), self.assembly.groups) for step in steps]
        here, *beside = self.objective.values_and_gradients(wanted)
        audited = audit(wanted[0][0], self.assembly.constraints)
        found = {
            "value": value,
            "objective": here.value,
            "terms": here.terms,
            "slope": self._slope(here),
            "feasible": audited.feasible,
            "constraints": audited.as_dicts(),
        }
        if beside:
            found["difference"] = (beside[0].value - beside[1].value) / (2 * self.step)
        return found

    def _slope(self, found: PopulationResult) -> float:
        """The derivative by the number, what follows it included."""
        factors = {self.path: 1.0, **{name: bound.factor for name, bound in self.followers.items()}}
        return float(sum(factor * np.sum(found.gradient[name]) for name, factor in factors.items()))


def _places(
    file: ExperimentFile, assembly: Assembly, path: str, values: Sequence[float] | None, points: int
) -> list[float]:
    """The values of a scan. **Raises** `InputError` where there can be none."""
    free = {name: bound for name, bound in assembly.free.items() if isinstance(bound, Interval)}
    numbers = [name for name in free if np.size(paths.get(assembly.baseline, name)) == 1]
    if path not in numbers:
        problem = "not a free number with a range"
        remedy = choice_remedy(path, numbers) if numbers else "free one with between: [smallest, largest]"
        raise InputError(problem, file=file.document.file, key="path", value=path, remedy=remedy)
    low, high = free[path].lower, free[path].upper
    if values is None:
        if points < 2:
            raise InputError("too few", key="points", value=points, remedy="give two or more")
        spread = np.geomspace if low > 0 else np.linspace
        # An edge itself has no number in the coordinates of a range, nor room for a difference.
        inner = _STEP * (high - low)
        return [float(value) for value in spread(low + inner, high - inner, points)]
    for value in values:
        if not low <= value <= high:
            remedy = f"give values from {low:g} to {high:g}"
            raise InputError("outside its range", key=path, value=value, remedy=remedy)
    return [float(value) for value in values]


def _begun(ledger: Ledger, file: ExperimentFile, assembly: Assembly, path: str) -> dict[float, dict[str, Any]]:
    """Rows by value that a directory holds already. **Raises** `InputError` where they are those of another scan, or of a study."""
    remedy = "name another directory with --out"
    if ledger.begun:
        raise InputError("holds a study", file=ledger.directory, remedy=remedy)
    if not (ledger.directory / REPORT).is_file():
        return {}
    held = ledger.read_json(REPORT)
    now = json.loads(json.dumps(_report(file, assembly, path, [])))
    if any(held.get(key) != now[key] for key in ("experiment", "path", "seed")):
        raise InputError("holds a scan of another experiment or number", file=ledger.directory, remedy=remedy)
    return {row["value"]: row for row in held["rows"]}


def _has(row: Mapping[str, Any] | None, differences: bool) -> bool:
    return row is not None and ("difference" in row or not differences)


def _report(file: ExperimentFile, assembly: Assembly, path: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is known: the rows, the best of them that keeps the limits, and the minimum of the curve through them."""
    feasible = [row for row in rows if row["feasible"]]
    best = min(feasible, key=lambda row: row["objective"], default=None)
    return plain(
        {
            "format": 1,
            "experiment": dict(file.document.data),
            "geometry": assembly.baseline.name,
            "path": path,
            "seed": assembly.experiment.seed,
            "events": sum(group.count for group in assembly.groups),
            "rows": list(rows),
            "best": None if best is None else {"value": best["value"], "objective": best["objective"]},
            "minimum": _minimum(rows),
        }
    )


def _minimum(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The lowest place between the ends of the cubic pieces through values and slopes; None where the lowest is an end."""
    if len(rows) < 2:
        return None
    places, values, slopes = (np.array([row[key] for row in rows]) for key in ("value", "objective", "slope"))
    curve = CubicHermiteSpline(places, values, slopes)
    level = curve.derivative().roots(extrapolate=False)
    inside = [(float(curve(place)), float(place)) for place in level if np.isfinite(place)]
    lowest = min(inside, default=(np.inf, 0.0))
    return lowest[1] if lowest[0] < min(values[0], values[-1]) else None


def _draw(report: Mapping[str, Any], directory: Path, observer: AbstractObserver) -> None:
    """`scan.png`: objective and terms along the number."""
    from ..rendering.figures import scan_plot

    try:
        scan_plot(report["path"], report["rows"], report["minimum"], directory / FIGURE)
    except OSError as error:
        observer.note(f"no picture was written: {error}")
