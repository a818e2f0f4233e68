"""The objective at a design with its gradient: what a driver needs from simulation, in one place or spread out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .. import paths
from .objectives import AbstractObjective, Relative
from .tracing import traced


class Evaluation(eqx.Module):
    """An objective at one design.

    - `value`: the objective.
    - `gradient`: by the values of the free leaves, a dict `path -> array` of the leaves' shapes; empty where nobody wants it.
    - `terms`: the objective's named parts.
    """

    value: Any
    gradient: dict[str, Any]
    terms: dict[str, Any] = eqx.field(default_factory=dict)


def event_keys(seed: int, step: int, events: ArrayLike | int) -> Array:
    """One random key per event: the seed folded with the step and the event's index, so order and sharding change nothing.

    `events` is a count, or the indices of the events of one shard.
    """
    key = jax.random.fold_in(jax.random.key(seed), step)
    indices = jnp.arange(events) if isinstance(events, int) else jnp.asarray(events)
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)


@eqx.filter_jit
def summaries(
    objective: AbstractObjective, tree: Any, leaves: Mapping[str, Any], events: Any, chunk: int | None = None
) -> Float[Array, "events size"]:
    """First pass: the summaries of some events, in order; `chunk` events at a time."""
    traced("summaries")
    return _summaries(objective, tree, leaves, events, chunk)


@eqx.filter_jit
def summaries_pull_back(
    objective: AbstractObjective,
    tree: Any,
    leaves: Mapping[str, Any],
    events: Any,
    cotangents: Float[ArrayLike, "events size"],
    chunk: int | None = None,
) -> dict[str, Array]:
    """Second pass: the gradient by the free leaves of Σ cotangents · summaries over some events. Shards add up."""
    traced("summaries_pull_back")
    _, pull = jax.vjp(lambda free: _summaries(objective, tree, free, events, chunk), dict(leaves))
    return pull(cotangents)[0]


@eqx.filter_jit
def combine(
    objective: AbstractObjective, gathered: Float[Array, "events size"]
) -> tuple[Float[Array, ""], dict[str, Array], Float[Array, "events size"]]:
    """Between the passes: the objective, its terms, and the cotangents of the gathered summaries."""
    traced("combine")
    value, cotangents = jax.value_and_grad(objective.combine)(gathered)
    return value, objective.terms(gathered), cotangents


@eqx.filter_jit
def _value_and_gradient(
    objective: AbstractObjective, tree: Any, leaves: Mapping[str, Any], events: Any, chunk: int | None
):
    traced("value_and_gradient")

    def value(free):
        gathered = _summaries(objective, tree, free, events, chunk)
        return objective.combine(gathered), objective.terms(gathered)

    return jax.value_and_grad(value, has_aux=True)(dict(leaves))


@eqx.filter_jit
def _value(objective: AbstractObjective, tree: Any, leaves: Mapping[str, Any], events: Any, chunk: int | None):
    traced("value")
    return objective.combine(_summaries(objective, tree, leaves, events, chunk))


def _summaries(objective, tree, leaves, events, chunk):
    design = paths.replace(tree, leaves)
    arrays, rest = eqx.partition(events, eqx.is_array)
    count = jax.tree.leaves(arrays)[0].shape[0]

    # Rematerialised, so that what is kept for the backward pass is one summary per event.
    @jax.checkpoint
    def one(event):
        return objective.summarise(design, eqx.combine(event, rest))

    if count == 1:
        return one(jax.tree.map(lambda array: array[0], arrays))[None]
    return jax.lax.map(one, arrays, batch_size=min(chunk or count, count))


def relative_to(objective: AbstractObjective, tree: Any, events: Any = None) -> Relative:
    """The objective divided by its value at a reference design: 1 there, so that a weight means the same beside any other term.

    `events` are stacked along a leading axis; None for an objective that looks at no events. **Raises** `InputError` where the
    value there is not positive and finite, as that of a mean of logarithms may be, which needs no reference.
    """
    return Relative(objective, LocalEvaluation(objective, (), events).value(tree, 0))


class LocalEvaluation:
    """`evaluate(tree, step) -> Evaluation` in this process, from an objective and its events.

    **Arguments**

    - `objective`: the objective.
    - `names`: the free paths.
    - `events`: arrays stacked along a leading axis (the same events at every step: common random numbers), a function
      `key -> events` called with a key derived from (seed, step), or None for an objective that looks at no events.
    - `seed`: of the keys.
    - `chunk`: events simulated at a time (default: all).
    """

    def __init__(
        self,
        objective: AbstractObjective,
        names: tuple[str, ...],
        events: Any | Callable[[Array], Any] = None,
        *,
        seed: int = 0,
        chunk: int | None = None,
    ):
        self.objective, self.names, self.events, self.seed, self.chunk = objective, names, events, seed, chunk

    @property
    def deterministic(self) -> bool:
        """Whether every step sees the same events."""
        return isinstance(self.events, eqx.Module) or not callable(self.events)

    def events_at(self, step: int) -> Any:
        """The events of one step."""
        if self.events is None:
            return np.zeros(1)
        if self.deterministic:
            return self.events
        return self.events(jax.random.fold_in(jax.random.key(self.seed), step))  # pyright: ignore[reportCallIssue]

    def __call__(self, tree: Any, step: int) -> Evaluation:
        leaves = self._leaves(tree)
        result = _value_and_gradient(self.objective, _bare(tree, leaves), leaves, self.events_at(step), self.chunk)
        (value, terms), gradient = jax.device_get(result)
        return Evaluation(value, gradient, terms)

    def value(self, tree: Any, step: int) -> float:
        """The objective alone, without the cost of its gradient."""
        leaves = self._leaves(tree)
        return float(_value(self.objective, _bare(tree, leaves), leaves, self.events_at(step), self.chunk))

    def forward(self, tree: Any, step: int) -> Evaluation:
        """The objective with its terms and an empty gradient, whose cost is saved."""
        leaves = self._leaves(tree)
        gathered = summaries(self.objective, _bare(tree, leaves), leaves, self.events_at(step), self.chunk)
        value, terms, _ = jax.device_get(combine(self.objective, gathered))
        return Evaluation(value, {}, terms)

    def faulty_events(self, tree: Any, step: int, limit: int = 2048) -> dict[str, list[int]]:
        """Which of the first `limit` events have a summary, or a derivative by a free leaf, that is not finite.

        The key "objective" lists events whose summary is not finite; a path lists events whose derivative is not.
        """
        leaves = self._leaves(tree)
        bare, events = _bare(tree, leaves), self.events_at(step)
        arrays, rest = eqx.partition(events, eqx.is_array)
        count = min(limit, jax.tree.leaves(arrays)[0].shape[0])
        found: dict[str, list[int]] = {}
        for index in range(count):
            event = eqx.combine(jax.tree.map(lambda array, i=index: array[i : i + 1], arrays), rest)
            one = np.asarray(summaries(self.objective, bare, leaves, event))
            if not np.all(np.isfinite(one)):
                found.setdefault("objective", []).append(index)
            gradient = summaries_pull_back(self.objective, bare, leaves, event, jnp.ones_like(one))
            for name in self.names:
                if not np.all(np.isfinite(gradient[name])):
                    found.setdefault(name, []).append(index)
        return found

    def blame(self, tree: Any) -> str:
        """`faulty_events` of the first step in words, empty where there are none."""
        found = {} if self.events is None else self.faulty_events(tree, 0)
        return "; ".join(f"{name}: events {', '.join(map(str, index[:8]))}" for name, index in found.items())

    def _leaves(self, tree: Any) -> dict[str, Array]:
        return {name: jnp.asarray(paths.get(tree, name)) for name in self.names}


def _bare(tree: Any, leaves: Mapping[str, Any]) -> Any:
    """The tree with its free leaves as arrays, so that a plain number that moves is traced and not compiled in."""
    return paths.replace(tree, leaves)
