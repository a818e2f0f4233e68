"""Where work runs: one interface, `AbstractRunner.map(function, items)`, and an alternative per file."""

from .base import AbstractRunner
from .local import LocalRunner
from .ray import RayRunner

__all__ = ["AbstractRunner", "LocalRunner", "RayRunner"]
