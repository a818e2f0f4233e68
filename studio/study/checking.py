"""What `studio check` says of a file: a geometry or an experiment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..io.document import load_document
from ..io.geometry import check_geometry, load_detector, read_geometry
from .constraint_models import TRANSPARENT
from .cost_table import shipped_costs
from .experiment_file import read_experiment

if TYPE_CHECKING:
    from ..design import Audit
    from ..detector import TPC


def check_file(path: Path, *, before_physics: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """A report of a geometry or an experiment, fit for JSON; `before_physics` is called before anything imports jax.

    A file with the key `geometry` or `events` is an experiment, any other a geometry. **Raises** `InputError` naming file,
    line, key, value and remedy.
    """
    data = load_document(path).data
    if "geometry" in data or "events" in data:
        return {"kind": "experiment", **_experiment(path, before_physics)}
    read_geometry(path)
    before_physics()
    from ..detector import TPC

    report = {"kind": "geometry", **check_geometry(path)}
    detector = load_detector(path)
    if isinstance(detector, TPC):
        report = _with_transparency(report, detector)
    return report | {"cost": shipped_costs().report(detector)}


def baseline_words(audited: Audit) -> str:
    """That a baseline breaks its constraints and what comes of it, in one sentence; empty where it keeps them."""
    if audited.feasible:
        return ""
    found = audited.violations()
    return f"violates its constraints, so the optimisation starts from the nearest design that satisfies them: {found}"


def _with_transparency(report: dict[str, Any], detector: TPC) -> dict[str, Any]:
    """What `check` says of a chamber, with the part of the charge that passes its planes; warned of where some is lost."""
    from ..simulation.tpc import transparency

    passed = float(transparency(detector))
    warnings = list(report["warnings"])
    if passed < TRANSPARENT:
        warnings.append(f"planes: {passed:.2%} of the charge reaches the last plane, the others collect the rest")
    return report | {"transparency": passed, "warnings": warnings}


def _experiment(path: Path, before_physics: Callable[[], None]) -> dict[str, Any]:
    file = read_experiment(path)
    before_physics()
    from ..design import DesignSpace, audit
    from .assembly import assemble

    assembly = assemble(file)
    experiment = file.experiment
    space = DesignSpace.of(assembly.baseline, assembly.free)
    audited = audit(assembly.baseline, assembly.constraints, space)
    return {
        "file": str(path),
        "geometry": check_geometry(file.geometry),
        "free": {name: bound.describe() for name, bound in assembly.free.items()},
        "free_numbers": space.size,
        "events": {group.particle: group.count for group in assembly.groups},
        "steps": experiment.optimiser.steps,
        "events_a_step": experiment.batch,
        "validation_events": experiment.validation.events,
        "cost": file.costs.report(assembly.baseline),
        "baseline": baseline_words(audited) or "satisfies all constraints",
        "baseline_constraints": audited.as_dicts(),
    }
