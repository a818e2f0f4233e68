"""From shower Monte Carlo to the compact table of electron light: tallies, and the fit of angular profiles (offline)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator, UnivariateSpline
from scipy.ndimage import gaussian_filter1d

from . import mixture_fit
from .knock_on import DELTA_GRID, delta_profiles
from .shower_monte_carlo import Light, rotate, simulate

ENERGY_GRID = (0.3, 12000.0, 33)  # MeV, uniform in the logarithm
DEPTHS = 12  # equal shares of the light, along the axis
COSINES = 2000
AZIMUTHS = 6
LEVELS = np.concatenate(
    [
        [0.0005, 0.002, 0.005, 0.01, 0.02, 0.035],
        np.arange(0.05, 0.951, 0.025),
        [0.965, 0.98, 0.99, 0.995, 0.998, 0.9995],
    ]
)
# Where the fit of the angular basis starts: a peak of several widths at 1/n, and wide Gaussians around it.
CENTRES = np.array([0.744, 0.744, 0.744, 0.744, 0.70, 0.84, 0.93, 0.52, 0.15, -0.5])
SIGMAS = np.array([0.005, 0.013, 0.03, 0.07, 0.14, 0.06, 0.05, 0.20, 0.30, 0.40])
DELTA_CENTRES = np.array([0.74, 0.75, 0.80, 0.92, 0.60, 0.40, 0.05, -0.5])
DELTA_SIGMAS = np.array([0.02, 0.06, 0.10, 0.08, 0.15, 0.20, 0.30, 0.40])
GAUSSIAN_SHARE, GAUSSIAN_RADIUS = 0.6827, 1.5152  # share of a two-dimensional unit Gaussian within this radius
PIECES_PER_BATCH = 5e5
SEED = 20240901
DIRECTED_PIECES, DIRECTED_SHOWERS = 1e6, 300  # how many, at least, are used for the showers' own directions
SCORE_WIDTHS = (0.1, 0.05, 0.025, 0.012, 0.006, 0.006, 0.006)  # of the cosine; the last: dispersion

Array = NDArray[Any]

PROVENANCE = (
    "Light of electrons and knock-on electrons in water of 1 g/cm3. Made by `python -m studio.event.shower_monte_carlo` "
    "(the package's own Monte Carlo; physics and sources in shower_interactions.py and shower_monte_carlo.py); no measured "
    "or simulated data of others entered. Lengths: mm of beta = 1 track with as many photons in 300-600 nm; angles at 400 nm."
)


@dataclass(frozen=True)
class Tally:
    """What many showers of one energy look like; means are light-weighted.

    **Fields**: `light`, `light_rms` (relative); `depth` mean distance along the axis, mm; `quantiles (levels,)` of it, mm;
    `depth_error` its standard error, relative; `scale_rms` of the logarithm of a shower's mean distance; `direction_rms` per
    plane of a shower's own direction, rad (of the Gaussian with the same 68 % radius); `correlation` of light and scale; `lag` mean of c t - depth and `lateral` rms per
    axis, mm; `about_axis`, `about_shower (depths, cosines)` distributions of the photons' cosine to the initial direction
    and to the shower's own direction: the axis that fits all of its light best (see `_shower_directions`).
    """

    light: float
    light_rms: float
    depth: float
    depth_error: float
    quantiles: Array
    scale_rms: float
    direction_rms: float
    correlation: float
    lag: float
    lateral: float
    about_axis: Array
    about_shower: Array


def energies() -> Array:
    """The grid of kinetic energies, MeV."""
    low, high, count = ENERGY_GRID
    return np.geomspace(low, high, count)


def tally(energy: float, showers: int, seed: int) -> Tally:
    """Simulate `showers` electrons and reduce them."""
    random = np.random.default_rng([SEED, seed])
    pieces = 80.0 + 24.0 * energy + 40.0 * np.sqrt(energy)
    batch = int(np.clip(PIECES_PER_BATCH / pieces, 1, showers))
    pilot = simulate(np.full(min(batch, showers), energy), random)
    order = np.argsort(pilot.position[2])
    depth_at = PchipInterpolator(*_distinct(np.cumsum(pilot.length[order].astype(float)), pilot.position[2][order]))
    shares = np.clip((np.arange(1, DEPTHS) / DEPTHS), 0, 1)
    boundaries = depth_at(shares)
    bulk, last = depth_at(np.array([0.001, 0.98])), 2.0 * pilot.position[2].max()
    edges = np.concatenate(
        [bulk[0] + (bulk[1] - bulk[0]) * np.linspace(-0.3, 1.0, 3000), np.linspace(bulk[1], last, 2001)[1:]]
    )
    axis_counts, shower_counts = np.zeros((DEPTHS, COSINES)), np.zeros((DEPTHS, COSINES))
    scores = [_score(pilot, width, random) for width in SCORE_WIDTHS]
    depth_counts, per_shower, angles, moments = np.zeros(len(edges) + 1), [], [], np.zeros(4)
    done, directed = 0, 0
    turns = 4 if energy < 30.0 else 2 if energy < 300.0 else 1
    while done < showers:
        n = min(batch, showers - done)
        light = simulate(np.full(n, energy), random)
        per_shower.append(_per_shower(light, n))
        depth = light.position[2]
        weight = light.length.astype(np.float64)
        lateral2 = 0.5 * (light.position[0] ** 2 + light.position[1] ** 2)
        moments += [np.sum(weight), weight @ depth, weight @ (light.path - depth), weight @ lateral2]
        depth_counts += np.bincount(np.searchsorted(edges, depth), weight, minlength=len(depth_counts))
        which = np.searchsorted(boundaries, depth)
        _count_cosines(axis_counts, which, light.direction[2], light, random)
        if directed < DIRECTED_PIECES or done < DIRECTED_SHOWERS:
            direction = _shower_directions(light, n, scores, turns, random)
            cosine = np.sum(light.direction * direction[:, light.shower], axis=0)
            _count_cosines(shower_counts, which, cosine, light, random)
            polar = np.arctan2(np.hypot(direction[0], direction[1]), direction[2])
            angles.append(polar)
            directed += len(depth)
        done += n
    total, mean_depth, scale = np.concatenate(per_shower, axis=1)
    lit = (total > 0) & (scale > 0)
    cumulative = np.cumsum(depth_counts)[:-1] / moments[0]
    cumulative[-1] = 1.0
    return Tally(
        light=float(moments[0] / showers),
        light_rms=float(np.std(total) / np.mean(total)),
        depth=float(moments[1] / moments[0]),
        depth_error=float(np.std(mean_depth) / np.sqrt(showers) * moments[0] / moments[1]),
        quantiles=PchipInterpolator(*_distinct(cumulative, edges, normalise=False))(LEVELS),
        scale_rms=float(np.std(np.log(scale[lit]))),
        direction_rms=float(np.quantile(np.concatenate(angles), GAUSSIAN_SHARE) / GAUSSIAN_RADIUS),
        correlation=float(np.corrcoef(np.log(total[lit]), np.log(scale[lit]))[0, 1]),
        lag=float(moments[2] / moments[0]),
        lateral=float(np.sqrt(moments[3] / moments[0])),
        about_axis=axis_counts,
        about_shower=shower_counts,
    )


def _distinct(cumulative: Array, values: Array, normalise: bool = True) -> tuple[Array, Array]:
    share = cumulative / cumulative[-1] if normalise else cumulative
    share, first = np.unique(share, return_index=True)
    return share, np.asarray(values, np.float64)[first]


def _per_shower(light: Light, showers: int) -> Array:
    """Total light, mean depth and mean distance from the start of every shower `(3, showers)`."""

    def total(value: Array) -> Array:
        return np.asarray(np.bincount(light.shower, light.length * value, minlength=showers))

    distance = np.sqrt(np.sum(light.position.astype(np.float64) ** 2, axis=0))
    length = total(np.ones_like(distance))
    safe = np.maximum(length, 1e-30)
    return np.stack([length, total(light.position[2]) / safe, total(distance) / safe])


def _score(light: Light, width: float, random: np.random.Generator) -> tuple[Array, float]:
    """d ln f / dx of the mean distribution f of the photons' cosine x smoothed by `width`, on the histogram's bins, and
    the information about the direction per photon, mean of (d ln f / dx)^2 (1 - x^2) / 2."""
    counts = np.zeros((1, COSINES))
    _count_cosines(counts, np.zeros(len(light.length), int), light.direction[2], light, random)
    x = (np.arange(COSINES) + 0.5) * (2.0 / COSINES) - 1.0
    density = gaussian_filter1d(counts[0] / counts.sum(), width * COSINES / 2.0, mode="nearest") + 1e-3 / COSINES
    slope = np.gradient(np.log(density), x)
    return slope, float(np.sum(density * slope**2 * (1.0 - x**2)) / np.sum(density) / 2.0)


def _shower_directions(
    light: Light, showers: int, scores: list[tuple[Array, float]], turns: int, random: np.random.Generator
) -> Array:
    """The axis of every shower `(3, showers)` that maximises the likelihood of its light's directions under the mean
    profile: what a perfect detector would fit. Scoring steps from the mean direction, from a smoothed profile to the
    sharp one; a plain mean direction would give the wide light of slow electrons far too much weight."""
    first, second = _basis(light.direction)
    phase = 2.0 * np.pi * random.random(len(light.length))
    sine = np.sqrt(1.0 - light.cosine**2)
    photons = [
        light.cosine * light.direction + sine * (np.cos(phase + turn) * first + np.sin(phase + turn) * second)
        for turn in 2.0 * np.pi * np.arange(turns) / turns
    ]

    def total(vectors: Array) -> Array:
        return np.stack([np.bincount(light.shower, light.length * v, minlength=showers) for v in vectors])

    length = np.maximum(np.bincount(light.shower, light.length, minlength=showers), 1e-30)
    axis = _unit(total(light.cosine * light.direction))
    for slope, information in scores:
        gradient = np.zeros((3, showers))
        for photon in photons:
            x = np.sum(photon * axis[:, light.shower], axis=0)
            column = np.clip(((x + 1.0) * (0.5 * COSINES)).astype(int), 0, COSINES - 1)
            gradient += total(slope[column] * photon) / (len(photons) * length)
        gradient -= np.sum(gradient * axis, axis=0) * axis
        axis = _unit(axis + gradient / information)
    return axis


def _basis(direction: Array) -> tuple[Array, Array]:
    half = np.zeros(direction.shape[1])
    return rotate(direction, half, half), rotate(direction, half, half + 0.5 * np.pi)


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.sqrt(np.sum(vectors**2, axis=0)), 1e-30)


def _count_cosines(counts: Array, which: Array, track: Array, light: Light, random: np.random.Generator) -> None:
    """Add the cone of every piece to the histograms, at stratified azimuths."""
    track = np.clip(track, -1.0, 1.0)
    along = light.cosine * track
    across = np.sqrt((1.0 - light.cosine**2) * (1.0 - track**2))
    phase = random.random(len(track))
    for i in range(AZIMUTHS):
        x = along + across * np.cos(np.pi * (i + phase) / AZIMUTHS)
        column = np.clip(((x + 1.0) * (0.5 * COSINES)).astype(int), 0, COSINES - 1)
        counts += np.bincount(which * COSINES + column, light.length, minlength=counts.size).reshape(counts.shape)


def showers_at(energy: float, statistics: float) -> int:
    """How many showers are simulated; the shipped table took 25 minutes of one core."""
    return max(int(statistics * 5.0 / (1e-4 + 9e-6 * energy) * (1.0 + energy / 3000.0)), 20)


def write_table(out: Path, statistics: float = 1.0) -> None:
    """Simulate the whole grid, fit the profiles and write the JSON table."""
    grid = energies()
    tallies = [tally(float(e), showers_at(float(e), statistics), i) for i, e in enumerate(grid)]
    reduce_tables(tallies, out, statistics)


def reduce_tables(tallies: list[Tally], out: Path, statistics: float) -> None:
    """Fit the profiles of finished tallies and write the JSON table."""
    about_axis = np.stack([_equal_shares(t.about_axis) for t in tallies])
    about_shower = np.stack([_equal_shares(t.about_shower) for t in tallies])
    # Every share of the light counts the same, but below 1 MeV an electron makes hardly any.
    importance = np.broadcast_to((energies() / (1.0 + energies()))[:, None] + 0.02, (2, len(tallies), DEPTHS))
    electron = mixture_fit.fit(np.stack([about_axis, about_shower]), CENTRES, SIGMAS, importance)
    light = np.array([t.light for t in tallies])
    muon = delta_profiles(energies(), light, about_axis.sum(axis=1))
    delta = mixture_fit.fit(muon, DELTA_CENTRES, DELTA_SIGMAS, np.ones(len(muon)))
    depth = np.exp(_smoothed([np.log(t.depth) for t in tallies], [t.depth_error for t in tallies]))
    quantiles = np.stack([t.quantiles / t.depth for t in tallies])  # in units of the mean depth
    table = {
        "provenance": PROVENANCE,
        "statistics": statistics,
        "energy_grid_mev": list(ENERGY_GRID),
        "light_mm": _rounded(light, 6),
        "light_relative_rms": _rounded([t.light_rms for t in tallies], 4),
        "depth_mm": _rounded(depth, 6),
        "depth_levels": _rounded(LEVELS, 6),
        "depth_quantiles": _rounded(quantiles, 5),
        "scale_log_rms": _rounded([t.scale_rms for t in tallies], 4),
        "direction_rms": _rounded([t.direction_rms for t in tallies], 4),
        "light_scale_correlation": _rounded([t.correlation for t in tallies], 3),
        "lag_mm": _rounded([t.lag for t in tallies], 4),
        "lateral_rms_mm": _rounded([t.lateral for t in tallies], 4),
        "centres": _rounded(electron.centres, 6),
        "sigmas": _rounded(electron.sigmas, 6),
        "logits_about_axis": _rounded(electron.logits[0], 4),
        "logits_about_shower": _rounded(electron.logits[1], 4),
        "profile_cdf_deviation": _rounded(electron.deviation, 2),
        "delta_grid_mev": list(DELTA_GRID),
        "delta_centres": _rounded(delta.centres, 6),
        "delta_sigmas": _rounded(delta.sigmas, 6),
        "delta_logits": _rounded(delta.logits, 4),
        "delta_cdf_deviation": _rounded(delta.deviation, 2),
    }
    out.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in table.items()) + "\n}\n")


def _equal_shares(counts: Array) -> Array:
    """Histograms `(depths, cosines)` whose depths, set by a few first showers, hold unequal light, as equal shares of it."""
    cumulative = np.concatenate([np.zeros((1, counts.shape[1])), np.cumsum(counts, axis=0)])
    share = cumulative.sum(axis=1) / counts.sum()
    return np.diff(PchipInterpolator(share, cumulative, axis=0)(np.linspace(0.0, 1.0, DEPTHS + 1)), axis=0)


def _smoothed(values: list[float], errors: list[float]) -> Array:
    """Values over the grid of ln energy with their statistical noise taken out (smoothing spline, chi^2 = points)."""
    x = np.arange(float(len(values)))
    return np.asarray(UnivariateSpline(x, values, w=1.0 / np.maximum(errors, 1e-4), s=len(values), k=5)(x))


def _rounded(values: object, digits: int) -> list:
    """Significant digits, as nested lists."""
    array = np.asarray(values, np.float64)
    flat = [float(f"{v:.{digits}g}") for v in array.ravel()]
    return np.array(flat).reshape(array.shape).tolist()
