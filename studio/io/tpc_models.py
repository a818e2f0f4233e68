"""What the geometry file of a liquid-argon chamber may contain, as pydantic models. Imports no jax.

```yaml
medium: {kind: liquid_argon}
drift:
  field: 500 V/cm
  length: 2 m
  width: [4 m, 5 m]
  volumes: [{anode: [2 m, 0 m, 0 m], direction: [1, 0, 0], across: [0, 1, 0]}]
planes:
  - {kind: wire_plane, pitch: 3 mm, angle: 60 deg, height: 3 mm, bias: 0 V}
  - {kind: wire_plane, pitch: 3 mm, angle: 0 deg, height: 0 mm, bias: 440 V}
```
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from .quantities import (
    Angle,
    FieldStrength,
    Length,
    NonNegativeCharge,
    NonNegativeChargePerLength,
    NonNegativeLength,
    PositiveCharge,
    PositiveDiffusion,
    PositiveEnergy,
    PositiveFieldStrength,
    PositiveGain,
    PositiveLength,
    PositivePotential,
    PositiveTemperature,
    PositiveTime,
    Potential,
    StrictModel,
    Time,
    invalid,
    rows_of,
)
from .row_table import RowTable, parse_space_charge_rows

Positive = Annotated[float, Field(gt=0)]
Three = Field(min_length=3, max_length=3)
Two = Field(min_length=2, max_length=2)

# ---- medium ----------------------------------------------------------------------------------------------------------


class BirksModel(StrictModel):
    """Birks' law."""

    kind: Literal["birks"]
    amplitude: Positive | None = None
    constant: Positive | None = Field(default=None, description="In (kV/cm)(g/cm²)/MeV.")


class ModifiedBoxModel(StrictModel):
    """The modified box law."""

    kind: Literal["modified_box"]
    alpha: Positive | None = None
    beta: Positive | None = Field(default=None, description="In (kV/cm)(g/cm²)/MeV.")


class EllipsoidModifiedBoxModel(StrictModel):
    """The modified box law that knows the angle of a track to the field."""

    kind: Literal["ellipsoid_modified_box"]
    alpha: Positive | None = None
    beta_90: Positive | None = Field(default=None, description="In (kV/cm)(g/cm²)/MeV.")
    ratio: Positive | None = None


RecombinationModel = Annotated[BirksModel | ModifiedBoxModel | EllipsoidModifiedBoxModel, Field(discriminator="kind")]


class LiquidArgonModel(StrictModel):
    """Liquid argon; what is left out takes its default."""

    kind: Literal["liquid_argon"]
    temperature: PositiveTemperature | None = None
    electron_lifetime: PositiveTime | None = None
    longitudinal_diffusion: PositiveDiffusion | None = None
    transverse_diffusion: PositiveDiffusion | None = None
    w_ion: PositiveEnergy | None = Field(default=None, description="Energy per electron-ion pair.")
    excitation_ratio: Positive | None = Field(default=None, description="Excited atoms per ion.")
    recombination: RecombinationModel | None = None
    absorption_length: PositiveLength | None = Field(default=None, description="Of light of 128 nm.")
    rayleigh_length: PositiveLength | None = Field(default=None, description="Of light of 128 nm.")


# ---- drift volumes ---------------------------------------------------------------------------------------------------


class DriftVolumeModel(StrictModel):
    """One drift volume; `field`, `length` and `width` where they are not those of all."""

    anode: Annotated[list[Length], Three] = Field(description="Centre of the anode plane.")
    direction: Annotated[list[float], Three] = Field(description="Where electrons drift, from cathode to anode.")
    across: Annotated[list[float], Three] = Field(description="First axis of the anode plane, by custom the vertical.")
    field: PositiveFieldStrength | None = None
    length: PositiveLength | None = None
    width: Annotated[list[PositiveLength], Two] | None = None


class ModulesModel(StrictModel):
    """A regular array of modules about the origin: the volumes stand in each of them, anodes given from its middle."""

    count: Annotated[list[PositiveInt], Three] = Field(description="Modules along x, y, z.")
    spacing: Annotated[list[NonNegativeLength], Three] = Field(description="From one to the next along x, y, z.")

    @model_validator(mode="after")
    def _apart(self) -> ModulesModel:
        if any(count > 1 and spacing == 0 for count, spacing in zip(self.count, self.spacing, strict=True)):
            raise invalid("modules stand at one place", "give a spacing along each axis with more than one module")
        return self

    def places(self) -> list[tuple[float, ...]]:
        """The middle of each module in mm; z runs fastest."""
        axes = [
            [(index - 0.5 * (count - 1)) * spacing for index in range(count)]
            for count, spacing in zip(self.count, self.spacing, strict=True)
        ]
        return list(itertools.product(*axes))


class DriftModel(StrictModel):
    """Where charge drifts: `volumes`, once or in every one of `modules`."""

    field: PositiveFieldStrength | None = Field(default=None, description="Of the volumes that have none of their own.")
    length: PositiveLength | None = Field(default=None, description="From cathode to anode.")
    width: Annotated[list[PositiveLength], Two] | None = Field(
        default=None, description="Full size of each anode plane along `across`, and along direction x across."
    )
    modules: ModulesModel | None = None
    volumes: Annotated[list[DriftVolumeModel], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> DriftModel:
        for name in ("field", "length", "width"):
            lacking = [index for index, one in enumerate(self.volumes) if getattr(one, name) is None]
            if getattr(self, name) is None and lacking:
                raise invalid(f"volume {lacking[0]} has no {name}", f"add '{name}: ...' here for all volumes")
        return self


# ---- planes ----------------------------------------------------------------------------------------------------------


class JoinedModel(StrictModel):
    """Wires that are one channel: of so many volumes that follow each other, wire n of the k-th is read by channel n + k
    shift, modulo `channels`."""

    volumes: PositiveInt = 2
    channels: PositiveInt
    shift: int


class PitchedModel(StrictModel):
    """What repeats at a pitch, with room for a smaller one."""

    pitch: PositiveLength
    smallest_pitch: PositiveLength | None = Field(default=None, description="A pitch that there must be room for.")

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if self.smallest_pitch is not None and self.smallest_pitch > self.pitch:
            raise invalid("'smallest_pitch' is larger than the pitch", "give a smaller one, or leave it out")
        return self

    @property
    def room(self) -> float:
        """The pitch that there must be room for."""
        return self.smallest_pitch or self.pitch

    def refuse_both(self, name: str) -> None:
        """Raises where `smallest_pitch` and the number `name` both say how much room there is."""
        if self.smallest_pitch is not None and getattr(self, name) is not None:
            raise invalid(f"both '{name}' and 'smallest_pitch'", "give one of them")


class WirePlaneModel(PitchedModel):
    """Parallel wires, the same at every anode."""

    kind: Literal["wire_plane"]
    angle: Angle = Field(default=0.0, description="Of the wires to `across`, towards direction x across.")
    height: NonNegativeLength = Field(description="Above the last plane, against the drift.")
    bias: Potential
    wire_diameter: PositiveLength | None = None
    offset: Length = Field(default=0.0, description="How far off the middle of the plane its wires stand, across them.")
    wires: PositiveInt | None = Field(
        default=None, description="Wires there is room for in each volume; by default as many as the pitch gives."
    )
    joined: JoinedModel | None = None
    read_out: bool = Field(default=True, description="Whether it is read; a grid is not.")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        self.refuse_both("wires")
        return self


class PixelPlaneModel(PitchedModel):
    """Square pads, the same at every anode."""

    kind: Literal["pixel_plane"]
    pad: PositiveLength | None = Field(default=None, description="Side of a pad; by default the pitch.")
    slots: Annotated[list[PositiveInt], Two] | None = Field(
        default=None, description="Rows and columns there is room for; by default as many as the pitch gives."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        self.refuse_both("slots")
        return self


class MeshBehindModel(StrictModel):
    """A conductor behind the last plane: a mesh or the wall."""

    kind: Literal["mesh"]
    distance: PositiveLength


class FieldBehindModel(StrictModel):
    """A field behind the last plane, positive where it drives electrons on."""

    kind: Literal["field"]
    strength: FieldStrength
    distance: PositiveLength | None = None


BehindModel = Annotated[MeshBehindModel | FieldBehindModel, Field(discriminator="kind")]


# ---- electronics and space charge ------------------------------------------------------------------------------------


class ColdElectronicsModel(StrictModel):
    """The front end of wires; what is left out takes its default."""

    kind: Literal["cold_electronics"]
    shaping_time: PositiveTime | None = None
    gain: PositiveGain | None = None
    enc_base: NonNegativeCharge | None = Field(default=None, description="Noise charge of a wire without length.")
    enc_slope: NonNegativeChargePerLength | None = Field(default=None, description="Noise charge per length of wire.")
    full_scale: PositivePotential | None = None
    pedestal: Annotated[float, Field(ge=0, le=1)] | None = Field(default=None, description="As a part of full scale.")
    trigger_offset: Time | None = Field(default=None, description="From the first sample to the time zero of events.")
    bits: PositiveInt | None = None
    tick: PositiveTime | None = None
    ticks: Annotated[int, Field(ge=16)] | None = None
    threshold: float | None = Field(default=None, description="Zero suppression in counts from the pedestal.")


class PixelElectronicsModel(StrictModel):
    """The chips of pads; what is left out takes its default."""

    kind: Literal["pixel_electronics"]
    threshold: PositiveCharge | None = None
    reset_noise: PositiveCharge | None = None
    discriminator_noise: NonNegativeCharge | None = None
    digitizer_noise: NonNegativeCharge | None = None
    full_scale: PositiveCharge | None = None
    pedestal: Annotated[float, Field(ge=0, le=1)] | None = Field(default=None, description="As a part of full scale.")
    bits: PositiveInt | None = None
    tick: PositiveTime | None = None
    hold: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Clocks from trigger to digitization.")
    dead: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Clocks from there until charge counts.")
    triggers: PositiveInt | None = Field(default=None, description="How many a pad records at most in an event.")


class GridSpaceChargeModel(StrictModel):
    """Displacement and distortion of the field at the nodes of a regular grid."""

    kind: Literal["grid"]
    lower: Annotated[list[Length], Three]
    upper: Annotated[list[Length], Three]
    nodes: Annotated[list[Annotated[int, Field(ge=4)]], Three] = Field(description="Along x, y, z.")
    rows: Annotated[
        RowTable,
        *rows_of(
            parse_space_charge_rows, "A row a node, z fastest: displacement x y z in mm, distortion x y z in V/mm."
        ),
    ]

    @model_validator(mode="after")
    def _a_row_a_node(self) -> GridSpaceChargeModel:
        if self.rows.count != math.prod(self.nodes):
            raise invalid(f"{self.rows.count} rows for {math.prod(self.nodes)} nodes", "write one row a node")
        return self


class TPCModel(StrictModel):
    """A geometry file of a liquid-argon chamber."""

    name: str | None = Field(default=None, description="Defaults to the file's name.")
    medium: LiquidArgonModel
    drift: DriftModel
    planes: Annotated[list[WirePlaneModel], Field(min_length=1)] | None = Field(
        default=None, description="Of wires, in the order electrons meet them, the collection plane last."
    )
    pixels: PixelPlaneModel | None = Field(default=None, description="Pads, in place of planes of wires.")
    behind: BehindModel | None = Field(
        default=None, description="What stands behind the last plane: by default a mesh."
    )
    electronics: Annotated[ColdElectronicsModel | PixelElectronicsModel, Field(discriminator="kind")] | None = None
    space_charge: GridSpaceChargeModel | None = None

    @model_validator(mode="after")
    def _read_out(self) -> TPCModel:
        if (self.planes is None) == (self.pixels is None):
            problem = "neither 'planes' nor 'pixels'" if self.planes is None else "both 'planes' and 'pixels'"
            raise invalid(problem, "give planes of wires, or pixels")
        if self.electronics is not None and (self.pixels is None) != (self.electronics.kind == "cold_electronics"):
            right = "cold_electronics" if self.pixels is None else "pixel_electronics"
            raise invalid(f"electronics of kind {self.electronics.kind} do not read this", f"write kind: {right}")
        if self.pixels is not None and self.behind is not None:
            raise invalid("nothing is behind pixels", "remove 'behind'")
        return self
