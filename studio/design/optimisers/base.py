"""What an optimiser is: something that moves an iterate one step on."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx

from ..problem import Iterate, Problem
from ..together import Asking


class Advance(eqx.Module):
    """The outcome of one step.

    - `iterate`: where the start stands now.
    - `settled`: whether this is a good moment to judge a restored design (the end of an inner minimisation).
    - `restored`: whether the design was restored already.
    - `converged`: the reason why nothing more is to be gained, or an empty text.
    - `failed`: the reason why the step could not be made, or an empty text.
    - `given_up`: the reason why no further step can help although constraints are broken, or an empty text.
    - `step_length`: the largest move of a coordinate, in natural units.
    - `note`: anything a person should read in the history.
    - `batches`: how many batches of events the evaluation of `iterate` averages.
    - `signal_to_noise`: of the gradient that the step followed; None where it is not known.
    """

    iterate: Iterate
    settled: bool
    restored: bool
    converged: str
    failed: str
    step_length: float
    note: str = ""
    batches: int = 1
    signal_to_noise: float | None = None
    given_up: str = ""


class AbstractOptimiser(eqx.Module):
    """Moves an iterate one step on. Its own memory is a pytree inside the iterate, so a study can be resumed."""

    @abc.abstractmethod
    def initial(self, problem: Problem, coordinates: dict[str, Any]) -> Any:
        """The optimiser's memory at the start."""

    @abc.abstractmethod
    def initial_penalty(self) -> float:
        """The penalty of the augmented Lagrangian at the start, in scaled units."""

    @abc.abstractmethod
    def advance(self, problem: Problem, iterate: Iterate, step: int) -> Asking[Advance]:
        """One step, a generator: `evaluation = yield Request(coordinates, step)` wherever it needs the objective, or a list of
        requests for a list of evaluations, so that they are made at once, and those of several starts with them.

        It returns the `Advance`. `step` is the number handed to `evaluate`, where a step asks for one batch of events.
        """
