"""Amounts of money in files: `12.5 MUSD`, `600 USD/m3`. Currencies are never converted into each other. Imports no jax."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Annotated, Any, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from .._checks import choice_remedy
from .fields import field_error

CURRENCIES = ("USD", "EUR", "CHF", "GBP", "JPY", "CNY", "CAD")

_SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_TEXT = re.compile(r"\s*([^\s/A-Za-z]*(?:[eE][-+]?\d+)?)\s*([A-Za-z]*)\s*(?:/\s*(\w+))?\s*")


class Money(NamedTuple):
    """An `amount` of a `currency`."""

    amount: float
    currency: str


@dataclasses.dataclass(frozen=True)
class Amount:
    """A field that holds `Money`, zero or positive, and is written as text with a currency; `per`: of what, such as "m3"."""

    per: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "description": f"Text with a currency: {self._example}", "examples": [self._example]}

    def parse(self, value: object) -> Money:
        """The amount in whole units of its currency. **Raises** `PydanticCustomError` with a remedy in its context."""
        remedy = (
            f"write it as text, for example '{self._example}'; currencies: {', '.join(CURRENCIES)}, each with k, M or G"
        )
        what = f"a price per {self.per}" if self.per else "an amount of money"
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise field_error(f"{what} without a currency", remedy)
        found = _TEXT.fullmatch(value) if isinstance(value, str) else None
        number = _number(found[1]) if found else None
        if found is None or number is None:
            raise field_error(f"not {what}", remedy)
        _, unit, per = found.groups()
        if not unit:
            raise field_error(f"{what} without a currency", remedy)
        scale, currency = unit[:-3], unit[-3:]
        if currency not in CURRENCIES or scale not in _SCALES:
            raise field_error(f"'{unit}' is not a currency", choice_remedy(unit, CURRENCIES))
        if (per or "") != self.per:
            raise field_error(f"not {what}", remedy)
        if number < 0:
            raise field_error("must be zero or positive", remedy)
        return Money(number * _SCALES[scale], currency)

    @property
    def _example(self) -> str:
        return f"600 USD/{self.per}" if self.per else "12.5 MUSD"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


AnyMoney = Annotated[Money, Amount()]
MoneyPerVolume = Annotated[Money, Amount("m3")]
