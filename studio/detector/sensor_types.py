"""The catalogue of photosensor types: quantum efficiency, timing and charge response, with their sources.

To add a type, write one `SensorType` into `_CATALOGUE` (and its quantum efficiency as a column of the table).
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


@dataclasses.dataclass(frozen=True)
class TimeResolution:
    """σ in ns of a recorded hit time against the charge Q in photoelectrons: max(`floor`, `offset` + √(`stochastic` / Q)).

    It smears the *hit* once, not each photoelectron. The corner of the maximum is rounded over 5 % in σ so that the
    information stays twice differentiable.
    """

    floor: float
    offset: float
    stochastic: float

    def __call__(self, charge: Float[Array, "..."]) -> Float[Array, "..."]:
        if self.stochastic == 0.0:
            return jnp.full_like(charge, max(self.floor, self.offset))
        falling = self.offset + jnp.sqrt(self.stochastic / jnp.maximum(charge, 1e-3))
        width = 0.05 * self.floor
        return self.floor + width * jax.nn.softplus((falling - self.floor) / width)


@dataclasses.dataclass(frozen=True)
class SensorType:
    """What all photosensors of one kind share.

    **Fields**: `name`; `radius` of the sensitive face in mm (the default of new sensors); `efficiency_column` and
    `efficiency_factor`: quantum efficiency table and the factor on it (collection efficiency included); `charge_spread`:
    relative σ of the single-photoelectron charge; `time_resolution`; `dark_rate` in 1/ns; `source`.
    """

    name: str
    radius: float
    efficiency_column: str
    efficiency_factor: float
    charge_spread: float
    time_resolution: TimeResolution
    dark_rate: float
    source: str

    def detection_efficiency(self, wavelength: np.ndarray) -> np.ndarray:
        """Quantum times collection efficiency at wavelengths in nm; zero outside the table. NumPy in, NumPy out."""
        table_wavelength, columns = _efficiency_table()
        values = np.interp(wavelength, table_wavelength, columns[self.efficiency_column], left=0.0, right=0.0)
        return self.efficiency_factor * values


@functools.cache
def _efficiency_table() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    path = resources.files("studio.detector") / "tables" / "quantum_efficiency_wcsim.csv"
    with path.open() as lines:
        columns = np.loadtxt(lines, delimiter=",", comments="#", unpack=True)
    names = ("r3600_20_inch", "box_and_line_20_inch", "r14374_3_inch")
    return columns[0], dict(zip(names, columns[1:], strict=True))


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


def sensor_type_names() -> tuple[str, ...]:
    """The names that `sensor_type` knows."""
    return tuple(entry.name for entry in _CATALOGUE)


def sensor_type(name: str) -> SensorType:
    """The sensor type of that name. **Raises** `InputError` with the nearest name for an unknown one."""
    for entry in _CATALOGUE:
        if entry.name == name:
            return entry
    raise InputError(
        "unknown sensor type", key="sensors.type", value=name, remedy=choice_remedy(name, sensor_type_names())
    )
