"""Tables of prices: the one that ships, one of the user's own, or changes to the first. Read without jax.

A table that names a `currency` stands alone; one that does not changes entries of the table that ships.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import Field

from .._checks import InputError, choice_remedy
from ..io.document import Document, load_document, validate
from ..io.quantities import StrictModel
from .money import CURRENCIES, AnyMoney, Money, MoneyPerVolume

if TYPE_CHECKING:
    from ..detector import AbstractTPC, Detector, Prices

Source = Annotated[str, Field(min_length=1, description="Where the number comes from; 'assumed' where from nowhere.")]


class SensorEntry(StrictModel):
    """The price of a sensor of the type's own radius, and how many channels of electronics read it."""

    price: AnyMoney
    channels: Annotated[int, Field(ge=0)] = 1
    source: Source


class Entry(StrictModel):
    """A price a piece."""

    price: AnyMoney
    source: Source


class VolumeEntry(StrictModel):
    """A price a cubic metre."""

    price: MoneyPerVolume
    source: Source


class CostTable(StrictModel):
    """Prices: of sensors by type, of a channel of electronics, of excavation and of media by volume."""

    currency: Literal["USD", "EUR", "CHF", "GBP", "JPY", "CNY", "CAD"] | None = None
    year: Annotated[int, Field(ge=1900, le=2200)] | None = None
    sensors: dict[str, SensorEntry] = Field(default_factory=dict)
    channel: Entry | None = None
    excavation: VolumeEntry | None = None
    media: dict[str, VolumeEntry] = Field(default_factory=dict)

    @property
    def amounts(self) -> Iterator[tuple[str, Money]]:
        """Every amount with the key where it stands."""
        for section in ("sensors", "media"):
            for name, entry in getattr(self, section).items():
                yield f"{section}.{name}.price", entry.price
        for name in ("channel", "excavation"):
            if (entry := getattr(self, name)) is not None:
                yield f"{name}.price", entry.price


@dataclasses.dataclass(frozen=True)
class Costs:
    """Prices as read: the whole `table`, and the part of it that `document` says from the key `within` on."""

    table: CostTable
    own: CostTable
    document: Document
    within: str = ""

    @property
    def currency(self) -> str:
        """The one currency of all prices."""
        return str(self.table.currency)

    @property
    def data(self) -> dict[str, Any]:
        """What the document says, as plain data."""
        return self.document.data[self.within] if self.within else self.document.data

    def error(self, key: str, problem: str, *, value: object = None, remedy: str | None = None) -> InputError:
        """An error at a key of the table."""
        whole = ".".join(word for word in (self.within, key) if word)
        return self.document.error(whole, problem, value=value, remedy=remedy)

    @property
    def prices(self) -> Prices:
        """The prices as numbers."""
        from ..detector import MediumPrice, Prices, SensorPrice

        table = self.table
        return Prices(
            currency=self.currency,
            year=cast(int, table.year),
            sensors=tuple(SensorPrice(name, one.price.amount, one.channels) for name, one in table.sensors.items()),
            channel=cast(Entry, table.channel).price.amount,
            excavation=cast(VolumeEntry, table.excavation).price.amount,
            media=tuple(MediumPrice(name, one.price.amount) for name, one in table.media.items()),
        )

    def report(self, detector: Detector | AbstractTPC) -> dict[str, Any]:
        """What a detector costs, as plain numbers in millions; or why that is not known, as `problem`."""
        from ..detector import AbstractTPC, cost

        if isinstance(detector, AbstractTPC):
            return {"problem": "there are no prices of chambers yet"}

        try:
            found = cost(detector, self.prices)
        except InputError as error:
            return {"problem": str(error)}
        return {
            "unit": f"M{self.currency}",
            "year": self.table.year,
            "total": float(found.total) / 1e6,
            "sensors": {name: float(one) / 1e6 for name, one in found.sensors.items()},
            "channels": float(found.channels) / 1e6,
            "excavation": float(found.excavation) / 1e6,
            "medium": float(found.medium) / 1e6,
        }

    def refuse_unknown(self, detector: Detector | AbstractTPC) -> None:
        """**Raises** `InputError` for a sensor type or medium of the table that neither the studio nor the detector knows: such
        an entry would never count."""
        from ..detector import Detector, sensor_type_names

        own_types = [entry.name for entry in detector.sensors.types] if isinstance(detector, Detector) else []
        self._refuse_unknown("sensors", "no such sensor type", {*sensor_type_names(), *own_types})
        media = {*shipped_costs().table.media, type(detector.medium).__name__.lower()}
        self._refuse_unknown("media", "no such medium", media)

    def _refuse_unknown(self, section: str, problem: str, known: Iterable[str]) -> None:
        for name in getattr(self.own, section):
            if name not in known:
                remedy = choice_remedy(name, sorted(known))
                raise self.error(f"{section}.{name}", problem, value=name, remedy=remedy)


def read_costs(path: str | os.PathLike[str]) -> Costs:
    """A file of prices. **Raises** `InputError` naming file, line, key, value and remedy."""
    document = load_document(path)
    return costs_from(document, validate(document, CostTable))


@functools.cache
def shipped_costs() -> Costs:
    """The prices that ship with the studio."""
    return read_costs(str(resources.files("studio.study") / "tables" / "costs.yaml"))


def costs_from(document: Document, own: CostTable, within: str = "") -> Costs:
    """Prices that a document states from the key `within` on.

    **Raises** `InputError` where a table of its own is not whole, or an amount is in another currency.
    """
    table = own if own.currency is not None else _changed(shipped_costs().table, own)
    costs = Costs(table, own, document, within)
    for key in ("year", "channel", "excavation"):
        if getattr(table, key) is None:
            remedy = f"add '{key}: ...'; without 'currency' the entries change those of the table that ships"
            raise costs.error(key, "is missing: a table with a currency stands alone", remedy=remedy)
    if own.currency is None and own.year is not None:
        remedy = f"remove it, or write a whole table with its currency; that of {table.year} ships"
        raise costs.error("year", "is that of the table that ships", value=own.year, remedy=remedy)
    for key, money in own.amounts:
        if money.currency != table.currency:
            remedy = f"write {table.currency}, or a whole table in one of {', '.join(CURRENCIES)}; nothing is converted"
            problem = f"an amount in {money.currency} among prices in {table.currency}"
            raise costs.error(key, problem, remedy=remedy)
    return costs


def _changed(table: CostTable, own: CostTable) -> CostTable:
    return CostTable.model_construct(
        currency=table.currency,
        year=table.year,
        sensors={**table.sensors, **own.sensors},
        channel=own.channel or table.channel,
        excavation=own.excavation or table.excavation,
        media={**table.media, **own.media},
    )
