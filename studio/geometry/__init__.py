"""Volumes: what holds the medium and carries the sensors on its wall."""

from .base import AbstractVolume
from .box import Box
from .cylinder import Cylinder
from .mesh import MeshVolume
from .sphere import Sphere

__all__ = ["AbstractVolume", "Box", "Cylinder", "MeshVolume", "Sphere"]
