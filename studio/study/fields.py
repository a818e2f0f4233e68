"""Field types of experiment files: ranges, points, directions and quantities of any dimension."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .._checks import InputError, choice_remedy
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


@dataclasses.dataclass(frozen=True)
class Statistic:
    """From the resolutions of all events to one number, always a logarithm, so that terms of an objective compare.

    **Fields**: `kind`: one of `STATISTICS`; `fraction`: the probability of a quantile, the share of a tail, else 1.
    """

    kind: str
    fraction: float = 1.0

    @property
    def words(self) -> str:
        """What it is, for tables."""
        return STATISTICS[self.kind].format(100 * self.fraction)

    @property
    def label(self) -> str:
        """A word that tells terms apart; none for the usual one."""
        if self.kind in _WITH_FRACTION:
            return f"{_WITH_FRACTION[self.kind]}{100 * self.fraction:g}"
        return "" if self.kind == "mean_log" else self.kind

    @property
    def beyond(self) -> float:
        """The share of the events that lies on the smaller side of a quantile or in a tail; 1 where there is no edge."""
        return min(self.fraction, 1 - self.fraction) if self.kind == "quantile" else self.fraction


STATISTICS = {
    "mean_log": "mean log",
    "log_mean": "log of mean",
    "worst": "worst log",
    "quantile": "{:g} % quantile of log",
    "tail": "mean log of worst {:g} %",
}
_WITH_FRACTION = {"quantile": "q", "tail": "tail"}


@dataclasses.dataclass(frozen=True)
class _Statistics:
    """A statistic by its word, or as `{quantile: 90 %}`, `{tail: 10 %}`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        fraction = Quantity("fraction", above=0.0, at_most=1.0).__get_pydantic_json_schema__(schema, handler)
        mappings = [
            {"type": "object", "properties": {name: fraction}, "required": [name], "additionalProperties": False}
            for name in _WITH_FRACTION
        ]
        return {"anyOf": [{"enum": [name for name in STATISTICS if name not in _WITH_FRACTION]}, *mappings]}

    def parse(self, value: object) -> Statistic:
        """The statistic. **Raises** `PydanticCustomError` with a remedy in its context."""
        kind, given = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else (value, None)
        if not isinstance(kind, str) or kind not in STATISTICS or (kind in _WITH_FRACTION) != isinstance(value, dict):
            remedy = f"{choice_remedy(str(kind), STATISTICS)}; written {{quantile: 90 %}} and {{tail: 10 %}}"
            raise field_error("not a statistic of the events", remedy)
        if given is None:
            return Statistic(kind)
        return Statistic(kind, Quantity("fraction", above=0.0, at_most=1.0).parse(given))


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise field_error("not a finite number", "write a plain number")
    return float(value)


def field_error(problem: str, remedy: str) -> PydanticCustomError:
    """An error of a field with its remedy, as `studio.io.document.validate` reads it."""
    return PydanticCustomError("experiment", "{problem}", {"problem": problem, "remedy": remedy})


Reduction = Annotated[Statistic, _Statistics()]
"""A statistic over the events, such as `worst` or `{tail: 10 %}`."""

Point = Annotated[tuple[float, float, float], _Triple(Quantity("length"))]
"""A point `[x, y, z]` with units, held in mm."""

UnitVector = Annotated[tuple[float, float, float], _Triple(None)]
"""A direction `[x, y, z]` of plain numbers, held at length one."""
