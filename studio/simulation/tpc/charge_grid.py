"""Charge at the anode on a grid of places across the wires and of samples in time.

Each row of charge is a straight piece of track, smeared by diffusion. Across the wires its share of every bin is exact: the
integral over the bin of a box folded with a normal density. Bins end half-way between two wires, where a
charge changes from one wire to the next, so the jump of the response there is in the shares and in their derivatives.

In time each row is a normal density at the samples, widened by one sample more than it is (`KERNEL`); the spectrum takes that
back. This is fast Gaussian gridding: L. Greengard and J.-Y. Lee, SIAM Rev. 46 (2004) 443. A sum over samples of such a density
depends on where between them it stands by less than 1e-8.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ...detector.drift_volumes import DriftVolumes
from .drift import AnodeCharge

KERNEL = 1.0
"""Standard deviation in samples by which charge is widened in time before its transform."""

REACH = 5.0
"""Shares are computed to so many standard deviations; what lies farther away, 6e-7, is left out."""

_ROWS = 256  # added at a time: memory follows it


class GridSize(NamedTuple):
    """Static sizes: `bins` a pitch, `wires` and `samples` of the grid, `patch_bins` and `patch_samples` that one row covers,
    `parts` into which every piece of track is cut for that, and `patch`, wires that a whole piece reaches."""

    bins: int
    wires: int
    samples: int
    patch_bins: int
    patch_samples: int
    parts: int
    patch: int


class GridOrigin(NamedTuple):
    """Which volumes the grids stand for, and the wire number and sample of each grid's first corner."""

    volume: Int[Array, " grids"]
    wire: Int[Array, " grids"]
    sample: Int[Array, " grids"]


class Lattice(Protocol):
    """Sensors that repeat along one direction of the anode plane: wires, rows or columns of pads."""

    @property
    def pitch(self) -> Float[Array, ""]: ...

    @property
    def across(self) -> Float[Array, "2"]: ...

    def number(self, coordinate: Float[Array, "..."]) -> Float[Array, "..."]: ...


class Pieces(eqx.Module):
    """Straight pieces of track as one plane sees them.

    **Fields** `(pieces,)`: `electrons`; `place` of the middle across the wires in pitches, the wire number where one stands; `across`
    and `depth`: by how many pitches, and by how many samples earlier, its end lies than its beginning; `width`, the standard
    deviation by transverse diffusion in pitches; `sample`, the mean time in samples, and `variance`, that by longitudinal
    diffusion, in samples squared; `volume`.
    """

    electrons: Float[Array, " pieces"]
    place: Float[Array, " pieces"]
    across: Float[Array, " pieces"]
    width: Float[Array, " pieces"]
    sample: Float[Array, " pieces"]
    depth: Float[Array, " pieces"]
    variance: Float[Array, " pieces"]
    volume: Int[Array, " pieces"]


class Pulses(eqx.Module):
    """Rows of charge as one plane sees them.

    **Fields** `(rows,)`: `electrons`; `place` across the wires in pitches, the wire number where one stands; `width`, its standard
    deviation by diffusion; `extent`, the full width of the piece of track; `sample`, the time in samples, and `spread`, its
    standard deviation; `volume`.
    """

    electrons: Float[Array, " rows"]
    place: Float[Array, " rows"]
    width: Float[Array, " rows"]
    extent: Float[Array, " rows"]
    sample: Float[Array, " rows"]
    spread: Float[Array, " rows"]
    volume: Int[Array, " rows"]


def pieces(charge: AnodeCharge, plane: Lattice, volumes: DriftVolumes, begin: Float[Array, ""], tick: float) -> Pieces:
    """What a plane sees of charge whose samples are taken every `tick` ns from `begin` on."""
    axes = volumes.axes[charge.volume]
    extent = jnp.einsum("nij,nj->ni", axes, charge.extent)
    flat = jnp.einsum("nij,nj->ni", axes[:, 1:], charge.position - volumes.anode[charge.volume]) @ plane.across
    return Pieces(
        electrons=charge.electrons,
        place=plane.number(flat),
        across=extent[:, 1:] @ plane.across / plane.pitch,
        width=charge.transverse_spread / plane.pitch,
        sample=(charge.time - begin) / tick,
        depth=extent[:, 0] / charge.velocity / tick,
        variance=charge.longitudinal_variance / (charge.velocity * tick) ** 2,
        volume=charge.volume,
    )


def in_parts(found: Pieces, parts: int) -> Pulses:
    """The pieces cut into so many parts each: boxes across the wires, and normal densities of the same variance in time."""
    at = (jnp.arange(parts) + 0.5) / parts - 0.5

    def rows(values: Array) -> Array:
        return jnp.broadcast_to(values.reshape(values.shape[0], -1), (values.shape[0], parts)).reshape(-1)

    return Pulses(
        electrons=rows(found.electrons / parts),
        place=rows(found.place[:, None] + at * found.across[:, None]),
        width=rows(found.width),
        extent=rows(jnp.abs(found.across) / parts),
        # The end of a track that is nearer to the anode arrives earlier.
        sample=rows(found.sample[:, None] - at * found.depth[:, None]),
        spread=rows(jnp.sqrt(found.variance + (found.depth / parts) ** 2 / 12 + KERNEL**2)),
        volume=rows(found.volume),
    )


def pulses(
    charge: AnodeCharge, plane: Lattice, volumes: DriftVolumes, begin: Float[Array, ""], tick: float, parts: int = 1
) -> Pulses:
    """What a plane sees of charge whose samples are taken every `tick` ns from `begin` on; its pieces are cut into `parts`."""
    return in_parts(pieces(charge, plane, volumes, begin, tick), parts)


def charge_grid(found: Pulses, origin: GridOrigin, size: GridSize) -> Float[Array, "grids wires bins samples"]:
    """Electrons by place and sample, summed over rows; rows that do not fit into a grid are left out."""
    grids = origin.volume.shape[0]
    shape = (grids, size.wires * size.bins, size.samples)
    missing = -found.electrons.shape[0] % _ROWS
    padded = jax.tree.map(lambda leaf: jnp.pad(leaf, (0, missing)), found)
    padded = eqx.tree_at(
        lambda tree: (tree.spread, tree.volume),
        padded,
        (
            jnp.where(padded.spread > 0, padded.spread, 1.0),
            jnp.where(jnp.arange(padded.volume.shape[0]) < found.volume.shape[0], padded.volume, -1),
        ),
    )
    chunks = jax.tree.map(lambda leaf: leaf.reshape(-1, _ROWS), padded)

    @jax.checkpoint
    def add(grid: Array, rows: Pulses) -> tuple[Array, None]:
        bins, samples, corner = _shares(rows, origin, size)
        updates = bins[:, None, :, None] * samples[:, None, None, :]
        numbers = jax.lax.ScatterDimensionNumbers((1, 2, 3), (), (0, 1, 2))
        return jax.lax.scatter_add(grid, corner, updates, numbers, mode="promise_in_bounds"), None

    grid, _ = jax.lax.scan(add, jnp.zeros(shape, found.electrons.dtype), chunks)
    return grid.reshape(grids, size.wires, size.bins, size.samples)


def fits(found: Pulses, origin: GridOrigin, size: GridSize) -> Float[Array, ""]:
    """The part of the electrons that `charge_grid` takes in."""
    bins, samples, _ = _shares(found, origin, size)
    total = jnp.sum(found.electrons)
    return jnp.sum(jnp.sum(bins, axis=1) * jnp.sum(samples, axis=1)) / jnp.where(total > 0, total, 1.0)


def _shares(
    rows: Pulses, origin: GridOrigin, size: GridSize
) -> tuple[Float[Array, "rows patch_bins"], Float[Array, "rows patch_samples"], Int[Array, "rows 3"]]:
    """Electrons of each row in its bins, its density at its samples, and the grid cell of its first corner."""
    matches = rows.volume[:, None] == origin.volume
    grid = jnp.argmax(matches, axis=1)
    place = (rows.place - origin.wire[grid] + 0.5) * size.bins
    sample = rows.sample - origin.sample[grid]
    first_bin = first_of(place, size.patch_bins)
    first_sample = first_of(sample, size.patch_samples)
    low = jnp.stack([grid, first_bin, first_sample], axis=-1)
    high = jnp.array([grid.shape[0], size.wires * size.bins - size.patch_bins, size.samples - size.patch_samples])
    inside = jnp.any(matches, axis=1) & jnp.all((low >= 0) & (low <= high), axis=1)
    corner = jnp.clip(low, 0, high)

    edges = first_bin[:, None] + jnp.arange(size.patch_bins + 1)
    shares = shares_of_bins(edges, place, rows.width * size.bins, rows.extent * size.bins)
    electrons = jnp.where(inside, rows.electrons, 0.0)
    at = (first_sample[:, None] + jnp.arange(size.patch_samples) - sample[:, None]) / rows.spread[:, None]
    density = jnp.exp(-0.5 * at**2) / (math.sqrt(2 * math.pi) * rows.spread[:, None])
    return electrons[:, None] * shares, density, corner


def shares_of_bins(
    edges: Float[Array, "rows edges"],
    place: Float[Array, " rows"],
    width: Float[Array, " rows"],
    extent: Float[Array, " rows"],
) -> Float[Array, "rows bins"]:
    """The part of each row between neighbouring `edges`: a box of full width `extent` about `place` folded with a normal
    density of deviation `width`."""
    return jnp.diff(box_below(edges - place[:, None], width[:, None], extent[:, None]), axis=1)


def first_of(middle: Float[Array, " rows"], count: int) -> Int[Array, " rows"]:
    """The first of `count` cells around `middle`."""
    return jnp.floor(jax.lax.stop_gradient(middle) - 0.5 * (count - 1)).astype(jnp.int32)


def box_below(
    edge: Float[Array, "..."], width: Float[Array, "..."], extent: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The part below `edge` of a box of full width `extent` about 0 folded with a normal density of deviation `width`.

    The mean over the box of Φ((edge − x)/width), by its antiderivative z Φ(z) + φ(z). A short box, whose difference of
    antiderivatives would lose digits, is a normal density of the same variance: off by less than 1e-7.
    """
    variance = width**2 + extent**2 / 12
    short = extent < 0.03 * width
    root = jnp.sqrt(jnp.where(variance > 0, variance, 1.0))
    simple = jnp.where(variance > 0, jax.scipy.special.ndtr(edge / root), (jnp.sign(edge) + 1) / 2)
    point = short | (extent <= 0)
    full = jnp.where(point, 1.0, extent)
    soft = jnp.where(point, 1.0, jnp.maximum(width, 1e-6 * full))
    return jnp.where(point, simple, (ramp(edge + full / 2, soft) - ramp(edge - full / 2, soft)) / full)


def ramp(x: Float[Array, "..."], width: Float[Array, "..."]) -> Float[Array, "..."]:
    """∫ Φ(x/width) dx: x far above 0, 0 far below."""
    z = x / width
    return x * jax.scipy.special.ndtr(z) + width * jnp.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
