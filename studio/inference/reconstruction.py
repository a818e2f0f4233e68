"""Reconstruction: vertex, direction, energy and time of events from what was recorded."""

from __future__ import annotations

import dataclasses
import enum

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import InputError
from ..detector import Detector
from ..event import Primary, Readout
from ..simulation import OpticalSimulator
from .fisher import require_x64
from .fit import Evaluated, Fitted, fit
from .likelihood import likelihood_of
from .parameters import groups_of, moved, names_of, scales
from .seeds import inside_points, seeds
from .sensitivity import sensitivity

# A fit has converged when one more step would gain less than this in log likelihood: the step is then one standard
# deviation long in the space of all parameters and latents, some 25, which is 0.2 of each one's own.
_CLOSE = 0.5


class Status(enum.IntEnum):
    """How the fit of one event ended."""

    CONVERGED = 0
    TOO_LITTLE_LIGHT = 1
    NOT_CONVERGED = 2
    OUTSIDE = 3
    SINGULAR = 4


class Reconstruction(eqx.Module):
    """Fitted events, stacked.

    **Fields**

    - `primary`: the estimates, a stack of primaries.
    - `covariance (events, k, k)` of the parameters in `names` (mm, rad, MeV, ns), everything else marginalized.
    - `log_likelihood (events,)`; `goodness (events,)`: Pearson's χ² of the charges per degree of freedom.
    - `status (events,)`: a `Status` each.
    """

    primary: Primary
    covariance: Float[Array, "events k k"]
    log_likelihood: Float[Array, " events"]
    goodness: Float[Array, " events"]
    status: Int[Array, " events"]
    names: tuple[str, ...] = eqx.field(static=True)

    @property
    def ok(self) -> np.ndarray:
        """Which events the fit converged for."""
        return np.asarray(self.status) == Status.CONVERGED

    def failures(self) -> dict[str, int]:
        """Number of events by the reason why their fit failed."""
        counts = {status.name.lower(): int(np.sum(np.asarray(self.status) == status)) for status in Status}
        return {name: count for name, count in counts.items() if name != "converged" and count}


def reconstruct(
    simulator: OpticalSimulator,
    detector: Detector,
    readouts: Readout,
    particle: str = "mu-",
    *,
    energies: tuple[float, ...] = (150.0, 250.0, 400.0, 600.0, 900.0, 1400.0),
    iterations: int = 14,
    starts: int = 2,
    batch: int = 8,
    least_charge: float = 20.0,
) -> Reconstruction:
    """Fit stacked `readouts` (leading axis: events) as single events of `particle`, without knowledge of the truth.

    Seeds come from hit times, charges and a scan of `energies` (MeV); the `starts` most likely are fitted and the likeliest
    end is kept, by Levenberg–Marquardt with the Fisher matrix over the event's parameters and, where the
    simulator has process fluctuations, its latents with their unit prior. `batch` events are fitted at a time.

    A fit that fails is a value: `status` says why (less than `least_charge` photoelectrons, not converged in
    `iterations`, outside the volume, singular information). **Raises** `InputError` for readouts of another detector.
    """
    require_x64()
    if readouts.charge.ndim != 2 or readouts.charge.shape[1] != detector.sensors.count:
        raise InputError(
            f"readouts of shape {readouts.charge.shape} for {detector.sensors.count} sensors",
            key="readouts",
            remedy="give a stack of events of this detector, shape (events, sensors)",
        )
    candidates = jnp.asarray(inside_points(detector, 256), readouts.charge.dtype)
    # The fit follows the single event's track: its latents are resolved, not averaged over.
    simulator = dataclasses.replace(simulator, resolved=True)
    fitter = _Fitter(simulator, particle, iterations, starts, least_charge)
    grid = jnp.asarray(energies, readouts.charge.dtype)
    return _reconstruct(fitter, detector, readouts, candidates, grid, batch)


class _Fitter(eqx.Module):
    simulator: OpticalSimulator
    particle: str = eqx.field(static=True)
    iterations: int = eqx.field(static=True)
    starts: int = eqx.field(static=True)
    least_charge: float = eqx.field(static=True)


@eqx.filter_jit
def _reconstruct(
    fitter: _Fitter, detector: Detector, readouts: Readout, candidates: Array, energies: Array, batch: int
) -> Reconstruction:
    one = lambda readout: _one(fitter, detector, readout, candidates, energies)  # noqa: E731
    return jax.lax.map(one, readouts, batch_size=batch)


def _one(fitter: _Fitter, detector: Detector, readout: Readout, candidates: Array, energies: Array) -> Reconstruction:
    simulator = fitter.simulator
    coarse = OpticalSimulator(segments=8, wavelengths=21, degree=4, process=False, chunk=simulator.chunk)
    tried = seeds(detector, readout, fitter.particle, candidates, energies)
    values = jax.lax.map(lambda seed: _value(coarse, detector, readout, seed), tried).reshape(-1, energies.shape[0])
    # The best energy of the best shifts along the axis: starts that differ. Both are fitted, the likelier end counts.
    _, shifts = jax.lax.top_k(jnp.max(values, axis=1), min(fitter.starts, values.shape[0]))
    best = shifts * energies.shape[0] + jnp.argmax(values[shifts], axis=1)
    ends = jax.lax.map(lambda index: _fit(simulator, detector, readout, tried[index], fitter.iterations), best)
    found: Fitted = jax.tree.map(lambda leaf: leaf[jnp.argmax(ends.evaluated.value)], ends)
    event = found.point[0]

    groups = groups_of(event)
    names, scale = names_of(groups), scales(event, groups).astype(jnp.float64)
    size = len(names)
    information = found.evaluated.information
    covariance = jnp.linalg.inv(information)[:size, :size] * scale[:, None] * scale[None, :]
    hits = jnp.sum(readout.hit)
    goodness = found.evaluated.extra / jnp.maximum(detector.sensors.count - size, 1)
    variances = jnp.diag(covariance)
    singular = ~jnp.all(jnp.isfinite(covariance)) | jnp.any(variances <= 0)
    status = jnp.select(
        [
            (jnp.sum(readout.charge) < fitter.least_charge) | (hits < size),
            singular,
            ~detector.volume.contains(event.vertex),
            found.left > _CLOSE,
        ],
        [Status.TOO_LITTLE_LIGHT, Status.SINGULAR, Status.OUTSIDE, Status.NOT_CONVERGED],
        Status.CONVERGED,
    )
    return Reconstruction(event, covariance, found.evaluated.value, goodness, status, names)


def _value(simulator: OpticalSimulator, detector: Detector, readout: Readout, event: Primary) -> Float[Array, ""]:
    """Log likelihood of an event at its mean track."""
    likelihood = likelihood_of(simulator)
    channels, counted = simulator.channel_chunks(likelihood.channel_count(detector))
    emitted = simulator.emit(detector, event, jnp.zeros(simulator.latent_count(event), event.kinetic_energy.dtype))

    def one(chunk: tuple[Array, Array]) -> Array:
        measured = likelihood.measured(detector, simulator.receive(detector, emitted, chunk[0]))
        return jnp.sum(likelihood.judge(detector, readout, measured, chunk[0]).value * chunk[1])

    return jnp.sum(jax.lax.map(one, (channels, counted)))


def _fit(simulator: OpticalSimulator, detector: Detector, readout: Readout, event: Primary, iterations: int) -> Fitted:
    likelihood, groups = likelihood_of(simulator), groups_of(event)
    size, count = len(names_of(groups)), simulator.latent_count(event)
    dtype = event.kinetic_energy.dtype

    def evaluate(point: tuple[Primary, Array]) -> Evaluated:
        event, latents = point
        there = sensitivity(simulator, likelihood, detector, event, latents, groups, readout=readout)
        pull = jnp.concatenate([jnp.zeros(size), latents]).astype(jnp.float64)
        prior = jnp.concatenate([jnp.zeros(size), jnp.ones(count)])
        value = there.value - 0.5 * jnp.sum(pull**2)
        value = jnp.where(jnp.isfinite(value), value, -jnp.inf)
        return Evaluated(value, there.gradient - pull, there.information + jnp.diag(prior), there.pearson)

    def step(point: tuple[Primary, Array], change: Array) -> tuple[Primary, Array]:
        event, latents = point
        trial = moved(event, groups, change[:size] * scales(event, groups))
        # Inside the volume, where light can be seen, and between 30 MeV and 20 GeV.
        vertex = jnp.where(detector.volume.contains(trial.vertex), trial.vertex, 0.5 * (event.vertex + trial.vertex))
        energy = jnp.clip(trial.kinetic_energy, 0.5 * event.kinetic_energy, 2 * event.kinetic_energy)
        energy = jnp.clip(energy, 30.0, 20000.0) if event.particle != "point" else jnp.maximum(energy, 1e-6)
        return Primary(event.particle, vertex, trial.direction, energy, trial.time), latents + change[size:]

    # 0.5 m, 0.3 rad, 30 %, 3 ns, and 1.5 standard deviations of a latent, in the parameters' natural units.
    steps = {"vertex": 50.0, "direction": 30.0, "kinetic_energy": 30.0, "time": 30.0}
    limits = [steps[name.split(".")[0]] for name in names_of(groups)] + [1.5] * count
    start = (event, jnp.zeros(count, dtype))
    return fit(evaluate, start, step, jnp.asarray(limits, dtype), iterations)
