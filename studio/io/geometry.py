"""Geometry files: reading, checking and their schema. Building the detector is `geometry_build`, writing `geometry_save`.

Nothing here imports jax before the file has been read and validated.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .document import Document, load_document, validate
from .geometry_models import GeometryModel

if TYPE_CHECKING:
    from ..detector import Detector


def read_geometry(path: str | os.PathLike[str]) -> tuple[Document, GeometryModel]:
    """A geometry file, validated but not built; imports no jax. **Raises** `InputError` naming file, line and key."""
    document = load_document(path)
    return document, validate(document, GeometryModel)


def load_detector(path: str | os.PathLike[str]) -> Detector:
    """The detector described by a geometry file.

    **Raises** `InputError` naming file, line, key, value and remedy: for everything YAML and the schema refuse, and
    where sensors stand outside the volume, reach across the edge of their patch or overlap.
    """
    document, model = read_geometry(path)
    from .geometry_build import build

    return build(document, model).detector


def check_geometry(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a geometry file holds, as a plain dict fit for JSON.

    Keys: `file`, `name`, `volume`, `medium`, `sensors` (count, by patch, by type), `coverage`, `spacing` (smallest distance
    and gap between faces), `placement` (how far given positions stood off the wall) and `warnings`.

    **Raises** `InputError` as `load_detector` does.
    """
    document, model = read_geometry(path)
    from .geometry_build import build
    from .geometry_report import report

    return report(document, build(document, model))


def save_detector(detector: Detector, path: str | os.PathLike[str]) -> None:
    """Write a detector as a geometry file that reloads bit for bit.

    The file is replaced at once, never half written. **Raises** `InputError` for a path that cannot be written and a
    detector that a file cannot describe.
    """
    from .geometry_save import save

    save(detector, path)


def geometry_schema() -> dict[str, Any]:
    """The JSON schema of geometry files, for editors."""
    schema = GeometryModel.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "studio geometry file", **schema}
