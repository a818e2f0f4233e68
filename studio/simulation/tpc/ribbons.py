"""What wires see of a track, in windows that follow it: some samples of every wire, around when its charge arrives.

Windows of whole planes are mostly empty: a muon of 2 m crosses 700 wires a plane within 2,500 samples, and is on each for
fifty. Here the window of every wire is as long as a pulse, and its Fourier transform counts as periodic: a pulse that arrives at t
stands at t modulo the window, so where the window begins is no part of the model, only of the data that it cuts out. Charge
and responses are those of `charge_grid` and `wire_readout`, transformed row by row instead of on a grid of samples.

Left out: frequencies above those asked for. A window must hold all that its wire sees, from the charge of `around` wires to either
side too: what is longer stands in the wrong place.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from .charge_grid import Pieces, Pulses, in_parts, shares_of_bins
from .signals import PlaneSignals


class RibbonSize(NamedTuple):
    """Static sizes: `bins` a pitch; `wires` of each grid, `samples` of a wire's window and `frequencies` kept of its transform;
    `parts` into which every piece of track is cut, and `patch`, wires that such a piece reaches."""

    bins: int
    wires: int
    samples: int
    frequencies: int
    parts: int
    patch: int


class Ribbons(eqx.Module):
    """Where the windows of one plane stand: drift `volume (grids,)` of each grid, its first `wire (grids,)`, and the first
    `sample (grids, wires)` of each of its wires."""

    volume: Int[Array, " grids"]
    wire: Int[Array, " grids"]
    sample: Int[Array, "grids wires"]


def cut(signal: PlaneSignals, ribbons: Ribbons, samples: int, elsewhere: Array) -> Float[Array, "grids wires samples"]:
    """The samples of a readout in the windows; `elsewhere` where nothing was read out."""
    origin = signal.origin
    match = ribbons.volume[:, None] == origin.volume
    grid = jnp.argmax(match, axis=1)[:, None]
    wire = ribbons.wire[:, None] + jnp.arange(ribbons.sample.shape[1]) - origin.wire[grid]
    sample = ribbons.sample[..., None] + jnp.arange(samples) - origin.sample[grid][..., None]
    _, wires, ticks = signal.values.shape
    there = jnp.any(match, axis=1)[:, None] & (wire >= 0) & (wire < wires)
    there = there[..., None] & (sample >= 0) & (sample < ticks)
    index = (grid[..., None], jnp.clip(wire, 0, wires - 1)[..., None], jnp.clip(sample, 0, ticks - 1))
    return jnp.where(there, signal.values[index], elsewhere)


def folded(values: Float[Array, "grids wires samples"], ribbons: Ribbons, frequencies: int) -> Complex[Array, "..."]:
    """Transforms of the windows, counted from sample 0 of the readout and not from where each window begins."""
    samples = values.shape[-1]
    transform = jnp.fft.rfft(values, axis=-1)[..., :frequencies]
    turn = (ribbons.sample % samples)[..., None] * jnp.arange(frequencies)
    return transform * jnp.exp(-2j * jnp.pi * turn / samples)


def transformed_charge(
    rows: Pulses, ribbons: Ribbons, size: RibbonSize
) -> Complex[Array, "grids wires bins frequencies"]:
    """Transforms of the electrons' arrival in every bin of every wire's cell."""
    middle = jnp.mean(rows.place.reshape(-1, size.parts), axis=1)
    grid, first, inside = _places(middle, rows.volume[:: size.parts], ribbons, size)
    edges = jnp.repeat(first, size.parts)[:, None] - 0.5 + jnp.arange(size.patch * size.bins + 1) / size.bins
    share = _electrons(rows, edges, inside, size).astype(jnp.float32)
    turn = 2 * jnp.pi / size.samples * jnp.arange(size.frequencies)
    angle = ((rows.sample % size.samples)[:, None] * turn).astype(jnp.float32)
    fall = jnp.exp((-0.5 * (rows.spread[:, None] * turn) ** 2).astype(jnp.float32))
    phase = jnp.concatenate([fall * jnp.cos(angle), -fall * jnp.sin(angle)], axis=-1)
    updates = jnp.einsum("spb,spf->sbf", share, phase.reshape(-1, size.parts, phase.shape[-1]))
    grids, wires = ribbons.sample.shape
    corner = jnp.stack([grid, jnp.where(inside, first - ribbons.wire[grid], 0) * size.bins], axis=-1)
    numbers = jax.lax.ScatterDimensionNumbers((1, 2, 3), (), (0, 1))
    found = jnp.zeros((grids, wires * size.bins, 2 * size.frequencies), jnp.float32)
    found = jax.lax.scatter_add(found, corner, updates[:, None], numbers, mode="promise_in_bounds")
    real, imaginary = jnp.split(found.reshape(grids, wires, size.bins, -1), 2, axis=-1)
    return jax.lax.complex(real, imaginary)


def voltages(
    charge: Complex[Array, "grids wires bins frequencies"], spectrum: Complex[Array, "offsets bins frequencies"]
) -> Complex[Array, "grids wires frequencies"]:
    """Transforms of the voltages of all wires, from charge in the bins of their cells; what charge makes on wires beyond the
    grid is lost. `spectrum` is centred, as in `convolved`."""
    half, wires = spectrum.shape[0] // 2, charge.shape[1]
    spectrum = spectrum[..., : charge.shape[-1]].astype(charge.dtype)
    padded = jnp.pad(charge, ((0, 0), (half, half), (0, 0), (0, 0)))

    def add(total: Array, one: tuple[Array, Array]) -> tuple[Array, None]:
        offset, response = one
        under = jax.lax.dynamic_slice_in_dim(padded, half - offset, wires, axis=1)
        return total + jnp.einsum("bf,gwbf->gwf", response, under), None

    nothing = jnp.zeros((*charge.shape[:2], charge.shape[-1]), charge.dtype)
    return jax.lax.scan(add, nothing, (jnp.arange(-half, half + 1), spectrum))[0]


_NUMBERS = ("electrons", "place", "across", "width", "depth", "sample", "variance")
_PIECES = 8  # treated at a time: memory follows it


def voltages_and_slopes(
    pieces: Pieces,
    changes: Pieces,
    ribbons: Ribbons,
    size: RibbonSize,
    spectrum: Complex[Array, "offsets bins frequencies"],
) -> tuple[Complex[Array, "grids wires frequencies"], Complex[Array, "n grids wires frequencies"]]:
    """`voltages`, and their derivatives along `changes` of the pieces, whose leaves are `(n, pieces)`.

    What the wires around a piece see of it follows from seven numbers. So the derivatives by these are taken once, on those wires
    alone, and every change is a mixture of them: a hundred cost little more than one.
    """
    response, changing = _both_parts(spectrum[..., : size.frequencies]), eqx.filter(changes, eqx.is_inexact_array)
    count, half, (grids, wires) = changes.place.shape[0], spectrum.shape[0] // 2, ribbons.sample.shape
    numbers = jax.lax.ScatterDimensionNumbers((1, 2, 3), (0,), (0, 1))
    grid, first, inside = _places(pieces.place, pieces.volume, ribbons, size)
    low = jnp.where(inside, first - ribbons.wire[grid], 0)
    mixture = jnp.stack([getattr(changing, name).T for name in _NUMBERS], axis=-1)
    still = jnp.zeros_like(mixture[:, :1]).at[:, 0, 0].set(pieces.electrons)
    mixture = jnp.where(inside[:, None, None], jnp.concatenate([still, mixture], axis=1), 0.0)

    @jax.checkpoint
    def add(total: Array, several: tuple[Pieces, Array, Array, Array]) -> tuple[Array, None]:
        some, first, corner, mixture = several
        update = jnp.einsum("pnv,pvwf->pwnf", mixture, _around(some, first, response, size))
        return jax.lax.scatter_add(total, corner, update, numbers, mode="promise_in_bounds"), None

    rows = (pieces, first, jnp.stack([grid, low], axis=-1), mixture)
    missing = -first.shape[0] % _PIECES
    # Whatever the pieces behind the last are, they count for nothing: their mixture is 0.
    chunks = jax.tree.map(
        lambda leaf: jnp.pad(leaf, ((0, missing), *[(0, 0)] * (leaf.ndim - 1))).reshape(-1, _PIECES, *leaf.shape[1:]),
        rows,
    )
    total = jnp.zeros((grids, wires + 2 * half, 1 + count, 2 * size.frequencies), pieces.place.dtype)
    total, _ = jax.lax.scan(add, total, chunks)
    real, imaginary = jnp.split(jnp.moveaxis(total[:, half : half + wires], 2, 0), 2, axis=-1)
    found = jax.lax.complex(real, imaginary)
    return found[0], found[1:]


def _both_parts(spectrum: Complex[Array, "offsets bins f"]) -> Float[Array, "f twobins twooffsets"]:
    """What real and imaginary parts of charge are multiplied with to get those of voltages."""
    real, imaginary = (jnp.transpose(part, (2, 1, 0)) for part in (spectrum.real, spectrum.imag))
    upper, lower = jnp.concatenate([real, imaginary], axis=-1), jnp.concatenate([-imaginary, real], axis=-1)
    return jnp.concatenate([upper, lower], axis=1)


def _around(
    pieces: Pieces, first: Int[Array, " pieces"], response: Float[Array, "f twobins twooffsets"], size: RibbonSize
) -> Float[Array, "pieces 7 reached twof"]:
    """Derivatives of the voltages by `_NUMBERS` on the wires that each piece reaches, and the response from there; the first is
    that by its electrons, so the voltages themselves are that times these. Real parts, then imaginary ones."""
    turn = 2 * jnp.pi / size.samples * jnp.arange(size.frequencies)
    charge = jax.vmap(lambda piece, first: _arrival_and_slopes(piece, first, turn, size))(pieces, first)
    count, kinds = charge.shape[:2]
    charge = charge.reshape(count, kinds, size.patch, size.bins, 2, size.frequencies)
    charge = jnp.transpose(charge, (5, 0, 1, 2, 4, 3)).reshape(size.frequencies, -1, 2 * size.bins)
    offsets = response.shape[-1] // 2
    voltage = jnp.matmul(charge, response.astype(charge.dtype))
    voltage = voltage.reshape(size.frequencies, count, kinds, size.patch, 2, offsets)
    voltage = jnp.transpose(voltage, (5, 1, 2, 3, 4, 0)).reshape(offsets, count, kinds, size.patch, -1)

    def beside(total: Array, one: tuple[Array, Array]) -> tuple[Array, None]:
        offset, seen = one
        numbers = jax.lax.ScatterDimensionNumbers((0, 1, 2, 3), (), (2,))
        return jax.lax.scatter_add(total, offset[None], seen, numbers, mode="promise_in_bounds"), None

    nothing = jnp.zeros((count, kinds, size.patch + offsets - 1, 2 * size.frequencies), charge.dtype)
    seen, _ = jax.lax.scan(beside, nothing, (jnp.arange(offsets), voltage))
    real, imaginary = jnp.split(seen[:, :1], 2, axis=-1)
    by_sample = jnp.concatenate([turn * imaginary, -turn * real], axis=-1)
    by_variance = -0.5 * jnp.tile(turn, 2) ** 2 * seen[:, :1]
    electrons = pieces.electrons[:, None, None, None]
    return jnp.concatenate([seen[:, :1], electrons * jnp.concatenate([seen[:, 1:], by_sample, by_variance], 1)], 1)


def _arrival_and_slopes(piece: Pieces, first: Array, turn: Array, size: RibbonSize) -> Float[Array, "5 bins twof"]:
    """Transforms of the arrival of one electron of a piece in the bins that it reaches, and their derivatives by place, across,
    width and depth."""
    edges = first - 0.5 + jnp.arange(size.patch * size.bins + 1) / size.bins

    def arriving(numbers: Array) -> Array:
        place, across, width, depth = numbers
        one = jnp.ones_like(place)
        alone = Pieces(one, place, across, width, piece.sample, depth, piece.variance, piece.volume)
        rows = in_parts(jax.tree.map(lambda leaf: leaf[None], alone), size.parts)
        everywhere = jnp.broadcast_to(edges, (size.parts, edges.shape[0]))
        share = shares_of_bins(everywhere, rows.place, rows.width, rows.extent) / size.parts
        angle = rows.sample[:, None] * turn
        fall = jnp.exp(-0.5 * (rows.spread[:, None] * turn) ** 2)
        return share.T @ jnp.concatenate([fall * jnp.cos(angle), -fall * jnp.sin(angle)], axis=-1)

    at = jnp.stack([piece.place, piece.across, piece.width, piece.depth])
    here, push = jax.linearize(arriving, at)
    return jnp.concatenate([here[None], jax.vmap(push)(jnp.eye(4, dtype=at.dtype))])


def _places(
    middle: Float[Array, " pieces"], volume: Int[Array, " pieces"], ribbons: Ribbons, size: RibbonSize
) -> tuple[Int[Array, " pieces"], Int[Array, " pieces"], Array]:
    """The grid of each piece of track, the first wire that it reaches, and whether all that it reaches is in the grid."""
    matches = volume[:, None] == ribbons.volume
    grid = jnp.argmax(matches, axis=1)
    first = jnp.round(jax.lax.stop_gradient(middle) - 0.5 * (size.patch - 1)).astype(jnp.int32)
    low = first - ribbons.wire[grid]
    return grid, first, jnp.any(matches, axis=1) & (low >= 0) & (low <= size.wires - size.patch)


def _electrons(rows: Pulses, edges: Array, inside: Array, size: RibbonSize) -> Float[Array, "pieces parts bins"]:
    """Electrons of every row between the edges of its piece of track; none of pieces that do not fit."""
    share = shares_of_bins(edges, rows.place, rows.width, rows.extent) * rows.electrons[:, None]
    return jnp.where(inside[:, None, None], share.reshape(-1, size.parts, share.shape[-1]), 0.0)
