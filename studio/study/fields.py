"""Field types of experiment files: ranges, points, directions and quantities of any dimension."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .._checks import InputError
from ..io.quantities import Quantity
from ..units import dimensions, parse_quantity, unit_names


@runtime_checkable
class _Parser(Protocol):
    def parse(self, value: object) -> float: ...


class Dimensioned(float):
    """A number that remembers the dimension of the unit it was written with."""

    dimension: str

    def __new__(cls, value: float, dimension: str) -> Dimensioned:
        number = super().__new__(cls, value)
        number.dimension = dimension
        return number


@dataclasses.dataclass(frozen=True)
class AnyQuantity:
    """A number with a unit of any dimension, or a bare number where the quantity has none."""

    def parse(self, value: object) -> float:
        """The value in the studio's unit, `Dimensioned` where it had one. **Raises** `PydanticCustomError` with a remedy in
        its context."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _finite(float(value))
        errors = []
        for dimension in dimensions():
            try:
                return Dimensioned(parse_quantity(value, dimension), dimension)
            except InputError as error:
                errors.append(error)
        units = ", ".join(unit for dimension in dimensions() for unit in unit_names(dimension))
        raise field_error("not a number with a known unit", f"write for example '3 m'; units: {units}")


@dataclasses.dataclass(frozen=True)
class QuantityRange:
    """A range `[low, high]`, or one value that stands for both ends."""

    entry: _Parser

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        entry: JsonSchemaValue = {"type": ["string", "number"]}
        if isinstance(self.entry, Quantity):
            entry = self.entry.__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [entry, {"type": "array", "items": entry, "minItems": 2, "maxItems": 2}]}

    def parse(self, value: object) -> tuple[float, float]:
        """Both ends in the studio's unit. **Raises** `PydanticCustomError` with a remedy in its context."""
        if not isinstance(value, list):
            single = self.entry.parse(value)
            return single, single
        if len(value) != 2:
            raise field_error(f"a range has two ends, here are {len(value)}", "write [low, high]")
        low, high = self.entry.parse(value[0]), self.entry.parse(value[1])
        if low > high:
            raise field_error("the low end is above the high end", "write [low, high]")
        return low, high


@dataclasses.dataclass(frozen=True)
class BaselineOr:
    """The word `baseline`, or a quantity as `entry` reads it, for example `example`."""

    entry: Any
    example: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"const": "baseline"}, self.entry.__get_pydantic_json_schema__(schema, handler)]}

    def parse(self, value: object) -> Any:
        """The word itself, or what `entry` makes of the value. **Raises** `PydanticCustomError` with a remedy in its context."""
        if value == "baseline":
            return value
        try:
            return self.entry.parse(value)
        except PydanticCustomError as error:
            context = error.context or {}
            remedy = f"write 'baseline' or for example '{self.example}'; {context['remedy']}"
            raise field_error(str(context["problem"]), remedy) from None


@dataclasses.dataclass(frozen=True)
class _Triple:
    entry: Quantity | None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        entry: JsonSchemaValue = {"type": "number"}
        if self.entry is not None:
            entry = self.entry.__get_pydantic_json_schema__(schema, handler)
        return {"type": "array", "items": entry, "minItems": 3, "maxItems": 3}

    def parse(self, value: object) -> tuple[float, float, float]:
        example = "[0, 0, 1]" if self.entry is None else "[0 m, 0 m, 1 m]"
        if not isinstance(value, list) or len(value) != 3:
            raise field_error("neither an allowed word nor a list of three", f"write for example {example}")
        if self.entry is not None:
            return tuple(self.entry.parse(item) for item in value)  # type: ignore[return-value]
        numbers = [_finite(item) for item in value]
        length = math.sqrt(sum(number**2 for number in numbers))
        if length == 0:
            raise field_error("a direction of length zero", "write for example [0, 0, 1]")
        return tuple(number / length for number in numbers)  # type: ignore[return-value]


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise field_error("not a finite number", "write a plain number")
    return float(value)


def field_error(problem: str, remedy: str) -> PydanticCustomError:
    """An error of a field with its remedy, as `studio.io.document.validate` reads it."""
    return PydanticCustomError("experiment", "{problem}", {"problem": problem, "remedy": remedy})


Point = Annotated[tuple[float, float, float], _Triple(Quantity("length"))]
"""A point `[x, y, z]` with units, held in mm."""

UnitVector = Annotated[tuple[float, float, float], _Triple(None)]
"""A direction `[x, y, z]` of plain numbers, held at length one."""
