"""The design problem as the optimisers see it: evaluations, constraints and restoration in coordinates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import paths
from .constraints import AbstractConstraint
from .evaluation import Evaluation
from .lagrangian import jacobian_scales, lagrangian, relative_violations, violations
from .projection import ITERATIONS, Projected, project
from .restoration import Restoration, Restored
from .space import DesignSpace, design_at, gradient_at
from .together import Request


class Iterate(eqx.Module):
    """Where one start stands: everything its next step depends on, as arrays."""

    coordinates: dict[str, Any]
    evaluation: Evaluation
    multipliers: tuple[Any, ...]
    prepared: tuple[Any, ...]
    penalty: Any
    objective_scale: Any
    constraint_scales: tuple[Any, ...]
    #: Shrinks first-order steps after an evaluation that was not finite.
    step_scale: Any
    optimiser: Any


class Problem:
    """A tree, its design space, constraints, and `evaluate(tree, step) -> Evaluation`.

    `evaluate_many` takes a list of `(tree, step)` and gives their evaluations, where that is faster than one by one.
    `tolerance` is the relative violation up to which any design counts as feasible inside the loop; a restored one
    counts up to `acceptable`, ten times below what the audit allows, since many rows at once are never all exact.
    `deterministic`: whether every step sees the same events.
    """

    def __init__(
        self,
        tree: Any,
        space: DesignSpace,
        constraints: Sequence[AbstractConstraint],
        evaluate: Callable[[Any, int], Evaluation],
        value: Callable[[Any, int], float] | None = None,
        evaluate_many: Callable[[list[tuple[Any, int]]], Sequence[Evaluation]] | None = None,
        deterministic: bool = True,
    ):
        self.tree, self.space, self.constraints = _with_array_leaves(tree, space), space, tuple(constraints)
        self._evaluate_many = evaluate_many or (lambda wanted: [evaluate(tree, step) for tree, step in wanted])
        self._value = value
        self.deterministic = deterministic
        self.evaluations = 0
        self._shapes: tuple[tuple[int, ...], ...] | None = None
        precision = max(float(np.finfo(_dtype(tree, name)).eps) for name in space.names)
        self.tolerance = max(1e-6, 100 * precision)
        self.acceptable = 100 * self.tolerance

    def design(self, coordinates: Mapping[str, Any]) -> Any:
        """The tree at given coordinates."""
        return design_at(self.space, self.tree, dict(coordinates))

    def evaluate(self, coordinates: Mapping[str, Any], step: int) -> Evaluation:
        """The objective, its gradient by the leaves and its terms, on the host."""
        return self.evaluate_all([Request(coordinates, step)])[0]

    def evaluate_all(self, requests: Sequence[Request]) -> list[Evaluation]:
        """As `evaluate` for several designs, side by side where whoever evaluates can do that."""
        return [self._with_gradient(result) for result in self._answered(requests)]

    def values(self, requests: Sequence[Request]) -> list[Evaluation]:
        """As `evaluate_all` where nobody looks at the gradients: they are left out."""
        return [_on_host(result) for result in self._answered(requests)]

    def _answered(self, requests: Sequence[Request]) -> Sequence[Evaluation]:
        self.evaluations += len(requests)
        return self._evaluate_many([(self.design(request.coordinates), request.step) for request in requests])

    def _with_gradient(self, result: Evaluation) -> Evaluation:
        gradient = {name: np.asarray(result.gradient[name]) for name in self.space.names}
        return dataclasses.replace(_on_host(result), gradient=gradient)

    def value(self, coordinates: Mapping[str, Any], step: int) -> float:
        """The objective alone."""
        if self._value is None:
            return float(self.evaluate(coordinates, step).value)
        return float(self._value(self.design(coordinates), step))

    def gradient(self, coordinates: Mapping[str, Any], evaluation: Evaluation) -> dict[str, np.ndarray]:
        """The objective's gradient by coordinates."""
        return jax.device_get(gradient_at(self.space, dict(coordinates), evaluation.gradient))

    def prepare(self, coordinates: Mapping[str, Any]) -> tuple[Any, ...]:
        """What the constraints read at a design."""
        if not self.constraints:
            return ()
        design = self.design(coordinates)
        return tuple(constraint.prepare(design) for constraint in self.constraints)

    def violations(self, coordinates: Mapping[str, Any], prepared: Any) -> tuple[np.ndarray, ...]:
        """The violation of every row in physical units."""
        if not self.constraints:
            return ()
        return jax.device_get(violations(self.space, self.constraints, self.tree, dict(coordinates), prepared))

    def worst_rows(self, coordinates: Mapping[str, Any], prepared: Any) -> dict[str, float]:
        """The most violated row of every constraint, by its name, in physical units."""
        rows = zip(self.constraints, self.violations(coordinates, prepared), strict=True)
        return {c.name: float(np.max(np.abs(row) if c.equality else row, initial=-np.inf)) for c, row in rows}

    def worst(self, coordinates: Mapping[str, Any], prepared: Any, scales: Sequence[Any]) -> float:
        """The largest violation of all constraints, relative to their limits; zero where all are satisfied."""
        rows = self.violations(coordinates, prepared)
        return float(np.max(relative_violations(self.constraints, rows, scales), initial=0.0))

    def lagrangian(
        self, iterate: Iterate, coordinates: Mapping[str, Any], evaluation: Evaluation
    ) -> tuple[float, dict[str, np.ndarray]]:
        """The augmented Lagrangian at `coordinates` with the multipliers of `iterate`, and its gradient."""
        value, gradient = lagrangian(
            self.space,
            self.constraints,
            self.tree,
            dict(coordinates),
            (evaluation.value, evaluation.gradient),
            iterate.multipliers,
            iterate.penalty,
            (iterate.objective_scale, iterate.constraint_scales),
            iterate.prepared,
        )
        return float(value), jax.device_get(gradient)

    def scales(self, coordinates: Mapping[str, Any], prepared: Any) -> tuple[np.ndarray, ...]:
        """By how much each constraint changes per natural unit."""
        if not self.constraints:
            return ()
        return jacobian_scales(self.space, self.constraints, self.tree, dict(coordinates), prepared)

    def transferred(self, iterate: Iterate, prepared: Any) -> tuple[np.ndarray, ...]:
        """The multipliers of an iterate, carried over to rows prepared anew."""
        rows = zip(self.constraints, iterate.multipliers, iterate.prepared, prepared, strict=True)
        return tuple(np.asarray(constraint.transfer(m, before, after)) for constraint, m, before, after in rows)

    def project(self, iterate: Iterate, wanted: Mapping[str, Any], start: Sequence[Any]) -> Projected:
        """The move nearest to `wanted` that keeps the constraints of an iterate, and its multipliers."""
        sizes = [float(size) for size in iterate.constraint_scales]
        scales = self._pairs(sizes)
        arguments = (
            self.space,
            self.constraints,
            self.tree,
            iterate.coordinates,
            iterate.prepared,
            scales,
            dict(wanted),
        )
        multipliers = tuple(np.asarray(multiplier) for multiplier in start)
        enabled = tuple(np.asarray(True) for _ in self.constraints)
        return jax.device_get(
            project(*arguments, multipliers, np.asarray(0.0), np.asarray(0.0), enabled, np.asarray(ITERATIONS))
        )

    def _pairs(self, sizes: Sequence[float]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Per constraint, the size of its limit and its change per natural unit."""
        limits = [abs(c.limit) if c.limit else size for c, size in zip(self.constraints, sizes, strict=True)]
        return tuple(map(np.asarray, limits)), tuple(map(np.asarray, sizes))

    def restore(
        self, coordinates: Mapping[str, Any], scales: Sequence[Any], only: Sequence[int] | None = None
    ) -> Restored:
        """The nearest design that satisfies the constraints (those with index in `only`)."""
        if not self.constraints:
            return Restored(dict(coordinates), (), 0.0)
        pairs = self._pairs([float(scale) for scale in scales])
        enabled = [only is None or index in only for index in range(len(self.constraints))]
        rows = self._row_shapes(coordinates)
        return Restoration(self.tree, self.space, self.constraints, pairs, self.tolerance, rows, enabled)(coordinates)

    def _row_shapes(self, coordinates: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
        # The number of rows of a constraint never changes, so one look is enough.
        if self._shapes is None:
            self._shapes = tuple(np.shape(row) for row in self.violations(coordinates, self.prepare(coordinates)))
        return self._shapes


def finite(evaluation: Evaluation) -> bool:
    """Whether an evaluation holds finite numbers only."""
    arrays = [evaluation.value, *evaluation.gradient.values()]
    return all(bool(np.all(np.isfinite(array))) for array in arrays)


def _on_host(result: Evaluation) -> Evaluation:
    """Value and terms as numbers of this process."""
    value = np.asarray(result.value, dtype=float).reshape(())
    return Evaluation(value, {}, {name: np.asarray(term, dtype=float) for name, term in result.terms.items()})


def _with_array_leaves(tree: Any, space: DesignSpace) -> Any:
    return paths.replace(
        tree, {name: jnp.asarray(paths.get(tree, name), dtype=_dtype(tree, name)) for name in space.names}
    )


def _dtype(tree: Any, name: str) -> Any:
    dtype = jnp.asarray(paths.get(tree, name)).dtype
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
