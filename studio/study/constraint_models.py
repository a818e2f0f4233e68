"""The constraints that an experiment file may name, as pydantic models. Read without jax."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..io.quantities import NonNegativeLength, PositiveLength, Quantity, StrictModel
from .fields import BaselineOr, Point, UnitVector
from .money import Amount, Money

PositiveInt = Annotated[int, Field(ge=1)]


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


class SensorCount(StrictModel):
    """How many sensors may stand, where `sensors.weight` is free: a number, or as many as in the geometry."""

    kind: Literal["sensor_count"]
    at_most: Literal["baseline"] | PositiveInt = "baseline"


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


TRANSPARENT = 0.999
"""The part of the charge that planes of a sound design let through to the collection plane."""


class Transparency(StrictModel):
    """The part of the drifting electrons that the planes of wires let through to the collection plane."""

    kind: Literal["transparency"]
    at_least: Annotated[float, Quantity("fraction", above=0.0, at_most=1.0)] = TRANSPARENT


class CathodeVoltage(StrictModel):
    """The largest potential difference between anode and cathode."""

    kind: Literal["cathode_voltage"]
    at_most: Annotated[Literal["baseline"] | float, BaselineOr(Quantity("potential", above=0.0), "100 kV")] = "baseline"


class WireCount(StrictModel):
    """How many wires are read out: a number, not rounded in the design, or as many as in the geometry."""

    kind: Literal["wire_count"]
    at_most: Literal["baseline"] | PositiveInt = "baseline"


class ArgonMass(StrictModel):
    """The argon in which charge drifts, in tonnes: a number, or as much as in the geometry."""

    kind: Literal["argon_mass"]
    at_least: Literal["baseline"] | Annotated[float, Field(gt=0)] = "baseline"


Constraint = Annotated[
    Budget
    | SensitiveArea
    | FixedVolume
    | MinimumSpacing
    | SensorCount
    | KeepOut
    | Transparency
    | CathodeVoltage
    | WireCount
    | ArgonMass,
    Field(discriminator="kind"),
]
