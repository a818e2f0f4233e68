"""What reconstruction returns, whatever the detector: fitted events, their covariance, and how the fits ended."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from ..event import Primary


class Status(enum.IntEnum):
    """How the fit of one event ended."""

    CONVERGED = 0
    TOO_LITTLE_LIGHT = 1
    NOT_CONVERGED = 2
    OUTSIDE = 3
    SINGULAR = 4
    TOO_LITTLE_CHARGE = 5
    POOR_FIT = 6


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


def in_batches(function: Callable[[Any], Any], batch: int, stacked: Any) -> Any:
    """`function` of stacks of `batch` events, the last one filled up with copies of its last event: compiled once. On the
    host: JAX would compile every way of taking events apart and putting them together anew."""
    stacked = jax.tree.map(np.asarray, stacked)
    count = jax.tree.leaves(stacked)[0].shape[0]
    parts = []
    for first in range(0, count, batch):
        index = np.minimum(np.arange(first, first + batch), count - 1)
        parts.append(function(jax.tree.map(lambda leaf, taken=index: leaf[taken], stacked)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *jax.device_get(parts))


def put(stacked: Any, events: np.ndarray, new: Any) -> Any:
    """`stacked` events with those at the indices `events` replaced by `new` ones, on the host."""

    def replaced(old: Any, leaf: Any) -> np.ndarray:
        copy = np.array(old)
        copy[events] = leaf
        return copy

    return jax.tree.map(replaced, stacked, new)
