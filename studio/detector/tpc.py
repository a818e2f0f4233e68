"""A liquid-argon time projection chamber: where charge drifts, and the wires that it induces currents on."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._arrays import as_number
from .._checks import InputError
from ..medium import LiquidArgon
from ..units import mm
from .abstract_tpc import AbstractTPC
from .cold_electronics import ColdElectronics
from .drift_volumes import DriftVolumes
from .space_charge import AbstractSpaceCharge, UniformField
from .wire_plane import WirePlane


class TPC(AbstractTPC):
    """Drift volumes in liquid argon, wire planes at their anodes, and the electronics behind them.

    **Arguments**

    - `volumes`: boxes in which electrons drift.
    - `medium`: liquid argon.
    - `planes`: in the order electrons meet them, the collection plane (height 0) last; the same at every anode.
    - `electronics`: of every channel.
    - `mesh_distance`: behind the last plane in mm, to the conductor that stands there, a mesh or the wall.
    - `field_behind` the last plane in V/mm in place of that conductor, positive where it drives electrons on.
    - `space_charge`: distortion of field and drift; none by default.
    - `name`, static.

    All numbers are leaves with a path, such as `planes.0.pitch` or `volumes.length`. **Raises** `InputError` for planes that
    are not in order.
    """

    volumes: DriftVolumes
    medium: LiquidArgon
    planes: tuple[WirePlane, ...]
    electronics: ColdElectronics
    mesh_distance: Float[Array, ""]
    field_behind: Float[Array, ""] | None
    space_charge: AbstractSpaceCharge
    name: str = eqx.field(static=True)

    def __init__(
        self,
        volumes: DriftVolumes,
        medium: LiquidArgon,
        planes: tuple[WirePlane, ...],
        electronics: ColdElectronics | None = None,
        mesh_distance: float | Array = 12.0 * mm,
        field_behind: float | Array | None = None,
        space_charge: AbstractSpaceCharge | None = None,
        name: str = "tpc",
    ):
        self.volumes, self.medium, self.planes = volumes, medium, tuple(planes)
        self.electronics = ColdElectronics() if electronics is None else electronics
        self.mesh_distance = as_number(mesh_distance, "mesh_distance", positive=True)
        self.field_behind = None if field_behind is None else as_number(field_behind, "field_behind")
        self.space_charge = UniformField() if space_charge is None else space_charge
        self.name = name

    def __check_init__(self):
        if not self.planes:
            raise InputError("no wire planes", key="planes", remedy="give at least the collection plane")
        heights = [plane.height for plane in self.planes]
        if not any(isinstance(height, Tracer) for height in heights):
            values = [float(height) for height in heights]
            if values[-1] != 0 or any(upper <= lower for upper, lower in itertools.pairwise(values)):
                raise InputError(
                    "not in the order in which electrons meet them",
                    key="planes",
                    value=values,
                    remedy="heights fall from plane to plane, and the last one is 0",
                )

        for index, plane in enumerate(self.planes):
            if plane.joined is not None and self.volumes.count % plane.joined.volumes:
                raise InputError(
                    f"{self.volumes.count} drift volumes are no whole number of groups",
                    key=f"planes.{index}.joined.volumes",
                    value=plane.joined.volumes,
                    remedy="give the number of volumes in a row whose wires are joined",
                )
        if not any(plane.read_out for plane in self.planes):
            raise InputError("no plane is read out", key="planes", remedy="read at least the collection plane")

    @property
    def read_planes(self) -> tuple[WirePlane, ...]:
        """The planes that record: all but grids."""
        return tuple(plane for plane in self.planes if plane.read_out)

    @property
    def wire_lengths(self) -> tuple[Float[Array, " channels"], ...]:
        """Length in mm of the wires of every channel, plane by plane that is read: all channels of the first volume, or of the
        first that are joined, then those of the next."""
        return tuple(plane.channel_lengths(self.volumes).reshape(-1) for plane in self.read_planes)

    @property
    def channel_count(self) -> int:
        """Number of channels there is room for, those without wires among them."""
        return sum(plane.groups(self.volumes) * plane.channels for plane in self.read_planes)

    @property
    def wire_count(self) -> Float[Array, ""]:
        """Number of wires that are read, not rounded: what channels cost. Joined wires count as their channels, a fixed number."""
        counts = [
            jnp.sum(plane.wire_count(self.volumes))
            if plane.joined is None
            else jnp.asarray(float(plane.groups(self.volumes) * plane.channels))
            for plane in self.read_planes
        ]
        return jnp.asarray(sum(counts))


def check_same_field(volumes: DriftVolumes) -> None:
    """**Raises** `InputError` where drift volumes differ in their drift field: one field response serves all of them."""
    field = volumes.field
    if not isinstance(field, Tracer) and field.ndim and np.ptp(np.asarray(field)) > 0:
        raise InputError(
            "drift volumes of different fields",
            key="volumes.field",
            value=np.asarray(field).tolist(),
            remedy="give one",
        )
