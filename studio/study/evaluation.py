"""`evaluate(tree, step)` for the optimiser: the objective over a step's events, computed by a runner."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..design.evaluation import Evaluation
from ..event import Primary
from ..units import MeV, m
from .objective_shards import PopulationResult, ShardedObjective

_LISTED = 3  # events described in a message


class BoundEvaluation:
    """The objective of a study bound to a runner.

    **Arguments**: `groups`: the study's events, one group a particle; `batch`: events a step. A batch walks through the events in
    an order that is shuffled anew each time they are through, so that every event counts equally often; it follows from
    the seed and the step alone, and a resumed study sees the same. Step 0, with which designs are compared, sees all events.
    """

    def __init__(self, objective: ShardedObjective, groups: Sequence[Primary], *, batch: int, seed: int):
        self.objective = objective
        self.groups = tuple(groups)
        self.batch = batch
        self.seed = seed
        self._known: dict[bytes, PopulationResult] = {}

    @property
    def count(self) -> int:
        """Number of events of the study."""
        return sum(group.count for group in self.groups)

    @property
    def deterministic(self) -> bool:
        """Whether every step sees all events."""
        return self.batch == self.count

    def probe(self) -> BoundEvaluation:
        """The objective over the first events alone, one piece of work a particle: what a gradient check needs."""
        few = tuple(jax.tree.map(lambda leaf: leaf[: self.objective.shard], group) for group in self.groups)
        return BoundEvaluation(self.objective, few, batch=sum(group.count for group in few), seed=self.seed)

    def __call__(self, tree: Any, step: int) -> Evaluation:
        return self.many([(tree, step)])[0]

    def many(self, wanted: Sequence[tuple[Any, int]]) -> list[Evaluation]:
        """The evaluations of several designs, each over the events of its step, with the work of all of them side by side."""
        results = self.objective.values_and_gradients([(tree, self.events_at(step)) for tree, step in wanted])
        for (tree, step), result in zip(wanted, results, strict=True):
            if step == 0 and self.objective.one_pass:
                self._known[_fingerprint(tree)] = dataclasses.replace(result, gradient={})
        return [Evaluation(np.asarray(result.value), result.gradient, result.terms) for result in results]

    def forward(self, wanted: Sequence[tuple[Any, int]]) -> list[Evaluation]:
        """As `many` without gradients, by a program that takes none."""
        results = self.objective.values([(tree, self.events_at(step)) for tree, step in wanted])
        return [Evaluation(np.asarray(result.value), {}, result.terms) for result in results]

    def value(self, tree: Any, step: int) -> float:
        """The objective alone, over the same events as the step's gradient."""
        return self.objective.value(tree, self.events_at(step)).value

    def whole(self, tree: Any) -> PopulationResult:
        """The objective over all events of the study. Where one pass over the events gives value and gradient, a design that a
        step 0 has seen is not computed again: the same program would give the same bits."""
        known = self._known.get(_fingerprint(tree))
        return self.objective.value(tree, self.groups) if known is None else known

    def blame(self, tree: Any) -> str:
        """Which of the study's events make the objective not finite at a design, and what to do; empty where none does."""
        found = self.objective.faulty_events(tree, self.groups)
        events = sorted({index for indices in found.values() for index in indices})
        if not events:
            return ""
        listed = "; ".join(f"event {index}, {self._described(index)}" for index in events[:_LISTED])
        more = f"; and {len(events) - _LISTED} more" if len(events) > _LISTED else ""
        return (
            f"{len(events)} of the {self.count} events have no finite resolution or derivative: {listed}{more}. "
            "What the detector does not see determines nothing: leave such events out (a higher kinetic_energy, "
            "contained: true, a vertex away from the wall, another seed), or give uncertain nuisances a prior"
        )

    def _described(self, index: int) -> str:
        """An event by its index through all groups: what it was, where, and how energetic."""
        for group in self.groups:
            if index < group.count:
                vertex, direction = np.asarray(group.vertex)[index] / m, np.asarray(group.direction)[index]
                energy = float(np.asarray(group.kinetic_energy)[index]) / MeV
                place, way = (", ".join(f"{value:.4g}" for value in vector) for vector in (vertex, direction))
                return f"{group.particle} of {energy:.5g} MeV at ({place}) m along ({way})"
            index -= group.count
        raise IndexError(index)

    def events_at(self, step: int) -> tuple[Primary, ...]:
        """The events of a step, one group a particle."""
        if self.deterministic or step == 0:
            return self.groups
        return tuple(self._taken(index, group, step) for index, group in enumerate(self.groups))

    def _taken(self, index: int, group: Primary, step: int) -> Primary:
        count = group.count
        share = max(1, round(self.batch * count / self.count))
        positions = step * share + np.arange(share)
        orders = {epoch: self._order(index, epoch, count) for epoch in np.unique(positions // count)}
        chosen = np.array([orders[position // count][position % count] for position in positions])
        return jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], group)

    def _order(self, index: int, epoch: int, count: int) -> np.ndarray:
        return np.random.default_rng([self.seed, index, int(epoch)]).permutation(count)


def _fingerprint(tree: Any) -> bytes:
    """What two designs share where they are the same to the last bit."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        found.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
    return found.digest()
