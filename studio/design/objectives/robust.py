"""An objective over designs that came out a little different from what was drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._checks import InputError
from .base import AbstractObjective
from .reducers import AbstractReducer, Mean


class Robust(AbstractObjective):
    """`reducer` over `samples` perturbed designs of an objective.

    **Arguments**

    - `objective`: of one design; every event is seen by every sample, so the cost is `samples` times its own.
    - `perturb`: a function `(tree, sample) -> tree`, differentiable in the tree. `sample`, an integer from 0, is traced; what
      is random must follow from it alone, for example by `jax.random.fold_in(key, sample)`: so every step sees the same
      perturbations (common random numbers), and pairs of opposite ones can be given to neighbouring samples.
    - `reducer`: over the values of the objective: `Mean()`, the default, or `Maximum()` for the worst sample.

    `terms` are those of the samples that the reducer counts: their mean, or the terms of the worst sample. Perturbations
    are few and fixed, so a design can adapt to them: judge it by others.

    **Raises** `InputError` where `samples` is below 1.
    """

    objective: AbstractObjective
    perturb: Callable[[Any, Any], Any]
    reducer: AbstractReducer
    samples: int = eqx.field(static=True)
    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __init__(
        self,
        objective: AbstractObjective,
        perturb: Callable[[Any, Any], Any],
        samples: int,
        reducer: AbstractReducer | None = None,
    ):
        if samples < 1:
            raise InputError("no samples", key="samples", value=samples, remedy="give at least one")
        self.objective, self.perturb, self.samples = objective, perturb, samples
        self.reducer = Mean() if reducer is None else reducer
        self.name, self.size = objective.name, samples * objective.size

    def summarise(self, tree, event):
        # One sample at a time, rematerialised: memory follows one event in one design.
        @jax.checkpoint
        def one(sample: Array) -> Array:
            return self.objective.summarise(self.perturb(tree, sample), event)

        return jax.lax.map(one, jnp.arange(self.samples)).ravel()

    def combine(self, summaries):
        return self.reducer(self._values(summaries)[:, None])

    def terms(self, summaries):
        shares = jax.grad(lambda values: self.reducer(values[:, None]))(self._values(summaries))
        terms = jax.vmap(self.objective.terms, in_axes=1)(self._by_sample(summaries))
        return {name: jnp.sum(shares * values) for name, values in terms.items()}

    def _values(self, summaries: Array) -> Float[Array, " samples"]:
        return jax.vmap(self.objective.combine, in_axes=1)(self._by_sample(summaries))

    def _by_sample(self, summaries: Array) -> Float[Array, "events samples size"]:
        return summaries.reshape(len(summaries), self.samples, self.objective.size)
