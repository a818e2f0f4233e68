"""Reconstruction of optical events: vertex, direction, energy and time from the light on sensors."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._arrays import in_precision
from .._checks import InputError
from .._linear import inverse_positive
from ..detector import Detector
from ..event import Primary, Readout
from ..simulation import OpticalSimulator
from ..units import cm
from .fisher import require_x64
from .fit import Evaluated, Problem, Progress, advance, begin
from .likelihood import likelihood_of
from .parameters import groups_of, moved, names_of, scales
from .result import Reconstruction, Status, in_batches, put
from .seeds import inside_points, seeds
from .sensitivity import information_matrix, log_likelihood

# A fit goes on while one more step would gain more than this in log likelihood: a step of 0.6 standard deviations in the
# space of all parameters and latents. It has converged with less than that to gain, or where no step gains anything, as on
# the ripples that sensors beside a track make, with less than the second number.
_CLOSE, _ENOUGH = 0.2, 1.0

# Iterations with few segments before the fit proper, at most, and those between two looks at which of several events side
# by side have converged.
_ROUGH, _TOGETHER = 18, 6

# Relative error of the mean charges that is allowed for until then.
_DOUBT = 0.3

# Starts that are tried so, and goodness of fit above which the next one is.
_TRIED, _POOR = 4, 0.8

# Pearson's χ² per degree of freedom beyond which a fit may have ended in a wrong maximum and another start is tried, and beyond
# which it is called poor in the end: a few sensors beside a track bring right fits to 2 in a small tank.
_BAD, _WRONG = 2.0, 3.0


def reconstruct_light(
    simulator: OpticalSimulator,
    detector: Detector,
    readouts: Readout,
    particle: str = "mu-",
    *,
    energies: tuple[float, ...] = (150.0, 250.0, 400.0, 600.0, 900.0, 1400.0),
    iterations: int = 30,
    starts: int = 3,
    batch: int | None = None,
    least_charge: float = 20.0,
) -> Reconstruction:
    """Fit stacked `readouts` (leading axis: events) as single events of `particle`, without knowledge of the truth.

    Seeds come from hit times, charges and a scan of `energies` (MeV). The most likely one, or the next where that fits badly,
    is fitted with few segments to the light of the mean over the particle's own fluctuations, by a likelihood that doubts
    the simulator. From there the fit goes on with `simulator`, over the event's parameters and the latents of these
    fluctuations with their unit prior, by Levenberg–Marquardt with the Fisher matrix. Events that have converged leave the
    fit; the others go on, for `iterations` at most. What then has failed, or fits badly, begins again, `starts` times in
    all, each time from the next seed, and the likelier end counts. `batch` events are fitted side by side (1 on a CPU and 64
    on a GPU by default).

    Light is transported in single precision, whatever that of `detector`, which moves estimates by thousandths of
    their errors; likelihoods are summed, and steps solved, in double precision. Times count from each event's first hit meanwhile.

    A fit that fails is a value: `status` says why (less than `least_charge` photoelectrons, not converged in
    `iterations`, outside the volume, singular information, or still a poor fit after all `starts`). **Raises** `InputError` for
    readouts of another detector.
    """
    require_x64()
    if readouts.charge.ndim != 2 or readouts.charge.shape[1] != detector.sensors.count:
        raise InputError(
            f"readouts of shape {readouts.charge.shape} for {detector.sensors.count} sensors",
            key="readouts",
            remedy="give a stack of events of this detector, shape (events, sensors)",
        )
    if batch is None:
        batch = 1 if jax.default_backend() == "cpu" else 64
    readouts = jax.tree.map(jnp.asarray, readouts)
    given = readouts.time.dtype
    start = jnp.min(jnp.where(readouts.hit, readouts.time, jnp.inf), axis=1)
    start = jnp.where(jnp.isfinite(start), start, 0.0)
    readouts = Readout(readouts.charge, jnp.where(readouts.hit, readouts.time - start[:, None], 0.0), readouts.hit)
    detector, readouts = in_precision(jnp.float32, (detector, readouts))
    readouts = jax.device_get(readouts)
    candidates = jnp.asarray(inside_points(detector, 256), jnp.float32)
    grid = jnp.asarray(energies, jnp.float32)
    # The fit follows the single event's track: its latents are resolved, not averaged over.
    fitter = _Fitter(dataclasses.replace(simulator, resolved=True), particle, least_charge)
    found = _fitted(fitter, detector, readouts, candidates, grid, iterations, batch, rank=0)
    for rank in range(1, starts):
        bright = np.asarray(found.status) != Status.TOO_LITTLE_LIGHT
        again = np.flatnonzero(bright & (~found.ok | (np.asarray(found.goodness) > _BAD)))
        if not again.size:
            break
        old, left = jax.tree.map(lambda leaf, kept=again: leaf[kept], (found, readouts))
        new = _fitted(fitter, detector, left, candidates, grid, iterations, batch, rank)
        better = np.asarray(new.ok & ~old.ok | (new.ok == old.ok) & (new.log_likelihood > old.log_likelihood))
        kept = again[better]
        found = put(found, kept, jax.tree.map(lambda leaf, of=better: leaf[of], new))
    found = jax.tree.map(jnp.asarray, found)
    poor = found.ok & (np.asarray(found.goodness) > _WRONG)
    primary = in_precision(given, found.primary)
    primary = eqx.tree_at(lambda event: event.time, primary, primary.time + start)
    return dataclasses.replace(found, primary=primary, status=jnp.where(poor, int(Status.POOR_FIT), found.status))


def _fitted(
    fitter: _Fitter,
    detector: Detector,
    readouts: Readout,
    candidates: Array,
    energies: Array,
    iterations: int,
    batch: int,
    rank: int,
) -> Reconstruction:
    """All fits from the seed of `rank`; events leave as they converge."""
    place = jnp.asarray(rank)
    progress = in_batches(lambda of: _begun(fitter, detector, of, candidates, energies, place, batch), batch, readouts)
    pending = np.arange(readouts.charge.shape[0])
    # One event alone goes on until it has converged; of several side by side the slower ones go on in new batches.
    together = iterations if batch == 1 else _TOGETHER
    for _ in range(0, iterations, together):
        chosen = jax.tree.map(lambda leaf, kept=pending: leaf[kept], (progress, readouts))
        moved_on, open_ = in_batches(lambda pair: _advanced(fitter, detector, pair, together, batch), batch, chosen)
        progress = put(progress, pending, moved_on)
        pending = pending[np.asarray(open_)]
        if not pending.size:
            break
    return in_batches(lambda pair: _judged(fitter, detector, pair), batch, (progress, readouts))


class _Fitter(eqx.Module):
    simulator: OpticalSimulator
    particle: str = eqx.field(static=True)
    least_charge: float = eqx.field(static=True)

    @property
    def coarse(self) -> OpticalSimulator:
        """Few segments, direct light alone, and that as the mean over the particle's fluctuations."""
        return dataclasses.replace(
            self.simulator,
            segments=min(8, self.simulator.segments),
            kink_modes=min(8, self.simulator.kink_modes),
            wavelengths=21,
            degree=4,
            resolved=False,
            indirect=None,
        )


@eqx.filter_jit
def _begun(
    fitter: _Fitter, detector: Detector, readouts: Readout, candidates: Array, energies: Array, rank: Array, batch: int
) -> Progress:
    def one(readout: Readout) -> Progress:
        event = _first_guess(fitter, detector, readout, candidates, energies, rank)
        return begin(_problem(fitter.simulator, detector, readout, event, with_latents=True))

    return jax.lax.map(one, readouts, batch_size=batch if batch > 1 else None)


def _first_guess(
    fitter: _Fitter, detector: Detector, readout: Readout, candidates: Array, energies: Array, rank: Array
) -> Primary:
    """The fit with few segments and in doubt: from the seed of `rank` on, one seed after the other until one fits well, and
    the likeliest end of these."""
    tried = seeds(detector, readout, fitter.particle, candidates, energies)
    mean, none = dataclasses.replace(fitter.coarse, process=False), jnp.zeros(0, energies.dtype)
    likelihood = likelihood_of(mean, _DOUBT)
    value = lambda seed: _finite(log_likelihood(mean, likelihood, detector, seed, none, readout)[0])  # noqa: E731
    values = jax.lax.map(value, tried).reshape(-1, energies.shape[0])
    # Of each direction and shift the best energy; the best of them first.
    order = jnp.argsort(-jnp.max(values, axis=1))

    def fit(place: Array) -> tuple[Primary, Evaluated]:
        chosen = order[jnp.minimum(place, order.shape[0] - 1)]
        start = tried[chosen * energies.shape[0] + jnp.argmax(values[chosen])]
        problem = _problem(fitter.coarse, detector, readout, start, with_latents=False)
        found = advance(problem, begin(problem), 5 * _CLOSE, _ROUGH)
        return found.point[0], found.evaluated

    def going(state: tuple[Array, tuple[Primary, Evaluated]]) -> Array:
        made, (_, best) = state
        return (made < _TRIED) & (best.extra / jnp.sum(detector.sensors.present) > _POOR)

    def more(state: tuple[Array, tuple[Primary, Evaluated]]) -> tuple[Array, tuple[Primary, Evaluated]]:
        made, best = state
        new = fit(rank + made)
        return made + 1, jax.tree.map(lambda a, b: jnp.where(new[1].value > best[1].value, a, b), new, best)

    problem = _problem(fitter.coarse, detector, readout, tried[0], with_latents=False)
    nothing = begin(problem).evaluated
    state = (jnp.zeros((), int), (tried[0], nothing._replace(extra=jnp.full_like(nothing.extra, jnp.inf))))
    return jax.lax.while_loop(going, more, state)[1][0]


@eqx.filter_jit
def _advanced(fitter: _Fitter, detector: Detector, stacked: tuple[Progress, Readout], iterations: int, batch: int):
    """Fits after at most so many more iterations, and which of them go on."""

    def one(pair: tuple[Progress, Readout]) -> tuple[Progress, Array]:
        progress, readout = pair
        problem = _problem(fitter.simulator, detector, readout, progress.point[0], with_latents=True)
        after = advance(problem, progress, _CLOSE, iterations)
        return after, after.open(_CLOSE)

    return jax.lax.map(one, stacked, batch_size=batch if batch > 1 else None)


@eqx.filter_jit
def _judged(fitter: _Fitter, detector: Detector, stacked: tuple[Progress, Readout]) -> Reconstruction:
    names = names_of(groups_of(stacked[0].point[0]))

    def one(pair: tuple[Progress, Readout]) -> Reconstruction:
        found, readout = pair
        event, size = found.point[0], len(names)
        scale = scales(event, groups_of(event)).astype(jnp.float64)
        covariance = inverse_positive(found.evaluated.information)[:size, :size] * scale[:, None] * scale[None, :]
        goodness = found.evaluated.extra / jnp.maximum(jnp.sum(detector.sensors.present) - size, 1)
        regular = jnp.all(jnp.isfinite(covariance)) & jnp.all(jnp.diag(covariance) > 0)
        regular = regular & jnp.isfinite(found.evaluated.value)
        dark = (jnp.sum(readout.charge) < fitter.least_charge) | (jnp.sum(readout.hit) < size)
        status = jnp.select(
            [dark, ~regular, ~detector.volume.contains(event.vertex), found.left > _ENOUGH],
            [Status.TOO_LITTLE_LIGHT, Status.SINGULAR, Status.OUTSIDE, Status.NOT_CONVERGED],
            Status.CONVERGED,
        )
        return Reconstruction(event, covariance, found.evaluated.value, goodness, status, names)

    return jax.vmap(one)(stacked)


def _problem(
    simulator: OpticalSimulator, detector: Detector, readout: Readout, event: Primary, with_latents: bool
) -> Problem:
    """The log likelihood of a readout, from `event` and latents of zero."""
    likelihood, groups = likelihood_of(simulator, 0.0 if with_latents else _DOUBT), groups_of(event)
    size, count = len(names_of(groups)), simulator.latent_count(event) if with_latents else 0
    dtype = event.kinetic_energy.dtype

    def information(point: tuple[Primary, Array]) -> Array:
        event, latents = point
        prior = jnp.diag(jnp.concatenate([jnp.zeros(size), jnp.ones(count)]))
        return information_matrix(simulator, likelihood, detector, event, latents, groups) + prior

    def slope(point: tuple[Primary, Array]) -> tuple[Array, Array, Array]:
        event, latents = point

        def posterior(change: Array) -> tuple[Array, Array]:
            there = moved(event, groups, change[:size] * scales(event, groups)), latents + change[size:]
            value, pearson = log_likelihood(simulator, likelihood, detector, *there, readout)
            return value - 0.5 * jnp.sum(there[1].astype(jnp.float64) ** 2), pearson

        (value, pearson), gradient = jax.value_and_grad(posterior, has_aux=True)(jnp.zeros(size + count, dtype))
        return _finite(value), gradient.astype(jnp.float64), pearson

    def step(point: tuple[Primary, Array], change: Array) -> tuple[Primary, Array]:
        event, latents = point
        trial = moved(event, groups, change[:size] * scales(event, groups))
        # Inside the volume, where light can be seen, and between 30 MeV and 20 GeV.
        vertex = jnp.where(detector.volume.contains(trial.vertex), trial.vertex, 0.5 * (event.vertex + trial.vertex))
        energy = jnp.clip(trial.kinetic_energy, 0.5 * event.kinetic_energy, 2 * event.kinetic_energy)
        energy = jnp.clip(energy, 30.0, 20000.0) if event.particle != "point" else jnp.maximum(energy, 1e-6)
        return Primary(event.particle, vertex, trial.direction, energy, trial.time), latents + change[size:]

    # In natural units: 7 % of the volume's size (and the time that light takes for it), 0.3 rad, 30 %, and 1.5 standard
    # deviations of a latent.
    length = 0.07 * jnp.cbrt(detector.volume.volume)
    steps = {"vertex": length / cm, "direction": 30.0, "kinetic_energy": 30.0, "time": 0.6 * length / cm}
    limits = [jnp.asarray(steps[name.split(".")[0]], dtype) for name in names_of(groups)]
    limits = jnp.concatenate([jnp.stack(limits), jnp.full(count, 1.5, dtype)])
    return Problem(slope, information, step, limits, (event, jnp.zeros(count, dtype)))


def _finite(value: Array) -> Array:
    return jnp.where(jnp.isfinite(value), value, -jnp.inf)
