"""A liquid-argon time projection chamber whose charge is read out by pads."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._checks import InputError
from ..medium import LiquidArgon
from .abstract_tpc import AbstractTPC
from .drift_volumes import DriftVolumes
from .pixel_electronics import PixelElectronics
from .pixel_plane import PixelPlane
from .space_charge import AbstractSpaceCharge, UniformField


class PixelTPC(AbstractTPC):
    """Drift volumes in liquid argon, pads at their anodes, and the electronics behind them.

    **Arguments**

    - `volumes`: boxes in which electrons drift; they may differ in size and field.
    - `medium`: liquid argon.
    - `pixels`: the same at every anode.
    - `electronics`: of every pad.
    - `space_charge`: distortion of field and drift; none by default.
    - `name`, static.

    All numbers are leaves with a path, such as `pixels.pitch` or `volumes.length`. **Raises** `InputError` where the slots of
    the pixels do not cover an anode plane.
    """

    volumes: DriftVolumes
    medium: LiquidArgon
    pixels: PixelPlane
    electronics: PixelElectronics
    space_charge: AbstractSpaceCharge
    name: str = eqx.field(static=True)

    def __init__(
        self,
        volumes: DriftVolumes,
        medium: LiquidArgon,
        pixels: PixelPlane,
        electronics: PixelElectronics | None = None,
        space_charge: AbstractSpaceCharge | None = None,
        name: str = "pixel_tpc",
    ):
        self.volumes, self.medium, self.pixels = volumes, medium, pixels
        self.electronics = PixelElectronics() if electronics is None else electronics
        self.space_charge = UniformField() if space_charge is None else space_charge
        self.name = name

    def __check_init__(self):
        pitch, width = self.pixels.pitch, self.volumes.width
        if isinstance(pitch, Tracer) or isinstance(width, Tracer):
            return
        reach, widest = np.array(self.pixels.slots) * float(pitch), np.max(np.atleast_2d(np.asarray(width)), axis=0)
        if np.any(reach < widest * (1 - 1e-6)):
            raise InputError(
                f"pads cover {reach[0]:g} × {reach[1]:g} mm of {widest[0]:g} × {widest[1]:g} mm",
                key="pixels.slots",
                value=self.pixels.slots,
                remedy="give pixel_slots_for(smallest pitch, width)",
            )

    @property
    def channel_count(self) -> int:
        """Number of channels there is room for, absent pads among them."""
        return self.volumes.count * self.pixels.slots[0] * self.pixels.slots[1]

    @property
    def pads_present(self) -> int:
        """Number of pads, counted: those of which some lies within an anode plane."""
        rows, columns = (jnp.arange(count) for count in self.pixels.slots)
        there = jax.lax.map(
            lambda volume: jnp.count_nonzero(self.pixels.present(self.volumes, volume, rows[:, None], columns)),
            jnp.arange(self.volumes.count),
        )
        return int(jnp.sum(there))

    @property
    def pixel_count(self) -> Float[Array, ""]:
        """Number of pads, not rounded: what channels cost."""
        return jnp.sum(self.pixels.pixel_count(self.volumes))
