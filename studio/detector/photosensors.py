"""Photosensors on the wall of a volume."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from .._arrays import as_floating
from .._checks import InputError
from .reflector import Reflector
from .sensor_types import SensorType


class PhotosensorArray(eqx.Module):
    """Flat round photosensors stored by where they sit on the wall; world positions belong to `Detector.placed`.

    **Fields**

    - `uv (sensors, chart)`: surface coordinates in the chart of the sensor's patch, a leaf that studies free.
    - `patch (sensors,)`: index of the patch in the volume's `patches`; fixed.
    - `radius (sensors,)`: radius of the sensitive face in mm.
    - `kind (sensors,)`: index of the sensor's type in `types`; fixed.
    - `efficiency (types,)`: relative detection efficiency of each type, nominally 1.
    - `weight (sensors,)`: 1 where a sensor stands, 0 at a place that is left empty. What lies between is a design that has
      not yet decided: the place brings that part of a sensor's information, and costs that part of it.
    - `types`: the sensor types present, static.
    - `glass`: what the face of each type reflects, leaves `(types,)`, or None where it absorbs all; numbers stand for all
      types. It meets the light that the sensor does not detect, a part 1 − (detection efficiency) of what arrives.

    **Raises** `InputError` where there is no sensor, lengths differ, or a number is not finite, a radius not positive or a weight
    negative.
    """

    uv: Float[Array, "sensors chart"]
    patch: Int[Array, " sensors"]
    radius: Float[Array, " sensors"]
    kind: Int[Array, " sensors"]
    efficiency: Float[Array, " types"]
    weight: Float[Array, " sensors"]
    types: tuple[SensorType, ...] = eqx.field(static=True)
    glass: Reflector | None = None

    def __init__(
        self,
        uv: Float[Array, "sensors chart"] | np.ndarray,
        patch: Int[Array, " sensors"] | np.ndarray,
        types: tuple[SensorType, ...],
        kind: Int[Array, " sensors"] | np.ndarray | None = None,
        radius: Float[Array, " sensors"] | np.ndarray | None = None,
        efficiency: Float[Array, " types"] | np.ndarray | None = None,
        weight: Float[Array, " sensors"] | np.ndarray | None = None,
        glass: Reflector | None = None,
    ):
        default = jnp.result_type(float)
        self.types = tuple(types)
        self.glass = None if glass is None else _for_each(glass, len(self.types))
        self.uv = as_floating(uv)
        self.patch = jnp.asarray(patch, jnp.int32)
        count = self.uv.shape[0] if self.uv.ndim == 2 else 0
        if count == 0:
            raise InputError("no sensors", key="sensors", remedy="give at least one sensor")
        self.kind = jnp.zeros(count, jnp.int32) if kind is None else jnp.asarray(kind, jnp.int32)
        type_radii = jnp.asarray([entry.radius for entry in self.types], default)
        self.radius = type_radii[self.kind] if radius is None else as_floating(radius)
        self.efficiency = jnp.ones(len(self.types), default) if efficiency is None else as_floating(efficiency)
        self.weight = jnp.ones(count, default) if weight is None else as_floating(weight)

    def __check_init__(self):
        count = len(self.uv)
        for name in ("patch", "radius", "kind", "weight"):
            shape = getattr(self, name).shape
            if shape != (count,):
                raise InputError(
                    f"shape {shape} for {count} sensors", key=f"sensors.{name}", remedy="one entry a sensor"
                )
        if self.efficiency.shape != (len(self.types),):
            raise InputError(
                f"shape {self.efficiency.shape} for {len(self.types)} types",
                key="sensors.efficiency",
                remedy="one entry a sensor type",
            )
        if self.glass is not None and self.glass.specular.shape != (len(self.types),):
            raise InputError(
                f"shape {self.glass.specular.shape} for {len(self.types)} types",
                key="sensors.glass",
                remedy="give numbers, or one entry a sensor type",
            )
        _require(self.uv, np.isfinite, "sensors.uv", "not finite", "surface coordinates are plain numbers")
        _require(
            self.radius, lambda r: np.isfinite(r) & (r > 0), "sensors.radius", "not positive", "give a radius in mm"
        )
        _require(
            self.weight, lambda w: np.isfinite(w) & (w >= 0), "sensors.weight", "negative or not finite", "give 0 to 1"
        )

    @property
    def count(self) -> int:
        """Number of sensors, places that are left empty included."""
        return self.uv.shape[0]

    @property
    def present(self) -> Bool[Array, " sensors"]:
        """Which places have a sensor when events are recorded and pictures drawn: those of a weight above one half."""
        return self.weight > 0.5

    def chosen(self, index: Int[np.ndarray, " kept"]) -> PhotosensorArray:
        """The sensors with the given indices alone, each with weight 1."""
        kept = (np.asarray(leaf)[index] for leaf in (self.uv, self.patch, self.kind, self.radius))
        uv, patch, kind, radius = kept
        return PhotosensorArray(uv, patch, self.types, kind, radius, self.efficiency, glass=self.glass)


def _for_each(glass: Reflector, types: int) -> Reflector:
    """The glass of every type, where one is given for all."""
    if glass.specular.shape != ():
        return glass
    return Reflector(*(jnp.full(types, leaf) for leaf in (glass.specular, glass.diffuse, glass.lobe)))


def _require(array: Array, condition, key: str, problem: str, remedy: str) -> None:
    if isinstance(array, Tracer) or not hasattr(array, "__array__"):
        return
    bad = ~condition(np.asarray(array))
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(f"{problem} at index {first}", key=key, value=np.asarray(array)[first].item(), remedy=remedy)
