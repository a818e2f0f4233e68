"""The likelihood of a track for the wires along it: value, derivatives and information.

The information is that of all derivatives of all waveforms. Anything less (neighbouring wires or pieces of track apart) holds no
weak direction, of which scattering makes many, and fits creep.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ..detector import TPC
from ..event import Primary
from ..simulation import TPCSimulator
from ..simulation.tpc.charge_grid import Pulses
from ..simulation.tpc.drift import AnodeCharge
from ..simulation.tpc.ribbons import Ribbons, RibbonSize, cut, folded, transformed_charge, voltages
from ..simulation.tpc.signals import WireReadout, lengths_of
from .fit import Problem
from .likelihood.wires import whitening
from .parameters import moved, names_of, scales

GROUPS = ("vertex", "direction", "kinetic_energy")
"""What is fitted of a track: its time is known, as from the light, since drift time and place are one to wires."""

_HIGHEST = 1.0
"""Frequencies are kept up to so many over the shaping time, above which less than 1e-3 of the information is."""

_LEAST_ENERGY, _MOST_ENERGY = 1.0, 1e5  # MeV


Voltages = tuple[Complex[Array, "grids wires frequencies"], ...]


class Observed(eqx.Module):
    """What the wires along a track recorded, one entry a plane: `ribbons`, transforms `seen (grids, wires, frequencies)` of the
    voltages, and `white (grids, wires, frequencies)`, which makes the noise of their parts one."""

    ribbons: tuple[Ribbons, ...]
    seen: Voltages
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

    def expected(self, detector: TPC, event: Primary, latents: Array, ribbons: tuple[Ribbons, ...]) -> Voltages:
        """Transforms of the voltages in these windows, plane by plane."""
        rows = self.rows(detector, event, latents)
        return tuple(
            voltages(transformed_charge(seen, stands, size), spectrum)
            for seen, stands, size, spectrum in zip(rows, ribbons, self.sizes, self.spectra, strict=True)
        )

    def observed(self, detector: TPC, readout: WireReadout, ribbons: tuple[Ribbons, ...]) -> Observed:
        """What a readout holds in these windows."""
        electronics, seen, white = detector.electronics, [], []
        for plane, signal, stands, size in zip(detector.read_planes, readout.planes, ribbons, self.sizes, strict=True):
            at_rest = electronics.counts(jnp.zeros(()))
            voltage = electronics.voltage(cut(signal, stands, size.samples, at_rest))
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


def moved_point(point: tuple[Primary, Array], change: Float[Array, " parameters"]) -> tuple[Primary, Array]:
    """An event and its latents, moved by a change of `GROUPS` in natural units and of the latents behind them."""
    event, latents = point
    size = len(names_of(GROUPS))
    return moved(event, GROUPS, change[:size] * scales(event, GROUPS)), latents + change[size:]


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

    def residuals(point: tuple[Primary, Array], change: Array) -> Voltages:
        found = model.expected(detector, *moved_point(point, change), observed.ribbons)
        return tuple(weight * (data - answer) for answer, data, weight in zip(found, observed.seen, white, strict=True))

    def information(point: tuple[Primary, Array]) -> Array:
        def along(direction: Array) -> Array:
            _, off = jax.jvp(lambda change: residuals(point, change), (still,), (direction,))
            return jnp.concatenate([part.reshape(-1) for one in off for part in (one.real, one.imag)])

        jacobian = jax.lax.map(along, jnp.eye(size + count, dtype=dtype))
        prior = jnp.diag(jnp.concatenate([jnp.zeros(size), jnp.ones(count)]))
        # Sums in float64: the stiffest curvature is a hundred million times that of a latent's prior.
        jacobian = jacobian.astype(jnp.float64)
        return jacobian @ jacobian.T + prior

    def slope(point: tuple[Primary, Array]) -> tuple[Array, Array, Array]:
        def posterior(change: Array) -> tuple[Array, Array]:
            off = residuals(point, change)
            each = [jnp.sum((one.real**2 + one.imag**2).astype(jnp.float64)) for one in off]
            squares = jnp.sum(jnp.stack(each))
            latents = moved_point(point, change)[1].astype(jnp.float64)
            return -0.5 * squares - 0.5 * jnp.sum(latents**2), squares

        (value, squares), gradient = jax.value_and_grad(posterior, has_aux=True)(still)
        return jnp.where(jnp.isfinite(value), value, -jnp.inf), gradient.astype(jnp.float64), squares

    def step(point: tuple[Primary, Array], change: Array) -> tuple[Primary, Array]:
        event, _ = point
        trial, after = moved_point(point, change)
        vertex = jnp.where(detector.volume.contains(trial.vertex), trial.vertex, 0.5 * (event.vertex + trial.vertex))
        energy = jnp.clip(trial.kinetic_energy, 0.5 * event.kinetic_energy, 2 * event.kinetic_energy)
        energy = jnp.clip(energy, _LEAST_ENERGY, _MOST_ENERGY)
        return Primary(event.particle, vertex, trial.direction, energy, trial.time), after

    # In natural units: 30 mm, 0.05 rad, 10 %, and 2 standard deviations of a latent.
    limits = jnp.asarray([3.0] * 3 + [5.0] * 2 + [10.0] + [2.0] * count, dtype)
    return Problem(slope, information, step, limits, (event, latents))
