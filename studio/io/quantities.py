"""Field types of YAML models: numbers that must carry a unit.

Use them as annotations in a pydantic model: `radius: PositiveLength` accepts `16.9 m` and holds 16900.0 (mm), and refuses
`16.9`, `-1 m`, `16.9 kg` and `.nan` with a remedy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .._checks import InputError
from ..units import parse_quantity, unit_names


class StrictModel(BaseModel):
    """A mapping of a YAML file: unknown keys are refused, what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Annotation of a `float` field that is written as text with a unit of `dimension` and held in the studio's unit.

    Bounds are in the studio's unit: `above` is exclusive, `at_least` and `at_most` are inclusive.
    """

    dimension: str
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        units = unit_names(self.dimension)
        bound = self._bound_words()
        text = {"type": "string", "examples": [f"1.5 {units[0]}"]}
        words = f"A {self.dimension}{', ' + bound if bound else ''}, as text with a unit: {', '.join(units)}"
        if self.dimension == "fraction":
            return {"type": ["string", "number"], "description": words, "examples": [0.5, "50 %"]}
        return {**text, "description": words}

    def parse(self, value: object) -> float:
        """The value in the studio's unit. **Raises** `PydanticCustomError` with a remedy in its context."""
        try:
            number = parse_quantity(value, self.dimension)
        except InputError as error:
            raise _custom_error(error.problem, error.remedy or "") from None
        if not self._within(number):
            raise _custom_error(
                f"must be {self._bound_words()}", f"write a {self.dimension} that is {self._bound_words()}"
            )
        return number

    def _within(self, number: float) -> bool:
        return (
            (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
        )

    def _bound_words(self) -> str:
        words = [] if self.above is None else ["positive" if self.above == 0 else f"above {self.above:g}"]
        words += (
            []
            if self.at_least is None
            else ["zero or positive" if self.at_least == 0 else f"at least {self.at_least:g}"]
        )
        words += [] if self.at_most is None else [f"at most {self.at_most:g}"]
        return " and ".join(words)


def invalid(problem: str, remedy: str) -> PydanticCustomError:
    """What a validator of a model raises: `InputError` with the line comes of it."""
    return PydanticCustomError("invalid", "{problem}", {"problem": problem, "remedy": remedy})


def rows_of(parse: Callable[[object], Any], words: str) -> Any:
    """Annotations of a field that `parse` makes of a text block; an error keeps the row, so that its line can be named."""

    def convert(value: object) -> Any:
        try:
            return parse(value)
        except InputError as error:
            context = {"problem": error.problem, "remedy": error.remedy or "", "row": error.line, "value": error.value}
            raise PydanticCustomError("rows", "{problem}", context) from None

    return [PlainValidator(convert), WithJsonSchema({"type": "string", "description": words})]


def _custom_error(problem: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("quantity", "{problem}", {"problem": problem, "remedy": remedy})


Length = Annotated[float, Quantity("length")]
PositiveLength = Annotated[float, Quantity("length", above=0.0)]
NonNegativeLength = Annotated[float, Quantity("length", at_least=0.0)]
NonNegativeReciprocalLength = Annotated[float, Quantity("reciprocal length", at_least=0.0)]
Time = Annotated[float, Quantity("time")]
PositiveTime = Annotated[float, Quantity("time", above=0.0)]
NonNegativeTime = Annotated[float, Quantity("time", at_least=0.0)]
Energy = Annotated[float, Quantity("energy")]
PositiveEnergy = Annotated[float, Quantity("energy", above=0.0)]
Angle = Annotated[float, Quantity("angle")]
PositiveAngle = Annotated[float, Quantity("angle", above=0.0)]
Rate = Annotated[float, Quantity("rate")]
NonNegativeSquaredTime = Annotated[float, Quantity("squared time", at_least=0.0)]
NonNegativeRate = Annotated[float, Quantity("rate", at_least=0.0)]
Potential = Annotated[float, Quantity("potential")]
PositivePotential = Annotated[float, Quantity("potential", above=0.0)]
FieldStrength = Annotated[float, Quantity("field")]
PositiveFieldStrength = Annotated[float, Quantity("field", above=0.0)]
PositiveGain = Annotated[float, Quantity("gain", above=0.0)]
NonNegativeCharge = Annotated[float, Quantity("charge", at_least=0.0)]
PositiveCharge = Annotated[float, Quantity("charge", above=0.0)]
NonNegativeChargePerLength = Annotated[float, Quantity("charge per length", at_least=0.0)]
PositiveDiffusion = Annotated[float, Quantity("diffusion", above=0.0)]
PositiveTemperature = Annotated[float, Quantity("temperature", above=0.0)]
Fraction = Annotated[float, Quantity("fraction", at_least=0.0, at_most=1.0)]
NonNegativeFraction = Annotated[float, Quantity("fraction", at_least=0.0)]
PositiveFraction = Annotated[float, Quantity("fraction", above=0.0)]
