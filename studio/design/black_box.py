"""A black-box optimiser over the same designs: CMA-ES, which looks at values alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .._checks import InputError, StudioError, whole_number
from .objectives import AbstractObjective
from .search import Coordinates, Search
from .solution import Solution

#: Evaluations that a full covariance of n free numbers takes to be learned, in units of n²: the rate of learning is about
#: 2 μ / n² a generation of about 4 μ, μ its effective number of parents (Hansen, arXiv:1604.00772, table 1).
_FULL_COVARIANCE = 2.0


def black_box(
    tree: Any,
    free: str | Iterable[str] | Mapping[str, Any],
    objective: AbstractObjective | Callable[[Any], Any] | None = None,
    constraints: Any = (),
    *,
    evaluations: int = 1000,
    population: int | None = None,
    step_size: float | None = None,
    diagonal: bool | None = None,
    seed: int = 0,
    throw: bool = False,
    **options: Any,
) -> Solution:
    """Make `objective` small by CMA-ES, without its gradient, in the coordinates and under the constraints of `optimise`.

    The covariance matrix adaptation evolution strategy of Hansen and Ostermeier, Evol. Comput. 9 (2001) 159, of the library
    `cma`. Candidates are restored to feasibility, evaluated generation by generation side by side, and handed back as what
    they became. It begins at the tree.

    **Arguments**

    - `evaluations`: of the objective, the start among them; never more, and fewer only where the search converged.
    - `population`: candidates a generation (default: 4 + 3 ln n for n free numbers).
    - `step_size`: the standard deviation of the first generation in natural units (default: 0.3, or 1/√n where that is less,
      so that a candidate as a whole moves by no more than one natural unit).
    - `diagonal`: whether variances alone are learned instead of the whole covariance (separable CMA-ES; Ros and Hansen, PPSN
      2008, p. 296). Default: where the budget is less than 2 n² evaluations, in which the whole cannot be learned.
    - `seed`: of the candidates; the same seed gives the same solution.
    - `throw`: raise instead of returning a solution without a design.
    - `options`: `evaluate`, `evaluate_many`, `events`, `chunk`, `callback` as for `optimise`, but the gradients in what they
      return are not looked at and may be left out; designs are always compared on the events of step 0.

    **Returns** a `Solution` whose history has a record a generation; norms of the gradient in it are NaN. **Raises**
    `InputError` for bad input, `StudioError` where the objective is not finite at the start or `cma` is not installed.
    """
    cma = _library()
    search = Search(tree, free, objective, constraints, evaluations=evaluations, seed=seed, **options)
    size = search.space.size
    sigma = min(0.3, 1 / math.sqrt(size)) if step_size is None else step_size
    if not (np.isfinite(sigma) and sigma > 0):
        raise InputError("must be positive", key="step_size", value=step_size)
    generator = np.random.default_rng(seed)
    settings = {
        "popsize": 4 + int(3 * math.log(size)) if population is None else whole_number("population", population),
        "CMA_diagonal": search.allowed < _FULL_COVARIANCE * size**2 if diagonal is None else bool(diagonal),
        "randn": lambda *shape: generator.standard_normal(shape),
        "seed": math.nan,  # NumPy's own state is not ours to set
        "verbose": -10,  # nothing is printed, and no file of signals is looked for
        "verb_log": 0,
    }
    here = search.begin()
    if here is None or not search.left:
        return _concluded(search, "", throw)
    strategy = cma.CMAEvolutionStrategy(search.vector(here), sigma, settings)
    while search.left and not search.stuck and not strategy.stop():
        candidates: list[Coordinates] = []
        while len(candidates) < settings["popsize"] and not search.stuck:
            asked = strategy.ask(settings["popsize"] - len(candidates))
            restored = [search.feasible(search.coordinates(vector, here)) for vector in asked]
            candidates += [candidate for candidate in restored if candidate is not None]
        values = search.judge(candidates)
        if len(values) == settings["popsize"]:  # the last generation may be cut short
            strategy.tell([search.vector(candidate) for candidate in candidates], _ranked(values))
    ended = ", ".join(strategy.stop()) if search.left and not search.stuck else ""
    return _concluded(search, f"CMA-ES ended by its criterion {ended}" if ended else "", throw)


def _concluded(search: Search, converged: str, throw: bool) -> Solution:
    solution = search.finish(converged)
    return solution.require() if throw else solution


def _ranked(values: np.ndarray) -> np.ndarray:
    """Values with those that are not finite behind all others; only the order counts."""
    finite = values[np.isfinite(values)]
    worst = float(np.max(finite, initial=0.0))
    return np.where(np.isfinite(values), values, worst + 1.0 + abs(worst))


def _library() -> Any:
    try:
        import cma
    except ImportError:
        raise StudioError("black-box optimisation needs the package cma: pip install cma") from None
    return cma
