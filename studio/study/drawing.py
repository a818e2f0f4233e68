"""What `studio render` is asked: what kind of thing a target is, found out before jax is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from .._checks import InputError
from ..io.geometry import read_geometry
from ..io.tpc_models import TPCModel
from .experiment_file import read_begun

_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclasses.dataclass(frozen=True)
class Target:
    """A file or directory to draw, and of which `kind` it is; `geometry`: the detector of an event file."""

    path: Path
    kind: Literal["geometry", "study", "events"]
    geometry: Path | None = None


def read_target(path: Path, geometry: Path | None = None) -> Target:
    """What `path` is: a study's directory, an event file (HDF5), or a geometry file. Imports no jax.

    **Raises** `InputError` where it is none of them, and where an event file comes without a geometry or another thing with
    one.
    """
    if path.is_dir():
        read_begun(path)
        return _without_geometry(Target(path, "study"), geometry)
    if not path.is_file():
        remedy = "name a geometry file, the directory of a study, or an event file"
        raise InputError("no such file or directory", file=path, remedy=remedy)
    with path.open("rb") as stream:
        events = stream.read(len(_HDF5)) == _HDF5
    if not events and geometry is None:
        read_geometry(path)
        return Target(path, "geometry")
    if geometry is None:
        remedy = "name the geometry file that the events were made with: --geometry FILE"
        raise InputError("an event file says nothing about the detector", file=path, key="--geometry", remedy=remedy)
    _, model = read_geometry(geometry)
    if not events and not isinstance(model, TPCModel):
        raise InputError(
            "only an event file needs a geometry", key="--geometry", value=str(geometry), remedy="leave it out"
        )
    return Target(path, "events", geometry)


def draw_target(
    target: Target,
    out: Path | None,
    formats: tuple[str, ...] = (),
    *,
    event: int = 0,
    colour: Literal["charge", "time"] = "charge",
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Draws a target into the folder `out`; returns what was written.

    `formats`: by default pictures and a page, and for a study a moving picture. **Raises** `InputError` as the readers do.
    """
    from ..detector import AbstractTPC
    from ..io.geometry import load_detector
    from ..rendering.probe import opengl
    from .pictures import Artist, draw_chamber, draw_event, draw_geometry, draw_study, read_study_picture

    wanted = formats or (("png", "html", "gif") if target.kind == "study" else ("png", "html"))
    if target.kind != "study" and "gif" in wanted:
        raise InputError("only studies move", key="--format", value="gif", remedy="name the directory of a study")
    artist = Artist(out or (target.path / "figures" if target.kind == "study" else Path()), wanted, note)
    if target.kind == "study":
        draw_study(read_study_picture(target.path), artist)
    else:
        detector = load_detector(target.path if target.geometry is None else target.geometry)
        if isinstance(detector, AbstractTPC):
            draw_chamber(detector, target.path, event if target.kind == "events" else None, artist)
        elif target.kind == "events":
            draw_event(detector, target.path, event, artist, colour)
        else:
            draw_geometry(detector, target.path.stem, artist)
    found = opengl() if {"png", "gif"} & set(wanted) else None
    return {
        "target": str(target.path),
        "kind": target.kind,
        "opengl": {"works": found and found.works, "reason": found.reason if found else "not needed"},
        "files": [str(path) for path in artist.paths],
    }


def _without_geometry(target: Target, geometry: Path | None) -> Target:
    if geometry is not None:
        raise InputError(
            "only an event file needs a geometry", key="--geometry", value=str(geometry), remedy="leave it out"
        )
    return target
