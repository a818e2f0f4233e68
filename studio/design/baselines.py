"""Searches that any optimiser has to beat: the best of many random designs, and one element at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .._checks import whole_number
from .objectives import AbstractObjective
from .search import Coordinates, Search
from .solution import Solution

#: Random designs that are evaluated side by side.
_TOGETHER = 16


def random_designs(
    tree: Any,
    free: str | Iterable[str] | Mapping[str, Any],
    objective: AbstractObjective | Callable[[Any], Any] | None = None,
    constraints: Any = (),
    *,
    evaluations: int = 1000,
    seed: int = 0,
    throw: bool = False,
    **options: Any,
) -> Solution:
    """The best of many random designs: quasi-random over the bounds, each restored to feasibility.

    **Arguments**: `evaluations`: of the objective, one of them for the tree itself, which counts as one of the designs; the
    others as for `black_box`. **Returns** a `Solution` whose history has a record for every 16 designs.
    """
    search = Search(tree, free, objective, constraints, evaluations=evaluations, seed=seed, **options)
    number = 0
    if search.begin() is not None:
        while search.left and not search.stuck:
            candidates: list[Coordinates] = []
            while len(candidates) < min(_TOGETHER, search.left) and not search.stuck:
                candidate = search.feasible(search.quasi_random(number))
                candidates += [] if candidate is None else [candidate]
                number += 1
            search.judge(candidates)
    solution = search.finish()
    return solution.require() if throw else solution


def greedy(
    tree: Any,
    free: str | Iterable[str] | Mapping[str, Any],
    objective: AbstractObjective | Callable[[Any], Any] | None = None,
    constraints: Any = (),
    *,
    evaluations: int = 1000,
    candidates: int = 8,
    seed: int = 0,
    throw: bool = False,
    **options: Any,
) -> Solution:
    """One element at a time: a row of a free leaf, as one sensor, moves to the best of a few places where that is better.

    The rows of all free leaves take turns, in an order that is shuffled anew for each round; a number is a row by itself. Places
    are quasi-random within the bound of the row, and the design with the moved row is restored to feasibility.

    **Arguments**: `evaluations`: of the objective, the tree's among them; `candidates`: places tried for a row, side by side;
    the others as for `black_box`. **Returns** a `Solution` whose history has a record for every row that was tried.
    """
    tried = whole_number("candidates", candidates)
    search = Search(tree, free, objective, constraints, evaluations=evaluations, seed=seed, **options)
    here = search.begin()
    if here is not None and search.best is not None:
        value = float(search.best[1].value)
        for visit, (name, row) in enumerate(_turns(search, here)):
            if not search.left or search.stuck:
                break
            places = [search.quasi_random(visit * tried + number) for number in range(tried)]
            moved = [search.feasible(_with_row(here, place, name, row)) for place in places]
            allowed = [design for design in moved if design is not None]
            values = search.judge(allowed)
            if values.size and values.min() < value:
                here, value = allowed[int(np.argmin(values))], float(values.min())
    solution = search.finish()
    return solution.require() if throw else solution


def _turns(search: Search, here: Coordinates) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Rows of leaves that may move, round after round."""
    rows = [
        (name, (index,) if np.ndim(here[name]) else ())
        for name, mask in zip(search.space.leaders, search.space.masks, strict=True)
        for index in range(len(np.atleast_1d(here[name])))
        if mask is None or np.any(mask[index] if np.ndim(here[name]) else mask)
    ]
    generator = np.random.default_rng(search.seed)
    while True:
        for index in generator.permutation(len(rows)):
            yield rows[index]


def _with_row(here: Coordinates, place: Coordinates, name: str, row: tuple[int, ...]) -> Coordinates:
    """A design with one row of one leaf taken from another design."""
    moved = np.array(here[name])
    moved[row] = np.asarray(place[name])[row]
    return {**here, name: moved}
