"""What `studio doctor` says of one thing."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

State = Literal["ok", "warning", "missing"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    **Fields**: `name`; `state`; `detail`: what was found; `consequence`: what follows from it, and `remedy`: how to get what is
    missing, both empty where all is well; `necessary`: whether studies need it at all; `values`: the numbers behind it.
    """

    name: str
    state: State
    detail: str
    consequence: str = ""
    remedy: str = ""
    necessary: bool = False
    values: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def fatal(self) -> bool:
        """Whether studies cannot run for it."""
        return self.necessary and self.state == "missing"

    def as_dict(self) -> dict[str, Any]:
        """All fields, fit for JSON."""
        return dataclasses.asdict(self)
