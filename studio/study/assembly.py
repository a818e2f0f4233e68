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
from ..design import constraints
from ..design.constraints import AbstractConstraint, AtMost, Equal
from ..design.objectives import AbstractObjective, MeanLog, PopulationObjective, WeightedSum
from ..design.transforms import AbstractBound, Interval
from ..detector import Detector, Prices, cost
from ..event import Gun, Primary, half_extents
from ..event.gun import contained_length
from ..io.geometry import load_detector
from ..units import m
from .bounds import natural_bound
from .config import WANTED, Ball, Box, Budget, DirectionAround, Experiment, FixedVolume, KeepOut, Pipe, SensitiveArea
from .experiment_file import ExperimentFile
from .physics import QUANTITIES, AbstractPhysics, CustomResolutions


@dataclasses.dataclass(frozen=True)
class Assembly:
    """Everything a study works with.

    - `baseline`: the detector of the geometry file.
    - `groups`: the events a design is optimised for, stacked, one group a particle.
    - `free`: bounds of the free leaves by path.
    - `objective`, `constraints`: as `studio.design` takes them.
    """

    experiment: Experiment
    baseline: Detector
    physics: AbstractPhysics
    groups: tuple[Primary, ...]
    free: dict[str, AbstractBound]
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
    free = {path: _bound(file, baseline, path) for path in experiment.free_paths}
    physics = physics or physics_of(file, baseline)
    groups = draw(file, baseline, jax.random.fold_in(jax.random.key(chosen), 0), experiment.events.count)
    _check_custom(file, physics, objective, baseline, groups)
    return Assembly(
        experiment,
        baseline,
        physics,
        groups,
        free,
        _objective(experiment, baseline, physics, objective),
        tuple(_constraint(file, index, baseline) for index in range(len(experiment.constraints))),
    )


def physics_of(file: ExperimentFile, detector: Detector) -> AbstractPhysics:
    """The simulation and inference of a detector's family, with the nuisances of the experiment."""
    check_paths(file, detector, file.experiment.nuisances, "nuisance")
    from .optical import OpticalPhysics

    return OpticalPhysics(file.experiment.nuisances)


def draw(file: ExperimentFile, detector: Detector, key: Any, count: int) -> tuple[Primary, ...]:
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


def fits(file: ExperimentFile, detector: Detector, events: Primary) -> np.ndarray:
    """Which of the events start inside a detector, and end there where the experiment wants contained ones."""
    inside = detector.volume.contains(events.vertex)
    if file.experiment.events.contained:
        room = detector.volume.distance_to_wall(events.vertex, events.direction)
        inside &= room > contained_length(events.particle, events.kinetic_energy)
    return np.asarray(inside)


def _gun(file: ExperimentFile, detector: Detector, particle: str) -> Gun:
    events = file.experiment.events
    direction, spread = events.direction, 0.0
    if isinstance(direction, DirectionAround):
        direction, spread = direction.around, direction.spread
    return Gun(
        particle,
        detector.volume,
        kinetic_energy=events.kinetic_energy,
        vertex=events.vertex,
        direction=direction,
        spread=spread,
        contained=events.contained,
    )


def check_paths(file: ExperimentFile, detector: Detector, names: Mapping[str, Any], section: str) -> None:
    """**Raises** `InputError` with the line and the nearest path where one of the names is not a leaf of the detector."""
    for name in names:
        leaves = [path for path in paths.leaf_paths(detector) if path not in _FIXED_LEAVES]
        if name not in leaves:
            key = f"{section}.{name}" if isinstance(file.document.data.get(section), Mapping) else section
            raise file.document.error(key, f"no such leaf of the detector: {name}", remedy=choice_remedy(name, leaves))


_FIXED_LEAVES = ("sensors.patch", "sensors.kind")

# ---- bounds ------------------------------------------------------------------------------------------------------------


def _bound(file: ExperimentFile, detector: Detector, path: str) -> AbstractBound:
    check_paths(file, detector, {path: None}, "free")
    between = file.experiment.free[path].between
    value = np.asarray(paths.get(detector, path))
    if between is None:
        return natural_bound(detector, path)
    low, high = between
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


# ---- objective and constraints -----------------------------------------------------------------------------------------


class _Resolution(eqx.Module):
    """σ of one event, `QUANTITIES` and behind them the custom ones by `names`; events that fill the volume move with it when
    its size is free."""

    physics: AbstractPhysics
    extents: np.ndarray | None
    custom: CustomResolutions | None
    names: tuple[str, ...]

    def __call__(self, detector: Detector, event: Primary) -> jax.Array:
        if self.extents is not None:
            stretch = half_extents(detector.volume) / self.extents
            event = eqx.tree_at(lambda primary: primary.vertex, event, event.vertex * stretch)
        information = self.physics.information(detector, event)
        sigma = self.physics.resolutions(information, event)
        if self.custom is None:
            return sigma
        values = self.custom(information, event)
        return jnp.concatenate([sigma, jnp.stack([jnp.asarray(values[name], sigma.dtype) for name in self.names])])


def _check_custom(
    file: ExperimentFile,
    physics: AbstractPhysics,
    custom: CustomResolutions | None,
    detector: Detector,
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
    experiment: Experiment, baseline: Detector, physics: AbstractPhysics, custom: CustomResolutions | None
) -> AbstractObjective:
    fills = experiment.events.vertex == "uniform" and any(path.startswith("volume.") for path in experiment.free_paths)
    names = tuple(experiment.custom_objectives)
    summary = _Resolution(physics, np.asarray(half_extents(baseline.volume)) if fills else None, custom, names)
    columns = (*QUANTITIES, *names)
    terms = [
        PopulationObjective(
            summary,
            name=term.label,
            size=len(columns),
            columns=(
                len(QUANTITIES) + names.index(term.name)
                if term.kind == "custom"
                else QUANTITIES.index(WANTED[term.kind]),
            ),
            reducer=MeanLog(),
        )
        for term in experiment.objective
    ]
    return WeightedSum(terms, [term.weight for term in experiment.objective])


def _constraint(file: ExperimentFile, index: int, baseline: Detector) -> AbstractConstraint:
    term = file.experiment.constraints[index]
    match term:
        case Budget():
            return _budget(file, f"constraints.{index}", term, baseline)
        case SensitiveArea():
            area = float(face_area(baseline)) if isinstance(term.at_most, str) else term.at_most / m**2
            return AtMost(face_area, area, name=term.kind, unit="m2 of sensitive face")
        case FixedVolume():
            return Equal(_cubic_metres, float(_cubic_metres(baseline)), name=term.kind, unit="m3")
        case KeepOut():
            return constraints.KeepOut(_faces, [_region(one) for one in term.regions], term.clearance, name=term.kind)
    return constraints.MinimumSpacing(_positions, term.at_least)


class _Millions(eqx.Module):
    """What a detector costs, in millions of the currency."""

    prices: Prices = eqx.field(static=True)

    def __call__(self, detector: Detector) -> jax.Array:
        return cost(detector, self.prices).total / 1e6


def _budget(file: ExperimentFile, key: str, term: Budget, baseline: Detector) -> AbstractConstraint:
    millions = _Millions(file.costs.prices)
    try:
        spent = float(millions(baseline))
    except InputError as error:
        raise file.error(key, error) from None
    return AtMost(
        millions,
        spent if isinstance(term.at_most, str) else term.at_most.amount / 1e6,
        "budget",
        f"M{file.costs.currency}",
    )


def _region(region: Ball | Pipe | Box) -> constraints.AbstractRegion:
    match region:
        case Ball():
            return constraints.BallRegion(region.centre, region.radius)
        case Pipe():
            return constraints.PipeRegion(region.through, region.along, region.radius)
    return constraints.BoxRegion(region.centre, region.size)


def face_area(detector: Detector) -> jax.Array:
    """The sensitive faces of all sensors together, in m²."""
    return jnp.pi * jnp.sum(detector.sensors.radius**2) / m**2


def _cubic_metres(detector: Detector) -> jax.Array:
    return detector.volume.volume / m**3


def _positions(detector: Detector) -> jax.Array:
    return detector.placed.positions


def _faces(detector: Detector) -> constraints.Bodies:
    positions, normals, radii = detector.placed
    return constraints.Bodies(positions, radii, normals)
