"""Where tests find the published files they compare with; they skip where those are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def reference(name: str) -> Path:
    """The reference file of that relative name, for example "optical/pmt_qe_wcsim.csv".

    Looked for in the folder named by STUDIO_REFERENCE_DATA, else in ../shared/data beside the checkout; the test is skipped
    where it is not found.
    """
    folder = Path(os.environ.get("STUDIO_REFERENCE_DATA", _BESIDE))
    path = folder / name
    if not path.exists():
        pytest.skip(f"reference file {name} is not there: set STUDIO_REFERENCE_DATA to the folder that holds it")
    return path
