"""Several computations side by side that ask for evaluations: what they ask for at the same time is evaluated in one go."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from .evaluation import Evaluation

Result = TypeVar("Result")


class Request(NamedTuple):
    """A design whose objective is wanted: its coordinates, and the step whose events it is wanted for."""

    coordinates: Mapping[str, Any]
    step: int


#: A computation that yields requests and is sent their evaluations.
Asking = Generator[Request, Evaluation, Result]


def together(
    computations: Sequence[Asking[Result]], answer: Callable[[Sequence[Request]], Sequence[Evaluation]]
) -> list[tuple[Result, int]]:
    """The results of all computations, each with the number of its requests.

    All go on until each has asked or ended, in order; then what they asked for is answered in one call. So a result does not
    depend on which computations run beside it.
    """
    results: dict[int, Result] = {}
    counts = [0] * len(computations)
    answers: dict[int, Any] = dict.fromkeys(range(len(computations)))
    while answers:
        asked: dict[int, Request] = {}
        for index, evaluation in answers.items():
            try:
                asked[index] = computations[index].send(evaluation)
                counts[index] += 1
            except StopIteration as ended:
                results[index] = ended.value
        answers = dict(zip(asked, answer(list(asked.values())), strict=True)) if asked else {}
    return [(results[index], count) for index, count in enumerate(counts)]
