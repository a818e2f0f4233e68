"""Feasibility restoration: the nearest design that satisfies every constraint.

A sequence of smallest moves that satisfy the linearised constraints (`projection`). It uses the constraints alone and
never the simulation, so it is cheap beside one evaluation of the objective.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .constraints import AbstractConstraint
from .projection import ITERATIONS, Projected, project
from .space import DesignSpace, design_at, retracted

#: The first step moves no coordinate by more than this many natural units; each that succeeds makes the next four times
#: as long.
_TRUST = 0.5


class Restored(eqx.Module):
    """The end of a restoration: coordinates, rows prepared there, and the worst relative violation that is left."""

    coordinates: dict[str, Any]
    prepared: Any
    worst: Any


class Restoration:
    """Restores feasibility for fixed constraints.

    **Arguments**

    - `tree`, `space`, `constraints`: the problem.
    - `scales`: per constraint, the size of its limit and its change per natural unit.
    - `back_off`: inequalities are aimed this far inside, as a fraction of the limit, so that rounding cannot break them;
      equalities count as satisfied within it.
    - `rows`: the shape of every constraint's violation.
    - `enabled`: which constraints count (default: all).
    """

    def __init__(
        self,
        tree: Any,
        space: DesignSpace,
        constraints: Sequence[AbstractConstraint],
        scales: tuple[Sequence[Any], Sequence[Any]],
        back_off: float,
        rows: Sequence[tuple[int, ...]],
        enabled: Sequence[bool] | None = None,
    ):
        self.tree, self.space, self.constraints = tree, space, tuple(constraints)
        limits, changes = ([np.asarray(size, dtype=float) for size in sizes] for sizes in scales)
        self.scales = (tuple(limits), tuple(changes))
        self.back_off = back_off
        self.start = tuple(np.zeros(shape) for shape in rows)
        self.enabled = tuple(np.asarray(on) for on in (enabled or [True] * len(self.constraints)))

    def __call__(self, coordinates: Mapping[str, Any], *, iterations: int = 40, seed: int = 0) -> Restored:
        """The restored design, or the least violated one found within `iterations` steps."""
        point, damping, jitters, back_off = jax.device_get(dict(coordinates)), 0.0, 0, self.back_off
        trust = _TRUST
        prepared, here = self._linearise(point, back_off, damping)
        best = Restored(point, prepared, here.worst)
        merits = [here.merit]
        for iteration in range(iterations):
            if best.worst <= 0.0 or (iteration >= 8 and merits[-1] > 0.5 * merits[max(0, len(merits) - 8)]):
                break
            found = self._shorter(point, here, back_off, damping, trust)
            if found is not None:
                point, reached, merit = found
                trust *= 4
                merits.append(merit)
                best = reached if reached.worst < best.worst else best
                # Rows that stay a little outside, one after another, are aimed further inside.
                back_off = min(2 * back_off, 64 * self.back_off)
            elif damping < 1.0:
                damping, trust = max(1e-3, 30 * damping), _TRUST
            elif jitters < 3:
                # A saddle: coincident points, or a flat spot. A small fixed disturbance leaves it.
                jitters, damping = jitters + 1, 0.0
                point = self.space.disturbed(point, 1e-3, (seed, jitters))
            else:
                break
            if best.worst > 0.0:
                _, here = self._linearise(point, back_off, damping)
        return jax.tree.map(np.asarray, best)

    def _shorter(self, point, here: Projected, back_off: float, damping: float, trust: float):
        """The next point along the move, shortened until the squared violation falls; None where it never does."""
        length = min(1.0, trust / max(_largest(here.move), 1e-300))
        for _ in range(4):
            trial = retracted(self.space, {name: point[name] + length * here.move[name] for name in point}, point)
            prepared, there = self._linearise(trial, back_off, damping, iterations=0)
            if there.worst <= 0.0 or there.merit < here.merit * (1 - 0.1 * length):
                return trial, Restored(trial, prepared, there.worst), there.merit
            length /= 4
        return None

    def _linearise(
        self, point: Mapping[str, Any], back_off: float, damping: float, iterations: int = ITERATIONS
    ) -> tuple[Any, Projected]:
        design = design_at(self.space, self.tree, point)
        prepared = tuple(constraint.prepare(design) for constraint in self.constraints)
        still = {name: np.zeros_like(point[name]) for name in point}
        arguments = (self.space, self.constraints, self.tree, point, prepared, self.scales, still, self.start)
        found = jax.device_get(
            project(*arguments, np.asarray(back_off), np.asarray(damping), self.enabled, np.asarray(iterations))
        )
        if np.isfinite(found.merit) and np.isfinite(_largest(found.move)):
            return prepared, found
        return prepared, Projected(still, found.multipliers, np.inf, np.inf)  # pyright: ignore[reportArgumentType]


def _largest(move: Mapping[str, Any]) -> float:
    return max(float(np.max(np.abs(array), initial=0.0)) for array in move.values())
