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

from .charge_grid import Pulses, shares_of_bins
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
