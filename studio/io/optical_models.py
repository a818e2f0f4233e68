"""What the geometry file of an optical detector may contain, as pydantic models. Imports no jax.

```yaml
volume:  {kind: cylinder, radius: 3.5 m, height: 8 m}
medium:  {kind: water}
sensors: {kind: photosensor_array, type: multi_pmt_19, layout: {kind: grid, spacing: 80 cm}}
```
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Discriminator, Field, PositiveInt, Tag, model_validator

from .._checks import InputError
from ..units import cm
from .quantities import (
    Fraction,
    Length,
    NonNegativeFraction,
    NonNegativeLength,
    NonNegativeRate,
    NonNegativeReciprocalLength,
    NonNegativeSquaredTime,
    NonNegativeTime,
    PositiveAngle,
    PositiveFraction,
    PositiveLength,
    PositiveTime,
    StrictModel,
    invalid,
    rows_of,
)
from .row_table import (
    RowTable,
    parse_chart_rows,
    parse_efficiency_rows,
    parse_position_rows,
    parse_triangle_rows,
    parse_vertex_rows,
)

# ---- volume and medium -----------------------------------------------------------------------------------------------


class CylinderModel(StrictModel):
    """A cylinder along z, centred at the origin."""

    kind: Literal["cylinder"]
    radius: PositiveLength
    height: PositiveLength = Field(description="Full height.")


class SphereModel(StrictModel):
    """A sphere centred at the origin."""

    kind: Literal["sphere"]
    radius: PositiveLength


class BoxModel(StrictModel):
    """A box across the axes, centred at the origin."""

    kind: Literal["box"]
    size: Annotated[list[PositiveLength], Field(min_length=3, max_length=3, description="Full size along x, y, z.")]


class MeshModel(StrictModel):
    """A closed triangle mesh: a `file` (path relative to the geometry file), or `vertices` and `triangles`; in `unit`."""

    kind: Literal["mesh"]
    file: str | None = None
    unit: Literal["mm", "cm", "m"] | None = None
    scale: PositiveFraction = Field(default=1.0, description="Multiplies all lengths.")
    vertices: Annotated[RowTable | None, *rows_of(parse_vertex_rows, "One row a vertex: x y z.")] = None
    triangles: Annotated[
        RowTable | None, *rows_of(parse_triangle_rows, "One row a triangle: three vertices by their numbers, from 0.")
    ] = None

    @model_validator(mode="after")
    def _one_form(self) -> MeshModel:
        if (self.vertices is None) != (self.triangles is None) or (self.file is None) == (self.vertices is None):
            raise invalid(
                "give either 'file' or 'vertices' and 'triangles'",
                "write 'file: tank.stl' with the path of a mesh file",
            )
        if self.unit is None:
            raise invalid("a mesh without a 'unit'", "add 'unit: mm' (or cm, m): mesh files do not say theirs")
        return self


VolumeModel = Annotated[CylinderModel | SphereModel | BoxModel | MeshModel, Field(discriminator="kind")]


class WaterModel(StrictModel):
    """Water; the lengths are at 400 nm and default to WCSim's."""

    kind: Literal["water"]
    absorption_length: PositiveLength | None = None
    rayleigh_length: PositiveLength | None = None
    mie_inverse_length: NonNegativeReciprocalLength | None = Field(
        default=None, description="Of scattering by grains, at 400 nm; none by default."
    )
    mie_asymmetry: Annotated[float, Field(gt=-1, lt=1)] | None = Field(
        default=None, description="Mean cosine of scattering by grains; 0.4 by default."
    )


class ElectronicsModel(StrictModel):
    """Gate and digitizer; what is left out takes its default."""

    gate: PositiveTime | None = None
    time_precision: PositiveTime | None = None


# ---- surfaces --------------------------------------------------------------------------------------------------------


class ReflectorModel(StrictModel):
    """A wall that reflects into a lobe about the mirrored direction and diffusely."""

    kind: Literal["reflector"]
    specular: Fraction = Field(description="Reflectance into the lobe at normal incidence.")
    diffuse: Fraction = Field(description="Albedo of what the lobe leaves.")
    lobe: PositiveAngle = Field(description="Width of the lobe.")


class SheetModel(StrictModel):
    """Black sheet or Tyvek; what is given replaces the sheet's own numbers."""

    kind: Literal["black_sheet", "tyvek"]
    specular: Fraction | None = None
    diffuse: Fraction | None = None
    lobe: PositiveAngle | None = None


WallModel = Annotated[ReflectorModel | SheetModel, Field(discriminator="kind")]


class GlassModel(StrictModel):
    """What the faces of sensors do with light that they do not detect."""

    specular: Fraction = Field(description="Reflectance into the lobe at normal incidence.")
    diffuse: Fraction = Field(description="Albedo of what the lobe leaves.")
    lobe: PositiveAngle = Field(description="Width of the lobe.")


def _of_all_or_by_type(value: object) -> str:
    return (
        "by type" if isinstance(value, dict) and any(isinstance(entry, dict) for entry in value.values()) else "of all"
    )


GlassesModel = Annotated[
    Annotated[GlassModel, Tag("of all")] | Annotated[dict[str, GlassModel], Tag("by type")],
    Discriminator(_of_all_or_by_type),
]


# ---- layouts ---------------------------------------------------------------------------------------------------------


class GridModel(StrictModel):
    """A grid over the wall of a cylinder or box; the count follows from the spacing."""

    kind: Literal["grid"]
    spacing: PositiveLength
    caps: Literal["square", "hexagonal"] = "square"
    patches: list[str] | None = Field(
        default=None, min_length=1, description="Only these patches, for example [barrel]."
    )
    tile: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Which places are taken, a pattern that repeats: rows of 'x' (a sensor) and '.' (none). "
        "Several groups share one grid so.",
    )

    @model_validator(mode="after")
    def _tile_is_a_rectangle(self) -> GridModel:
        rows = self.tile
        if rows is not None and (len({len(row) for row in rows}) != 1 or set("".join(rows)) not in ({"x"}, {"x", "."})):
            raise invalid("not a tile", "write rows of one length with 'x' and '.', for example [x., .x]")
        return self


class FibonacciModel(StrictModel):
    """`count` sensors spread evenly over a sphere."""

    kind: Literal["fibonacci"]
    count: PositiveInt


class RingsModel(StrictModel):
    """Rings of constant latitude on a sphere, as close as `spacing`; the count follows from it."""

    kind: Literal["rings"]
    spacing: PositiveLength


class AreaModel(StrictModel):
    """`count` sensors spread evenly by area over a mesh, clear of the edges between its walls."""

    kind: Literal["area"]
    count: PositiveInt


class PositionsModel(StrictModel):
    """Positions in space, brought onto the nearest point of the wall: `points` with units, or `rows` of numbers in `unit`."""

    kind: Literal["positions"]
    points: list[Annotated[list[Length], Field(min_length=3, max_length=3)]] | None = None
    unit: Literal["mm", "cm", "m"] | None = None
    rows: Annotated[
        RowTable | None, *rows_of(parse_position_rows, "One row a sensor: x y z. '#' starts a comment.")
    ] = None

    @model_validator(mode="after")
    def _one_form(self) -> PositionsModel:
        if (self.points is None) == (self.rows is None):
            raise invalid("give either 'points' or 'rows'", "write 'unit: mm' and 'rows: |' with one 'x y z' a line")
        if self.rows is not None and self.unit is None:
            raise invalid("'rows' without a 'unit'", "add 'unit: mm' (or cm, m)")
        if self.points is not None and self.unit is not None:
            raise invalid("'unit' belongs to 'rows'", "remove it: every number of 'points' carries its own unit")
        return self


class TableModel(StrictModel):
    """Surface coordinates as the studio stores them: they reload bit for bit."""

    kind: Literal["table"]
    rows: Annotated[
        RowTable,
        *rows_of(
            parse_chart_rows,
            "A line naming the columns (patch u v [w] [radius/mm] [type] [weight]), then one row a sensor.",
        ),
    ]


class FileModel(StrictModel):
    """Positions from a file of another program; `path` is relative to the geometry file."""

    kind: Literal["file"]
    path: str
    format: Literal["wcsim_geofile", "wcsim_mpmt_table", "juno_csv"] | None = None
    axis: Literal["x", "y", "z"] = Field(default="z", description="The axis of the cylinder in the file.")
    only_type: int | None = Field(default=None, description="Take only the sensors of this type number of the file.")


LayoutModel = Annotated[
    GridModel | FibonacciModel | RingsModel | AreaModel | PositionsModel | TableModel | FileModel,
    Field(discriminator="kind"),
]


class ToleranceModel(StrictModel):
    """What the audit of the placement lets pass."""

    off_wall: NonNegativeLength = Field(default=5 * cm, description="A given position may stand this far off the wall.")
    overlap: NonNegativeLength = Field(default=0.0, description="Two sensors' faces may overlap by this much.")
    across_edge: NonNegativeLength = Field(
        default=0.0, description="A face may reach this far across its patch's edge."
    )


# ---- sensors and the whole -------------------------------------------------------------------------------------------


class SensorGroupModel(StrictModel):
    """Sensors of one type (or of several, told apart by a column of a table) and where they sit."""

    kind: Literal["photosensor_array"]
    type: Annotated[str | list[str], Field(description="A sensor type, or the types that the table's column names.")]
    radius: PositiveLength | None = Field(default=None, description="Radius of the face instead of the type's own.")
    efficiency: PositiveFraction | list[PositiveFraction] = Field(default=1.0, description="Relative, one a type.")
    glass: GlassesModel | None = Field(default=None, description="One for all types, or one each by the type's name.")
    tolerance: ToleranceModel = ToleranceModel()
    layout: LayoutModel

    @model_validator(mode="after")
    def _types_fit(self) -> SensorGroupModel:
        has_column = isinstance(self.layout, TableModel) and self.layout.rows.types is not None
        if isinstance(self.type, list) and not has_column:
            raise invalid("several types without a column telling them apart", "use 'kind: table' with a 'type' column")
        if has_column and not isinstance(self.type, list):
            raise invalid("the table has a 'type' column but one type is given", "write 'type: [first, second]'")
        expected = len(self.type) if isinstance(self.type, list) else None
        given = len(self.efficiency) if isinstance(self.efficiency, list) else None
        if given is not None and given != expected:
            raise invalid(f"{given} efficiencies for {expected or 1} types", "give one number, or one a type")
        return self

    @property
    def type_names(self) -> list[str]:
        """The names of the types, as a list."""
        return self.type if isinstance(self.type, list) else [self.type]


def _one_or_several(value: object) -> str:
    return "several" if isinstance(value, list) else "one"


SensorsModel = Annotated[
    Annotated[SensorGroupModel, Tag("one")] | Annotated[list[SensorGroupModel], Field(min_length=1), Tag("several")],
    Discriminator(_one_or_several),
]


class TimeResolutionModel(StrictModel):
    """σ of a recorded hit time against the charge Q: max(floor, offset + √(stochastic / Q))."""

    floor: PositiveTime
    offset: NonNegativeTime = 0.0
    stochastic: NonNegativeSquaredTime = 0.0


class SensorTypeModel(StrictModel):
    """A sensor type of the file's own."""

    radius: PositiveLength = Field(description="Of the sensitive face.")
    efficiency_column: str | None = Field(default=None, description="A quantum efficiency that ships, by its name.")
    efficiency_table: Annotated[
        RowTable | None,
        *rows_of(parse_efficiency_rows, "A line 'wavelength/nm efficiency', then one row a point, wavelengths rising."),
    ] = None
    efficiency_factor: PositiveFraction = Field(default=1.0, description="On the efficiency: collection, for example.")
    charge_spread: NonNegativeFraction = Field(description="Relative σ of the charge of one photoelectron.")
    time_resolution: TimeResolutionModel
    dark_rate: NonNegativeRate
    source: str = Field(description="Where the numbers come from.")

    @model_validator(mode="after")
    def _one_efficiency(self) -> SensorTypeModel:
        if (self.efficiency_column is None) == (self.efficiency_table is None):
            raise invalid(
                "give either 'efficiency_column' or 'efficiency_table'",
                "write 'efficiency_table: |' and below it 'wavelength/nm efficiency' and one row a point",
            )
        return self


class OpticalModel(StrictModel):
    """A geometry file of an optical detector."""

    name: str | None = Field(default=None, description="Defaults to the file's name.")
    volume: VolumeModel
    medium: WaterModel
    sensor_types: dict[str, SensorTypeModel] = Field(
        default_factory=dict, description="Sensor types of the file's own, by name."
    )
    sensors: SensorsModel
    wall: WallModel | None = Field(default=None, description="Between the sensors; absorbs all where nothing is said.")
    electronics: ElectronicsModel = ElectronicsModel()

    @model_validator(mode="after")
    def _names_are_words(self) -> OpticalModel:
        for name in self.sensor_types:
            if not is_type_name(name):
                remedy = "use letters, digits and _, a letter first"
                raise InputError("not a name for a sensor type", key=f"sensor_types.{name}", value=name, remedy=remedy)
        return self

    @property
    def groups(self) -> list[SensorGroupModel]:
        """The sensor groups, also where the file has only one."""
        return self.sensors if isinstance(self.sensors, list) else [self.sensors]


def is_type_name(name: str) -> bool:
    """Whether a sensor type may be called so in a file."""
    return re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) is not None
