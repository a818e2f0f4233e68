"""Deposits: where and when charged particles left their energy."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from .._checks import InputError, whole_number

_GROWTH = 1.25  # ratio of neighbouring bucket sizes: at most a quarter of the work is spent on padding
_SMALLEST = 64


class Deposits(eqx.Module):
    """Straight segments of tracks, each with the energy left on it; leading axes stack events.

    **Arguments**, which broadcast against `energy`:

    - `position (..., n, 3)`: middle of the segment, in mm.
    - `energy (..., n)` in MeV.
    - `length (..., n)` in mm; 0 for a point.
    - `time (..., n)` in ns, at the middle.
    - `direction (..., n, 3)`: unit vector along the segment, normalised on entry; zero where it is not known.
    - `pdg (..., n)`, `track (..., n)`: integers, the particle's number in the scheme of the Particle Data Group and the
      number of its track within the event; 0 where they are not known.
    - `weight (..., n)`: 1 for a deposit, 0 for padding.

    **Raises** `InputError` for shapes that do not fit, numbers that are not finite, and negative energies, lengths or
    weights. Traced values are trusted.
    """

    position: Float[Array, "*batch n 3"]
    energy: Float[Array, "*batch n"]
    length: Float[Array, "*batch n"]
    time: Float[Array, "*batch n"]
    direction: Float[Array, "*batch n 3"]
    pdg: Int[Array, "*batch n"]
    track: Int[Array, "*batch n"]
    weight: Float[Array, "*batch n"]

    def __init__(
        self,
        position: Any,
        energy: Any,
        length: Any = 0.0,
        time: Any = 0.0,
        direction: Any = (0.0, 0.0, 0.0),
        pdg: Any = 0,
        track: Any = 0,
        weight: Any = 1.0,
    ):
        energies = _floating(energy)
        shape = energies.shape
        self.energy = jnp.asarray(energies)
        self.position = _broadcast("position", _floating(position), (*shape, 3))
        self.length = _broadcast("length", _floating(length), shape)
        self.time = _broadcast("time", _floating(time), shape)
        self.direction = _broadcast("direction", _unit(_floating(direction)), (*shape, 3))
        self.pdg = _broadcast("pdg", _integers("pdg", pdg), shape)
        self.track = _broadcast("track", _integers("track", track), shape)
        self.weight = _broadcast("weight", _floating(weight), shape)

    def __check_init__(self):
        if self.energy.ndim < 1:
            raise InputError("a list of deposits is needed", key="energy", remedy="give shape (n,), n may be 1")
        for name in ("position", "energy", "length", "time", "direction", "weight"):
            value = getattr(self, name)
            if isinstance(value, Tracer):
                continue
            numbers = np.asarray(value)
            if not np.isfinite(numbers).all():
                raise InputError(
                    "holds a number that is not finite", key=name, value=_first(numbers, ~np.isfinite(numbers))
                )
            if name in ("energy", "length", "weight") and (numbers < 0).any():
                raise InputError(
                    "holds a negative number",
                    key=name,
                    value=_first(numbers, numbers < 0),
                    remedy="energies in MeV, lengths in mm and weights are 0 or more",
                )

    @property
    def count(self) -> int:
        """Number of deposits, padding included, of one event."""
        return self.energy.shape[-1]

    @property
    def total_energy(self) -> Float[Array, "*batch"]:
        """Energy in MeV, padding left out."""
        return jnp.sum(self.energy * self.weight, axis=-1)

    def moved(self, by: Any) -> Deposits:
        """These deposits moved by `(3,)`, or `(..., n, 3)`, in mm: into the coordinates of a detector, for example.

        **Raises** `InputError` for a shape that does not fit.
        """
        shift = _broadcast("by", _floating(by), self.position.shape)
        return eqx.tree_at(lambda tree: tree.position, self, self.position + shift)

    def padded(self, count: int | None = None) -> Deposits:
        """These deposits followed by empty ones of weight 0, `count` in all: by default the next `bucket_size`.

        Programs compiled for one size then serve all events of a bucket. **Raises** `InputError` where `count` is smaller
        than the number of deposits.
        """
        wanted = bucket_size(self.count) if count is None else whole_number("count", count)
        if wanted < self.count:
            raise InputError("fewer than there are deposits", key="count", value=wanted, remedy=f"give {self.count} up")
        axis = self.energy.ndim - 1
        missing = [(0, 0)] * axis + [(0, wanted - self.count)]

        def extend(leaf: Array) -> Array:
            return jnp.pad(leaf, missing + [(0, 0)] * (leaf.ndim - axis - 1))

        return jax.tree.map(extend, self)


def bucket_size(count: int) -> int:
    """The smallest size of the geometric series 64, 80, 100, … (ratio 1.25, rounded up) that holds `count` deposits."""
    size = _SMALLEST
    while size < count:
        size = int(np.ceil(size * _GROWTH))
    return size


# What is no jax array yet is prepared with NumPy: files hold any number of deposits, and jax compiles for each.


def _array(value: Any) -> Array | np.ndarray:
    return value if isinstance(value, jax.Array) else np.asarray(value)


def _floating(value: Any) -> Array | np.ndarray:
    array = _array(value)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def _integers(key: str, value: Any) -> Array | np.ndarray:
    array = _array(value)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError("must be whole numbers", key=key, value=str(array.dtype), remedy="give an array of integers")
    return array.astype(np.int32)


def _broadcast(key: str, array: Array | np.ndarray, shape: tuple[int, ...]) -> Array:
    try:
        return (
            jnp.broadcast_to(array, shape)
            if isinstance(array, jax.Array)
            else jnp.asarray(np.broadcast_to(array, shape))
        )
    except ValueError:
        raise InputError(
            f"shape {array.shape} does not fit the energies", key=key, remedy=f"give shape {shape}"
        ) from None


def _unit(vectors: Array | np.ndarray) -> Array | np.ndarray:
    numbers = jnp if isinstance(vectors, jax.Array) else np
    square = numbers.sum(vectors**2, axis=-1, keepdims=True)
    known = square > 0
    return numbers.where(known, vectors / numbers.sqrt(numbers.where(known, square, 1.0)), 0.0)


def _first(numbers: np.ndarray, bad: np.ndarray) -> float:
    return float(numbers[bad][0])
