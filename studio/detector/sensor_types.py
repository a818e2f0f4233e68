"""Photosensor types: quantum efficiency, timing and charge response, with their sources; the catalogue that ships.

A type of one's own is a `SensorType`, used on the spot, or made known by name with `register_sensor_type`, or written into a
geometry file (key `sensor_types`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import InputError, choice_remedy
from ..units import Hz, inch, kHz, mm, ns


def _require(value: float, key: str, *, positive: bool) -> None:
    if not math.isfinite(value) or value < 0.0 or (positive and value == 0.0):
        problem = "must be positive" if positive else "must be zero or positive"
        raise InputError(problem, key=key, value=value, remedy="write a finite number")


@dataclasses.dataclass(frozen=True)
class TimeResolution:
    """σ in ns of a recorded hit time against the charge Q in photoelectrons: max(`floor`, `offset` + √(`stochastic` / Q)).

    It smears the *hit* once, not each photoelectron. The corner of the maximum is rounded over 5 % in σ so that the
    information stays twice differentiable.

    **Raises** `InputError` where `floor` is not positive or another number is negative.
    """

    floor: float
    offset: float
    stochastic: float

    def __post_init__(self):
        _require(self.floor, "time_resolution.floor", positive=True)
        for name in ("offset", "stochastic"):
            _require(getattr(self, name), f"time_resolution.{name}", positive=False)

    def __call__(self, charge: Float[Array, "..."]) -> Float[Array, "..."]:
        if self.stochastic == 0.0:
            return jnp.full_like(charge, max(self.floor, self.offset))
        falling = self.offset + jnp.sqrt(self.stochastic / jnp.maximum(charge, 1e-3))
        width = 0.05 * self.floor
        return self.floor + width * jax.nn.softplus((falling - self.floor) / width)


@dataclasses.dataclass(frozen=True)
class EfficiencyTable:
    """Quantum efficiency, a fraction, at rising `wavelength` in nm; straight between the points, zero outside.

    Light is simulated between 280 and 700 nm. **Raises** `InputError` whose key ends in the index of the faulty entry: where
    wavelengths do not rise or are no nanometres, or an efficiency is no fraction; and for fewer than two points.
    """

    wavelength: tuple[float, ...]
    efficiency: tuple[float, ...]

    def __post_init__(self):
        for name in ("wavelength", "efficiency"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        if len(self.wavelength) != len(self.efficiency) or len(self.wavelength) < 2:
            problem = f"{len(self.wavelength)} wavelengths and {len(self.efficiency)} efficiencies"
            raise InputError(
                problem, key="efficiency", remedy="give two or more points, each a wavelength in nm and a fraction"
            )
        for index, (here, value) in enumerate(zip(self.wavelength, self.efficiency, strict=True)):
            if not 100.0 <= here <= 2000.0:
                remedy = "write nanometres, for example 400"
                raise InputError("not between 100 and 2000 nm", key=f"wavelength.{index}", value=here, remedy=remedy)
            if index and here <= self.wavelength[index - 1]:
                remedy = "sort the points by wavelength, each once"
                raise InputError("wavelengths must rise", key=f"wavelength.{index}", value=here, remedy=remedy)
            if not 0.0 <= value <= 1.0:
                remedy = "write a fraction, for example 0.3 for 30 %"
                raise InputError("not between 0 and 1", key=f"efficiency.{index}", value=value, remedy=remedy)
        if not np.any(self(_SIMULATED)):
            remedy = "give a table with an efficiency above zero there, where light is simulated"
            raise InputError("zero everywhere between 280 and 700 nm", key="efficiency.0", remedy=remedy)

    def __call__(self, wavelength: float | np.ndarray) -> np.ndarray:
        """The efficiency at wavelengths in nm, in their shape."""
        return np.asarray(np.interp(wavelength, self.wavelength, self.efficiency, left=0.0, right=0.0))


_SIMULATED = np.arange(280.0, 701.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SensorType:
    """What all photosensors of one kind share.

    **Fields**: `name`; `radius` of the sensitive face in mm (the default of new sensors); `efficiency_column`: a column of the
    quantum efficiencies that ship, or `efficiency_table`: its own one; `efficiency_factor` on either (collection efficiency
    included); `charge_spread`: relative σ of the single-photoelectron charge; `time_resolution`; `dark_rate` in 1/ns;
    `source`.

    **Raises** `InputError` where the efficiency is given by none or both, the column does not exist, or a number is
    impossible.
    """

    name: str
    radius: float
    efficiency_column: str | None = None
    efficiency_table: EfficiencyTable | None = None
    efficiency_factor: float = 1.0
    charge_spread: float
    time_resolution: TimeResolution
    dark_rate: float
    source: str

    def __post_init__(self):
        if (self.efficiency_column is None) == (self.efficiency_table is None):
            remedy = "give efficiency_column, the name of one that ships, or efficiency_table, its own"
            raise InputError("one quantum efficiency is needed", key=self.name, remedy=remedy)
        if self.efficiency_column is not None and self.efficiency_column not in efficiency_columns():
            remedy = choice_remedy(self.efficiency_column, efficiency_columns())
            key = f"{self.name}.efficiency_column"
            raise InputError("no such column", key=key, value=self.efficiency_column, remedy=remedy)
        for name in ("radius", "efficiency_factor"):
            _require(getattr(self, name), f"{self.name}.{name}", positive=True)
        for name in ("charge_spread", "dark_rate"):
            _require(getattr(self, name), f"{self.name}.{name}", positive=False)

    def detection_efficiency(self, wavelength: float | np.ndarray) -> np.ndarray:
        """Quantum times collection efficiency at wavelengths in nm, in their shape; zero outside the table."""
        table = self.efficiency_table or _columns()[str(self.efficiency_column)]
        return np.asarray(self.efficiency_factor * table(wavelength))


def efficiency_columns() -> tuple[str, ...]:
    """The names of the quantum efficiencies that ship."""
    return _COLUMN_NAMES


_COLUMN_NAMES = ("r3600_20_inch", "box_and_line_20_inch", "r14374_3_inch")


@functools.cache
def _columns() -> dict[str, EfficiencyTable]:
    path = resources.files("studio.detector") / "tables" / "quantum_efficiency_wcsim.csv"
    with path.open() as lines:
        wavelength, *columns = np.loadtxt(lines, delimiter=",", comments="#", unpack=True)
    return {n: EfficiencyTable(tuple(wavelength), tuple(c)) for n, c in zip(_COLUMN_NAMES, columns, strict=True)}


# WCSim multiplies the box-and-line and 3-inch quantum efficiencies by 1/0.73 (src/WCSimPMTObject.cc).
_WCSIM_CORRECTION = 1 / 0.73

_CATALOGUE = (
    SensorType(
        name="r3600_20_inch",
        radius=254.0 * mm,
        efficiency_column="r3600_20_inch",
        efficiency_factor=1.00,
        charge_spread=0.50,
        time_resolution=TimeResolution(floor=0.58 * ns, offset=0.33 * ns, stochastic=10.0),
        dark_rate=4.2 * kHz,
        source="Hamamatsu R3600 of Super-Kamiokande: efficiency, timing and dark rate after WCSim; charge spread 50 % "
        "after the Hyper-Kamiokande Design Report (arXiv:1805.04163)",
    ),
    SensorType(
        name="box_and_line_20_inch",
        radius=10.0 * inch,
        efficiency_column="box_and_line_20_inch",
        efficiency_factor=0.95 * _WCSIM_CORRECTION,
        charge_spread=0.35,
        time_resolution=TimeResolution(floor=0.30 * ns, offset=0.0, stochastic=1.1**2),
        dark_rate=4.2 * kHz,
        source="Hamamatsu R12860 of Hyper-Kamiokande: efficiency and dark rate after WCSim; charge spread 35 % and "
        "single-photoelectron time spread of 1.1 ns after the Design Report (arXiv:1805.04163), improving as 1/sqrt(Q)",
    ),
    SensorType(
        name="r14374_3_inch",
        radius=40.0 * mm,
        efficiency_column="r14374_3_inch",
        efficiency_factor=0.95 * _WCSIM_CORRECTION,
        charge_spread=0.40,
        time_resolution=TimeResolution(floor=0.60 * ns, offset=0.60 * ns, stochastic=0.0),
        dark_rate=1.0 * kHz,
        source="Hamamatsu R14374: efficiency, timing and dark rate after WCSim; charge spread 40 % assumed",
    ),
    SensorType(
        name="multi_pmt_19",
        radius=math.sqrt(19) * 40.0 * mm,
        efficiency_column="r14374_3_inch",
        efficiency_factor=0.95 * _WCSIM_CORRECTION,
        charge_spread=0.40,
        time_resolution=TimeResolution(floor=0.60 * ns, offset=0.60 * ns, stochastic=0.0),
        dark_rate=19 * 1000.0 * Hz,
        source="Approximation: a module of 19 three-inch tubes as one flat sensor of equal sensitive area (radius 174 mm); "
        "it has no directionality of its own and one hit time",
    ),
)


_REGISTERED: dict[str, SensorType] = {}


def register_sensor_type(entry: SensorType) -> SensorType:
    """Makes a type known by its name to `sensor_type` and geometry files, in this process; returns it.

    Detectors with such a type are saved with the type inside the file, so that files and studies need no registration.
    **Raises** `InputError` where another type has the name already.
    """
    known = next((one for one in known_sensor_types() if one.name == entry.name), entry)
    if known != entry:
        raise InputError(
            "another sensor type has this name", key="name", value=entry.name, remedy="choose another name"
        )
    if known is entry:
        _REGISTERED[entry.name] = entry
    return known


def shipped_sensor_types() -> tuple[SensorType, ...]:
    """The types that ship with the studio."""
    return _CATALOGUE


def known_sensor_types() -> tuple[SensorType, ...]:
    """The types that ship and those that were registered in this process."""
    return (*_CATALOGUE, *_REGISTERED.values())


def sensor_type_names() -> tuple[str, ...]:
    """The names that `sensor_type` knows."""
    return tuple(entry.name for entry in known_sensor_types())


def sensor_type(name: str) -> SensorType:
    """The sensor type of that name. **Raises** `InputError` with the nearest name for an unknown one."""
    for entry in known_sensor_types():
        if entry.name == name:
            return entry
    raise InputError(
        "unknown sensor type", key="sensors.type", value=name, remedy=choice_remedy(name, sensor_type_names())
    )
