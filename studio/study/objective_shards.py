"""The objective and its gradient over a population of events, in shards that a runner may spread over workers.

A shard holds a fixed number of events of one particle, whatever the number of workers; the last one is filled up with events
of weight zero. Its events are worked through one after the other inside one compiled program, so memory follows one event.
Shards return their summaries and their vector-Jacobian product; both are put together in shard order in float64, so that one
or many workers give the same bits (decisions 7 and 11 of the design).
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .. import paths
from .._checks import InputError
from ..design.objectives import (
    AbstractObjective,
    FunctionObjective,
    Mean,
    MeanLog,
    PopulationObjective,
    Robust,
    WeightedSum,
)
from ..event import Primary
from ..execution import AbstractRunner

Leaves = dict[str, np.ndarray]
Stack = TypeVar("Stack")


@dataclasses.dataclass(frozen=True)
class Shard:
    """A piece of work: `events` stacked, `weights (events,)` zero where an event is filler, and the `leaves` of the design.

    What the summaries' vector-Jacobian product is taken with: `cotangents (events, size)`, or, where the terms of the objective
    are means over events, `shares (events, terms)`, how much an event counts in each, from which it knows its own.
    """

    leaves: Leaves
    events: Primary
    weights: np.ndarray
    cotangents: np.ndarray | None = None
    shares: np.ndarray | None = None


class ShardResult(NamedTuple):
    """What a shard gives: `summaries (events, size)`, and `gradient` by path."""

    summaries: np.ndarray
    gradient: Leaves


class ShardGradient:
    """Summaries and vector-Jacobian product of one shard: `shard -> ShardResult`.

    Compiled once for each `signature`, that is for each particle and kind of pass. Sent to a worker without what was
    compiled.
    """

    def __init__(self, objective: AbstractObjective, tree: Any):
        self.objective = objective
        self.tree = tree
        self._programs: dict[Any, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, shard: Shard) -> ShardResult:
        arguments = self._arguments(shard)
        summaries, gradient = self._program(self.signature(shard), arguments)(*arguments)
        gradient = {path: np.asarray(g, np.float64) for path, g in gradient.items()}
        return ShardResult(np.asarray(summaries, np.float64), gradient)

    def signature(self, shard: Shard) -> Any:
        """What the program of a shard depends on: structure, shapes and precision of everything it is given."""
        arguments = self._arguments(shard)
        return jax.tree.structure(arguments), *(jax.typeof(leaf) for leaf in jax.tree.leaves(arguments))

    def _arguments(self, shard: Shard) -> tuple:
        return shard.leaves, self.tree, shard.events, shard.weights, shard.cotangents, shard.shares

    def _program(self, signature: Any, arguments: tuple) -> Any:
        key = signature, _device()
        with self._lock:
            if key not in self._programs:
                self._programs[key] = jax.jit(self._run).lower(*arguments).compile()
            return self._programs[key]

    def _run(self, leaves, tree, events, weights, cotangents, shares):
        def one(total, row):
            event, weight, cotangent, share = row

            def summarise(free):
                return self.objective.summarise(paths.replace(tree, free), event)

            summary, pull = jax.vjp(summarise, leaves)
            if cotangent is None:
                cotangent = jax.grad(lambda row: share @ self._terms(row))(summary)
            (gradient,) = pull((weight * cotangent).astype(summary.dtype))
            return jax.tree.map(lambda t, g: t + g, total, gradient), summary

        zero = jax.tree.map(jnp.zeros_like, leaves)
        gradient, summaries = jax.lax.scan(one, zero, (events, weights, cotangents, shares))
        return summaries, gradient

    def _terms(self, summary):
        """What an event adds to each term that is a mean over events, in the order of the shares."""
        terms = self.objective.terms(summary[None])
        return jnp.stack([terms[name] for name in event_means(self.objective) or ()])

    def __getstate__(self) -> dict[str, Any]:
        return {"objective": self.objective, "tree": self.tree}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)


class ShardSummaries:
    """Summaries of one shard alone: the first pass of an objective that is no mean over events, and reports."""

    def __init__(self, objective: AbstractObjective, tree: Any):
        self.objective = objective
        self.tree = tree
        self._program = jax.jit(self._run)

    def __call__(self, shard: Shard) -> np.ndarray:
        return np.asarray(self._program(shard.leaves, self.tree, shard.events), np.float64)

    def _run(self, leaves, tree, events):
        design = paths.replace(tree, leaves)
        return jax.lax.map(lambda event: self.objective.summarise(design, event), events)

    def __getstate__(self) -> dict[str, Any]:
        return {"objective": self.objective, "tree": self.tree}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)


@dataclasses.dataclass(frozen=True)
class PopulationResult:
    """The objective over events: `value`, unweighted `terms`, `gradient` by path, `summaries (events, size)`."""

    value: float
    terms: dict[str, float]
    gradient: Leaves
    summaries: Float[np.ndarray, "events size"]


class ShardedObjective:
    """An objective over groups of events (one particle each), bound to a runner.

    **Arguments**: `tree`: a design, of which only the leaves at `free` change; `shard`: events a piece of work.
    """

    def __init__(
        self, objective: AbstractObjective, tree: Any, free: Sequence[str], runner: AbstractRunner, *, shard: int
    ):
        self.objective = objective
        self.free = tuple(free)
        self.shard = shard
        self.runner = runner
        self._means = event_means(objective)
        self.one_pass = self._means is not None
        self._gradient = ShardGradient(objective, tree)
        self._summaries = ShardSummaries(objective, tree)
        self._signatures: set[Any] = set()

    @property
    def compilations(self) -> int:
        """Number of different gradient programs that were needed so far, each compiled once a process and device."""
        return len(self._signatures)

    def value_and_gradient(self, tree: Any, groups: Sequence[Primary]) -> PopulationResult:
        """The objective and its gradient by the free leaves at the design `tree` over all events of `groups`."""
        return self.values_and_gradients([(tree, groups)])[0]

    def values_and_gradients(self, wanted: Sequence[tuple[Any, Sequence[Primary]]]) -> list[PopulationResult]:
        """As `value_and_gradient` for several designs, each with its events; the shards of all of them run side by side."""
        by_design = [self._shards(tree, groups) for tree, groups in wanted]
        if not self.one_pass:
            by_design = self._with_cotangents(by_design)
        results = self._by_design(self._gradient, by_design)
        return [self._gathered(*pair) for pair in zip(by_design, results, strict=True)]

    def value(self, tree: Any, groups: Sequence[Primary]) -> PopulationResult:
        """As `value_and_gradient`, without the gradient. A mean over events uses the same program: compiling another one
        costs more than the gradients that are thrown away."""
        if self.one_pass:
            return dataclasses.replace(self.value_and_gradient(tree, groups), gradient={})
        return self.values([(tree, groups)])[0]

    def values(self, wanted: Sequence[tuple[Any, Sequence[Primary]]]) -> list[PopulationResult]:
        """The objective alone at several designs, each with its events, by a program that takes no derivatives: for searches
        that never ask for one."""
        by_design = [self._shards(tree, groups) for tree, groups in wanted]
        results = self._by_design(self._summaries, by_design)
        rows = [_real_rows(shards, found) for shards, found in zip(by_design, results, strict=True)]
        return [PopulationResult(*self._combined(summaries), {}, summaries) for summaries in rows]

    def faulty_events(self, tree: Any, groups: Sequence[Primary]) -> dict[str, list[int]]:
        """Which events have a summary (key "objective") or a derivative by a free leaf (key: its path) that is not finite.

        Events count from 0 through all `groups`. Where an event of a shard has no finite summary, it is blamed for the
        derivatives of the shard; elsewhere a shard with a derivative that is not finite is worked through one by one.
        """
        found: dict[str, list[int]] = {}
        first = 0
        for shard, result in self._gradients(self._shards(tree, groups)):
            kept = int(np.count_nonzero(shard.weights))
            broken = [first + row for row in range(kept) if not np.all(np.isfinite(result.summaries[row]))]
            if broken:
                found.setdefault("objective", []).extend(broken)
            elif _not_finite(result.gradient):
                pieces = [split_events(_taken(shard.events, np.array([row])), self.shard)[0] for row in range(kept)]
                singles = [self._alone(shard, row, *piece) for row, piece in enumerate(pieces)]
                for row, (_, alone) in enumerate(self._gradients(singles)):
                    for name in _not_finite(alone.gradient):
                        found.setdefault(name, []).append(first + row)
            first += kept
        return found

    def _alone(self, shard: Shard, row: int, events: Primary, weights: np.ndarray) -> Shard:
        """A shard of one event of another, filled up."""
        shares = None if shard.shares is None else np.repeat(shard.shares[[row]], len(weights), axis=0)
        return Shard(shard.leaves, events, weights, shares=shares)

    def _gradients(self, shards: Sequence[Shard]) -> list[tuple[Shard, ShardResult]]:
        """Each shard with its summaries and the gradient of their sum, or of the objective where that is a mean."""
        if not self.one_pass:
            ones = np.ones((self.shard, self.objective.size))
            shards = [dataclasses.replace(shard, cotangents=ones) for shard in shards]
        return list(zip(shards, self.runner.map(self._gradient, shards), strict=True))

    def _gathered(self, shards: Sequence[Shard], results: Sequence[ShardResult]) -> PopulationResult:
        """The objective and its gradient at one design from the results of its shards, summed in their order."""
        gradient = {path: np.zeros(np.shape(leaf)) for path, leaf in shards[0].leaves.items()}
        for result in results:
            for path in self.free:
                gradient[path] = gradient[path] + result.gradient[path]
        self._signatures |= {self._gradient.signature(shard) for shard in shards}
        summaries = _real_rows(shards, [result.summaries for result in results])
        return PopulationResult(*self._combined(summaries), gradient, summaries)

    def _by_design(self, function: Any, by_design: Sequence[Sequence[Shard]]) -> list[list[Any]]:
        """The function of the shards of several designs, in one stream of work."""
        results = iter(self._computed(function, [shard for shards in by_design for shard in shards]))
        return [[next(results) for _ in shards] for shards in by_design]

    def _computed(self, function: Any, shards: Sequence[Shard]) -> list[Any]:
        """The function of all shards. What is not finite is computed once more, alone: it may be the fault of a worker's
        memory; what an event does to the objective comes out again."""
        results = self.runner.map(function, shards)
        broken = [index for index, result in enumerate(results) if not _finite(result)]
        for index, result in zip(broken, self.runner.map(function, [shards[index] for index in broken]), strict=True):
            results[index] = result
        return results

    def _combined(self, summaries: np.ndarray) -> tuple[float, dict[str, float]]:
        rows = jnp.asarray(summaries)
        terms = {name: float(value) for name, value in self.objective.terms(rows).items()}
        return float(self.objective.combine(rows)), terms

    def _with_cotangents(self, by_design: Sequence[Sequence[Shard]]) -> list[list[Shard]]:
        """The shards of several designs with the cotangents of their summaries, which depend on all events of a design."""
        found = []
        for shards, results in zip(by_design, self._by_design(self._summaries, by_design), strict=True):
            rows = jnp.asarray(_real_rows(shards, results))
            by_event = np.asarray(jax.grad(self.objective.combine)(rows), np.float64)
            parts, start = [], 0
            for shard in shards:
                kept = int(np.count_nonzero(shard.weights))
                part = np.zeros((len(shard.weights), by_event.shape[1]))
                part[:kept] = by_event[start : start + kept]
                parts.append(dataclasses.replace(shard, cotangents=part))
                start += kept
            found.append(parts)
        return found

    def _shards(self, tree: Any, groups: Sequence[Primary]) -> list[Shard]:
        leaves = {path: np.asarray(paths.get(tree, path)) for path in self.free}
        return [
            Shard(leaves, events, weights, shares=shares)
            for pair in zip(groups, self._shares(groups), strict=True)
            for (events, shares), weights in split_events(pair, self.shard)
        ]

    def _shares(self, groups: Sequence[Primary]) -> list[np.ndarray | None]:
        """How much the events of each group count in each term `(events, terms)`: its weight over the size of its population."""
        if self._means is None:
            return [None] * len(groups)
        terms = list(self._means.values())
        members = [np.stack([_members(group, term.members) for term in terms], axis=-1) for group in groups]
        sizes = np.sum([flags.sum(axis=0) for flags in members], axis=0)
        for name, size in zip(self._means, sizes, strict=True):
            if not size:
                raise InputError("no event belongs to the population of this term", key=name, remedy="give it events")
        weights = np.array([term.weight for term in terms])
        return [flags * weights / sizes for flags in members]


def split_events(events: Stack, size: int) -> list[tuple[Stack, np.ndarray]]:
    """Stacked events (any pytree with the event axis first) in pieces of `size` with their weights: 1, and 0 for the repeated events that fill up the last piece."""
    count = len(jax.tree.leaves(events)[0])
    pieces = []
    for start in range(0, count, size):
        index = np.arange(start, start + size)
        pieces.append((_taken(events, np.where(index < count, index, start)), (index < count).astype(float)))
    return pieces


def first_events(groups: Sequence[Primary], count: int | None) -> tuple[Primary, ...]:
    """The first `count` events of several groups, from each in proportion; all of them where it is None."""
    total = sum(group.count for group in groups)
    if count is None or count >= total:
        return tuple(groups)
    shares = [max(1, round(count * group.count / total)) for group in groups]
    return tuple(_taken(group, np.arange(share)) for group, share in zip(groups, shares, strict=True))


def _taken(events: Stack, index: np.ndarray) -> Stack:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], events)


class EventMean(NamedTuple):
    """A term that is the mean over its `members` (None: all events) of a function of each one, and its `weight`."""

    weight: float
    members: Callable[[Any], Any] | None


def event_means(objective: AbstractObjective) -> dict[str, EventMean] | None:
    """The terms of an objective that is a weighted sum of means over events, so that one pass is enough; None for any other."""
    if isinstance(objective, Robust) and isinstance(objective.reducer, Mean):
        return event_means(objective.objective)  # a mean over samples of what is linear in the terms
    is_sum = isinstance(objective, WeightedSum)
    parts, weights = (objective.parts, objective.weights) if is_sum else ((objective,), (1.0,))
    means = {}
    for part, weight in zip(parts, weights, strict=True):
        if isinstance(part, FunctionObjective):
            means[part.name] = EventMean(weight, None)  # it looks at no event, and adds the same for each
        elif isinstance(part, PopulationObjective) and isinstance(part.reducer, Mean | MeanLog):
            means[part.name] = EventMean(weight, part.members)
        else:
            return None
    return means


def _members(group: Primary, members: Callable[[Any], Any] | None) -> np.ndarray:
    if members is None:
        return np.ones(group.count)
    return np.asarray(jax.vmap(lambda event: jnp.asarray(members(event), float))(group))


def _not_finite(gradient: Leaves) -> list[str]:
    return [path for path, array in gradient.items() if not np.all(np.isfinite(array))]


def _finite(result: Any) -> bool:
    return all(bool(np.all(np.isfinite(array))) for array in jax.tree.leaves(result))


def _real_rows(shards: Sequence[Shard], results: Sequence[np.ndarray]) -> Float[np.ndarray, "events size"]:
    return np.concatenate([rows[shard.weights > 0] for shard, rows in zip(shards, results, strict=True)])


def _device() -> Any:
    return jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
