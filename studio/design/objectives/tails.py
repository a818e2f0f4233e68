"""Second stages that look at the bad end of a population: quantile, tail, worst case.

All but `Maximum` act on logarithms, as `MeanLog` does, so that terms of an objective compare: a resolution twice as good
everywhere lowers each of them by log 2. They are the true statistics, not smooth stand-ins. Where two events tie, the
derivative jumps; what is returned there is named in each docstring, and is one that descent may follow.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._checks import InputError
from .reducers import AbstractReducer, counting


class Worst(AbstractReducer):
    """The logarithm of the largest summary.

    The derivative is that of the worst event, and the mean over those that tie: a subgradient. Descent zigzags between the
    events that are worst in turn, with ever smaller steps needed; `Tail` of a few per cent is nearly the same question and
    moves them together.
    """

    def __call__(self, summaries, members=None):
        counted = counting(summaries, members)
        logs = jnp.log(jnp.where(counted, summaries, 1.0))
        return jnp.max(jnp.where(counted, logs, -jnp.inf))


class Tail(AbstractReducer):
    """The mean logarithm over the worst `share` of the population (expected shortfall, conditional value at risk).

    Between the worst case (`share` of one event) and `MeanLog` (`share` 1). An event at the edge counts with the part of it that
    is in the share (Rockafellar & Uryasev, J. Banking & Finance 26 (2002) 1443), so the value is continuous and convex in the
    logarithms. Every event of the tail has the same part in the derivative; among events that tie at the edge the last in
    order are taken: a subgradient.

    **Raises** `InputError` for a share that is not above 0 and at most 1.
    """

    share: float = eqx.field(static=True)

    def __check_init__(self):
        if not 0 < self.share <= 1:
            raise InputError("not a share", key="share", value=self.share, remedy="give a number above 0, at most 1")

    def __call__(self, summaries, members=None):
        logs, count = _ascending(summaries, members, -jnp.inf)
        size = self.share * count
        parts = jnp.clip(size - jnp.arange(logs.size), 0.0, 1.0)
        return jnp.sum(parts * jnp.where(parts > 0, logs[::-1], 0.0)) / size


class Quantile(AbstractReducer):
    """The quantile of the logarithms at `probability`, interpolated linearly between neighbours as `numpy.quantile` does.

    The derivative is that of the one or two events it lies between, so it says little about the others and jumps when they
    change places; `Tail(1 - probability)` has the same aim and the steadier derivative. Among events that tie the first in
    order is taken.

    **Raises** `InputError` for a probability outside 0 to 1.
    """

    probability: float = eqx.field(static=True)

    def __check_init__(self):
        if not 0 <= self.probability <= 1:
            raise InputError("not a probability", key="probability", value=self.probability, remedy="give 0 to 1")

    def __call__(self, summaries, members=None):
        logs, count = _ascending(summaries, members, jnp.inf)
        position = self.probability * (count - 1)
        low = jnp.floor(position).astype(int)
        part = position - low
        value = (1 - part) * logs[low] + part * logs[jnp.minimum(low + 1, count - 1)]
        return jnp.where(jnp.any(jnp.isnan(logs)), jnp.nan, value)  # sorted to the end, it would go unnoticed


class Maximum(AbstractReducer):
    """The plain maximum, for values that are logarithms already, such as those of a `Robust` objective over its samples.

    The derivative is that of the largest, and the mean over those that tie.
    """

    def __call__(self, summaries, members=None):
        return jnp.max(jnp.where(counting(summaries, members), summaries, -jnp.inf))


def _ascending(summaries: Array, members: Array | None, filler: float) -> tuple[Float[Array, " entries"], Array]:
    """The logarithms in ascending order, `filler` for entries that do not count, and how many do."""
    counted = counting(summaries, members)
    logs = jnp.log(jnp.where(counted, summaries, 1.0))
    return jnp.sort(jnp.where(counted, logs, filler).ravel()), jnp.sum(counted)
