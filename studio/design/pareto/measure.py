"""Several objectives at one design, with the standard error that the finite number of events leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._checks import InputError
from ..evaluation import summaries
from ..objectives import AbstractObjective, FunctionObjective, SharedSummaries, as_objective
from ..tracing import traced


class _Stack(AbstractObjective):
    """Objectives side by side over the same events."""

    shared: SharedSummaries
    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __init__(self, parts: Sequence[AbstractObjective]):
        self.shared, self.name = SharedSummaries(parts), "objectives"
        self.size = self.shared.size

    @property
    def parts(self) -> tuple[AbstractObjective, ...]:
        return self.shared.parts

    def summarise(self, tree, event):
        return self.shared.of(tree, event)

    def combine(self, summaries):
        return jnp.sum(self.each(summaries))

    def terms(self, summaries):
        return {}

    def each(self, summaries: Float[Array, "events size"]) -> Float[Array, " parts"]:
        """Every objective over the population."""
        return jnp.stack(self.shared.combined(summaries))


class Measure(eqx.Module):
    """All objectives of a front: callable, `tree -> (objectives,)`, differentiable.

    Functions of the design alone are evaluated once, not once per event.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    plain: tuple[AbstractObjective, ...]
    stack: _Stack | None
    events: Any
    chunk: int | None = eqx.field(static=True)
    #: The place of every objective in the sequence of plain ones followed by those of the stack.
    order: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, objectives: Mapping[str, Any], events: Any, chunk: int | None) -> Measure:
        """From what users write. **Raises** `InputError` for fewer than two objectives, or something else."""
        if not isinstance(objectives, Mapping) or len(objectives) < 2:
            remedy = "give a mapping from at least two names to objectives"
            raise InputError("a front needs objectives to trade", key="objectives", value=objectives, remedy=remedy)
        if callable(events) and not isinstance(events, eqx.Module):
            remedy = "give the events themselves: designs of a front are compared on the same ones"
            raise InputError("events that are drawn anew", key="events", value=events, remedy=remedy)
        made = {name: as_objective(objective, name, key=f"objectives.{name}") for name, objective in objectives.items()}
        plain = [name for name, part in made.items() if isinstance(part, FunctionObjective)]
        rest = [name for name in made if name not in plain]
        return cls(
            names=tuple(made),
            plain=tuple(made[name] for name in plain),
            stack=_Stack([made[name] for name in rest]) if rest else None,
            events=np.zeros(1) if events is None else events,
            chunk=chunk,
            order=tuple([*plain, *rest].index(name) for name in made),
        )

    def __call__(self, tree: Any) -> Float[Array, " objectives"]:
        return self._ordered(self._plain(tree), [] if self.stack is None else [self.stack.each(self._gathered(tree))])

    def with_errors(self, tree: Any) -> tuple[np.ndarray, np.ndarray]:
        """The objectives and the standard errors of those that look at events, compiled, on the host.

        The jackknife of `combine` (Efron & Tibshirani 1993, equation 11.5): from the objectives without one event
        after the other, so the error of a mean of logarithms is the standard error of that mean. It suits smooth
        reducers. Zero for functions of the design alone; NaN where a single event leaves nothing to compare.
        """
        values, errors = jax.device_get(_with_errors(self, tree))
        return np.asarray(values, dtype=float), np.asarray(errors, dtype=float)

    def part(self, name: str) -> AbstractObjective:
        """One of the objectives."""
        parts = (*self.plain, *(() if self.stack is None else self.stack.parts))
        return parts[self.order[self.names.index(name)]]

    def _plain(self, tree):
        return [part.combine(part.summarise(tree, None)[None]).reshape(1) for part in self.plain]

    def _gathered(self, tree):
        return summaries(self.stack, tree, {}, self.events, self.chunk)  # pyright: ignore[reportArgumentType]

    def _ordered(self, plain, rest):
        return jnp.concatenate([*plain, *rest])[jnp.asarray(self.order)]


@eqx.filter_jit
def _with_errors(measure: Measure, tree: Any) -> tuple[Array, Array]:
    traced("objectives_with_errors")
    plain, stack = measure._plain(tree), measure.stack
    if stack is None:
        values = measure._ordered(plain, [])
        return values, jnp.zeros_like(values)
    gathered = measure._gathered(tree)
    count = gathered.shape[0]
    nothing = [jnp.zeros_like(value) for value in plain]
    if count == 1:
        errors = jnp.full(len(stack.parts), jnp.nan)
    else:
        without = jax.lax.map(
            lambda i: stack.each(gathered[(i + 1 + jnp.arange(count - 1)) % count]), jnp.arange(count)
        )
        errors = jnp.sqrt((count - 1) / count * jnp.sum((without - jnp.mean(without, axis=0)) ** 2, axis=0))
    return measure._ordered(plain, [stack.each(gathered)]), measure._ordered(nothing, [errors])
