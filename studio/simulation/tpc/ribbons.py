"""What wires see of a track, in windows that follow it: some samples of every wire, around when its charge arrives.

Windows of whole planes are mostly empty: a muon of 2 m crosses 700 wires a plane within 2,500 samples, and is on each for
fifty. Here the window of every wire is as long as a pulse, and its Fourier transform counts as periodic: a pulse that arrives at t
stands at t modulo the window, so where the window begins is no part of the model, only of the data that it cuts out. Charge
and responses are those of `charge_grid` and `wire_readout`, transformed row by row instead of on a grid of samples.

Left out: frequencies above those asked for; and, of the currents on wires farther away than `NEAR`, how they depend on where across
the pitch charge passes, beyond the first order.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from .charge_grid import Pulses, shares_of_bins
from .signals import PlaneSignals

SHARES = 5
"""Parts of a pitch, at most, by whose charge and time the response is described where it is differentiated."""

NEAR = 2
"""To so many wires on either side the response is followed bin by bin, and by its derivatives."""


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


class Cells(NamedTuple):
    """Charge by parts of a pitch around every wire: `electrons (grids, wires, shares)`, and their mean arrival `sample`."""

    electrons: Float[Array, "grids wires shares"]
    sample: Float[Array, "grids wires shares"]


class Answers(NamedTuple):
    """Transforms `total (grids, wires, frequencies)` of the voltages, and `near (offsets, grids, wires, shares, frequencies)`: what
    the charge of each cell makes on the wires so many away, from −`NEAR` to `NEAR`."""

    total: Complex[Array, "grids wires frequencies"]
    near: Complex[Array, "offsets grids wires shares frequencies"]


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


def shares_of(bins: int) -> int:
    """Into how many parts the bins of a pitch are gathered."""
    return next(count for count in range(min(SHARES, bins), 0, -1) if bins % count == 0)


def cells(rows: Pulses, ribbons: Ribbons, size: RibbonSize) -> Cells:
    """Electrons and mean times by parts of a pitch, differentiable; the mean time where there is no charge is 0."""
    grid, first, inside = _corner(rows, ribbons, size)
    shares = shares_of(size.bins)
    edges = jnp.repeat(first, size.parts)[:, None] - 0.5 + jnp.arange(size.patch * shares + 1) / shares
    share = _electrons(rows, edges, inside, size)
    both = jnp.stack([share, share * rows.sample.reshape(-1, size.parts)[..., None]]).sum(axis=2)
    place = (first - ribbons.wire[grid])[:, None] * shares + jnp.arange(size.patch * shares)
    place = jnp.where(inside[:, None], place, 0)
    grids, wires = ribbons.sample.shape
    found = jnp.zeros((2, grids, wires * shares)).at[:, grid[:, None], place].add(both)
    electrons, moment = found.reshape(2, grids, wires, shares)
    lit = electrons > 1.0
    return Cells(electrons, jnp.where(lit, moment / jnp.where(lit, electrons, 1.0), 0.0))


def transformed_charge(
    rows: Pulses, ribbons: Ribbons, size: RibbonSize
) -> Complex[Array, "grids wires bins frequencies"]:
    """Transforms of the electrons' arrival in every bin of every wire's cell."""
    grid, first, inside = _corner(rows, ribbons, size)
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


def answers(
    charge: Complex[Array, "grids wires bins frequencies"], spectrum: Complex[Array, "offsets bins frequencies"]
) -> Answers:
    """Voltages of all wires, from charge in the bins of their cells. `spectrum` is centred, as in `convolved`."""
    middle, bins = spectrum.shape[0] // 2, spectrum.shape[1]
    reach = min(NEAR, middle)
    spectrum = spectrum[..., : charge.shape[-1]].astype(jnp.complex64)
    shares = shares_of(bins)
    close = spectrum[middle - reach : middle + reach + 1]
    near = jnp.einsum("osbf,gwsbf->ogwsf", _by_shares(close, 1, shares), _by_shares(charge, 2, shares))
    total = jnp.sum(at_targets(jnp.sum(near, axis=3)), axis=0)
    far = np.array([offset for offset in range(-middle, middle + 1) if abs(offset) > reach])
    if far.size:
        # A straight line across the pitch: value and slope of responses with charge and its first moment.
        at = np.stack([np.ones(bins), np.arange(bins) - 0.5 * (bins - 1)])
        fit = at / np.maximum(np.sum(at**2, axis=1, keepdims=True), 1e-9)
        line = jnp.einsum("mb,obf->omf", fit.astype(np.complex64), spectrum[middle + far])
        moments = jnp.einsum("mb,gwbf->gmwf", at.astype(np.complex64), charge)
        widest = int(np.max(np.abs(far)))
        padded = jnp.pad(moments, ((0, 0), (0, 0), (widest, widest), (0, 0)))
        wires = charge.shape[1]

        def add(sum_: Array, one: tuple[Array, Array]) -> tuple[Array, None]:
            offset, of_line = one
            shifted = jax.lax.dynamic_slice_in_dim(padded, widest - offset, wires, axis=2)
            return sum_ + jnp.einsum("mf,gmwf->gwf", of_line, shifted), None

        total, _ = jax.lax.scan(add, total, (jnp.asarray(far), line))
    return Answers(total, near)


def _by_shares(values: Array, axis: int, shares: int) -> Array:
    """The bins along an axis in two axes: shares, and bins of each."""
    shape = values.shape
    return values.reshape(*shape[:axis], shares, shape[axis] // shares, *shape[axis + 1 :])


def at_targets(near: Array) -> Array:
    """What stands by the wire under which charge is `(offsets, grids, wires, ...)`, by the wire that sees it."""
    return _rolled(near, 1)


def at_sources(near: Array) -> Array:
    """What stands by the wire that sees charge `(offsets, grids, wires, ...)`, by the wire under which it is."""
    return _rolled(near, -1)


def _rolled(values: Array, sign: int) -> Array:
    """Wires moved by their offset; what leaves at one end is lost."""
    offsets, wires = values.shape[0], values.shape[2]
    from_ = np.arange(wires) - sign * (np.arange(offsets) - offsets // 2)[:, None]
    there = (from_ >= 0) & (from_ < wires)
    index = np.clip(from_, 0, wires - 1)[:, None, :]
    moved = values[np.arange(offsets)[:, None, None], np.arange(values.shape[1])[None, :, None], index]
    return jnp.where(there[:, None, :].reshape(offsets, 1, wires, *[1] * (values.ndim - 3)), moved, 0)


def _electrons(rows: Pulses, edges: Array, inside: Array, size: RibbonSize) -> Float[Array, "pieces parts bins"]:
    """Electrons of every row between the edges of its piece of track; none of pieces that do not fit."""
    share = shares_of_bins(edges, rows.place, rows.width, rows.extent) * rows.electrons[:, None]
    return jnp.where(inside[:, None, None], share.reshape(-1, size.parts, share.shape[-1]), 0.0)


def _corner(
    rows: Pulses, ribbons: Ribbons, size: RibbonSize
) -> tuple[Int[Array, " pieces"], Int[Array, " pieces"], Array]:
    """The grid of each piece of track, the first wire that it reaches, and whether all that it reaches is in the grid."""
    volume = rows.volume[:: size.parts]
    matches = volume[:, None] == ribbons.volume
    grid = jnp.argmax(matches, axis=1)
    middle = jnp.mean(jax.lax.stop_gradient(rows.place).reshape(-1, size.parts), axis=1)
    first = jnp.round(middle - 0.5 * (size.patch - 1)).astype(jnp.int32)
    low = first - ribbons.wire[grid]
    return grid, first, jnp.any(matches, axis=1) & (low >= 0) & (low <= size.wires - size.patch)
