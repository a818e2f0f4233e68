"""A detector: volume, medium, sensors and electronics, and where the sensors stand in space."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import InputError
from ..geometry import AbstractVolume
from ..medium import AbstractMedium
from .electronics import OpticalElectronics
from .photosensors import PhotosensorArray
from .reflector import Reflector


class Placed(NamedTuple):
    """Sensors in space: `positions (sensors, 3)` of the face centres in mm, unit `normals (sensors, 3)` pointing into the
    volume, `radii (sensors,)` in mm."""

    positions: Float[Array, "sensors 3"]
    normals: Float[Array, "sensors 3"]
    radii: Float[Array, " sensors"]


class Detector(eqx.Module):
    """Everything that is built. All numbers in it are leaves with a path, such as `volume.radius` or `sensors.uv`.

    **Fields**: `volume`, `medium`, `sensors`, `electronics`; `name`, static; `wall`: what the wall between the sensors does with
    light, one `Reflector` for all patches with numbers as leaves (`wall.diffuse`), or None where it absorbs all. What the
    sensors do with light that they do not detect is `sensors.glass`.

    **Raises** `InputError` for a wall whose leaves are no numbers.
    """

    volume: AbstractVolume
    medium: AbstractMedium
    sensors: PhotosensorArray
    electronics: OpticalElectronics = OpticalElectronics()
    name: str = eqx.field(static=True, default="detector")
    wall: Reflector | None = None

    def __check_init__(self):
        if self.wall is not None and self.wall.specular.shape != ():
            problem = f"shape {self.wall.specular.shape} where the wall has one finish"
            raise InputError(problem, key="wall", remedy="give a Reflector of three numbers")

    @property
    def placed(self) -> Placed:
        """Positions, normals and radii of the sensors, derived from the volume and their surface coordinates."""
        sensors = self.sensors
        return Placed(
            self.volume.surface_point(sensors.patch, sensors.uv),
            self.volume.normal(sensors.patch, sensors.uv),
            sensors.radius,
        )

    @property
    def coverage(self) -> Float[Array, ""]:
        """Fraction of the wall that sensors cover: Σ weight · π r² / area of the wall."""
        return jnp.pi * jnp.sum(self.sensors.weight * self.sensors.radius**2) / self.volume.area

    def on_patch(self, name: str) -> np.ndarray:
        """Mask `(sensors,)` of the sensors on the patch of that name."""
        return np.asarray(self.sensors.patch) == self.volume.patches.index(name)
