"""What a bound is: a bijection between free coordinates, which any optimiser may move, and allowed values."""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..._checks import InputError

#: A start that lies exactly on an edge is moved inside by this fraction of the width: on the edge itself the free
#: coordinate is infinite, closer to it the derivative vanishes and no optimiser can leave.
EDGE_FRACTION = 1e-3

#: `steepen` multiplies by no more than this.
STEEPEST = 1e8

#: Below this relative distance a start counts as lying on the edge.
EDGE_TOLERANCE = 1e-9


class AbstractBound(eqx.Module):
    """A bijection between coordinates in an open, unbounded space and the values that a leaf may take.

    Bounds are never clipped: `forward` is smooth, so its gradient is the gradient of the design. One unit of a
    coordinate is one natural unit of the leaf (its magnitude, its half-width, one radian), so one learning rate
    serves leaves of any physical unit. A bound acts on arrays of any leading shape, and whoever knows the leaf gives
    it: sensors on a wall know which of their rows are discs.
    """

    @abc.abstractmethod
    def forward(self, coordinates: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The values that belong to free coordinates."""

    @abc.abstractmethod
    def inverse(self, values: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The coordinates of allowed values; a value exactly on an edge is moved inside by `EDGE_FRACTION`."""

    @abc.abstractmethod
    def retract(self, coordinates: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """Equivalent coordinates in good condition, for example of unit length; most bounds return them unchanged."""

    @abc.abstractmethod
    def steepen(self, coordinates: Float[ArrayLike, "..."], gradient: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """A gradient by coordinates without the flattening of `forward` near its edges.

        There the gradient by coordinates vanishes whatever the objective wants, and a first-order step with it. The
        result is the inverse of the (symmetric, positive) Jacobian times the gradient, in natural units, so it is zero
        where the gradient is.
        """

    @abc.abstractmethod
    def excess(self, values: Float[ArrayLike, "..."]) -> Float[np.ndarray, "..."]:
        """How far each value lies outside, in the leaf's own unit; zero or negative where it is allowed."""

    @abc.abstractmethod
    def neutral(self, coordinates: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """Harmless coordinates of the same shape: where `forward` and its derivatives are finite."""

    @abc.abstractmethod
    def sample(self, uniform: Float[np.ndarray, "..."], start: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Values spread over what is allowed, from numbers in (0, 1) of the leaf's shape; `start` sets the scale of
        what has no width of its own."""

    @abc.abstractmethod
    def natural_unit(self, start: Float[np.ndarray, "..."]) -> float | Float[np.ndarray, "..."]:
        """By how much one natural unit of the leaf moves what `forward` takes: a number, or one per element."""

    def count(self, shape: tuple[int, ...]) -> int:
        """How many numbers decide a leaf of a shape."""
        return int(np.prod(jax.eval_shape(self.inverse, jax.ShapeDtypeStruct(shape, np.dtype(float))).shape))

    @abc.abstractmethod
    def describe(self) -> str:
        """What is allowed, in words, as in `between 3000 and 5000`."""


def check_start(bound: AbstractBound, values: ArrayLike, key: str) -> None:
    """Refuse a start outside its bound. **Raises** `InputError` with the worst element and what is allowed."""
    array = np.asarray(values)
    if not np.all(np.isfinite(array)):
        count = int(np.sum(~np.isfinite(array)))
        raise InputError(f"the start is not finite in {count} of {array.size} elements", key=key, remedy="give numbers")
    excess = np.asarray(bound.excess(array))
    if excess.size and np.max(excess) > 0:
        worst = np.unravel_index(int(np.argmax(excess)), excess.shape)
        place = "" if not worst else f" at index {', '.join(str(int(i)) for i in worst)}"
        shown = array[worst].tolist()
        raise InputError(
            f"the start lies outside its bound{place}",
            key=key,
            value=shown,
            remedy=f"allowed: {bound.describe()}; move the start inside or widen the bound",
        )
