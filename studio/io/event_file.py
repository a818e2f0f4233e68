"""Event files: primaries and what was recorded of them, in HDF5.

Layout of a file (`units` is an attribute of every dataset with a dimension; the event axis is always first):

```
/                      attributes: format = "studio.events", version = 1, and the user's own
/population_0          one group for each population of events of one particle, numbered from 0
    attributes         particle ("mu-", "mu+", "e-", "e+" or "point"), count (events)
    primaries/vertex           (events, 3)        mm
    primaries/direction        (events, 3)        unit vectors, no unit
    primaries/kinetic_energy   (events,)          MeV ("1000 photons" for a point source)
    primaries/time             (events,)          ns
    readouts/charge            (events, sensors)  photoelectrons
    readouts/time              (events, sensors)  ns, of the first hit, 0 where there is none
    readouts/hit               (events, sensors)  true where the sensor fired
```

`readouts` is absent where only primaries were stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import h5py
import jax.numpy as jnp
import numpy as np

from .._checks import InputError
from ..event import PARTICLES, Primary, Readout
from .atomic import replace_file

FORMAT = "studio.events"
VERSION = 1

_PRIMARY_FIELDS = {"vertex": (3,), "direction": (3,), "kinetic_energy": (), "time": ()}
_UNITS = {"vertex": "mm", "kinetic_energy": "MeV", "time": "ns", "charge": "photoelectrons"}
_REMEDY = "give a file written by `studio simulate`; a truncated one must be made again"


class EventSet(NamedTuple):
    """Events of one particle: stacked `primaries` and their `readouts` with the event axis first, or None."""

    primaries: Primary
    readouts: Readout | None = None

    @property
    def count(self) -> int:
        """Number of events."""
        return len(self.primaries.kinetic_energy)


class EventFile(NamedTuple):
    """What an event file holds: its populations, and the attributes it was given."""

    populations: tuple[EventSet, ...]
    attributes: dict[str, str | int | float]


def write_events(
    path: str | os.PathLike[str],
    populations: Sequence[EventSet],
    attributes: Mapping[str, str | int | float] | None = None,
) -> None:
    """Write populations of events; the file appears whole or not at all.

    `attributes` are kept with the file: the seed, the geometry, whatever tells where the events come from.

    **Raises** `InputError` for arrays without an event axis, counts that differ and a path that cannot be written.
    """
    for number, population in enumerate(populations):
        _check(population, number)

    def write(temporary: Path) -> None:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(dict(attributes or {}))
            file.attrs.update({"format": FORMAT, "version": VERSION})
            for number, population in enumerate(populations):
                _write_population(file.create_group(f"population_{number}"), population)

    replace_file(path, write)


def read_events(path: str | os.PathLike[str]) -> EventFile:
    """Read an event file. **Raises** `InputError` for a missing, truncated or foreign file, naming what is wrong in it."""
    file = os.fspath(path)
    if not Path(file).is_file():
        problem = "is a directory" if Path(file).is_dir() else "no such event file"
        raise InputError(problem, file=file, remedy="name a file written by `studio simulate`")
    try:
        with h5py.File(file, "r") as content:
            return _read(content, file)
    except (OSError, RuntimeError) as error:
        problem = f"is not a readable HDF5 file: {_first_line(error)}"
        raise InputError(problem, file=file, remedy=_REMEDY) from None


def _write_population(group: h5py.Group, population: EventSet) -> None:
    primaries, readouts = population
    group.attrs.update({"particle": primaries.particle, "count": population.count})
    for name in _PRIMARY_FIELDS:
        _write_array(group, f"primaries/{name}", getattr(primaries, name))
    if primaries.particle == "point":
        group["primaries/kinetic_energy"].attrs["units"] = "1000 photons"
    if readouts is not None:
        for name in ("charge", "time", "hit"):
            _write_array(group, f"readouts/{name}", getattr(readouts, name))


def _write_array(group: h5py.Group, name: str, array: object) -> None:
    values = np.asarray(array)
    compression = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if values.size else {}
    dataset = group.create_dataset(name, data=values, **compression)
    unit = _UNITS.get(name.rsplit("/", 1)[-1])
    if unit is not None:
        dataset.attrs["units"] = unit


def _read(content: h5py.File, file: str) -> EventFile:
    attributes = {str(key): _plain(value) for key, value in content.attrs.items()}
    found = attributes.pop("format", None)
    if found != FORMAT:
        names = ", ".join(list(content)[:6]) or "nothing"
        problem = f"is HDF5 but no event file of the studio; it holds: {names}"
        raise InputError(problem, file=file, key="format", value=found, remedy=_REMEDY)
    version = attributes.pop("version", None)
    if version != VERSION:
        raise InputError(
            "an unknown version", file=file, key="version", value=version, remedy=f"this studio reads {VERSION}"
        )
    names = [f"population_{number}" for number in range(len(content))]
    for name in content:
        if name not in names:
            raise InputError(
                "an unknown group", file=file, key=name, remedy="groups are population_0, population_1, ..."
            )
    return EventFile(tuple(_read_population(content, name, file) for name in names), attributes)


def _read_population(content: h5py.File, name: str, file: str) -> EventSet:
    group = content[name]
    if not isinstance(group, h5py.Group):
        raise InputError("is not a group", file=file, key=name, remedy=_REMEDY)
    particle = _plain(group.attrs.get("particle"))
    if particle not in PARTICLES:
        key = f"{group.name}/particle".lstrip("/")
        raise InputError(
            "unknown particle", file=file, key=key, value=particle, remedy=f"allowed: {', '.join(PARTICLES)}"
        )
    count = int(group.attrs.get("count", -1))
    arrays = {
        name: _array(group, f"primaries/{name}", (count, *shape), file) for name, shape in _PRIMARY_FIELDS.items()
    }
    vertex, direction, energy, time = (jnp.asarray(arrays[field]) for field in _PRIMARY_FIELDS)
    primaries = Primary(str(particle), vertex, direction, energy, time)
    # `Primary` normalises directions; what was stored is kept to the last bit
    primaries = eqx.tree_at(lambda one: one.direction, primaries, direction)
    if "readouts" not in group:
        return EventSet(primaries)
    charge = _array(group, "readouts/charge", (count, None), file)
    rest = {name: _array(group, f"readouts/{name}", charge.shape, file) for name in ("time", "hit")}
    return EventSet(
        primaries, Readout(jnp.asarray(charge), jnp.asarray(rest["time"]), jnp.asarray(rest["hit"], dtype=bool))
    )


def _array(group: h5py.Group, name: str, shape: tuple[int | None, ...], file: str) -> np.ndarray:
    key = f"{group.name}/{name}".lstrip("/")
    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise InputError("is missing", file=file, key=key, remedy=_REMEDY)
    fits = len(dataset.shape) == len(shape) and all(
        want in (None, have) for have, want in zip(dataset.shape, shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("sensors" if size is None else str(size) for size in shape) + ")"
        raise InputError(f"expected shape {wanted}", file=file, key=key, value=dataset.shape, remedy=_REMEDY)
    if dataset.dtype.kind not in "fiub":
        raise InputError("expected numbers", file=file, key=key, value=str(dataset.dtype), remedy=_REMEDY)
    unit, expected = _plain(dataset.attrs.get("units")), _UNITS.get(name.rsplit("/", 1)[-1])
    if expected is not None and unit not in (expected, "1000 photons"):
        raise InputError(f"expected the unit {expected}", file=file, key=key, value=unit, remedy=_REMEDY)
    values = dataset[()]
    if not np.isfinite(values).all():
        raise InputError("holds numbers that are not finite", file=file, key=key, remedy=_REMEDY)
    return values


def _check(population: EventSet, number: int) -> None:
    primaries, readouts = population
    key = f"populations.{number}"
    if np.ndim(primaries.kinetic_energy) != 1:
        problem = f"kinetic_energy of shape {np.shape(primaries.kinetic_energy)}"
        raise InputError(problem, key=f"{key}.primaries", remedy="stack the primaries: one leading axis of events")
    if readouts is None:
        return
    for name in ("charge", "time", "hit"):
        shape = np.shape(getattr(readouts, name))
        if len(shape) != 2 or shape[0] != population.count:
            problem = f"shape {shape} for {population.count} events"
            raise InputError(problem, key=f"{key}.readouts.{name}", remedy="give shape (events, sensors)")


def _plain(value: object) -> str | int | float:
    if isinstance(value, bytes):
        return value.decode()
    item = value.item() if isinstance(value, np.generic) else value
    return item if isinstance(item, str | int | float) else str(item)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
