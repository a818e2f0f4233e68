"""Reconstruction of tracks from wires in liquid argon: vertex, direction and energy."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import InputError
from .._linear import inverse_positive
from ..detector import TPC
from ..event import Primary
from ..event.stopping import heavy
from ..event.tracks import track_latent_count
from ..simulation import TPCSimulator, WireReadout
from ..simulation.tpc.simulator import Spectra
from .fisher import require_x64
from .fit import Evaluated, Progress, advance, begin
from .parameters import names_of, scales
from .result import Reconstruction, Status, in_batches, put
from .track_images import Picture, picture, starts, towards
from .track_windows import (
    Bucket,
    Needs,
    arrival_of,
    bucket_of,
    needs,
    passing,
    ribbons_along,
    spectra_for,
)
from .wire_tracks import GROUPS, Observed, TrackModel, track_problem

# Gain in log likelihood below which a fit from far, and the fit proper, have converged, and with which the latter passes as
# converged where no step gains anything.
_ROUGH, _CLOSE, _ENOUGH = 0.5, 0.02, 0.2

# Segments of a track, about, in fits from far; iterations of those, and of each blurred step of the fit proper.
_FEW, _FAR_ITERATIONS, _BLURRED_ITERATIONS = 25, 20, 12

# χ² per degree of freedom of the wires along the track beyond which the track is not what was recorded.
_POOR = 2.0


class _Fitter(eqx.Module):
    simulator: TPCSimulator
    particle: str = eqx.field(static=True)
    least_charge: float = eqx.field(static=True)

    @property
    def merged(self) -> int:
        """Segments of the fit proper to one of the fit from far."""
        return max(1, round(self.simulator.segments / _FEW))

    @property
    def few(self) -> int:
        """Segments of the fit from far."""
        return max(2, -(-self.simulator.segments // self.merged))

    def fine_latents(self, latents: Array) -> Array:
        """Latents of a track with all segments that scatters as one with few: every kink spread evenly over as many segments
        around it as were merged, variances added."""
        if not self.simulator.process:
            return jnp.zeros(0, latents.dtype)
        kinks = latents[1:].reshape(-1, 2)
        of = np.minimum((np.arange(self.simulator.segments) + self.merged // 2) // self.merged, self.few - 1)
        return jnp.concatenate([latents[:1], (kinks[of] / np.sqrt(self.merged)).reshape(-1)])


class _Located(NamedTuple):
    """Where a track was found from far: the `event` and its `latents`, what windows `needed` must hold, and the `charge` seen."""

    event: Primary
    latents: Array
    needed: Needs
    charge: Array


def reconstruct_tracks(
    simulator: TPCSimulator,
    detector: TPC,
    readouts: WireReadout,
    particle: str = "mu-",
    *,
    start: Primary | None = None,
    time: float | Float[Array, " events"] = 0.0,
    iterations: int = 40,
    batch: int = 1,
    least_charge: float = 3e4,
) -> Reconstruction:
    """Fit stacked `readouts` (leading axis: events) as single tracks of `particle` that stop, without knowledge of the truth.

    What stands out of the noise gives two starts: both ways along its longest axis.
    From each, and from `start` if there is one, a stack of primaries, a track with few segments is fitted to the Fourier
    coefficients of these pictures, blurred to 1 m first and to 25 mm last, and to the charge. From the
    best end the waveforms themselves are fitted, low frequencies first, in windows along the track, over the event and the
    latents of its scattering and straggling with their unit prior, by Levenberg–Marquardt with the Fisher matrix.

    **Arguments**: `time` of the events in ns, which is known, as from their light: `names` of the result has none. `iterations` of
    the last fit at most; `batch`: events fitted side by side. The simulator's `windows` do not matter; with
    `process=False` tracks do not scatter.

    A fit that fails is a value: `status` says why: less than `least_charge` electrons stand out of the noise; not converged in
    `iterations`; the track found is not what was recorded (χ² per number along the track above 2, also where the particle is
    another or leaves the chamber); outside the volume; singular information.

    **Raises** `InputError` for readouts of another chamber, particles that leave no track, and starts of another number.
    """
    require_x64()
    heavy(particle)
    _check(detector, readouts, start)
    fitter = _Fitter(simulator, particle, least_charge)
    count = jnp.shape(readouts.pedestal)[0]
    times = jnp.broadcast_to(jnp.asarray(time, float), (count,))
    spectra = spectra_for(simulator, detector, int(np.ceil(simulator.span / detector.electronics.tick)))
    located = in_batches(lambda of: _located(fitter, detector, of, spectra, batch), batch, (readouts, times, start))
    plans = [
        bucket_of(simulator, detector, jax.tree.map(lambda leaf, i=i: leaf[i], located.needed)) for i in range(count)
    ]
    found: Any = None
    for plan in dict.fromkeys(plans):
        chosen = np.array([index for index, one in enumerate(plans) if one == plan])
        part = jax.tree.map(lambda leaf, kept=chosen: np.asarray(leaf)[kept], (located, readouts))
        model = TrackModel(simulator, plan.sizes, spectra_for(simulator, detector, plan.sizes[0].samples))
        fits = in_batches(
            lambda of, model=model, plan=plan: _fitted(fitter, model, plan, detector, of, iterations, batch),
            batch,
            part,
        )
        if found is None:
            found = jax.tree.map(lambda leaf: np.zeros((count, *leaf.shape[1:]), leaf.dtype), fits)
        found = put(found, chosen, fits)
    return jax.tree.map(jnp.asarray, found)


def _check(detector: TPC, readouts: WireReadout, start: Primary | None) -> None:
    if any(plane.joined is not None for plane in detector.read_planes):
        remedy = "use a chamber whose wires are channels of their own"
        raise InputError("tracks on joined wires cannot be reconstructed yet", key="detector", remedy=remedy)
    channels, volumes = tuple(plane.channels for plane in detector.read_planes), detector.volumes.count
    if readouts.channels != channels or set(readouts.groups) != {volumes}:
        raise InputError(
            f"readouts of {readouts.groups} volumes with {readouts.channels} wires",
            key="readouts",
            remedy=f"give readouts of this chamber: {volumes} volumes with {channels} wires",
        )
    if jnp.ndim(readouts.pedestal) != 1:
        raise InputError("not a stack of events", key="readouts", remedy="give a leading axis: events")
    if start is not None and jnp.shape(start.kinetic_energy) != jnp.shape(readouts.pedestal):
        problem = f"{start.kinetic_energy.shape} starts for {readouts.pedestal.shape[0]} events"
        raise InputError(problem, key="start", remedy="give a stack with one primary an event")


def _over(function: Any, batch: int, stacked: Any) -> Any:
    return jax.lax.map(function, stacked, batch_size=batch if batch > 1 else None)


@eqx.filter_jit
def _located(fitter: _Fitter, detector: TPC, stacked: Any, spectra: Spectra, batch: int) -> _Located:
    """Tracks found from far."""

    def one(of: tuple[WireReadout, Array, Primary | None]) -> _Located:
        readout, time, start = of
        seen = picture(detector, readout, spectra, time)
        tried = starts(detector, seen, fitter.particle, time)
        if start is not None:
            given = Primary(fitter.particle, start.vertex, start.direction, start.kinetic_energy, time)
            tried = jax.tree.map(lambda leaf, one: jnp.concatenate([leaf, one[None]]), tried, given)
        event, latents = _from_far(fitter, detector, seen, tried)
        latents = fitter.fine_latents(latents)
        needed = needs(fitter.simulator, detector, event, latents)
        return _Located(event, latents, needed, seen.electrons[0])

    return _over(one, batch, stacked)


def _from_far(fitter: _Fitter, detector: TPC, seen: Picture, tried: Primary) -> tuple[Primary, Array]:
    """The best of the tracks found from the starts tried."""
    still = jnp.zeros(track_latent_count(fitter.few) if fitter.simulator.process else 0)

    def fit(start: Primary) -> tuple[Primary, Array, Array]:
        return towards(detector, seen, start, still, fitter.few, _FAR_ITERATIONS)

    events, latents, values = jax.lax.map(fit, tried)
    best = jnp.argmax(values)
    return jax.tree.map(lambda leaf: leaf[best], (events, latents))


@eqx.filter_jit
def _fitted(
    fitter: _Fitter, model: TrackModel, plan: Bucket, detector: TPC, stacked: Any, iterations: int, batch: int
) -> Reconstruction:
    """Fits of the waveforms."""

    def one(of: tuple[_Located, WireReadout]) -> Reconstruction:
        located, readout = of
        rows = model.rows(detector, located.event, located.latents)
        arrival = arrival_of(model.simulator, detector)
        ribbons = ribbons_along(detector, rows, plan.sizes, plan.volumes, arrival)
        observed = model.observed(detector, readout, ribbons)
        reached = _nearer(model, detector, observed, located, iterations)
        return _judged(fitter, model, detector, observed, located, reached)

    return _over(one, batch, stacked)


def _nearer(model: TrackModel, detector: TPC, observed: Observed, located: _Located, iterations: int) -> Progress:
    """The fit of the waveforms, low frequencies first."""
    steps = jnp.asarray(passing(detector, model.sizes[0]))
    most = jnp.full(len(steps), _BLURRED_ITERATIONS).at[-1].set(iterations)
    close = jnp.full(len(steps), _ROUGH).at[-1].set(_CLOSE)
    dummy = begin(track_problem(model, detector, observed, located.event, located.latents, steps[0]))

    def step(before: Progress, one: tuple[Array, Array, Array]) -> tuple[Progress, None]:
        passes, within, made = one
        event, latents = before.point
        problem = track_problem(model, detector, observed, event, latents, passes)
        return advance(problem, begin(problem), within, made), None

    return jax.lax.scan(step, dummy, (steps, close, most))[0]


def _judged(
    fitter: _Fitter, model: TrackModel, detector: TPC, observed: Observed, located: _Located, reached: Progress
) -> Reconstruction:
    names = names_of(GROUPS)
    event, size = reached.point[0], len(names)
    evaluated: Evaluated = reached.evaluated
    scale = scales(event, GROUPS).astype(jnp.float64)
    covariance = inverse_positive(evaluated.information)[:size, :size] * scale[:, None] * scale[None, :]
    numbers = sum(2 * jnp.sum(white[..., 0] > 0) * white.shape[-1] for white in observed.white)
    goodness = evaluated.extra / jnp.maximum(numbers, 1)
    regular = jnp.all(jnp.isfinite(covariance)) & jnp.all(jnp.diag(covariance) > 0) & jnp.isfinite(evaluated.value)
    status = jnp.select(
        [
            located.charge < fitter.least_charge,
            ~regular,
            ~detector.volume.contains(event.vertex),
            reached.left > _ENOUGH,
            goodness > _POOR,
        ],
        [Status.TOO_LITTLE_CHARGE, Status.SINGULAR, Status.OUTSIDE, Status.NOT_CONVERGED, Status.POOR_FIT],
        Status.CONVERGED,
    )
    return Reconstruction(event, covariance, evaluated.value, goodness, status, names)
