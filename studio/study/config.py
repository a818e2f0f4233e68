"""The experiment file: what it may say, as pydantic models. Read without jax.

Quantities carry units; unknown keys are refused by `studio.io.document` with the nearest valid one.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from .._checks import InputError, choice_remedy
from ..io.quantities import NonNegativeLength, PositiveLength, Quantity, StrictModel
from ..units import unit_names
from .constraint_models import Constraint, PositiveInt
from .cost_table import CostTable
from .fields import AnyQuantity, Point, QuantityRange, Reduction, Statistic, UnitVector

PARTICLES = ("mu-", "mu+", "e-", "e+", "point", "pi-", "pi+", "proton")
WANTED = {
    "vertex_resolution": "vertex",
    "direction_resolution": "direction",
    "energy_resolution": "kinetic_energy",
    "dedx_resolution": "dedx",
}
CRITERIA = {"a_criterion": "a", "d_criterion": "d", "e_criterion": "e"}

Particle = Literal["mu-", "mu+", "e-", "e+", "point", "pi-", "pi+", "proton"]
EnergyRange = Annotated[tuple[float, float], QuantityRange(Quantity("energy", above=0.0))]


class DirectionAround(StrictModel):
    """Directions spread around an axis: `{around: beam, spread: 20 deg}`; the angle to the axis is half-normal."""

    around: Literal["beam"] | UnitVector = "beam"
    spread: Annotated[float, Quantity("angle", at_least=0.0, at_most=math.pi)]


class Events(StrictModel):
    """The events a design is judged by.

    - `kinetic_energy`: one range for all particles, or one for each: `{mu-: [200 MeV, 500 MeV], proton: [30 MeV, 100 MeV]}`.
    """

    kind: Literal["gun"]
    particle: Particle | list[Particle]
    kinetic_energy: EnergyRange | dict[Particle, EnergyRange]
    vertex: Literal["uniform", "centre"] | Point = "uniform"
    direction: Literal["beam", "isotropic"] | UnitVector | DirectionAround = "isotropic"
    contained: bool = False
    count: PositiveInt

    @property
    def particles(self) -> tuple[Particle, ...]:
        """The particle names, one or several."""
        return tuple(self.particle) if isinstance(self.particle, list) else (self.particle,)

    def energies(self, particle: Particle) -> tuple[float, float]:
        """The range of kinetic energies of a particle, in MeV."""
        given = self.kinetic_energy
        return given[particle] if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = self.particles
        if not names or len(set(names)) != len(names):
            remedy = f"choose from: {', '.join(PARTICLES)}"
            raise InputError("one or several different names", key="events.particle", value=list(names), remedy=remedy)
        if isinstance(self.kinetic_energy, dict) and set(self.kinetic_energy) != set(names):
            remedy = f"give one range to each of {', '.join(names)}"
            given = list(self.kinetic_energy)
            raise InputError("not the particles of the events", key="events.kinetic_energy", value=given, remedy=remedy)
        if self.count < len(names):
            remedy = f"write {len(names)} or more"
            raise InputError("fewer events than particles", key="events.count", value=self.count, remedy=remedy)
        return self


class Symmetry(StrictModel):
    """What a layout keeps: rotations by a part of a turn about the vertical axis, and mirrors, each named by the axis whose
    sign it changes. Sensors within `tolerance` of where the symmetry puts them are moved there."""

    rotations: PositiveInt = 1
    mirrors: list[Literal["x", "y", "z"]] = Field(default_factory=list)
    tolerance: PositiveLength = 1.0


class Bound(StrictModel):
    """How far a free quantity may go: `{between: [3 m, 5 m]}`, or `{}` for its natural bounds; or what it is tied to.

    - `symmetry`: of the layout, for `sensors.uv`.
    - `follows`: the path of another free quantity that decides this one, times `factor`.
    - `together`: one value for all sensors, or one for all of a patch of the wall: for `sensors.weight`, whose sum is then how
      many sensors there are, and for `sensors.radius`.
    """

    between: Annotated[tuple[float, float], QuantityRange(AnyQuantity())] | None = None
    symmetry: Symmetry | None = None
    follows: str | None = None
    factor: float | None = None
    together: Literal["all", "patch"] | None = None


class Term(StrictModel):
    """What every term of the objective may say.

    - `weight`: its factor in the sum.
    """

    weight: Annotated[float, Field(gt=0)] = 1.0


class EventTerm(Term):
    """A term about events.

    - `particle`: the population it looks at, by default all events.
    - `reduce`: the statistic over that population.
    """

    particle: Particle | None = None
    reduce: Reduction = Statistic("mean_log")

    def labelled(self, name: str) -> str:
        """A name with what the term says beyond its defaults, such as `energy_resolution e- worst`."""
        return " ".join(filter(None, (name, self.particle, self.reduce.label)))

    @property
    def statistic(self) -> str:
        """What is taken over the events, in words."""
        return self.reduce.words


class ResolutionObjective(EventTerm):
    """One term of the objective: a statistic of the per-event resolution, by default the population mean of its log.

    `dedx_resolution`: how well the charge of a track in a TPC tells the scale of its dE/dx, a fraction; range and scattering of
    the track, which know its energy, are marginalized. It tells particles apart.
    `a_criterion`, `d_criterion` and `e_criterion` take vertex, direction and energy together, in steps of 10 mm, 0.01 rad and
    1 %: root mean square, geometric mean and largest of the axes of the event's error ellipsoid.
    """

    kind: Literal[
        "vertex_resolution",
        "direction_resolution",
        "energy_resolution",
        "dedx_resolution",
        "a_criterion",
        "d_criterion",
        "e_criterion",
    ]

    @property
    def label(self) -> str:
        """How the term is called in reports."""
        return self.labelled(self.kind)


class CustomObjective(EventTerm):
    """A term that Python defines: the resolution of that `name` in what `Study(..., objective=...)` returns."""

    kind: Literal["custom"]
    name: Annotated[str, Field(min_length=1)]

    @property
    def label(self) -> str:
        """How the term is called in reports."""
        return self.labelled(self.name)


class ExposureObjective(Term):
    """How many events a detector gathers: −½ log of its fiducial volume in m³, what lies at least `margin` from the wall.

    The mean of a quantity over all events is known to σ / √N. So this term beside a resolution is the logarithm of that error,
    for as much time of running; with n resolutions give it the weight n.
    """

    kind: Literal["exposure"]
    margin: NonNegativeLength = 0.0

    @property
    def label(self) -> str:
        """How the term is called in reports."""
        return self.kind

    @property
    def statistic(self) -> str:
        """What it stands for, in words."""
        return "1 / √ fiducial volume"


Objective = Annotated[ResolutionObjective | CustomObjective | ExposureObjective, Field(discriminator="kind")]


class Robust(StrictModel):
    """The objective over detectors that came out a little different from the drawing.

    - `position_error`: standard deviation of a sensor's place along each direction of the wall.
    - `dead`: part of the sensors that see nothing.
    - `samples`: how many such detectors; the work of a step is so many times larger.
    - `over`: their mean, or the worst of them.
    """

    position_error: PositiveLength | None = None
    dead: Annotated[float, Quantity("fraction", above=0.0, at_most=0.5)] | None = None
    samples: PositiveInt = 4
    over: Literal["mean", "worst"] = "mean"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.position_error is None and self.dead is None:
            remedy = "add position_error: 2 cm or dead: 1 %, or remove the section"
            raise InputError("nothing differs from the drawing", key="robust", remedy=remedy)
        return self


class Nuisance(StrictModel):
    """A calibration constant that is not known exactly: `{prior: 5 %}` is its relative uncertainty."""

    prior: Annotated[float, Quantity("fraction", above=0.0)] | None = None


OptimiserKind = Literal[
    "adam", "adamw", "nadam", "amsgrad", "adabelief", "rmsprop", "sgd", "lion", "yogi", "radam", "lbfgs"
]


class Optimiser(StrictModel):
    """How the design is moved.

    - `learning_rate`: typical move a step in natural units (half a range, a radian, a factor e); not for lbfgs.
    - `starts`: the first start is the geometry, others are quasi-random.
    - `batch`: events a step, by default all of them.
    - `grow`: how many batches a step may average at most, once noise drowns the gradient; not for lbfgs.
    - `patience`: a start ends where so many steps brought less than `least_gain`: a change of the objective, which is a sum of
      logarithms, so a fraction of a resolution; by default 0.1 %.
    - `shard`: events a piece of work; part of the study, never of the number of workers.
    """

    kind: OptimiserKind = "adam"
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    steps: PositiveInt = 100
    starts: PositiveInt = 1
    batch: PositiveInt | None = None
    grow: PositiveInt = 1
    patience: PositiveInt | None = None
    least_gain: Annotated[float, Quantity("fraction", above=0.0)] | None = None
    shard: PositiveInt = 4

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "lbfgs" and self.learning_rate is not None:
            key = "optimiser.learning_rate"
            raise InputError("lbfgs chooses its steps itself", key=key, value=self.learning_rate, remedy="remove it")
        if self.grow > 1 and (self.kind == "lbfgs" or self.batch is None):
            problem, remedy = "all events at every step leave nothing to grow to", "remove it or give optimiser.batch"
            if self.kind == "lbfgs":
                problem, remedy = "lbfgs needs all events at every step", "remove it or choose adam"
            raise InputError(problem, key="optimiser.grow", value=self.grow, remedy=remedy)
        if self.least_gain is not None and self.patience is None:
            key, remedy = "optimiser.least_gain", "say within how many steps: add optimiser.patience, or remove it"
            raise InputError("belongs to patience", key=key, value=self.least_gain, remedy=remedy)
        return self

    @property
    def description(self) -> dict[str, Any]:
        """As `studio.design` takes it."""
        rate = {} if self.learning_rate is None else {"learning_rate": self.learning_rate}
        grow = {} if self.grow == 1 else {"grow": self.grow}
        return {"kind": self.kind, **rate, **grow}

    @property
    def stop(self) -> dict[str, Any] | None:
        """The patience as `studio.design` takes it."""
        if self.patience is None:
            return None
        return {"steps": self.patience, "relative": 0.0, "absolute": self.least_gain or 1e-3}


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
    robust: Robust | None = None
    constraints: list[Constraint] = Field(default_factory=list)
    costs: str | CostTable | None = Field(
        default=None, description="A file of prices, or entries that change those that ship. Left out: those that ship."
    )
    optimiser: Optimiser = Field(default_factory=Optimiser)
    validation: Validation = Field(default_factory=Validation)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        labels = [term.label for term in self.objective]
        for index, label in enumerate(labels):
            if label in labels[:index]:
                remedy = "keep one of them and give it the sum of the weights"
                raise InputError("stands twice", key=f"objective.{index}", value=label, remedy=remedy)
        for index, term in enumerate(self.objective):
            if isinstance(term, EventTerm):
                self._check_term(f"objective.{index}", term)
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
        if self.optimiser.grow * batch > count:
            remedy = f"write {max(1, count // batch)} or less, or raise events.count"
            problem = f"more than the {count} events a step, in batches of {batch}"
            raise InputError(problem, key="optimiser.grow", value=self.optimiser.grow, remedy=remedy)
        if self.optimiser.kind == "lbfgs" and batch < count:
            raise InputError(
                "lbfgs needs all events at every step", key=key, value=batch, remedy="remove it or choose adam"
            )
        for path, bound in self.free.items():
            _check_dimension(path, bound)
            _check_tie(path, bound, self.free)
        return self

    def _check_term(self, key: str, term: EventTerm) -> None:
        """A term against the events it looks at."""
        names = self.events.particles
        if term.particle is not None and term.particle not in names:
            remedy = f"add it to events.particle; there are: {', '.join(names)}"
            raise InputError("no events of this particle", key=f"{key}.particle", value=term.particle, remedy=remedy)
        seen = names if term.particle is None else (term.particle,)
        if "point" in seen and isinstance(term, ResolutionObjective) and term.kind == "direction_resolution":
            remedy = "give the term another particle, or remove it or the point source"
            raise InputError("a point source has no direction", key=key, remedy=remedy)
        statistic, events = term.reduce, self.batch * len(seen) // len(names)
        if statistic.kind == "worst" and self.batch < self.events.count:
            remedy = "remove optimiser.batch, or write reduce: {tail: 10 %}"
            problem = f"the worst of {self.batch} events a step is not the worst of {self.events.count}"
            raise InputError(problem, key=f"{key}.reduce", value=statistic.words, remedy=remedy)
        if statistic.beyond * events < 1:
            problem = f"less than one of the {events} events a step lies beyond it"
            remedy = "write reduce: worst, or give it more events (events.count, optimiser.batch)"
            raise InputError(problem, key=f"{key}.reduce", value=statistic.words, remedy=remedy)

    @property
    def batch(self) -> int:
        """Events a step."""
        return self.optimiser.batch or self.events.count

    @property
    def wanted(self) -> tuple[str, ...]:
        """The quantities whose resolution counts by itself, in the order of the terms."""
        return tuple(dict.fromkeys(WANTED[term.kind] for term in self.objective if term.kind in WANTED))

    @property
    def criteria(self) -> tuple[str, ...]:
        """The letters of the criteria that count, in the order of the terms."""
        return tuple(dict.fromkeys(CRITERIA[term.kind] for term in self.objective if term.kind in CRITERIA))

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
    "pitch": "length",
    "wire_radius": "length",
    "offset": "length",
    "length": "length",
    "width": "length",
    "bias": "potential",
    "field": "field",
    "shaping_time": "time",
    "mie_inverse_length": "reciprocal length",
    "specular": "fraction",
    "diffuse": "fraction",
    "lobe": "angle",
}


def _check_tie(path: str, bound: Bound, free: dict[str, Bound]) -> None:
    """Only what stands alone makes sense: a range, a symmetry of the layout, or a leaf that is followed."""
    key = f"free.{path}"
    if bound.symmetry is not None and path != "sensors.uv":
        raise InputError("only a layout has a symmetry", key=f"{key}.symmetry", remedy="write it under sensors.uv")
    if bound.together is not None and path not in ("sensors.weight", "sensors.radius"):
        remedy = "write it under sensors.weight or sensors.radius; `symmetry` ties places"
        raise InputError("only numbers of sensors have it", key=f"{key}.together", remedy=remedy)
    if bound.factor is not None and bound.follows is None:
        raise InputError("a factor of nothing", key=f"{key}.factor", remedy="name what it `follows`, or remove it")
    if bound.follows is None:
        return
    if bound.between is not None or bound.symmetry is not None or bound.together is not None:
        remedy = f"give the range to {bound.follows}"
        raise InputError("follows another quantity and has a range of its own", key=key, remedy=remedy)
    if bound.follows not in free or free[bound.follows].follows is not None:
        leaders = [name for name, other in free.items() if other.follows is None]
        remedy = choice_remedy(bound.follows, leaders)
        raise InputError("follows none of the free ones", key=f"{key}.follows", value=bound.follows, remedy=remedy)


def _check_dimension(path: str, bound: Bound) -> None:
    """A range is written in the dimension of its leaf, where the leaf's name tells it."""
    expected = _LEAF_DIMENSIONS.get(path.rsplit(".", 1)[-1])
    for end in bound.between or ():
        found = getattr(end, "dimension", None)
        plain = expected == "fraction" and found is None  # a fraction may be a bare number
        if expected is not None and found != expected and not plain:
            remedy = f"write a {expected}, for example '1.5 {unit_names(expected)[0]}'; units: {', '.join(unit_names(expected))}"
            problem = f"a {found or 'bare number'} where a {expected} belongs"
            raise InputError(problem, key=f"free.{path}.between", value=float(end), remedy=remedy)
