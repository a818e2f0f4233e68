"""Anode planes of square pads."""

from __future__ import annotations

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from .._arrays import as_number
from .._checks import InputError, whole_number
from .drift_volumes import DriftVolumes


class PixelAxis(NamedTuple):
    """One axis of a grid of pads: `pitch` in mm, `across (2,)`: unit vector in the anode plane, `slots` pads."""

    pitch: Float[Array, ""]
    across: Float[Array, "2"]
    slots: int

    def number(self, coordinate: Float[Array, "..."]) -> Float[Array, "..."]:
        """The row or column, not rounded, of a place along the axis in mm from the centre of the plane."""
        return coordinate / self.pitch + 0.5 * (self.slots - 1)


class PixelPlane(eqx.Module):
    """Square pads on a grid centred on the anode plane, the same in every drift volume.

    **Arguments**

    - `pitch`: distance of neighbouring pads in mm.
    - `pad`: side of a pad in mm; the pitch by default. What is left between pads is an insulator that charges up until no
      field line ends on it, so that every electron ends on the pad in whose square, a pitch wide, it arrives.
    - `slots`, static: rows and columns there is room for. Rows count along the first axis of the anode plane
      (`DriftVolumes.across`), columns along the second. Pads of which nothing lies within the plane are absent, so the pitch
      may change without compiling anew: choose `pixel_slots_for` the smallest pitch.

    **Raises** `InputError` for numbers that are not positive and pads larger than the pitch.
    """

    pitch: Float[Array, ""]
    pad: Float[Array, ""] | None
    slots: tuple[int, int] = eqx.field(static=True)

    def __init__(self, pitch, pad=None, *, slots: tuple[int, int]):
        self.pitch = as_number(pitch, "pitch", positive=True)
        self.pad = None if pad is None else as_number(pad, "pad", positive=True)
        rows, columns = slots
        self.slots = (whole_number("slots", rows), whole_number("slots", columns))

    def __check_init__(self):
        known = self.pad is not None and not isinstance(self.pitch, Tracer) and not isinstance(self.pad, Tracer)
        if known and float(self.pad) > float(self.pitch):  # pyright: ignore[reportArgumentType]
            problem = f"pads larger than the pitch of {float(self.pitch):g} mm"
            raise InputError(problem, key="pad", value=float(self.pad), remedy="give at most the pitch")  # pyright: ignore[reportArgumentType]

    @property
    def gap(self) -> Float[Array, ""]:
        """Distance between the edges of neighbouring pads in mm."""
        return jnp.zeros_like(self.pitch) if self.pad is None else self.pitch - self.pad

    @property
    def axes(self) -> tuple[PixelAxis, PixelAxis]:
        """The axes along which rows and columns count."""
        unit = jnp.eye(2, dtype=self.pitch.dtype)
        return PixelAxis(self.pitch, unit[0], self.slots[0]), PixelAxis(self.pitch, unit[1], self.slots[1])

    def present(
        self, volumes: DriftVolumes, volume: Int[Array, "..."], row: Int[Array, "..."], column: Int[Array, "..."]
    ) -> Bool[Array, "..."]:
        """Whether there is such a pad: within the slots, and some of it within the anode plane of its volume."""
        found = jnp.ones(jnp.broadcast_shapes(volume.shape, row.shape, column.shape), bool)
        for number, slots, width in zip((row, column), self.slots, jnp.moveaxis(volumes.widths, -1, 0), strict=True):
            inner = (jnp.abs(number - 0.5 * (slots - 1)) - 0.5) * self.pitch
            # Edges that coincide but for rounding count as beyond.
            found &= (number >= 0) & (number < slots) & (inner < (0.5 - 1e-9) * width[volume])
        return found

    def centres(
        self, volumes: DriftVolumes, volume: Int[Array, " pads"], row: Int[Array, " pads"], column: Int[Array, " pads"]
    ) -> Float[Array, "pads 3"]:
        """Where the middles of pads lie in space, in mm."""
        flat = [
            (number - 0.5 * (slots - 1)) * self.pitch for number, slots in zip((row, column), self.slots, strict=True)
        ]
        return volumes.anode[volume] + jnp.einsum("kn,nkj->nj", jnp.stack(flat), volumes.axes[volume, 1:])

    def pixel_count(self, volumes: DriftVolumes) -> Float[Array, " volumes"]:
        """How many pads an anode plane holds, not rounded: its area over that of a pad's square; for budgets."""
        return jnp.prod(volumes.widths, axis=-1) / self.pitch**2


def pixel_slots_for(pitch: float, width: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns of a `pitch` (mm) that cover a rectangle of a `width` (mm, mm)."""
    rows, columns = (max(1, math.ceil(size / pitch - 1e-9)) for size in width)
    return rows, columns
