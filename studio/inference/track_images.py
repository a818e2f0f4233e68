"""Where a track lies, from far: pictures of its charge by place across the wires and depth along the drift, one a plane and volume.

The response of the wires is divided out of what they recorded (Wiener), and what stands out of the noise is charge. Fits from
far compare Fourier coefficients of these pictures with those of a track, at scales that become finer.
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
from ..event.stopping import heavy, kinetic_energy_at
from ..event.tracks import track_deposits
from ..simulation import TPCSimulator
from ..simulation.tpc.drift_velocity import drift_velocity
from ..simulation.tpc.recombination import ionise
from ..simulation.tpc.signals import WireReadout
from ..simulation.tpc.simulator import Spectra
from ..units import cm
from .fit import Evaluated, Problem, Progress, advance, begin
from .parameters import moved, names_of, scales
from .wire_tracks import GROUPS

SCALES = (1000.0, 400.0, 150.0, 60.0, 25.0)
"""Widths in mm to which pictures and tracks are blurred before they are compared, one after the other."""

_FEATURES = 64  # wave vectors a scale
_MISMATCH = 0.1  # standard deviation that a Fourier coefficient is taken to have, of the charge of the whole track
_STANDS_OUT = 5.0  # times the noise
_TYPICAL = 5000.0  # e per mm of pitch: what the Wiener filter expects
_LASTING = 20  # samples that charge is on a wire, where it is weighed against noise
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
    """Charge as the views see it: its amount `electrons (views,)` of all views of the plane together, mean `place (views, 2)`
    (mm, across and depth), `spread (views, 2, 2)` (mm²), `share (views,)` of the plane's charge, and Fourier coefficients
    `features (views, scales, waves)`."""

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


def picture(
    simulator: TPCSimulator, detector: TPC, readout: WireReadout, spectra: Spectra, time: Float[Array, ""]
) -> Picture:
    """The charge in a readout of an event at `time` (ns), `spectra` being those of windows of its length."""
    found = [_of_plane(simulator, detector, readout, index, spectrum, time) for index, spectrum in enumerate(spectra)]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *found)


def _of_plane(
    simulator: TPCSimulator, detector: TPC, readout: WireReadout, index: int, spectrum: Array, time: Array
) -> Picture:
    plane, signal, electronics = detector.read_planes[index], readout.planes[index], detector.electronics
    _, wires, samples = signal.values.shape
    line = jnp.sum(jnp.mean(spectrum, axis=1), axis=0)  # of charge spread evenly over all wires
    lengths = readout.lengths(detector)[index]
    rounding = electronics.full_scale / (2**electronics.bits - 1) / math.sqrt(12)
    frequency = jnp.asarray(np.fft.rfftfreq(samples, electronics.tick))
    longest = jnp.max(lengths)
    noise = electronics.noise(longest) ** 2 * electronics.noise_power(frequency, samples) + rounding**2
    strength = (_TYPICAL * plane.pitch) ** 2
    filter_ = jnp.conj(line) * strength / (jnp.abs(line) ** 2 * strength + _LASTING * noise)
    both = np.full(frequency.shape, 2.0)
    both[0] = 1.0
    sigma = jnp.sqrt(jnp.sum(both * jnp.abs(filter_) ** 2 * noise) / samples)
    voltage = electronics.voltage(signal.values)
    charge = jnp.fft.irfft(jnp.fft.rfft(voltage, axis=-1) * filter_, samples, axis=-1)
    charge = jnp.where((charge > _STANDS_OUT * sigma) & (lengths > 0)[..., None], charge, 0.0)

    columns = samples // _COARSE
    charge = charge[..., : columns * _COARSE].reshape(*charge.shape[:2], columns, _COARSE).sum(axis=-1)
    velocity = drift_velocity(detector.volumes.fields[0], detector.medium.temperature)
    place = (jnp.arange(wires) + signal.origin.wire[:, None] - 0.5 * (plane.slots - 1)) * plane.pitch
    middle = jnp.arange(columns) * _COARSE + 0.5 * (_COARSE - 1) + signal.origin.sample[:, None]
    arrival = middle * electronics.tick + electronics.trigger_offset + simulator.start / velocity
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
    used = latents if latents.size else None
    deposits = track_deposits(event, detector.medium, segments, latents=used)
    field = jnp.full(segments, detector.volumes.fields[0])
    cosine = deposits.direction @ detector.volumes.direction[0]
    charge = ionise(deposits.energy, deposits.length, cosine, field, detector.medium).electrons
    charge = charge / jnp.sum(charge)
    axes = jnp.stack([views.across, views.against], axis=1)
    at = jnp.einsum("vai,vni->vna", axes, deposits.position - views.origin[:, None])
    along = jnp.einsum("vai,ni->vna", axes, deposits.direction * deposits.length[:, None])
    # A volume ends at its cathode and its anode, as softly as the picture is blurred.
    soft = 0.25 * scale
    within = jax.nn.sigmoid((views.length[:, None] - at[..., 1]) / soft) * jax.nn.sigmoid(at[..., 1] / soft)
    phase, across = at @ wave.T, along @ wave.T
    lasting = jnp.sinc(across / (2 * jnp.pi))
    return jnp.einsum("vn,vnk->vk", within * charge, lasting * jnp.exp(-1j * phase))


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
        problem = mismatch_problem(detector, views, features, point, segments, wave, scale)
        reached: Progress = advance(problem, begin(problem), 0.02, iterations)
        return reached.point, reached.evaluated

    scales_ = jnp.asarray(SCALES)
    inputs = (jnp.asarray(waves()), scales_, jnp.moveaxis(found.features, 1, 0))
    (event, latents), evaluated = jax.lax.scan(at_scale, (start, latents), inputs)
    return event, latents, evaluated.value[-1]


def mismatch_problem(
    detector: TPC, views: View, features: Array, start: tuple[Primary, Array], segments: int, wave: Array, scale: Array
) -> Problem:
    """Minus half the squared difference of Fourier coefficients, in units of `_MISMATCH`, and the latents' prior."""
    size, count, dtype = len(names_of(GROUPS)), start[1].shape[0], start[0].kinetic_energy.dtype
    half = 0.5 * detector.volume.size

    def there(point: tuple[Primary, Array], change: Array) -> tuple[Primary, Array]:
        event, latents = point
        return moved(event, GROUPS, change[:size] * scales(event, GROUPS)), latents + change[size:]

    def residual(point: tuple[Primary, Array], change: Array) -> Array:
        event, latents = there(point, change)
        off = (track_features(detector, views, event, latents, segments, wave, scale) - features) / _MISMATCH
        return jnp.concatenate([off.real.reshape(-1), off.imag.reshape(-1), latents])

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
        trial, latents = there(point, change)
        energy = jnp.clip(trial.kinetic_energy, 0.7 * point[0].kinetic_energy, 1.4 * point[0].kinetic_energy)
        vertex = jnp.clip(trial.vertex, -half, half)
        return Primary(trial.particle, vertex, trial.direction, energy, trial.time), latents

    # In natural units (10 mm, 0.01 rad, 1 %): half the scale, 0.3 rad, 30 %, one standard deviation.
    parts = [jnp.full(3, 0.05 * scale), jnp.full(2, 30.0), jnp.full(1, 30.0), jnp.full(count, 1.0)]
    return Problem(slope, information, step, jnp.concatenate(parts).astype(dtype), start)
