"""`optimise`: a better design in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .evaluation import Evaluation
from .loop import Optimisation
from .objectives import AbstractObjective
from .patience import Patience
from .solution import Record, Solution


def optimise(
    tree: Any,
    free: str | Iterable[str] | Mapping[str, Any],
    objective: AbstractObjective | Callable[[Any], Any] | None = None,
    constraints: Any = (),
    *,
    optimiser: Any = None,
    steps: int = 200,
    starts: int = 1,
    patience: int | Mapping[str, Any] | Patience | None = None,
    seed: int = 0,
    evaluate: Callable[[Any, int], Evaluation] | None = None,
    evaluate_many: Callable[[list[tuple[Any, int]]], Sequence[Evaluation]] | None = None,
    value: Callable[[Any, int], float] | None = None,
    deterministic: bool | None = None,
    events: Any = None,
    chunk: int | None = None,
    gradient_check: bool = True,
    throw: bool = False,
    callback: Callable[[Record], None] | None = None,
) -> Solution:
    """Make `objective` small over the free leaves of any pytree, within bounds and constraints.

    **Arguments**, besides those of `Optimisation`:

    - `gradient_check`: whether the Taylor test is made before the first step.
    - `throw`: raise instead of returning a solution without a design.
    - `callback`: called with every `Record`.

    **Returns** a `Solution`. **Raises** `InputError` for bad input; `StudioError` naming the leaf where the gradient is
    wrong or not finite.
    """
    optimisation = Optimisation(
        tree,
        free,
        objective,
        constraints,
        optimiser=optimiser,
        steps=steps,
        starts=starts,
        patience=patience,
        seed=seed,
        evaluate=evaluate,
        evaluate_many=evaluate_many,
        value=value,
        deterministic=deterministic,
        events=events,
        chunk=chunk,
    )
    check = optimisation.check_gradient().require() if gradient_check else None
    state = optimisation.initial()
    history = [optimisation.record(state)]
    tell = callback or (lambda record: None)
    tell(history[0])
    while not optimisation.done(state):
        state, records = optimisation.step(state)
        history.extend(records)
        for record in records:
            tell(record)
    solution = optimisation.finish(state, history, check)
    return solution.require() if throw else solution
