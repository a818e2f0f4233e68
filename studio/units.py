"""Units. Inside the code: mm, ns, MeV, elementary charges, radian, V. Multiply in (`20 * inch`), divide out (`t / us`).

Files carry units as text; `parse_quantity` turns `"16.9 m"` into millimetres and refuses a number without a unit.
"""

from __future__ import annotations

import math

from ._checks import InputError, choice_remedy

mm = 1.0
um = 1e-3 * mm
nm = 1e-6 * mm
cm = 10.0 * mm
m = 1000.0 * mm
km = 1e6 * mm
inch = 25.4 * mm

ns = 1.0
ps = 1e-3 * ns
us = 1e3 * ns
ms = 1e6 * ns
s = 1e9 * ns

Hz = 1.0 / s
kHz = 1e3 * Hz
MHz = 1e6 * Hz
GHz = 1.0 / ns

MeV = 1.0
eV = 1e-6 * MeV
keV = 1e-3 * MeV
GeV = 1e3 * MeV

rad = 1.0
mrad = 1e-3 * rad
deg = math.pi / 180.0 * rad

V = 1.0
kV = 1e3 * V
mV = 1e-3 * V

fC = 6241.509074460763  # elementary charges: 1e-15 C / 1.602176634e-19 C, exact in the SI of 2019

percent = 0.01

_DIMENSIONS: dict[str, dict[str, float]] = {
    "length": {"mm": mm, "um": um, "nm": nm, "cm": cm, "m": m, "km": km, "inch": inch},
    "reciprocal length": {"1/mm": 1.0 / mm, "1/m": 1.0 / m, "1/km": 1.0 / km},
    "area": {"mm2": mm**2, "cm2": cm**2, "m2": m**2},
    "time": {"ns": ns, "ps": ps, "us": us, "ms": ms, "s": s},
    "squared time": {"ns2": ns**2},
    "rate": {"Hz": Hz, "kHz": kHz, "MHz": MHz, "GHz": GHz},
    "energy": {"eV": eV, "keV": keV, "MeV": MeV, "GeV": GeV},
    "angle": {"rad": rad, "mrad": mrad, "deg": deg},
    "potential": {"V": V, "kV": kV, "mV": mV},
    "gain": {"mV/fC": mV / fC, "V/e": V},
    "field": {"V/mm": V / mm, "V/cm": V / cm, "kV/cm": kV / cm},
    "charge": {"e": 1.0, "fC": fC},
    "charge per length": {"e/mm": 1.0 / mm, "e/m": 1.0 / m},
    "diffusion": {"mm2/ns": mm**2 / ns, "cm2/s": cm**2 / s},
    "temperature": {"K": 1.0},
    "fraction": {"%": percent},
}


def dimensions() -> tuple[str, ...]:
    """The dimensions that `parse_quantity` knows."""
    return tuple(_DIMENSIONS)


def unit_names(dimension: str) -> tuple[str, ...]:
    """The unit names allowed for a dimension, for example `("mm", "um", ...)` for `"length"`."""
    return tuple(_DIMENSIONS[dimension])


def parse_quantity(text: object, dimension: str, *, key: str | None = None) -> float:
    """The value of a text such as `"16.9 m"` in the studio's own unit of `dimension`.

    A `fraction` may also be a bare number. **Raises** `InputError` where the unit is missing or of another dimension, or
    the number is not finite.
    """
    units = _DIMENSIONS[dimension]
    example = f"write it as text with a unit, for example '1.5 {next(iter(units))}'; allowed units: {', '.join(units)}"
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise InputError(f"expected a {dimension}", key=key, value=text, remedy=example)
    if isinstance(text, int | float):
        if dimension == "fraction":
            return _finite(float(text), key, text)
        raise InputError(f"a {dimension} without a unit", key=key, value=text, remedy=example)
    number_text, unit = _split(text)
    try:
        number = float(number_text)
    except ValueError:
        raise InputError(f"not a {dimension}", key=key, value=text, remedy=example) from None
    _finite(number, key, text)
    if not unit:
        if dimension == "fraction":
            return number
        raise InputError(f"a {dimension} without a unit", key=key, value=text, remedy=example)
    if unit not in units:
        problem = f"'{unit}' is not a unit of {dimension}"
        raise InputError(problem, key=key, value=text, remedy=choice_remedy(unit, units))
    return number * units[unit]


def _split(text: str) -> tuple[str, str]:
    stripped = text.strip()
    for position, character in enumerate(stripped):
        if character.isspace() or character == "%":
            return stripped[:position], stripped[position:].strip()
    for unit in sorted((u for table in _DIMENSIONS.values() for u in table), key=len, reverse=True):
        if (
            stripped.endswith(unit)
            and stripped[: -len(unit)].strip()
            and stripped[-len(unit) - 1 : -len(unit)].isdigit()
        ):
            return stripped[: -len(unit)], unit
    return stripped, ""


def _finite(number: float, key: str | None, value: object) -> float:
    if not math.isfinite(number):
        raise InputError("not a finite number", key=key, value=value, remedy="write a finite number")
    return number
