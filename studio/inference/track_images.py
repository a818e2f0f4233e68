"""Where a track lies, from far: pictures of it by place across the wires and depth along the drift, one a plane and volume.

What stands out of the noise is a track. On the collection plane it is charge; on induction planes, whose lobes cancel where
charge lasts on a wire, each wire counts the same, which is the length of a straight track. Fits from far compare Fourier
coefficients of these pictures with those of a track, at scales that become finer, and its charge.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float
from scipy.stats import norm, qmc

from .._linear import inverse_positive
from ..detector import TPC
from ..event import Primary
from ..event.deposits import Deposits
from ..event.stopping import heavy, kinetic_energy_at
from ..event.tracks import track_deposits
from ..simulation.tpc.drift_velocity import drift_velocity
from ..simulation.tpc.recombination import ionise
from ..simulation.tpc.signals import WireReadout
from ..simulation.tpc.simulator import Spectra
from ..units import cm
from .fit import Evaluated, Problem, Progress, advance, begin
from .parameters import names_of
from .wire_tracks import GROUPS, moved_point

SCALES = (1000.0, 400.0, 150.0, 60.0, 25.0)
"""Widths in mm to which pictures and tracks are blurred before they are compared, one after the other."""

_FEATURES = 64  # wave vectors a scale
_MISMATCH = 0.1  # standard deviation that a Fourier coefficient is taken to have, of the charge of the whole track
_STANDS_OUT = 6.0  # times the noise: less than one in a hundred million samples of noise
_CHARGE = 0.1  # relative standard deviation that the charge of the whole track is taken to have
_COARSE = 8  # samples a column of the picture

Waves = Float[Array, "scales features 2"]


class View(eqx.Module):
    """How one plane of one volume sees space: `origin (3,)`, and unit vectors `across (3,)` the wires and `against (3,)` the drift;
    `length` of the drift in mm."""

    origin: Float[Array, "views 3"]
    across: Float[Array, "views 3"]
    against: Float[Array, "views 3"]
    length: Float[Array, " views"]


class Picture(eqx.Module):
    """A track as the views see it: `electrons (views,)` of all volumes on the collection plane, mean `place (views, 2)` (mm, across and depth), `spread (views, 2, 2)` (mm²), `share (views,)` of what the plane sees, and Fourier coefficients
    `features (views, scales, waves)`. The collection plane weighs by charge, others by length."""

    electrons: Float[Array, " views"]
    share: Float[Array, " views"]
    place: Float[Array, "views 2"]
    spread: Float[Array, "views 2 2"]
    features: Complex[Array, "views scales features"]


def waves() -> Float[np.ndarray, "scales features 2"]:
    """Wave vectors in 1/mm: normal of deviation 1/scale, so that their mean square is the difference of pictures blurred to it."""
    points = qmc.Sobol(2, scramble=False).random(2 * _FEATURES)[1::2]
    standard = norm.ppf(points * (1 - 1e-6) + 5e-7)
    return standard / np.asarray(SCALES)[:, None, None]


def views_of(detector: TPC) -> View:
    """The views of a chamber: all volumes of the first plane, then those of the next."""
    volumes, axes = detector.volumes, detector.volumes.axes
    across = jnp.concatenate([jnp.einsum("j,vjk->vk", plane.across, axes[:, 1:]) for plane in detector.read_planes])
    times = len(detector.read_planes)
    return View(
        jnp.tile(volumes.anode, (times, 1)),
        across,
        jnp.tile(-volumes.direction, (times, 1)),
        jnp.tile(volumes.lengths, times),
    )


def picture(detector: TPC, readout: WireReadout, spectra: Spectra, time: Float[Array, ""]) -> Picture:
    """The charge in a readout of an event at `time` (ns), `spectra` being those of windows of its length."""
    found = [_of_plane(detector, readout, index, spectrum, time) for index, spectrum in enumerate(spectra)]
    together = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *found)
    return eqx.tree_at(lambda tree: tree.electrons, together, jnp.full_like(together.electrons, found[-1].electrons[0]))


def _of_plane(detector: TPC, readout: WireReadout, index: int, spectrum: Array, time: Array) -> Picture:
    plane, signal, electronics = detector.read_planes[index], readout.planes[index], detector.electronics
    _, wires, samples = signal.values.shape
    lengths = readout.lengths(detector)[index]
    rounding = electronics.full_scale / (2**electronics.bits - 1) / math.sqrt(12)
    sigma = jnp.sqrt(electronics.noise(lengths) ** 2 + rounding**2)[..., None]
    voltage = electronics.voltage(signal.values)
    seen = jnp.where((jnp.abs(voltage) > _STANDS_OUT * sigma) & (lengths > 0)[..., None], voltage, 0.0)
    if index == len(detector.read_planes) - 1:
        of_one = jnp.sum(jnp.mean(spectrum, axis=1), axis=0)[0].real  # V of all samples and wires for one electron
        charge = jnp.maximum(seen, 0.0) / of_one
    else:
        # As much from every wire, around the middle of what is on it: lobes cancel where charge lasts.
        on_wire = jnp.sum(jnp.abs(seen), axis=-1, keepdims=True)
        charge = jnp.abs(seen) / jnp.where(on_wire > 0, on_wire, 1.0)

    columns = samples // _COARSE
    charge = charge[..., : columns * _COARSE].reshape(*charge.shape[:2], columns, _COARSE).sum(axis=-1)
    velocity = drift_velocity(detector.volumes.fields[0], detector.medium.temperature)
    place = (jnp.arange(wires) + signal.origin.wire[:, None] - 0.5 * (plane.slots - 1)) * plane.pitch
    middle = jnp.arange(columns) * _COARSE + 0.5 * (_COARSE - 1) + signal.origin.sample[:, None]
    arrival = middle * electronics.tick + electronics.trigger_offset - electronics.shaping_time
    depth = (arrival - time) * velocity
    return _seen(charge, place, depth, signal.origin.volume, detector.volumes.count)


def _seen(charge: Array, place: Array, depth: Array, volume: Array, volumes: int) -> Picture:
    """Moments and Fourier coefficients, volume by volume."""
    amount = jnp.sum(charge, axis=(1, 2))
    safe = jnp.where(amount > 0, amount, 1.0)
    by_wire, by_depth = jnp.sum(charge, axis=2), jnp.sum(charge, axis=1)
    mean = jnp.stack([jnp.sum(by_wire * place, axis=1), jnp.sum(by_depth * depth, axis=1)], axis=-1) / safe[:, None]
    from_place, from_depth = place - mean[:, :1], depth - mean[:, 1:]
    squares = jnp.stack(
        [
            jnp.sum(by_wire * from_place**2, axis=1),
            jnp.einsum("gwt,gw,gt->g", charge, from_place, from_depth),
            jnp.sum(by_depth * from_depth**2, axis=1),
        ],
        axis=-1,
    )
    spread = (squares / safe[:, None])[:, np.array([[0, 1], [1, 2]])]
    wave = jnp.asarray(waves()).reshape(-1, 2)
    across = jnp.exp(-1j * place[..., None] * wave[:, 0]).astype(jnp.complex64)
    along = jnp.exp(-1j * depth[..., None] * wave[:, 1]).astype(jnp.complex64)
    features = jnp.einsum("gwk,gwk->gk", across, jnp.einsum("gwt,gtk->gwk", charge.astype(jnp.complex64), along))
    total = jnp.sum(amount)
    features = features / jnp.where(total > 0, total, 1.0)
    # From the order in which the readout holds its volumes to that of the views.
    of_views = jnp.arange(volumes)[:, None] == volume
    to = lambda leaf: jnp.tensordot(of_views.astype(leaf.dtype), leaf, 1)  # noqa: E731
    share = to(amount) / jnp.where(total > 0, total, 1.0)
    shape = (volumes, len(SCALES), _FEATURES)
    return Picture(jnp.full(volumes, total), share, to(mean), to(spread), to(features).reshape(shape))


def starts(detector: TPC, found: Picture, particle: str, time: Array) -> Primary:
    """Two starts, stacked: both ways along the longest axis of the charge, from one end to the other.

    Mean and covariance of the charge in space follow from those in the views, which are linear in them: by least squares in
    every volume, and then together. A line of even charge is √12 standard deviations long.
    """
    views, planes = views_of(detector), len(detector.read_planes)
    split = lambda leaf: jnp.moveaxis(leaf.reshape(planes, -1, *leaf.shape[1:]), 0, 1)  # noqa: E731
    of_volumes = jax.tree.map(split, (views, found))
    share = jnp.mean(of_volumes[1].share, axis=1)
    share = share / jnp.maximum(jnp.sum(share), 1e-9)
    means, spreads = jax.vmap(_in_space)(*of_volumes)
    mean = share @ means
    off = means - mean
    spread = jnp.einsum("v,vij->ij", share, spreads + off[:, :, None] * off[:, None, :])
    values, vectors = jnp.linalg.eigh(spread)
    axis, length = vectors[:, -1], jnp.sqrt(12 * jnp.maximum(values[-1], 1.0))
    mass = heavy(particle).mass
    energy = kinetic_energy_at(length / cm * detector.medium.density, mass)
    ways = jnp.array([1.0, -1.0])[:, None] * axis
    vertex = mean - 0.5 * length * ways
    # Chambers end: a start is kept inside.
    half = 0.5 * detector.volume.size
    return Primary(
        particle, jnp.clip(vertex, -0.999 * half, 0.999 * half), ways, jnp.full(2, energy), jnp.full(2, time)
    )


def _in_space(views: View, found: Picture) -> tuple[Float[Array, "3"], Float[Array, "3 3"]]:
    """Mean (mm) and covariance (mm²) of the charge in one volume, from its views (leading axis: planes)."""
    axes = jnp.stack([views.across, views.against], axis=1)  # planes, two coordinates, space
    rows = axes.reshape(-1, 3)
    solve = inverse_positive(rows.T @ rows + 1e-9 * jnp.eye(3))
    mean = views.origin[0] + solve @ (rows.T @ found.place.reshape(-1))
    i, j = np.triu_indices(3)
    # Covariance of coordinates a and b of a view: Σ aᵢ Sᵢⱼ bⱼ, with S symmetric.
    pairs = jnp.einsum("pai,pbj->pabij", axes, axes)
    pairs = 0.5 * (pairs + jnp.swapaxes(pairs, -1, -2))
    design = (pairs[..., i, j] * np.where(i == j, 1.0, 2.0)).reshape(-1, 6)
    right = design.T @ found.spread.reshape(-1)
    values = inverse_positive(design.T @ design + 1e-6 * jnp.eye(6)) @ right
    return mean, jnp.zeros((3, 3)).at[i, j].set(values).at[j, i].set(values)


def track_features(
    detector: TPC, views: View, event: Primary, latents: Array, segments: int, wave: Array, scale: Array
) -> Complex[Array, "views features"]:
    """Fourier coefficients of the charge of a track at one scale, as parts of all its charge."""
    deposits, charge = _charge_of(detector, event, latents, segments)
    weight = jnp.stack([deposits.length / jnp.sum(deposits.length), charge / jnp.sum(charge)])
    volumes = detector.volumes.count
    collects = (np.arange(views.length.shape[0]) >= views.length.shape[0] - volumes).astype(int)
    axes = jnp.stack([views.across, views.against], axis=1)
    at = jnp.einsum("vai,vni->vna", axes, deposits.position - views.origin[:, None])
    along = jnp.einsum("vai,ni->vna", axes, deposits.direction * deposits.length[:, None])
    # A volume ends at its cathode and its anode, as softly as the picture is blurred.
    soft = 0.25 * scale
    within = jax.nn.sigmoid((views.length[:, None] - at[..., 1]) / soft) * jax.nn.sigmoid(at[..., 1] / soft)
    phase, across = at @ wave.T, along @ wave.T
    lasting = jnp.sinc(across / (2 * jnp.pi))
    return jnp.einsum("vn,vnk->vk", within * weight[collects], lasting * jnp.exp(-1j * phase))


def _charge_of(detector: TPC, event: Primary, latents: Array, segments: int) -> tuple[Deposits, Array]:
    """The pieces of a track, and the electrons that each brings to its anode."""
    deposits = track_deposits(event, detector.medium, segments, latents=latents if latents.size else None)
    volumes, medium = detector.volumes, detector.medium
    field = jnp.full(segments, volumes.fields[0])
    made = ionise(deposits.energy, deposits.length, deposits.direction @ volumes.direction[0], field, medium).electrons
    depth = jnp.einsum("vi,vni->vn", -volumes.direction, deposits.position - volumes.anode[:, None])
    nearest = jnp.clip(jnp.min(jnp.where(depth > 0, depth, jnp.inf), axis=0), 0.0, jnp.max(volumes.lengths))
    velocity = drift_velocity(volumes.fields[0], medium.temperature)
    return deposits, made * jnp.exp(-nearest / (velocity * medium.electron_lifetime))


def towards(
    detector: TPC, found: Picture, start: Primary, latents: Float[Array, " latents"], segments: int, iterations: int
) -> tuple[Primary, Array, Float[Array, ""]]:
    """The track whose blurred picture is the one found, from `start` on, scale by scale; its latents, and minus the mismatch at
    the finest scale with the latents' prior."""
    views = views_of(detector)

    def at_scale(
        point: tuple[Primary, Array], one: tuple[Array, Array, Array]
    ) -> tuple[tuple[Primary, Array], Evaluated]:
        wave, scale, features = one
        problem = mismatch_problem(detector, views, features, found.electrons[0], point, segments, wave, scale)
        reached: Progress = advance(problem, begin(problem), 0.02, iterations)
        return reached.point, reached.evaluated

    scales_ = jnp.asarray(SCALES)
    inputs = (jnp.asarray(waves()), scales_, jnp.moveaxis(found.features, 1, 0))
    (event, latents), evaluated = jax.lax.scan(at_scale, (start, latents), inputs)
    return event, latents, evaluated.value[-1]


def mismatch_problem(
    detector: TPC,
    views: View,
    features: Array,
    electrons: Array,
    start: tuple[Primary, Array],
    segments: int,
    wave: Array,
    scale: Array,
) -> Problem:
    """Minus half the squared difference of Fourier coefficients in units of `_MISMATCH`, of the logarithm of the charge in units
    of `_CHARGE`, and the latents' prior."""
    size, count, dtype = len(names_of(GROUPS)), start[1].shape[0], start[0].kinetic_energy.dtype
    half = 0.5 * detector.volume.size

    def residual(point: tuple[Primary, Array], change: Array) -> Array:
        event, latents = moved_point(point, change)
        off = (track_features(detector, views, event, latents, segments, wave, scale) - features) / _MISMATCH
        charge = jnp.sum(_charge_of(detector, event, latents, segments)[1])
        less = jnp.log(charge / jnp.maximum(electrons, 1.0)) / _CHARGE
        return jnp.concatenate([off.real.reshape(-1), off.imag.reshape(-1), less[None], latents])

    still = jnp.zeros(size + count, dtype)

    def slope(point: tuple[Primary, Array]) -> tuple[Array, Array, Array]:
        def value(change: Array) -> Array:
            return -0.5 * jnp.sum(residual(point, change) ** 2)

        found, gradient = jax.value_and_grad(value)(still)
        return jnp.where(jnp.isfinite(found), found, -jnp.inf), gradient, jnp.zeros(())

    def information(point: tuple[Primary, Array]) -> Array:
        jacobian = jax.jacfwd(lambda change: residual(point, change))(still)
        return jacobian.T @ jacobian

    def step(point: tuple[Primary, Array], change: Array) -> tuple[Primary, Array]:
        trial, latents = moved_point(point, change)
        energy = jnp.clip(trial.kinetic_energy, 0.7 * point[0].kinetic_energy, 1.4 * point[0].kinetic_energy)
        vertex = jnp.clip(trial.vertex, -half, half)
        return Primary(trial.particle, vertex, trial.direction, energy, trial.time), latents

    # In natural units (10 mm, 0.01 rad, 1 %): half the scale, 0.3 rad, 30 %, one standard deviation.
    parts = [jnp.full(3, 0.05 * scale), jnp.full(2, 30.0), jnp.full(1, 30.0), jnp.full(count, 1.0)]
    return Problem(slope, information, step, jnp.concatenate(parts).astype(dtype), start)
