"""The volumes in which charge drifts: boxes with a cathode at one end and an anode at the other."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._arrays import as_floating
from .._checks import InputError


class DriftVolumes(eqx.Module):
    """One or many drift volumes as one stacked structure, so that 70 of them compile as one.

    **Arguments**

    - `anode (volumes, 3)`: centre of each anode plane, in mm.
    - `direction (volumes, 3)`: where electrons drift, from cathode to anode; normalised on entry.
    - `across (volumes, 3)`: first axis of the anode plane; made perpendicular to `direction` and normalised on entry.
    - `length`: drift length from cathode to anode in mm, `(volumes,)`, or `()` for one that all share.
    - `width`: full size along `across` and along direction × across in mm, `(volumes, 2)`, or `(2,)` for one that all share.
    - `field`: magnitude of the drift field in V/mm, `(volumes,)` or `()`.

    The anode stays where it is when `length` changes: the cathode moves.

    **Raises** `InputError` for shapes that do not fit, sizes that are not positive and directions that are no axes.
    """

    anode: Float[Array, "volumes 3"]
    direction: Float[Array, "volumes 3"]
    across: Float[Array, "volumes 3"]
    length: Float[Array, "*lengths"]
    width: Float[Array, "*widths 2"]
    field: Float[Array, "*fields"]

    def __init__(self, anode, direction, across, length, width, field):
        self.anode = _vectors("anode", anode)
        self.direction = _normalised("direction", _vectors("direction", direction))
        raw = _vectors("across", across)
        if raw.shape == self.direction.shape:
            raw = raw - jnp.sum(raw * self.direction, axis=-1, keepdims=True) * self.direction
        self.across = _normalised("across", raw)
        self.length = as_floating(length)
        self.width = as_floating(width)
        self.field = as_floating(field)

    def __check_init__(self):
        count = self.anode.shape[0]
        shapes = {
            "direction": ((count, 3),),
            "across": ((count, 3),),
            "length": ((), (count,)),
            "width": ((2,), (count, 2)),
            "field": ((), (count,)),
        }
        for name, allowed in shapes.items():
            value = getattr(self, name)
            if value.shape not in allowed:
                raise InputError(
                    f"shape {value.shape} for {count} drift volumes",
                    key=name,
                    remedy="give shape " + " or ".join(str(shape) for shape in allowed),
                )
        for name in ("length", "width", "field"):
            value = getattr(self, name)
            if not isinstance(value, Tracer) and not (np.isfinite(value) & (np.asarray(value) > 0)).all():
                raise InputError(
                    "must be positive and finite",
                    key=name,
                    value=np.asarray(value).tolist(),
                    remedy="lengths in mm, the field in V/mm: 500 V/cm is 50",
                )

    @property
    def count(self) -> int:
        """Number of drift volumes."""
        return self.anode.shape[0]

    @property
    def axes(self) -> Float[Array, "volumes 3 3"]:
        """Unit vectors of each volume: the drift direction, `across`, and direction × across."""
        return jnp.stack([self.direction, self.across, jnp.cross(self.direction, self.across)], axis=-2)

    @property
    def lengths(self) -> Float[Array, " volumes"]:
        """Drift length of each volume in mm."""
        return jnp.broadcast_to(self.length, (self.count,))

    @property
    def widths(self) -> Float[Array, "volumes 2"]:
        """Full sizes across the drift of each volume in mm."""
        return jnp.broadcast_to(self.width, (self.count, 2))

    @property
    def fields(self) -> Float[Array, " volumes"]:
        """Drift field of each volume in V/mm."""
        return jnp.broadcast_to(self.field, (self.count,))

    @property
    def middle(self) -> Float[Array, "volumes 3"]:
        """Middle of each volume in mm."""
        return self.anode - 0.5 * self.lengths[:, None] * self.direction

    def inside(
        self, start: Float[Array, "n 3"], end: Float[Array, "n 3"]
    ) -> tuple[Float[Array, "n volumes"], Float[Array, "n volumes"]]:
        """Where straight segments enter and leave each volume, as fractions of their length; equal where they miss it.

        A point (start = end) is inside with fractions 0 and 1. Fractions follow walls and segments continuously; summed
        over the segments of a track, so does the energy inside.
        """
        axes = self.axes
        origin = self.middle
        half = 0.5 * jnp.concatenate([self.lengths[:, None], self.widths], axis=-1)
        first = jnp.einsum("nvj,vij->nvi", start[:, None] - origin, axes)
        step = jnp.einsum("nj,vij->nvi", end - start, axes)
        moves = jnp.abs(step) > 1e-9
        safe = jnp.where(moves, step, 1.0)
        enter = jnp.where(moves, (-jnp.sign(safe) * half - first) / safe, 0.0)
        leave = jnp.where(moves, (jnp.sign(safe) * half - first) / safe, 1.0)
        within = jnp.all(moves | (jnp.abs(first) <= half), axis=-1)
        low = jnp.clip(jnp.max(enter, axis=-1), 0.0, 1.0)
        high = jnp.clip(jnp.min(leave, axis=-1), 0.0, 1.0)
        hit = within & (high > low)
        return jnp.where(hit, low, 0.0), jnp.where(hit, high, 0.0)


def _vectors(key: str, value) -> Array:
    array = as_floating(value)
    if array.ndim != 2 or array.shape[-1] != 3 or array.shape[0] < 1:
        raise InputError(f"shape {array.shape}", key=key, remedy="give shape (volumes, 3)")
    if not isinstance(array, Tracer) and not np.isfinite(array).all():
        raise InputError("not finite", key=key, remedy="give finite coordinates")
    return array


def _normalised(key: str, vectors: Array) -> Array:
    norm = jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True))
    if not isinstance(norm, Tracer) and not (np.asarray(norm) > 1e-9).all():
        raise InputError("an axis without length, or along the drift", key=key, remedy="give a vector across the drift")
    return vectors / norm
