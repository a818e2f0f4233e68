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


#: A computation that yields a request and is sent its evaluation, or yields a list of them and is sent a list.
Asking = Generator[Request | list[Request], Any, Result]


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
        asked: dict[int, Request | list[Request]] = {}
        for index, evaluation in answers.items():
            try:
                asked[index] = wanted = computations[index].send(evaluation)
                counts[index] += len(_listed(wanted))
            except StopIteration as ended:
                results[index] = ended.value
        answers = _answered(asked, answer)
    return [(results[index], count) for index, count in enumerate(counts)]


def _answered(
    asked: Mapping[int, Request | list[Request]], answer: Callable[[Sequence[Request]], Sequence[Evaluation]]
) -> dict[int, Evaluation | list[Evaluation]]:
    """An evaluation for every request and a list of them for every list, all from one call."""
    requests = [request for wanted in asked.values() for request in _listed(wanted)]
    pairs = zip(requests, answer(requests) if requests else (), strict=True)
    found = (evaluation for _, evaluation in pairs)
    return {
        index: next(found) if isinstance(wanted, Request) else [next(found) for _ in wanted]
        for index, wanted in asked.items()
    }


def _listed(wanted: Request | list[Request]) -> list[Request]:
    return [wanted] if isinstance(wanted, Request) else wanted
