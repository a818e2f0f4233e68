"""A choice among a few kinds of design: each is optimised, the best is kept, and the others say why they are not it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._checks import InputError, StudioError
from .constraints import as_constraints
from .objectives import AbstractObjective
from .optimise import optimise
from .solution import Solution


@dataclasses.dataclass(frozen=True)
class PerChoice:
    """What differs from choice to choice: a function `(name, tree) -> argument`."""

    function: Callable[[str, Any], Any]


@dataclasses.dataclass(frozen=True)
class Enumeration:
    """The solutions of all choices by name, in the order they were given; `failures`: what was wrong with those that could not be
    optimised at all. As text, a table from the best to the worst."""

    solutions: dict[str, Solution]
    failures: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def ranked(self) -> tuple[str, ...]:
        """The names of the choices with a feasible design, from the lowest objective to the highest."""
        return tuple(sorted(filter(self.feasible, self.solutions), key=lambda name: self._value(name)))

    @property
    def best(self) -> str | None:
        """The name of the choice whose feasible design has the lowest objective; None where no choice has one."""
        return next(iter(self.ranked), None)

    def feasible(self, name: str) -> bool:
        """Whether a choice has a feasible design."""
        solution = self.solutions[name]
        return solution.tree is not None and solution.audit.feasible

    def require(self) -> Solution:
        """The solution of the best choice. **Raises** `StudioError` with all reasons where none has a feasible design."""
        if self.best is None:
            said = {name: str(solution.status) for name, solution in self.solutions.items()} | self.failures
            reasons = "; ".join(f"{name}: {words}" for name, words in said.items())
            raise StudioError(f"no choice has a feasible design: {reasons}")
        return self.solutions[self.best]

    def __str__(self) -> str:
        rows = [("choice", "objective", "behind", "evaluations", "status")]
        for name in (*self.ranked, *(name for name in self.solutions if not self.feasible(name))):
            solution, values, status = self.solutions[name], ("", ""), str(self.solutions[name].status)
            if self.feasible(name):
                values = (f"{self._value(name):.6g}", f"{self._value(name) - self._value(self.ranked[0]):.3g}")
                status = solution.status.reason
            rows.append((name, *values, f"{solution.evaluations}", status))
        rows += [(name, "", "", "", words) for name, words in self.failures.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in lines)

    def _value(self, name: str) -> float:
        value = self.solutions[name].objective
        return math.nan if value is None else value


def best_of(
    choices: Mapping[str, Any],
    free: str | Iterable[str] | Mapping[str, Any] | PerChoice,
    objective: AbstractObjective | Callable[[Any], Any] | PerChoice | None = None,
    constraints: Any = (),
    **options: Any,
) -> Enumeration:
    """Optimises every choice by itself, for what no gradient moves: a number of things, a kind, a shape.

    **Arguments**

    - `choices`: by name, a tree each, of any structure.
    - `free`, `objective`, `constraints`, `options`: as for `optimise`; where one differs from choice to choice,
      `PerChoice(lambda name, tree: ...)`. Objectives are compared as they are, so they must mean the same for all: the same terms
      with the same weights, and the same events.

    **Returns** an `Enumeration`; a choice that cannot satisfy its constraints, or whose objective or gradient is at fault, is in it
    with its reason, and never the best. **Raises** `InputError` for bad input.
    """
    if not choices:
        raise InputError("there is nothing to choose from", key="choices", remedy="name at least one tree")
    # Iterators would be empty for the second choice.
    free = free if isinstance(free, str | Mapping | PerChoice) else tuple(free)
    constraints = constraints if isinstance(constraints, PerChoice) else as_constraints(constraints)
    given = {"free": free, "objective": objective, "constraints": constraints, **options}
    solutions, failures = {}, {}
    for name, tree in choices.items():
        own = {key: _of(value, name, tree) for key, value in given.items()}
        try:
            solutions[name] = optimise(tree, **own)
        except InputError as error:
            key = f"choices.{name}" + (f", {error.key}" if error.key else "")
            raise InputError(error.problem, key=key, value=error.value, remedy=error.remedy) from error
        except StudioError as error:
            failures[name] = str(error)  # the others are not lost for it
    return Enumeration(solutions, failures)


def _of(value: Any, name: str, tree: Any) -> Any:
    return value.function(name, tree) if isinstance(value, PerChoice) else value
