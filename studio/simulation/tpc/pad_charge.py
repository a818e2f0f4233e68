"""Induced charge on the pads near drifting charge, slice by slice in time.

Each row of charge is a straight piece of track, smeared by diffusion. It induces charge on a square patch of pads around it: at every
edge between two slices the charge on a pad is what has arrived in the pad's own square, plus the weighting potential of what
has not (`pad_potential`). Both are integrals over transverse and longitudinal diffusion and the piece's extent in
closed form, so nothing steps where charge crosses a pad's edge, or where the pitch moves that edge. A row fades out towards the
border of its patch and above `start`.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...detector.pixel_tpc import PixelTPC
from .charge_grid import REACH, Pulses, box_below, first_of, pulses
from .drift import AnodeCharge
from .pad_potential import LEVELS, arrived, fading, level_weights

_ROWS = 64  # treated at a time, at most: memory follows it
_ELSEWHERE = int(np.iinfo(np.int32).max)  # the number of a pad that is not there


class PixelWindows(NamedTuple):
    """Static sizes: how many `pads` and `slices` of each are kept; `patch`: pads along either axis, and `patch_slices`, that
    a row of charge covers; `parts` into which a row is cut along its track."""

    pads: int
    slices: int
    patch: int
    patch_slices: int
    parts: int


class PixelPulses(eqx.Module):
    """Rows of charge as an anode of pads sees them.

    **Fields**: `along`: rows of charge by the numbers of rows and of columns of pads, with times in ns; `velocity (rows,)` in mm/ns.
    """

    along: tuple[Pulses, Pulses]
    velocity: Float[Array, " rows"]


class PadCharge(eqx.Module):
    """Charge in e on a list of pads.

    **Fields**: `volume`, `row`, `column (pads,)`: which pad; `volume` is −1 where the list is not full. `begin (pads,)`: when the pad's
    first slice begins, in ns. `charge (pads, slices)`: induced in each slice, collected electrons counted positive.
    `slice`, static: length of a slice in ns. `outside`: part of the drifted charge that falls on no pad of the list.
    """

    volume: Int[Array, " pads"]
    row: Int[Array, " pads"]
    column: Int[Array, " pads"]
    begin: Float[Array, " pads"]
    charge: Float[Array, "pads slices"]
    outside: Float[Array, ""]
    slice: float = eqx.field(static=True)

    @property
    def total(self) -> Float[Array, " pads"]:
        """Charge in e that each pad collects in the end."""
        return jnp.sum(self.charge, axis=-1)

    @property
    def integrated(self) -> Float[Array, "pads edges"]:
        """Charge in e on each pad at the edges of its slices: 0 at the first."""
        return jnp.pad(jnp.cumsum(self.charge, axis=-1), ((0, 0), (1, 0)))


def pixel_pulses(detector: PixelTPC, charge: AnodeCharge, parts: int) -> PixelPulses:
    """What an anode of pads sees of charge; rows are cut into `parts`. Times are widened by a nanosecond."""
    origin = jnp.zeros((), charge.time.dtype)
    rows, columns = (pulses(charge, axis, detector.volumes, origin, 1.0, parts) for axis in detector.pixels.axes)
    return PixelPulses((rows, columns), jnp.repeat(charge.velocity, parts))


def pad_charge(detector: PixelTPC, charge: AnodeCharge, windows: PixelWindows, start: float, slice: float) -> PadCharge:
    """Charge on every pad near `charge`, in slices of `slice` ns; what is farther than `start` mm from the anode induces nothing."""
    found = pixel_pulses(detector, charge, windows.parts)
    together = min(_ROWS, found.velocity.shape[0])
    missing = -found.velocity.shape[0] % together
    found = jax.tree.map(lambda leaf: jnp.pad(leaf, (0, missing), mode="edge"), found)
    rows = found.along[0]
    there = (jnp.arange(rows.volume.shape[0]) < rows.volume.shape[0] - missing) & (rows.electrons > 0)
    electrons = jnp.where(there, rows.electrons, 0.0)

    number, corner = _pads_of(detector, found, there, windows.patch)
    pads = jnp.unique(number, size=windows.pads, fill_value=_ELSEWHERE)
    place = jnp.minimum(jnp.searchsorted(pads, number.reshape(-1)).reshape(number.shape), windows.pads - 1)
    listed = (pads[place] == number) & (number != _ELSEWHERE)

    first = _first_slice(found, start, slice)
    unknown = _ELSEWHERE
    begin = jnp.full(windows.pads, unknown, jnp.int32)
    begin = begin.at[place].min(jnp.where(listed, first[:, None], unknown))
    offset = first[:, None] - begin[place]
    fits = listed & (offset + windows.patch_slices <= windows.slices)
    place = jnp.where(fits, place, windows.pads)
    offset = jnp.where(fits, offset, 0)

    chunk = lambda leaf: leaf.reshape(-1, together, *leaf.shape[1:])  # noqa: E731
    chunks = jax.tree.map(chunk, (found, electrons, corner, first, place, offset))
    gap = detector.pixels.gap

    @jax.checkpoint
    def add(total: tuple[Array, Array], chunk: tuple) -> tuple[tuple[Array, Array], None]:
        rows, electrons, corner, first, place, offset = chunk
        updates, final = _induced(rows, corner, first, gap, detector.pixels.pitch, windows, start, slice)
        updates = (electrons[:, None, None] * updates).reshape(-1, windows.patch_slices)
        at = jnp.stack([place.reshape(-1), offset.reshape(-1)], axis=-1)
        numbers = jax.lax.ScatterDimensionNumbers((1,), (0,), (0, 1))
        grid = jax.lax.scatter_add(total[0], at, updates, numbers, mode="promise_in_bounds")
        inside = jnp.sum(jnp.where(place < windows.pads, electrons[:, None] * final, 0.0))
        return (grid, total[1] + inside), None

    empty = jnp.zeros((windows.pads + 1, windows.slices), electrons.dtype)
    (grid, inside), _ = jax.lax.scan(add, (empty, jnp.zeros((), electrons.dtype)), chunks)
    whole = jnp.sum(electrons)
    volume, row, column = _unpacked(pads, detector.pixels.slots)
    return PadCharge(
        volume=jnp.where(pads == _ELSEWHERE, -1, volume),
        row=row,
        column=column,
        begin=jnp.where(pads == _ELSEWHERE, 0, begin).astype(electrons.dtype) * slice,
        charge=grid[:-1],
        outside=1 - inside / jnp.where(whole > 0, whole, 1.0),
        slice=slice,
    )


def covered(
    detector: PixelTPC, charge: AnodeCharge, parts: int, patch: int, patch_slices: int, start: float, slice: float
) -> tuple[int, int]:
    """How many pads the patches of known charge cover, and how many slices of one pad at most."""
    found = pixel_pulses(detector, charge, parts)
    number, _ = _pads_of(detector, found, found.along[0].electrons > 0, patch)
    first = np.broadcast_to(np.asarray(_first_slice(found, start, slice))[:, None], number.shape).ravel()
    flat = np.asarray(number).ravel()
    there = flat != _ELSEWHERE
    pads, place = np.unique(flat[there], return_inverse=True)
    low, high = np.full(pads.shape, np.iinfo(np.int64).max), np.full(pads.shape, np.iinfo(np.int64).min)
    np.minimum.at(low, place, first[there])
    np.maximum.at(high, place, first[there])
    return len(pads), int(np.max(high - low, initial=0)) + patch_slices


def _pads_of(
    detector: PixelTPC, found: PixelPulses, there: Array, patch: int
) -> tuple[Int[Array, "rows pads"], Int[Array, "rows 2"]]:
    """The numbers of the pads of each row's patch, and the patch's first row and column."""
    # The nearest pad stands in the middle of the patch, or, where the patch is even, just before or after it.
    corner = jnp.stack([first_of(axis.place + 0.5, patch) for axis in found.along], axis=-1)
    steps = jnp.arange(patch)
    row = (corner[:, 0, None] + steps)[:, :, None]
    column = (corner[:, 1, None] + steps)[:, None, :]
    volume = found.along[0].volume[:, None, None]
    rows, columns = detector.pixels.slots
    number = (volume * rows + row) * columns + column
    present = detector.pixels.present(detector.volumes, volume, row, column) & there[:, None, None]
    return jnp.where(present, number, _ELSEWHERE).reshape(-1, patch**2), corner


def _unpacked(pads: Int[Array, " pads"], slots: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Volume, row and column of the pads of those numbers."""
    rows, columns = slots
    return pads // (rows * columns), pads // columns % rows, pads % columns


def _first_slice(found: PixelPulses, start: float, slice: float) -> Int[Array, " rows"]:
    """The slice in which each row is still `start` away, and all of it."""
    time, spread = found.along[0].sample, found.along[0].spread
    before = start / found.velocity + REACH * spread
    return jnp.floor(jax.lax.stop_gradient((time - before) / slice)).astype(jnp.int32)


def _induced(
    rows: PixelPulses,
    corner: Int[Array, "rows 2"],
    first: Int[Array, " rows"],
    gap: Float[Array, ""],
    pitch: Float[Array, ""],
    windows: PixelWindows,
    start: float,
    slice: float,
) -> tuple[Float[Array, "rows pads slices"], Float[Array, "rows pads"]]:
    """Charge per electron that each row induces on the pads of its patch in each slice, and in the end."""
    final, flying = zip(
        *(_shares(axis, corner[:, index], windows.patch, gap / pitch, pitch) for index, axis in enumerate(rows.along)),
        strict=True,
    )
    time, spread = rows.along[0].sample, rows.along[0].spread * rows.velocity
    edges = (first[:, None] + jnp.arange(windows.patch_slices + 1)) * slice
    height = (time[:, None] - edges) * rows.velocity[:, None]
    weights = level_weights(height, spread[:, None]) * fading(2 * (start - height) / start)[..., None]
    weights = jnp.concatenate([arrived(height, spread[:, None])[..., None], weights], axis=-1)
    whole, both = (
        (one[:, :, None] * other[:, None, :]).reshape(first.shape[0], windows.patch**2, -1)
        for one, other in (final, flying)
    )
    both = jnp.concatenate([whole, both], axis=-1)
    return jnp.einsum("rpl,rel->rpe", both, jnp.diff(weights, axis=1)), whole[..., 0]


def _shares(
    axis: Pulses, corner: Int[Array, " rows"], patch: int, gap: Float[Array, ""], pitch: Float[Array, ""]
) -> tuple[Float[Array, "rows patch 1"], Float[Array, "rows patch levels"]]:
    """Along one axis, the part of a row in the square of each pad, and the part on its electrode after each of `LEVELS`.

    Between long edges a gap apart the potential on an insulator falls like an arcsine: the field there has no component across
    the plane, above as below, whatever stands below. A normal density of the same variance, gap²/8, takes its place: for a
    gap of an eighth of the pitch it is off by 7e-3 at 0.3 pitches above the plane, for a quarter by 2e-2, and by more within the
    gap's own distance.
    """
    edges = corner[:, None] + jnp.arange(patch + 1) - 0.5 - axis.place[:, None]
    final = jnp.diff(box_below(edges, axis.width[:, None], axis.extent[:, None]), axis=1)
    variance = jnp.asarray(LEVELS, edges.dtype) / pitch**2 + gap**2 / 8
    width = jnp.sqrt(axis.width[:, None, None] ** 2 + variance)
    flying = jnp.diff(box_below(edges[..., None], width, axis.extent[:, None, None]), axis=1)
    distance = jnp.abs(0.5 * (edges[:, 1:] + edges[:, :-1]))
    # Kept apart from what follows: a compiler that fuses them takes three times as long.
    return jax.lax.optimization_barrier((final[..., None], flying * fading(0.5 * patch - distance)[..., None]))
