"""The light of electrons in water: how much, where along the initial direction, under which angles, and its fluctuations.

Smooth parametrisations (cubic splines in the logarithm of kinetic energy) of the package's own shower Monte Carlo
(`shower_monte_carlo.py`, table `tables/electromagnetic_shower.json`), from the Cherenkov threshold to 12 GeV. Kinetic
energies are in MeV; functions that say so take batches, the others scalars (use `jax.vmap`). All follow the dtype of
their argument and are twice differentiable.

Light is counted as equivalent length: mm of beta = 1 track that give the same number of photons between 300 and 600 nm
in `medium.Water` (Frank and Tamm). Angles are those at 400 nm, dispersion not included. Positrons are not distinguished:
the photons of their annihilation make 2.5 % more light at 2 MeV, 1.3 % at 10 MeV, and nothing visible above 100 MeV.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.interpolate import CubicSpline, PchipInterpolator

from .._interpolation import UniformSpline

LIGHT_THRESHOLD = 0.2425
"""MeV: kinetic energy above which an electron makes light at 300 nm in water."""


class Fluctuations(NamedTuple):
    """Event-by-event spread of showers of one energy.

    **Fields**: `light`, relative rms of the total light; `scale`, rms of the logarithm of the mean emission distance;
    `direction`, rad per transverse axis, of the direction that fits the shower's light best; `correlation` between the
    logarithms of light and distance.
    """

    light: Float[Array, "..."]
    scale: Float[Array, "..."]
    direction: Float[Array, "..."]
    correlation: Float[Array, "..."]


class AngularBasis(NamedTuple):
    """Gaussians in x = cos(theta): `centres (c,)` and `sigmas (c,)`, to be normalised on [-1, 1]; float64 NumPy."""

    centres: np.ndarray
    sigmas: np.ndarray


@functools.cache
def table() -> dict[str, Any]:
    """The shipped table with its provenance; lists as NumPy arrays."""
    text = (resources.files("studio.event") / "tables" / "electromagnetic_shower.json").read_text()
    return {k: np.asarray(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}


def equivalent_length(kinetic_energy: float | Float[Array, "..."]) -> Float[Array, "..."]:
    """Mean light `(...)` of an electron of `kinetic_energy` MeV and of everything it makes, mm; 0 below `LIGHT_THRESHOLD`."""
    above = jnp.maximum(strong(kinetic_energy) - LIGHT_THRESHOLD, 0.0)
    tiny = 1e-3
    return _reference_length(above) * jnp.exp(_splines().light(jnp.log(above + tiny)))


def angular_basis() -> AngularBasis:
    """The fixed basis of `angular_profile`."""
    return AngularBasis(table()["centres"], table()["sigmas"])


def angular_profile(
    kinetic_energy: float | Float[Array, ""], fraction: float | Float[Array, ""]
) -> Float[Array, " basis"]:
    """Weights of `angular_basis()` in the density of photons in x = cos(theta) to the initial direction.

    `fraction` is the share of the shower's light emitted nearer the start along the axis: 0 is the first light, 1 the
    last. The weights are positive and sum to 1. The density is the mean over showers, so it includes the spread of
    their directions.
    """
    return _weights(_splines().about_axis, kinetic_energy, fraction)


def angular_profile_about_shower(
    kinetic_energy: float | Float[Array, ""], fraction: float | Float[Array, ""]
) -> Float[Array, " basis"]:
    """As `angular_profile`, to the direction that fits the single shower best: what is left when `Fluctuations.direction`
    is drawn for the event."""
    return _weights(_splines().about_shower, kinetic_energy, fraction)


def mean_distance(kinetic_energy: float | Float[Array, "..."]) -> Float[Array, "..."]:
    """Mean distance of emission along the initial direction, mm."""
    return jnp.exp(_splines().depth(_log_energy(kinetic_energy)))


def emission_nodes(
    kinetic_energy: float | Float[Array, ""], count: int
) -> tuple[Float[Array, " nodes"], Float[Array, " pieces"]]:
    """Boundaries (mm along the initial direction) of `count` pieces of the axis, and the share of light in each.

    The shares fall along the axis, because the end of a shower is long and may come close to sensors. Boundaries
    are quantiles of the emission distance, but for the first and the last two, which give light spread evenly within
    their pieces the right mean; all are then scaled, by about a per cent, so that evenly filled pieces have exactly
    `mean_distance`. The first boundary lies slightly behind the vertex at low energy: electrons scatter back.

    **Raises** `ValueError` for fewer than 4 pieces.
    """
    shares, spline = _nodes(count)
    first, widths = jnp.split(spline(_log_energy(kinetic_energy)), [1])
    boundaries = jnp.concatenate([first, first + jnp.cumsum(jnp.exp(widths))])
    shares = jnp.asarray(shares, boundaries.dtype)
    mean = 0.5 * (boundaries[1:] + boundaries[:-1]) @ shares
    return mean_distance(kinetic_energy) / mean * boundaries, shares


def fluctuations(kinetic_energy: float | Float[Array, "..."]) -> Fluctuations:
    """Spread from shower to shower, for energies `(...)`. Draw the light first; the distance's logarithm is correlated with the light's."""
    values = _splines().fluctuations(_log_energy(kinetic_energy))
    light, scale, direction = jnp.moveaxis(jnp.exp(values[..., :3]), -1, 0)
    return Fluctuations(light, scale, direction, jnp.tanh(values[..., 3]))


def emission_lag(kinetic_energy: float | Float[Array, "..."]) -> Float[Array, "..."]:
    """Mean of c t - distance over the light, mm: how much later it is emitted than by a straight track at light speed."""
    return jnp.exp(_splines().lag(_log_energy(kinetic_energy)))


class _Splines(NamedTuple):
    light: UniformSpline
    depth: UniformSpline
    lag: UniformSpline
    fluctuations: UniformSpline
    about_axis: UniformSpline
    about_shower: UniformSpline


def energy_grid() -> np.ndarray:
    """Kinetic energies of the table, MeV, uniform in the logarithm."""
    low, high, count = table()["energy_grid_mev"]
    return np.geomspace(low, high, int(count))


@functools.cache
def _splines() -> _Splines:
    data, energies = table(), energy_grid()
    log_energy = np.log(energies)
    # Light is splined against ln(T - threshold) as a ratio to a form with the right behaviour at both ends.
    above = energies - LIGHT_THRESHOLD
    ratio = CubicSpline(np.log(above), np.log(data["light_mm"] / _reference_length(above)))
    grid = np.linspace(np.log(above[0]), np.log(above[-1]), 2 * len(energies))
    spread = [data["light_relative_rms"], data["scale_log_rms"], data["direction_rms"]]
    columns = [*np.log(spread), np.arctanh(data["light_scale_correlation"])]
    return _Splines(
        light=UniformSpline.fit(grid, ratio(grid)),
        depth=UniformSpline.fit(log_energy, np.log(data["depth_mm"])),
        lag=UniformSpline.fit(log_energy, np.log(data["lag_mm"])),
        fluctuations=UniformSpline.fit(log_energy, np.stack(columns, axis=1)),
        about_axis=UniformSpline.fit(log_energy, data["logits_about_axis"]),
        about_shower=UniformSpline.fit(log_energy, data["logits_about_shower"]),
    )


def _reference_length(above: Any) -> Any:
    """A form with the light's behaviour at both ends: cubic in the energy above threshold, then linear."""
    return 5.0 * above**3 / (above**2 + 0.5 * above + 0.005)


@functools.cache
def _depth_cardinals(depths: int) -> UniformSpline:
    """Cardinal splines over the share of light: nodes are the middles of equal shares, and one more on either side, outside
    [0, 1], that repeats its neighbour, so that nothing is extrapolated."""
    nodes = (np.arange(-1, depths + 1) + 0.5) / depths
    return UniformSpline.fit(nodes, np.eye(depths)[np.clip(np.arange(-1, depths + 1), 0, depths - 1)])


def _weights(
    spline: UniformSpline, kinetic_energy: float | Float[Array, ""], fraction: float | Float[Array, ""]
) -> Float[Array, " basis"]:
    logits = spline(_log_energy(kinetic_energy))
    return jax.nn.softmax(_depth_cardinals(logits.shape[-2])(strong(fraction)) @ logits)


def _log_energy(kinetic_energy: float | Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.log(jnp.maximum(strong(kinetic_energy), LIGHT_THRESHOLD))


def strong(value: float | Float[Array, "..."]) -> Float[Array, "..."]:
    """The value as an array of its own precision; a Python number in the default one."""
    return jnp.asarray(value, jax.dtypes.canonicalize_dtype(getattr(value, "dtype", float)))


_TAIL = 1.15  # mean over smallest distance of the last 0.05 % of the light, beyond the table


@functools.cache
def _nodes(count: int) -> tuple[np.ndarray, UniformSpline]:
    """Shares of the pieces; as splines over ln energy, in units of the mean distance, the first boundary and the logarithms
    of the pieces' lengths (so that boundaries never cross)."""
    if count < 4:
        raise ValueError(f"count = {count}: at least 4 pieces are needed")
    # The last share is a thousandth, well inside the table, or larger.
    power = min(2.0, np.log(1000.0) / np.log(count))
    shares = -np.diff((1 - np.arange(count + 1) / count) ** power)
    cumulative = np.cumsum(shares)[:-1]
    data = table()
    levels, quantiles = data["depth_levels"], data["depth_quantiles"]
    rows = []
    for row in quantiles:
        inner = PchipInterpolator(levels, row)
        integral = inner.antiderivative()(np.append(cumulative, levels[-1])) + levels[0] * row[0]
        integral[-1] += _TAIL * row[-1] * (1.0 - levels[-1])
        means = np.diff(integral, prepend=0.0) / shares  # of every piece, in units of the mean
        boundaries = np.concatenate([[0.0], inner(cumulative), [0.0]])
        boundaries[0] = 2.0 * means[0] - boundaries[1]
        boundaries[-2] = min(boundaries[-2], 2.0 * means[-2] - boundaries[-3])
        boundaries[-1] = 2.0 * means[-1] - boundaries[-2]
        rows.append(np.concatenate([boundaries[:1], np.log(np.diff(boundaries))]))
    return shares, UniformSpline.fit(np.log(energy_grid()), np.stack(rows))
