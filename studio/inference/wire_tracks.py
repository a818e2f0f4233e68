"""The likelihood of a track for the wires along it: value, derivatives and information, by way of the charge of every wire.

A track is seen through two numbers of every wire of a plane, the charge nearest to it and its mean time of arrival. How the
waveforms change with them is local, some wires wide; how they change with the track's parameters and its scattering is
geometry. So a likelihood with two hundred latents costs little more than one without.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ..detector import TPC
from ..event import Primary
from ..simulation import TPCSimulator
from ..simulation.tpc.charge_grid import Pulses
from ..simulation.tpc.drift import AnodeCharge
from ..simulation.tpc.ribbons import (
    Answers,
    Cells,
    Ribbons,
    RibbonSize,
    answers,
    at_sources,
    at_targets,
    cells,
    cut,
    folded,
    transformed_charge,
)
from ..simulation.tpc.signals import WireReadout, lengths_of
from .fit import Problem
from .likelihood.wires import whitening
from .parameters import moved, names_of, scales

GROUPS = ("vertex", "direction", "kinetic_energy")
"""What is fitted of a track: its time is known, as from the light, since drift time and place are one to wires."""

_HIGHEST = 1.0
"""Frequencies are kept up to so many over the shaping time, above which less than 1e-3 of the information is."""

_LEAST_ENERGY, _MOST_ENERGY = 1.0, 1e5  # MeV


class Observed(eqx.Module):
    """What the wires along a track recorded, one entry a plane: `ribbons`, transforms `seen (grids, wires, frequencies)` of the
    voltages, and `white (grids, wires, frequencies)`, which makes the noise of their parts one."""

    ribbons: tuple[Ribbons, ...]
    seen: tuple[Complex[Array, "grids wires frequencies"], ...]
    white: tuple[Float[Array, "grids wires frequencies"], ...]


class TrackModel(eqx.Module):
    """What wires along a track are expected to record.

    **Fields**: `simulator`; `sizes`, static, and `spectra` of the responses plane by plane, for windows of these sizes.
    """

    simulator: TPCSimulator
    sizes: tuple[RibbonSize, ...] = eqx.field(static=True)
    spectra: tuple[Complex[Array, "offsets bins frequencies"], ...]

    def rows(self, detector: TPC, event: Primary, latents: Array) -> tuple[Pulses, ...]:
        """The charge of a track as every plane sees it."""
        charge = occupied(self.simulator.emit(detector, event, latents), self.simulator.segments + 8)
        return tuple(
            self.simulator.pulses(detector, charge, plane, size.parts)
            for plane, size in zip(detector.read_planes, self.sizes, strict=True)
        )

    def observed(self, detector: TPC, readout: WireReadout, ribbons: tuple[Ribbons, ...]) -> Observed:
        """What a readout holds in these windows."""
        electronics, seen, white = detector.electronics, [], []
        for plane, signal, stands, size in zip(detector.read_planes, readout.planes, ribbons, self.sizes, strict=True):
            voltage = electronics.voltage(cut(signal, stands, size.samples, readout.pedestal))
            seen.append(folded(voltage, stands, size.frequencies).astype(jnp.complex64))
            length = lengths_of(plane.lengths(detector.volumes), stands.volume, stands.wire, size.wires)
            white.append(whitening(electronics, length, size.samples)[..., : size.frequencies].astype(jnp.float32))
        return Observed(ribbons, tuple(seen), tuple(white))


def frequencies_of(detector: TPC, samples: int) -> int:
    """How many frequencies of a window carry information."""
    highest = _HIGHEST / float(detector.electronics.shaping_time)
    return min(samples // 2 + 1, math.ceil(highest * samples * detector.electronics.tick) + 1)


def occupied(charge: AnodeCharge, count: int) -> AnodeCharge:
    """The `count` first rows that carry charge, in their order."""
    first = jnp.argsort(charge.electrons <= 0, stable=True)[:count]
    return jax.tree.map(lambda leaf: leaf[first] if leaf.ndim else leaf, charge)


def track_problem(
    model: TrackModel,
    detector: TPC,
    observed: Observed,
    event: Primary,
    latents: Float[Array, " latents"],
    passing: Float[Array, " frequencies"],
) -> Problem:
    """The log likelihood of what was `observed`, with the latents' prior, from `event` on; `passing`: the part of each
    frequency's weight that counts, less than 1 for fits that see farther."""
    size, count = len(names_of(GROUPS)), latents.shape[0]
    dtype = event.kinetic_energy.dtype
    white = tuple(weight * passing.astype(jnp.float32) for weight in observed.white)
    still = jnp.zeros(size + count, dtype)

    def there(point: tuple[Primary, Array], change: Array) -> tuple[Primary, Array]:
        event, latents = point
        return moved(event, GROUPS, change[:size] * scales(event, GROUPS)), latents + change[size:]

    def seen(point: tuple[Primary, Array], change: Array) -> tuple[Cells, ...]:
        rows = model.rows(detector, *there(point, change))
        return tuple(
            cells(seen, stands, sizes) for seen, stands, sizes in zip(rows, observed.ribbons, model.sizes, strict=True)
        )

    def answered(point: tuple[Primary, Array]) -> list[Answers]:
        rows = model.rows(detector, *point)
        return [
            answers(transformed_charge(of_plane, stands, sizes), spectrum)
            for of_plane, stands, sizes, spectrum in zip(
                rows, observed.ribbons, model.sizes, model.spectra, strict=True
            )
        ]

    def information(point: tuple[Primary, Array]) -> Array:
        by_plane: tuple[Cells, ...] = jax.jacfwd(lambda change: seen(point, change))(still)
        total = jnp.diag(jnp.concatenate([jnp.zeros(size), jnp.ones(count)]))
        for slope, here, answer, weight, sizes in zip(
            by_plane, seen(point, still), answered(point), white, model.sizes, strict=True
        ):
            total = total + _gathered(_local(answer, here, weight, sizes.samples), slope)
        return total

    def slope(point: tuple[Primary, Array]) -> tuple[Array, Array, Array]:
        def posterior(change: Array) -> tuple[Array, Array]:
            event, latents = there(point, change)
            squares = jnp.zeros(())
            for answer, data, weight in zip(answered((event, latents)), observed.seen, white, strict=True):
                residual = weight * (data - answer.total)
                squares = squares + jnp.sum((residual.real**2 + residual.imag**2).astype(jnp.float64))
            return -0.5 * squares - 0.5 * jnp.sum(latents.astype(jnp.float64) ** 2), squares

        (value, squares), gradient = jax.value_and_grad(posterior, has_aux=True)(still)
        return jnp.where(jnp.isfinite(value), value, -jnp.inf), gradient.astype(jnp.float64), squares

    def step(point: tuple[Primary, Array], change: Array) -> tuple[Primary, Array]:
        event, _ = point
        trial, after = there(point, change)
        vertex = jnp.where(detector.volume.contains(trial.vertex), trial.vertex, 0.5 * (event.vertex + trial.vertex))
        energy = jnp.clip(trial.kinetic_energy, 0.5 * event.kinetic_energy, 2 * event.kinetic_energy)
        energy = jnp.clip(energy, _LEAST_ENERGY, _MOST_ENERGY)
        return Primary(event.particle, vertex, trial.direction, energy, trial.time), after

    # In natural units: 30 mm, 0.05 rad, 10 %, and 2 standard deviations of a latent.
    limits = jnp.asarray([3.0] * 3 + [5.0] * 2 + [10.0] + [2.0] * count, dtype)
    return Problem(slope, information, step, limits, (event, latents))


def _local(answer: Answers, here: Cells, weight: Array, samples: int) -> Float[Array, "grids wires around numbers"]:
    """Derivatives of what each wire measures, whitened, by the charges and times of the cells around it."""
    electrons = here.electrons.astype(jnp.float32)[..., None]
    lit = electrons > 1.0
    by_charge = jnp.where(lit, answer.near / jnp.where(lit, electrons, 1.0), 0.0)
    turn = (2 * np.pi / samples * np.arange(weight.shape[-1])).astype(np.float32)
    both = at_targets(jnp.concatenate([by_charge, -1j * turn * answer.near], axis=3))
    both = _beside(both) * weight[:, :, None]
    return jnp.concatenate([both.real, both.imag], axis=-1)


def _gathered(local: Array, slope: Cells) -> Float[Array, "all all"]:
    """Information about the parameters, from that about the cells and their derivatives `(grids, wires, shares, all)`."""
    about = jnp.einsum("gwaf,gwbf->gwab", local, local).astype(slope.electrons.dtype)
    slopes = jnp.concatenate([slope.electrons, slope.sample], axis=2)
    offsets = local.shape[2] // slopes.shape[2]
    around = _beside(at_targets(jnp.broadcast_to(slopes, (offsets, *slopes.shape))))
    pulled = jnp.einsum("gwab,gwbn->gwan", about, around)
    pulled = jnp.moveaxis(pulled.reshape(*slopes.shape[:2], offsets, *slopes.shape[2:]), 2, 0)
    total = jnp.einsum("gwkm,gwkn->mn", slopes, jnp.sum(at_sources(pulled), axis=0))
    return 0.5 * (total + total.T).astype(jnp.float64)


def _beside(values: Float[Array, "offsets grids wires shares last"]) -> Float[Array, "grids wires around last"]:
    """What stands around each wire in one row."""
    moved_ = jnp.moveaxis(values, 0, 2)
    return moved_.reshape(*moved_.shape[:2], -1, moved_.shape[-1])
