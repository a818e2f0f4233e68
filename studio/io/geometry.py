"""Geometry files: reading, checking and their schema, of optical detectors and of liquid-argon chambers.

A family has its models, its building, its writing and its report in files of its own: `optical_*` and `tpc_*`. Nothing here
imports jax before the file has been read and validated.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from .._checks import InputError
from .atomic import replace_file
from .document import Document, load_document, validate
from .optical_models import OpticalModel
from .tpc_models import TPCModel

if TYPE_CHECKING:
    from ..detector import TPC, Detector, PixelTPC


def read_geometry(path: str | os.PathLike[str]) -> tuple[Document, OpticalModel | TPCModel]:
    """A geometry file, validated but not built; imports no jax. **Raises** `InputError` naming file, line and key."""
    document = load_document(path)
    return document, validate(document, _family(document))


def read_optical(path: str | os.PathLike[str]) -> tuple[Document, OpticalModel]:
    """As `read_geometry`, for what only optical detectors can do yet. **Raises** `InputError` for a chamber, too."""
    document, model = read_geometry(path)
    if isinstance(model, TPCModel):
        remedy = "name an optical detector; chambers can be checked, drawn and optimised"
        raise InputError("only optical detectors can do that yet", file=document.file, remedy=remedy)
    return document, model


def load_optical(path: str | os.PathLike[str]) -> Detector:
    """As `load_detector`, for an optical detector. **Raises** `InputError` for a chamber, too."""
    from .optical_build import build

    return build(*read_optical(path)).detector


def load_detector(path: str | os.PathLike[str]) -> Detector | TPC | PixelTPC:
    """The detector described by a geometry file: a `Detector`, a `TPC`, or a `PixelTPC`.

    **Raises** `InputError` naming file, line, key, value and remedy: for everything YAML and the schema refuse, and
    where sensors stand outside the volume, reach across the edge of their patch or overlap, or planes are out of order.
    """
    document, model = read_geometry(path)
    if isinstance(model, TPCModel):
        from .tpc_build import build_tpc

        return build_tpc(document, model)
    from .optical_build import build

    return build(document, model).detector


def check_geometry(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a geometry file holds, as a plain dict fit for JSON.

    Keys of an optical detector: `file`, `name`, `volume`, `medium`, `wall` (what it reflects, None for nothing), `sensors` (count,
    by patch, by type, glass), `coverage`, `spacing`
    (smallest distance and gap between faces), `placement` (how far given positions stood off the wall) and `warnings`. Of a
    chamber: `file`, `name`, `drift` (volumes, sizes, field, cathode voltage, mass), `medium`, `planes` or `pixels`, `electronics` and
    `warnings`.

    **Raises** `InputError` as `load_detector` does.
    """
    document, model = read_geometry(path)
    if isinstance(model, TPCModel):
        from .tpc_build import build_tpc
        from .tpc_report import tpc_report

        return tpc_report(document, build_tpc(document, model))
    from .optical_build import build
    from .optical_report import report

    return report(document, build(document, model))


def save_detector(detector: Detector | TPC | PixelTPC, path: str | os.PathLike[str]) -> None:
    """Write a detector as a geometry file that reloads bit for bit.

    The file is replaced at once, never half written. **Raises** `InputError` for a path that cannot be written and a
    detector that a file cannot describe.
    """
    from ..detector import TPC, PixelTPC

    if isinstance(detector, TPC | PixelTPC):
        from .tpc_save import tpc_text

        text = tpc_text(detector)
    else:
        from .optical_save import optical_text

        text = optical_text(detector)
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def geometry_schema() -> dict[str, Any]:
    """The JSON schema of geometry files, for editors: one of the families."""
    schema = TypeAdapter(OpticalModel | TPCModel).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "studio geometry file", **schema}


def _family(document: Document) -> type[OpticalModel] | type[TPCModel]:
    """The family that most of a file's top-level keys belong to; the keys that both have say nothing."""
    optical, tpc = set(OpticalModel.model_fields), set(TPCModel.model_fields)
    keys = set(document.data)
    return TPCModel if len(keys & (tpc - optical)) > len(keys & (optical - tpc)) else OpticalModel
