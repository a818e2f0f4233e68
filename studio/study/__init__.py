"""Studies: an experiment file becomes an optimised design whose gain was measured. Names resolve on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bounds import natural_bound as natural_bound
    from .bounds import wall_bound as wall_bound
    from .config import Experiment as Experiment
    from .config import experiment_schema as experiment_schema
    from .cost_table import read_costs as read_costs
    from .cost_table import shipped_costs as shipped_costs
    from .experiment_file import read_experiment as read_experiment
    from .observer import AbstractObserver as AbstractObserver
    from .physics import AbstractPhysics as AbstractPhysics
    from .physics import Estimates as Estimates
    from .study import Study as Study
    from .study import StudySolution as StudySolution

_HOMES = {
    "AbstractObserver": "observer",
    "AbstractPhysics": "physics",
    "Estimates": "physics",
    "Experiment": "config",
    "Study": "study",
    "StudySolution": "study",
    "experiment_schema": "config",
    "natural_bound": "bounds",
    "read_costs": "cost_table",
    "read_experiment": "experiment_file",
    "shipped_costs": "cost_table",
    "wall_bound": "bounds",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
