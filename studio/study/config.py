"""The experiment file: what it may say, as pydantic models. Read without jax.

Quantities carry units; unknown keys are refused by `studio.io.document` with the nearest valid one.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from .._checks import InputError
from ..io.quantities import NonNegativeLength, PositiveLength, Quantity, StrictModel
from ..units import unit_names
from .cost_table import CostTable
from .fields import AnyQuantity, BaselineOr, Point, QuantityRange, UnitVector
from .money import Amount, Money

PARTICLES = ("mu-", "mu+", "e-", "e+", "point")
WANTED = {"vertex_resolution": "vertex", "direction_resolution": "direction", "energy_resolution": "kinetic_energy"}

Particle = Literal["mu-", "mu+", "e-", "e+", "point"]
PositiveInt = Annotated[int, Field(ge=1)]
EnergyRange = Annotated[tuple[float, float], QuantityRange(Quantity("energy", above=0.0))]


class DirectionAround(StrictModel):
    """Directions spread around an axis: `{around: beam, spread: 20 deg}`; the angle to the axis is half-normal."""

    around: Literal["beam"] | UnitVector = "beam"
    spread: Annotated[float, Quantity("angle", at_least=0.0, at_most=math.pi)]


class Events(StrictModel):
    """The events a design is judged by."""

    kind: Literal["gun"]
    particle: Particle | list[Particle]
    kinetic_energy: EnergyRange
    vertex: Literal["uniform", "centre"] | Point = "uniform"
    direction: Literal["beam", "isotropic"] | UnitVector | DirectionAround = "isotropic"
    contained: bool = False
    count: PositiveInt

    @property
    def particles(self) -> tuple[str, ...]:
        """The particle names, one or several."""
        return (self.particle,) if isinstance(self.particle, str) else tuple(self.particle)

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = self.particles
        if not names or len(set(names)) != len(names):
            remedy = f"choose from: {', '.join(PARTICLES)}"
            raise InputError("one or several different names", key="events.particle", value=list(names), remedy=remedy)
        if self.count < len(names):
            remedy = f"write {len(names)} or more"
            raise InputError("fewer events than particles", key="events.count", value=self.count, remedy=remedy)
        return self


class Bound(StrictModel):
    """How far a free quantity may go: `{between: [3 m, 5 m]}`, or `{}` for its natural bounds."""

    between: Annotated[tuple[float, float], QuantityRange(AnyQuantity())] | None = None


class ResolutionObjective(StrictModel):
    """One term of the objective: the population mean of the log of the per-event resolution."""

    kind: Literal["vertex_resolution", "direction_resolution", "energy_resolution"]
    weight: Annotated[float, Field(gt=0)] = 1.0

    @property
    def label(self) -> str:
        """How the term is called in reports."""
        return self.kind


class CustomObjective(StrictModel):
    """A term that Python defines: the resolution of that `name` in what `Study(..., objective=...)` returns."""

    kind: Literal["custom"]
    name: Annotated[str, Field(min_length=1)]
    weight: Annotated[float, Field(gt=0)] = 1.0

    @property
    def label(self) -> str:
        """How the term is called in reports."""
        return self.name


Objective = Annotated[ResolutionObjective | CustomObjective, Field(discriminator="kind")]


class Nuisance(StrictModel):
    """A calibration constant that is not known exactly: `{prior: 5 %}` is its relative uncertainty."""

    prior: Annotated[float, Quantity("fraction", above=0.0)] | None = None


class Budget(StrictModel):
    """What the design may cost by the experiment's `costs`: at most the baseline, or an amount such as `12.5 MUSD`."""

    kind: Literal["budget"]
    at_most: Annotated[Literal["baseline"] | Money, BaselineOr(Amount(), "12.5 MUSD")] = "baseline"


class SensitiveArea(StrictModel):
    """How large the sensitive faces may be together: at most the baseline, or an area such as `120 m2`."""

    kind: Literal["sensitive_area"]
    at_most: Annotated[Literal["baseline"] | float, BaselineOr(Quantity("area", above=0.0), "120 m2")] = "baseline"


class FixedVolume(StrictModel):
    """The volume stays that of the baseline, whatever its shape."""

    kind: Literal["fixed_volume"]


class MinimumSpacing(StrictModel):
    """Smallest distance between sensor centres."""

    kind: Literal["minimum_spacing"]
    at_least: PositiveLength


class Ball(StrictModel):
    """A ball around a point; on the wall a disc."""

    kind: Literal["ball"]
    centre: Point
    radius: PositiveLength


class Pipe(StrictModel):
    """An endless round pipe through a point: it meets the wall on both sides, also where the size of the volume is free."""

    kind: Literal["pipe"]
    through: Point
    along: UnitVector
    radius: PositiveLength


class Box(StrictModel):
    """A box with faces across the axes, of full `size`."""

    kind: Literal["box"]
    centre: Point
    size: Annotated[list[PositiveLength], Field(min_length=3, max_length=3)]


class KeepOut(StrictModel):
    """Regions that no sensor's face may reach into, or come nearer to than `clearance`; in the coordinates of the detector."""

    kind: Literal["keep_out"]
    regions: Annotated[list[Annotated[Ball | Pipe | Box, Field(discriminator="kind")]], Field(min_length=1)]
    clearance: NonNegativeLength = 0.0


Constraint = Annotated[Budget | SensitiveArea | FixedVolume | MinimumSpacing | KeepOut, Field(discriminator="kind")]


OptimiserKind = Literal[
    "adam", "adamw", "nadam", "amsgrad", "adabelief", "rmsprop", "sgd", "lion", "yogi", "radam", "lbfgs"
]


class Optimiser(StrictModel):
    """How the design is moved.

    - `learning_rate`: typical move a step in natural units (half a range, a radian, a factor e); not for lbfgs.
    - `starts`: the first start is the geometry, others are quasi-random.
    - `batch`: events a step, by default all of them.
    - `shard`: events a piece of work; part of the study, never of the number of workers.
    """

    kind: OptimiserKind = "adam"
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    steps: PositiveInt = 100
    starts: PositiveInt = 1
    batch: PositiveInt | None = None
    shard: PositiveInt = 4

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "lbfgs" and self.learning_rate is not None:
            key = "optimiser.learning_rate"
            raise InputError("lbfgs chooses its steps itself", key=key, value=self.learning_rate, remedy="remove it")
        return self

    @property
    def description(self) -> dict[str, Any]:
        """As `studio.design` takes it."""
        rate = {} if self.learning_rate is None else {"learning_rate": self.learning_rate}
        return {"kind": self.kind, **rate}


class Validation(StrictModel):
    """The measurement of the gain on fresh sampled events; `events: 0` leaves it out."""

    events: Annotated[int, Field(ge=0)] = 400
    reconstruct: bool = True
    shard: PositiveInt = 16


class Experiment(StrictModel):
    """A study: what is optimised, for which events, under which constraints, and how it is judged."""

    geometry: str
    events: Events
    free: Annotated[dict[str, Bound], Field(min_length=1)]
    objective: Annotated[list[Objective], Field(min_length=1)]
    nuisance: list[str] | dict[str, Nuisance] = Field(default_factory=list)
    constraints: list[Constraint] = Field(default_factory=list)
    costs: str | CostTable | None = Field(
        default=None, description="A file of prices, or entries that change those that ship. Left out: those that ship."
    )
    optimiser: Optimiser = Field(default_factory=Optimiser)
    validation: Validation = Field(default_factory=Validation)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        kinds = [term.kind for term in self.objective]
        labels = [term.label for term in self.objective]
        for index, label in enumerate(labels):
            if label in labels[:index]:
                remedy = "keep one of them and give it the sum of the weights"
                raise InputError("stands twice", key=f"objective.{index}", value=label, remedy=remedy)
        names = [term.kind for term in self.constraints]
        for index, name in enumerate(names):
            if name in names[:index]:
                remedy = (
                    "keep one of them; several regions stand in one list" if name == "keep_out" else "keep one of them"
                )
                raise InputError("stands twice", key=f"constraints.{index}", value=name, remedy=remedy)
        batch, count, key = self.batch, self.events.count, "optimiser.batch"
        if batch > count:
            raise InputError(
                f"more than the {count} events", key=key, value=batch, remedy="lower it or raise events.count"
            )
        if self.optimiser.kind == "lbfgs" and batch < count:
            raise InputError(
                "lbfgs needs all events at every step", key=key, value=batch, remedy="remove it or choose adam"
            )
        if "point" in self.events.particles and "direction_resolution" in kinds:
            key = f"objective.{kinds.index('direction_resolution')}"
            raise InputError("a point source has no direction", key=key, remedy="remove this term or the point source")
        for path, bound in self.free.items():
            _check_dimension(path, bound)
        return self

    @property
    def batch(self) -> int:
        """Events a step."""
        return self.optimiser.batch or self.events.count

    @property
    def wanted(self) -> tuple[str, ...]:
        """The quantities whose resolution counts, in the order of the objective terms that ship."""
        return tuple(WANTED[term.kind] for term in self.objective if term.kind != "custom")

    @property
    def custom_objectives(self) -> dict[str, str]:
        """The names of the objective terms that Python defines, with the keys where they stand."""
        terms = enumerate(self.objective)
        return {term.name: f"objective.{index}.name" for index, term in terms if term.kind == "custom"}

    @property
    def nuisances(self) -> dict[str, float | None]:
        """Paths of the nuisance parameters with their relative prior, None where there is none."""
        if isinstance(self.nuisance, dict):
            return {path: entry.prior for path, entry in self.nuisance.items()}
        return dict.fromkeys(self.nuisance)

    @property
    def free_paths(self) -> tuple[str, ...]:
        """Paths of the free leaves in the order of the file."""
        return tuple(self.free)


def experiment_schema() -> dict[str, Any]:
    """The JSON schema of experiment files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Experiment.model_json_schema()}


_LEAF_DIMENSIONS = {
    "radius": "length",
    "height": "length",
    "size": "length",
    "absorption_length": "length",
    "rayleigh_length": "length",
    "gate": "time",
    "time_precision": "time",
}


def _check_dimension(path: str, bound: Bound) -> None:
    """A range is written in the dimension of its leaf, where the leaf's name tells it."""
    expected = _LEAF_DIMENSIONS.get(path.rsplit(".", 1)[-1])
    for end in bound.between or ():
        found = getattr(end, "dimension", None)
        if expected is not None and found != expected:
            remedy = f"write a {expected}, for example '1.5 {unit_names(expected)[0]}'; units: {', '.join(unit_names(expected))}"
            problem = f"a {found or 'bare number'} where a {expected} belongs"
            raise InputError(problem, key=f"free.{path}.between", value=float(end), remedy=remedy)
