"""Detectors as they may be built: sensors a little beside their place, and some that see nothing."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._linear import solve_positive
from ..detector import Detector
from ..geometry import AbstractVolume
from ..paths import replace

_STREAM = 0xB1D  # folded into the study's key; optimisation folds in 0, validation 0x5EED


class AsBuilt(eqx.Module):
    """`(detector, sample) -> detector`: one way in which a detector may come out.

    - Every sensor stands off its place by a normal error of `position_error` (mm) along each direction of the wall. Samples 2n
      and 2n + 1 have opposite errors, so that over an even number of them no sensor is displaced in the mean, and what is
      left is the curvature of the objective.
    - `dead` sensors see nothing. `rank (sensors,)` is a shuffled order that samples walk through, so that no sensor is dead
      twice before every other was once.

    Errors are fixed by `seed` and the number of the sample and move with the sensors, so the result is differentiable in the
    detector.
    """

    rank: Int[np.ndarray, " sensors"]
    position_error: float = eqx.field(static=True)
    dead: int = eqx.field(static=True)
    seed: int = eqx.field(static=True)

    def __call__(self, detector: Detector, sample: Int[Array, ""] | int) -> Detector:
        sensors, changes = detector.sensors, {}
        if self.position_error:
            key = jax.random.fold_in(jax.random.fold_in(jax.random.key(self.seed), _STREAM), sample // 2)
            error = self.position_error * jax.random.normal(key, (sensors.count, 3), sensors.uv.dtype)
            opposite = jnp.where(sample % 2 == 0, 1.0, -1.0).astype(sensors.uv.dtype)
            changes["sensors.uv"] = along_wall(detector.volume, sensors.patch, sensors.uv, opposite * error)
        if self.dead:
            hit = (self.rank - sample * self.dead) % len(self.rank) < self.dead
            changes["sensors.weight"] = jnp.where(hit, 0.0, sensors.weight)
        return replace(detector, changes)


def as_built(detector: Detector, *, position_error: float = 0.0, dead: int = 0, seed: int = 0) -> AsBuilt:
    """The ways in which a detector of so many sensors may come out; `position_error` in mm, `dead`: how many sensors."""
    rank = np.random.default_rng([seed, _STREAM]).permutation(detector.sensors.count)
    return AsBuilt(rank, position_error, dead, seed)


def along_wall(
    volume: AbstractVolume,
    patch: Int[Array, " sensors"],
    uv: Float[Array, "sensors chart"],
    shift: Float[Array, "sensors 3"],
) -> Float[Array, "sensors chart"]:
    """Chart coordinates after moving every sensor by the part of `shift` (mm) that lies along the wall.

    With the tangents T = ∂point/∂uv of the chart it is TᵀT δuv = Tᵀ shift: exact on barrels, discs and faces, whose charts are
    isometric up to a scale on each axis, and to (shift/R)²/3 of the shift on a sphere. A normal shift in space so is a
    normal one of the same width along each direction of the wall.
    """

    def moved(patch: Array, uv: Array, shift: Array) -> Array:
        tangents = jax.jacfwd(lambda coordinates: volume.surface_point(patch[None], coordinates[None])[0])(uv)
        metric = tangents.T @ tangents
        if len(uv) == 3:  # a unit vector: its own length moves nothing
            metric = metric + jnp.trace(metric) / 2 * jnp.outer(uv, uv)
        return uv + solve_positive(metric, tangents.T @ shift)

    return jax.vmap(moved)(patch, uv, shift)
