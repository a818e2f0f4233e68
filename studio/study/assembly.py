"""From an experiment as text to the objects it speaks of: detector, events, free leaves, objective, constraints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import paths
from .._checks import InputError, StudioError, choice_remedy
from ..design import DesignSpace, Follows, Tied
from ..design.criteria import criterion_width
from ..design.objectives import (
    AbstractObjective,
    AbstractReducer,
    FunctionObjective,
    LogMean,
    Maximum,
    Mean,
    MeanLog,
    PopulationObjective,
    Quantile,
    Robust,
    Tail,
    WeightedSum,
    Worst,
)
from ..design.transforms import AbstractBound, Interval
from ..detector import TPC, Detector
from ..event import Gun, Primary
from ..event.gun import contained_length
from ..io.geometry import load_detector
from ..units import m
from .as_built import as_built
from .bounds import natural_bound
from .config import (
    CRITERIA,
    WANTED,
    Bound,
    CustomObjective,
    DirectionAround,
    EventTerm,
    Experiment,
    ExposureObjective,
    Objective,
    Particle,
    ResolutionObjective,
    Symmetry,
)
from .experiment_file import ExperimentFile
from .limits import constraint
from .physics import QUANTITIES, AbstractPhysics, CustomResolutions
from .ties import symmetric


@dataclasses.dataclass(frozen=True)
class Assembly:
    """Everything a study works with.

    - `baseline`: the detector of the geometry file.
    - `groups`: the events a design is optimised for, stacked, one group a particle.
    - `free`: bounds of the free leaves by path.
    - `objective`, `constraints`: as `studio.design` takes them.
    """

    experiment: Experiment
    baseline: Any
    physics: AbstractPhysics
    groups: tuple[Primary, ...]
    free: dict[str, AbstractBound | Follows]
    objective: AbstractObjective
    constraints: tuple[Any, ...]


def assemble(
    file: ExperimentFile,
    physics: AbstractPhysics | None = None,
    *,
    objective: CustomResolutions | None = None,
    seed: int | None = None,
) -> Assembly:
    """Builds an experiment. `physics` stands in for the detector family's own where it is given; `objective` defines the terms
    of kind `custom`.

    **Raises** `InputError` naming the line of the experiment for a path that does not exist, a start outside its bound, a
    spacing that does not fit, a price of what does not exist or no price of what does, events that cannot be drawn, a custom objective that is not given or not named.
    """
    experiment = file.experiment
    baseline = load_detector(file.geometry)
    file.costs.refuse_unknown(baseline)
    chosen = seed if seed is not None else experiment.seed
    physics = physics or physics_of(file, baseline)
    free = {path: _bound(file, baseline, path, physics.needs_ranges) for path in experiment.free_paths}
    groups = draw(file, baseline, jax.random.fold_in(jax.random.key(chosen), 0), experiment.events.count)
    physics = physics.prepared(extremes(baseline, free), groups)
    _check_custom(file, physics, objective, baseline, groups)
    return Assembly(
        experiment,
        baseline,
        physics,
        groups,
        free,
        _robust(file, baseline, _objective(file, baseline, physics, objective), chosen),
        tuple(constraint(file, index, baseline) for index in range(len(experiment.constraints))),
    )


def physics_of(file: ExperimentFile, detector: Any) -> AbstractPhysics:
    """The simulation and inference of a detector's family, with the nuisances of the experiment."""
    check_paths(file, detector, file.experiment.nuisances, "nuisance")
    if isinstance(detector, TPC):
        from .tpc import TPCPhysics

        return TPCPhysics(file.experiment.nuisances)
    if not isinstance(detector, Detector):
        remedy = "name a geometry with sensors or with planes of wires"
        raise file.document.error("geometry", "studies of pixels are still to come", remedy=remedy)
    from .optical import OpticalPhysics

    return OpticalPhysics(file.experiment.nuisances)


def extremes(baseline: Any, free: Mapping[str, AbstractBound | Follows]) -> tuple[Any, ...]:
    """The baseline, and the designs with all ranges at their lower and at their upper end."""
    space = DesignSpace.of(baseline, free)
    start = space.pack(baseline)

    def at(edge: float) -> Any:
        moved = {name: jnp.full_like(start[name], edge) if _ranges(free[name]) else start[name] for name in start}
        return space.unpack(baseline, moved)

    return (baseline, at(-_FAR), at(_FAR)) if any(map(_ranges, free.values())) else (baseline,)


_FAR = 30.0  # in natural units of a range, of which it has two: beyond it there is nothing


def _ranges(bound: AbstractBound | Follows) -> bool:
    return isinstance(bound, Interval)


def draw(file: ExperimentFile, detector: Any, key: Any, count: int) -> tuple[Primary, ...]:
    """`count` events as the experiment describes them, shared evenly among its particles."""
    events = file.experiment.events
    names = events.particles
    groups = []
    for index, name in enumerate(names):
        share = count // len(names) + (index < count % len(names))
        gun = _gun(file, detector, name)
        try:
            groups.append(gun.sample(jax.random.fold_in(key, index), share))
        except StudioError as error:
            raise file.document.error("events", str(error), remedy="lower the energy or allow exiting events") from None
    return tuple(groups)


def fits(file: ExperimentFile, detector: Any, events: Primary) -> np.ndarray:
    """Which of the events start inside a detector, and end there where the experiment wants contained ones."""
    inside = detector.volume.contains(events.vertex)
    if file.experiment.events.contained:
        room = detector.volume.distance_to_wall(events.vertex, events.direction)
        inside &= room > contained_length(events.particle, events.kinetic_energy, detector.medium)
    return np.asarray(inside)


def _gun(file: ExperimentFile, detector: Any, particle: Particle) -> Gun:
    events = file.experiment.events
    direction, spread = events.direction, 0.0
    if isinstance(direction, DirectionAround):
        direction, spread = direction.around, direction.spread
    return Gun(
        particle,
        detector.volume,
        kinetic_energy=events.energies(particle),
        vertex=events.vertex,
        direction=direction,
        spread=spread,
        contained=events.contained,
        medium=detector.medium,
    )


def check_paths(file: ExperimentFile, detector: Any, names: Mapping[str, Any], section: str) -> None:
    """**Raises** `InputError` with the line and the nearest path where one of the names is not a leaf of the detector."""
    for name in names:
        leaves = [path for path in paths.leaf_paths(detector) if path not in _FIXED_LEAVES]
        if name not in leaves:
            key = f"{section}.{name}" if isinstance(file.document.data.get(section), Mapping) else section
            raise file.document.error(key, f"no such leaf of the detector: {name}", remedy=choice_remedy(name, leaves))


_FIXED_LEAVES = ("sensors.patch", "sensors.kind")

# ---- bounds ------------------------------------------------------------------------------------------------------------


def _bound(file: ExperimentFile, detector: Any, path: str, needs_range: bool) -> AbstractBound | Follows:
    check_paths(file, detector, {path: None}, "free")
    wanted = file.experiment.free[path]
    if needs_range and wanted.between is None and wanted.follows is None:
        remedy = "write between: [smallest, largest]; the sizes of programs follow from it"
        raise file.document.error(f"free.{path}", "needs a range", remedy=remedy)
    value = np.asarray(paths.get(detector, path))
    if wanted.follows is not None:
        return _follower(file, detector, path, wanted.follows, wanted.factor)
    bound = _range(file, detector, path, wanted, value)
    if wanted.symmetry is not None:
        return _symmetric(file, detector, bound, wanted.symmetry)
    return bound if wanted.together is None else _together(file, detector, path, bound)


def _range(file: ExperimentFile, detector: Any, path: str, wanted: Bound, value: np.ndarray) -> AbstractBound:
    if wanted.between is None:
        return natural_bound(detector, path)
    low, high = wanted.between
    key = f"free.{path}.between"
    if path == "sensors.uv":
        remedy = "write sensors.uv: {}; sensors stay on their patch by themselves"
        raise file.document.error(key, "surface coordinates take no range", remedy=remedy)
    if not low < high:
        raise file.document.error(key, "the range is empty", value=[low, high], remedy="write [low, high]")
    if value.min() < low or value.max() > high:
        start = f"{value.min():g}" if value.size == 1 else f"{value.min():g} to {value.max():g}"
        problem = f"the geometry starts outside: {start} (mm, ns, MeV)"
        raise file.document.error(
            key, problem, value=[low, high], remedy="widen the range or start from another geometry"
        )
    return Interval(low, high)


def _follower(file: ExperimentFile, detector: Any, path: str, leader: str, factor: float | None) -> Follows:
    here, there = np.asarray(paths.get(detector, path)), np.asarray(paths.get(detector, leader))
    key, ratio = f"free.{path}.factor", 1.0 if factor is None else factor
    if here.shape != there.shape or not np.allclose(here, ratio * there, rtol=1e-6, atol=0.0):
        fits = here.shape == there.shape and bool(np.allclose(here * there.ravel()[0], there * here.ravel()[0]))
        remedy = f"write factor: {here.ravel()[0] / there.ravel()[0]:.8g}" if fits else "tie leaves that start alike"
        line_of = key if factor is not None else f"free.{path}"
        raise file.document.error(line_of, f"the geometry does not start at {ratio:g} times {leader}", remedy=remedy)
    return Follows(leader, ratio)


def _together(file: ExperimentFile, detector: Any, path: str, bound: AbstractBound) -> AbstractBound:
    """One value for all sensors, or for those of one patch."""
    value, key = np.asarray(paths.get(detector, path)), f"free.{path}.together"
    same = np.asarray(detector.sensors.patch) if file.experiment.free[path].together == "patch" else 0 * value
    _, leaders, orbit = np.unique(same, return_index=True, return_inverse=True)
    if not np.allclose(value, value[leaders][orbit], rtol=1e-6, atol=0.0):
        raise file.document.error(key, "sensors start with different values", remedy="tie sensors that start alike")
    return Tied(bound, leaders, orbit)


def _symmetric(file: ExperimentFile, detector: Any, bound: AbstractBound, wanted: Symmetry) -> AbstractBound:
    key = "free.sensors.uv.symmetry"
    try:
        return symmetric(detector, bound, wanted.rotations, wanted.mirrors, wanted.tolerance, key)
    except InputError as error:
        raise file.document.error(key, error.problem, remedy=error.remedy) from None


# ---- objective ---------------------------------------------------------------------------------------------------------


class _Resolution(eqx.Module):
    """σ of one event: the quantities of the physics, behind them the `criteria` by letter, and the custom ones by `names`; events that fill
    the volume move with it when its size is free."""

    physics: AbstractPhysics
    extents: np.ndarray | None
    criteria: tuple[str, ...]
    custom: CustomResolutions | None
    names: tuple[str, ...]

    def __call__(self, detector: Any, event: Primary) -> jax.Array:
        if self.extents is not None:
            stretch = detector.volume.half_extents / self.extents
            event = eqx.tree_at(lambda primary: primary.vertex, event, event.vertex * stretch)
        information = self.physics.information(detector, event)
        sigma = self.physics.resolutions(information, event)
        more = []
        if self.criteria:
            matrix = self.physics.natural_information(information, event)
            more += [criterion_width(matrix, letter) for letter in self.criteria]
        if self.custom is not None:
            values = self.custom(information, event)
            more += [values[name] for name in self.names]
        return jnp.concatenate([sigma, jnp.asarray(more, sigma.dtype)]) if more else sigma


class _Exposure(eqx.Module):
    """−½ log of the volume in m³ at least `margin` (mm) from the wall."""

    margin: float

    def __call__(self, detector: Any) -> jax.Array:
        return -0.5 * jnp.log(detector.volume.inner_volume(self.margin) / m**3)


class _OfParticle(eqx.Module):
    """Whether an event is of a particle."""

    particle: str = eqx.field(static=True)

    def __call__(self, event: Primary) -> bool:
        return event.particle == self.particle


def _check_custom(
    file: ExperimentFile,
    physics: AbstractPhysics,
    custom: CustomResolutions | None,
    detector: Any,
    groups: tuple[Primary, ...],
) -> None:
    """The terms of kind `custom` against what the given function returns for an event of each particle, traced alone."""
    keys = file.experiment.custom_objectives
    if custom is None:
        for name, key in keys.items():
            problem = "an objective of this name can only come from Python"
            remedy = "run the study from there, with Study.from_file(..., objective=function)"
            raise file.document.error(key, problem, value=name, remedy=remedy)
        return
    if not keys:
        problem = "an objective was given, but no term uses it"
        raise file.document.error("objective", problem, remedy="add a term {kind: custom, name: ...}")
    for group in groups:
        values = jax.eval_shape(lambda d, e: dict(custom(physics.information(d, e), e)), detector, group[0])
        for name, key in keys.items():
            if name not in values:
                remedy = choice_remedy(name, values)
                raise file.document.error(key, "the objective returns no such resolution", value=name, remedy=remedy)
            if values[name].shape != () or not jnp.issubdtype(values[name].dtype, jnp.floating):
                problem = f"the objective returns {values[name].dtype} of shape {values[name].shape} where one real number belongs"
                raise file.document.error(key, problem, value=name, remedy="return a scalar, for example with jnp.sqrt")


def _objective(
    file: ExperimentFile, baseline: Any, physics: AbstractPhysics, custom: CustomResolutions | None
) -> AbstractObjective:
    experiment = file.experiment
    fills = experiment.events.vertex == "uniform" and any(path.startswith("volume.") for path in experiment.free_paths)
    names, criteria = tuple(experiment.custom_objectives), experiment.criteria
    extents = np.asarray(baseline.volume.half_extents) if fills else None
    summary = _Resolution(physics, extents, criteria, custom, names)
    columns = [
        *physics.quantities,
        *((letter, "criterion") for letter in criteria),
        *((name, "custom") for name in names),
    ]

    def made(term: Objective) -> AbstractObjective:
        if isinstance(term, ExposureObjective):
            return FunctionObjective(_Exposure(term.margin), term.label)
        return PopulationObjective(
            summary,
            name=term.label,
            size=len(columns),
            columns=(columns.index(_column(term)),),
            reducer=_reducer(term),
            members=None if term.particle is None else _OfParticle(term.particle),
        )

    for index, term in enumerate(file.experiment.objective):
        if isinstance(term, ResolutionObjective) and WANTED.get(term.kind, QUANTITIES[0]) not in physics.quantities:
            problem, key = "this kind of detector has no such resolution", f"objective.{index}.kind"
            raise file.document.error(key, problem, value=term.kind, remedy="remove it")
        if isinstance(term, ExposureObjective) and not float(baseline.volume.inner_volume(term.margin)) > 0:
            problem, key = "nothing of the volume lies so far from the wall", f"objective.{index}.margin"
            raise file.document.error(key, problem, value=term.margin / m, remedy="lower it (in metres)")
    terms = [made(term) for term in experiment.objective]
    return WeightedSum(terms, [term.weight for term in experiment.objective])


def _column(term: ResolutionObjective | CustomObjective) -> Any:
    """What a term calls its column of the summary."""
    if term.kind == "custom":
        return term.name, "custom"
    return (CRITERIA[term.kind], "criterion") if term.kind in CRITERIA else WANTED[term.kind]


def _reducer(term: EventTerm) -> AbstractReducer:
    statistic = term.reduce
    if statistic.kind in ("quantile", "tail"):
        return {"quantile": Quantile, "tail": Tail}[statistic.kind](statistic.fraction)
    return {"mean_log": MeanLog, "log_mean": LogMean, "worst": Worst}[statistic.kind]()


def _robust(file: ExperimentFile, baseline: Any, objective: AbstractObjective, seed: int) -> AbstractObjective:
    """The objective over detectors as they may be built, where the experiment asks for it."""
    wanted = file.experiment.robust
    if wanted is None:
        return objective
    dead = 0 if wanted.dead is None else round(wanted.dead * baseline.sensors.count)
    if wanted.dead is not None and not dead:
        problem = f"less than one of the {baseline.sensors.count} sensors"
        raise file.document.error("robust.dead", problem, value=wanted.dead, remedy="raise it or leave it out")
    error, smallest = wanted.position_error or 0.0, float(np.min(np.asarray(baseline.sensors.radius)))
    if error > smallest:
        problem = f"larger than the radius of a sensor, {smallest:g} mm"
        raise file.document.error("robust.position_error", problem, value=error, remedy="give an error of placement")
    perturb = as_built(baseline, position_error=error, dead=dead, seed=seed)
    return Robust(objective, perturb, wanted.samples, Maximum() if wanted.over == "worst" else Mean())
