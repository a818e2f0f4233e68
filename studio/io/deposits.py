"""Deposit files: readers of other programs' formats, and the studio's own.

Formats, recognised by what a file holds and not by its name; positions and lengths come out in mm, times in ns, energies in
MeV:

- `studio`: HDF5 written by `write_deposits`; layout below.
- `edep_sim`: HDF5 with a compound dataset `segments`, as edep-sim's output is passed to larnd-sim: centre x, y, z and step dx
  in cm, ends x_start … z_end, dE in MeV, t0 in µs. Source: DUNE/larnd-sim, docs and cli/dumpTree.py.
- `geant4_steps`: HDF5 with a ragged dataset `pstep/lar_vol`, one array of steps per event: centre x, y, z and dx in mm,
  de in MeV, t in ns, theta and phi in radian. Source: DeepLearnPhysics/JAXTPC and its example event. (The field `ke` of that
  file's `particle` and `primary` tables holds the momentum; it is not read.)
- `deposit_json`: JSON, plain or compressed by bzip2 or gzip, with a list `depos` of objects with x, y, z (mm), t (ns), q (energy
  in MeV), s (step in mm) and n (electrons, not read). No directions and no particles. Source: WireCell/wire-cell-data.

Layout of the studio's own files (`units` is an attribute of every dataset with a dimension):

```
/                      attributes: format = "studio.deposits", version = 1, and the user's own
/event_7               one group an event, numbered as the events are
    attributes         count (deposits)
    position           (deposits, 3)  mm, middle of the segment
    direction          (deposits, 3)  unit vectors, zero where not known
    energy             (deposits,)    MeV
    length             (deposits,)    mm
    time               (deposits,)    ns
    pdg, track         (deposits,)    whole numbers, 0 where not known
    weight             (deposits,)    1, or 0 for padding
```
"""

from __future__ import annotations

import bz2
import gzip
import json
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from .._checks import InputError, choice_remedy
from ..event.deposits import Deposits
from ..units import cm, us
from .atomic import replace_file

FORMAT = "studio.deposits"
VERSION = 1

_FIELDS = {
    "position": (3,),
    "energy": (),
    "length": (),
    "time": (),
    "direction": (3,),
    "pdg": (),
    "track": (),
    "weight": (),
}
_UNITS = {"position": "mm", "energy": "MeV", "length": "mm", "time": "ns"}
_TRUNCATED = "the file may be truncated: make or fetch it again"


class _Table(NamedTuple):
    """All deposits of a file in the studio's units, and the event of each; `events` lists also those without deposits."""

    events: tuple[int, ...]
    event: np.ndarray
    columns: dict[str, np.ndarray]


def read_deposits(path: str | os.PathLike[str], event: int | None = None) -> Deposits:
    """The deposits of a file; the format is recognised from its content.

    **Arguments**: `event`, the number of one event, as `deposit_events` lists them; every deposit of the file without it.

    **Raises** `InputError` for a missing, truncated or foreign file and for an event that is not in it, naming what was
    found and what is allowed.
    """
    file = os.fspath(path)
    table = _read(file)
    keep = np.ones(len(table.event), dtype=bool)
    if event is not None:
        if event not in table.events:
            shown = ", ".join(str(number) for number in table.events[:12]) + (", ..." if len(table.events) > 12 else "")
            raise InputError("no such event", file=file, key="event", value=event, remedy=f"the file holds: {shown}")
        keep = table.event == event
    columns = {name: values[keep] for name, values in table.columns.items()}
    try:
        return Deposits(**columns)
    except InputError as error:
        raise error.located(file=file) from None


def deposit_events(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """The numbers of the events in a deposit file, ascending. **Raises** `InputError` as `read_deposits` does."""
    return _read(os.fspath(path)).events


def deposit_formats() -> tuple[str, ...]:
    """The names of the formats that `read_deposits` knows."""
    return (*_HDF5_READERS, "deposit_json")


def write_deposits(
    path: str | os.PathLike[str],
    events: Deposits | Mapping[int, Deposits],
    attributes: Mapping[str, str | int | float] | None = None,
) -> None:
    """Write the deposits of one event (number 0), or of several by their numbers; the file appears whole or not at all.

    `attributes` are kept with the file: whatever tells where the deposits come from.

    **Raises** `InputError` for stacked events, numbers that are not whole and a path that cannot be written.
    """
    listed = {0: events} if isinstance(events, Deposits) else dict(events)
    for number, deposits in listed.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise InputError("events are numbered from 0 on", key="events", value=number, remedy="give whole numbers")
        if deposits.energy.ndim != 1:
            problem = f"event {number} has energies of shape {deposits.energy.shape}"
            raise InputError(problem, key="events", remedy="write stacked events one by one, by their numbers")

    def write(temporary: Path) -> None:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(dict(attributes or {}))
            file.attrs.update({"format": FORMAT, "version": VERSION})
            for number, deposits in listed.items():
                group = file.create_group(f"event_{number}")
                group.attrs["count"] = deposits.count
                for name in _FIELDS:
                    group[name] = np.asarray(getattr(deposits, name))
                    if name in _UNITS:
                        group[name].attrs["units"] = _UNITS[name]

    replace_file(path, write)


# ---- what a file is --------------------------------------------------------------------------------------------------


def _read(file: str) -> _Table:
    if not Path(file).is_file():
        problem = "is a directory" if Path(file).is_dir() else "no such deposit file"
        raise InputError(problem, file=file, remedy=_allowed())
    try:
        with Path(file).open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, remedy="check its permissions") from None
    if start == b"\x89HDF\r\n\x1a\n":
        return _read_hdf5(file)
    return _read_json(file, start)


def _read_hdf5(file: str) -> _Table:
    try:
        with h5py.File(file, "r") as content:
            for name, (matches, reader) in _HDF5_READERS.items():
                if matches(content):
                    return _checked(reader(content, file), file, name)
            found = ", ".join(list(content)[:8]) or "nothing"
    except (OSError, RuntimeError, KeyError) as error:
        problem = f"is not a readable HDF5 file: {(str(error).strip().splitlines() or [''])[0]}"
        raise InputError(problem, file=file, remedy=_TRUNCATED) from None
    raise InputError(f"is HDF5 in no deposit format that is known; it holds: {found}", file=file, remedy=_allowed())


def _allowed() -> str:
    return (
        "give HDF5 with a dataset 'segments' (edep_sim) or 'pstep/lar_vol' (geant4_steps), JSON with a list 'depos' "
        "(deposit_json), or a file that write_deposits wrote (studio)"
    )


def _checked(table: _Table, file: str, format: str) -> _Table:
    for name, values in table.columns.items():
        if not np.isfinite(values).all():
            row = int(np.argmax(~np.isfinite(values.reshape(len(values), -1)).all(axis=-1)))
            problem = f"deposit {row} is not a finite number (format {format})"
            raise InputError(problem, file=file, key=name, remedy="the file is damaged: make it again")
    return table


# ---- formats ---------------------------------------------------------------------------------------------------------


def _read_own(content: h5py.File, file: str) -> _Table:
    version = content.attrs.get("version")
    if version != VERSION:
        raise InputError(
            "unknown version", file=file, key="version", value=version, remedy=f"this studio reads {VERSION}"
        )
    numbers: list[int] = []
    for name in map(str, content):
        text = name.removeprefix("event_")
        if not (name.startswith("event_") and text.isdecimal() and isinstance(content[name], h5py.Group)):
            raise InputError("an unknown group", file=file, key=name, remedy="groups are event_0, event_1, ...")
        numbers.append(int(text))
    numbers.sort()
    parts: dict[str, list[np.ndarray]] = {name: [np.zeros((0, *shape))] for name, shape in _FIELDS.items()}
    for number in numbers:
        group = content[f"event_{number}"]
        assert isinstance(group, h5py.Group)  # looked at above
        count = int(group.attrs.get("count", -1))
        for name, shape in _FIELDS.items():
            values, unit = _numbers(group, name, file)
            key = f"event_{number}/{name}"
            if values.shape != (count, *shape):
                problem = f"expected shape {(count, *shape)}"
                raise InputError(problem, file=file, key=key, value=values.shape, remedy=_TRUNCATED)
            if unit != _UNITS.get(name):
                raise InputError(f"expected the unit {_UNITS.get(name)}", file=file, key=key, value=unit)
            parts[name].append(values)
    columns = {name: np.concatenate(values[1:] or values) for name, values in parts.items()}
    columns = {name: values.astype(int) if name in ("pdg", "track") else values for name, values in columns.items()}
    counts = [len(values) for values in parts["energy"][1:]]
    return _Table(tuple(numbers), np.repeat(np.asarray(numbers, dtype=int), counts), columns)


# A quantity's name in the files of the older and of the newer larnd-sim.
_EDEP_NAMES = {"event": ("eventID", "event_id"), "track": ("trackID", "traj_id"), "pdg": ("pdgId", "pdg_id")}


def _read_edep_sim(content: h5py.File, file: str) -> _Table:
    rows = _rows(content["segments"], "segments", file)
    names = {
        name: next((n for n in options if n in (rows.dtype.names or ())), options[0])
        for name, options in _EDEP_NAMES.items()
    }
    wanted = ["x", "y", "z", "dx", "dE", "t0", *(f"{axis}_{end}" for axis in "xyz" for end in ("start", "end"))]
    _require(rows, [*wanted, *names.values()], "segments", file)
    start, end = (_stacked(rows, [f"{axis}_{which}" for axis in "xyz"]) for which in ("start", "end"))
    event = rows[names["event"]].astype(int)
    return _Table(
        tuple(np.unique(event).tolist()),
        event,
        {
            "position": _stacked(rows, "xyz") * cm,
            "energy": rows["dE"].astype(float),
            "length": rows["dx"].astype(float) * cm,
            "time": rows["t0"].astype(float) * us,
            "direction": end - start,
            "pdg": rows[names["pdg"]].astype(int),
            "track": rows[names["track"]].astype(int),
        },
    )


def _read_steps(content: h5py.File, file: str) -> _Table:
    dataset = content["pstep/lar_vol"]
    if not isinstance(dataset, h5py.Dataset) or h5py.check_vlen_dtype(dataset.dtype) is None:
        raise InputError("is not a ragged dataset", file=file, key="pstep/lar_vol", remedy=_allowed())
    events = [np.asarray(steps) for steps in dataset[()]]
    numbers = np.arange(len(events))
    listed = content.get("event/geant4")
    if isinstance(listed, h5py.Dataset) and "event_id" in (listed.dtype.names or ()) and len(listed) == len(events):
        numbers = listed["event_id"].astype(int)
    if not events:
        raise InputError("holds no event", file=file, key="pstep/lar_vol", remedy=_TRUNCATED)
    rows = np.concatenate(events)
    _require(rows, ["x", "y", "z", "de", "dx", "t", "theta", "phi", "pdg", "track_id"], "pstep/lar_vol", file)
    theta, phi = rows["theta"].astype(float), rows["phi"].astype(float)
    direction = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    return _Table(
        tuple(sorted(set(numbers.tolist()))),
        np.repeat(numbers, [len(steps) for steps in events]),
        {
            "position": _stacked(rows, "xyz"),
            "energy": rows["de"].astype(float),
            "length": rows["dx"].astype(float),
            "time": rows["t"].astype(float),
            "direction": direction,
            "pdg": rows["pdg"].astype(int),
            "track": rows["track_id"].astype(int),
        },
    )


_HDF5_READERS: dict[str, tuple[Callable[[h5py.File], bool], Callable[[h5py.File, str], _Table]]] = {
    "studio": (lambda content: content.attrs.get("format") == FORMAT, _read_own),
    "edep_sim": (lambda content: "segments" in content, _read_edep_sim),
    "geant4_steps": (lambda content: "pstep/lar_vol" in content, _read_steps),
}


def _read_json(file: str, start: bytes) -> _Table:
    opened = bz2.open if start[:3] == b"BZh" else gzip.open if start[:2] == b"\x1f\x8b" else open
    try:
        with opened(file, "rb") as stream:
            content = json.loads(stream.read())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        problem = f"is neither HDF5 nor JSON: {error}"
        raise InputError(problem, file=file, remedy=_allowed()) from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be decompressed: {error}", file=file, remedy=_TRUNCATED) from None
    rows = content.get("depos") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        found = (
            f"an object with: {', '.join(list(content)[:8])}" if isinstance(content, dict) else type(content).__name__
        )
        raise InputError(f"is JSON without a list 'depos'; it holds {found}", file=file, remedy=_allowed())
    values = np.empty((len(rows), len(_JSON_COLUMNS)))
    for index, row in enumerate(rows):
        values[index] = _json_row(row, index, file)
    position, (energy, length, time) = values[:, :3], values[:, 3:].T
    table = _Table(
        (0,), np.zeros(len(rows), dtype=int), {"position": position, "energy": energy, "length": length, "time": time}
    )
    return _checked(table, file, "deposit_json")


_JSON_COLUMNS = ("x", "y", "z", "q", "s", "t")


def _json_row(row: object, index: int, file: str) -> list[float]:
    key = f"depos.{index}"
    if not isinstance(row, dict):
        raise InputError("is not an object", file=file, key=key, value=row, remedy="each deposit is {x, y, z, q, s, t}")
    for name in _JSON_COLUMNS:
        number = row.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float):
            remedy = "is missing" if name not in row else choice_remedy(name, _JSON_COLUMNS)
            raise InputError("not a number", file=file, key=f"{key}.{name}", value=number, remedy=remedy)
    return [row[name] for name in _JSON_COLUMNS]


# ---- arrays ----------------------------------------------------------------------------------------------------------


def _rows(dataset: object, key: str, file: str) -> np.ndarray:
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.names is None or dataset.ndim != 1:
        raise InputError("is not a table of named columns", file=file, key=key, remedy=_allowed())
    return dataset[()]


def _require(rows: np.ndarray, names: list[str], key: str, file: str) -> None:
    missing = [name for name in names if name not in (rows.dtype.names or ())]
    if missing:
        found = ", ".join(rows.dtype.names or ()) or "none"
        raise InputError(f"columns missing: {', '.join(missing)}", file=file, key=key, remedy=f"it has: {found}")


def _stacked(rows: np.ndarray, names: str | list[str]) -> np.ndarray:
    return np.stack([rows[name].astype(float) for name in names], axis=-1)


def _numbers(group: h5py.Group, name: str, file: str) -> tuple[np.ndarray, object]:
    """An array of numbers and its unit."""
    key = f"{group.name}/{name}".lstrip("/")
    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise InputError("is missing", file=file, key=key, remedy=_TRUNCATED)
    if dataset.dtype.kind not in "fiu":
        raise InputError("expected numbers", file=file, key=key, value=str(dataset.dtype), remedy=_TRUNCATED)
    return dataset[()], dataset.attrs.get("units")
