"""The interface of parallel work."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class AbstractRunner(abc.ABC):
    """Runs one function over many items and gives the results back in the order of the items.

    The function and the items must be self-contained (picklable): a runner may carry them to another process. The
    result of an item may depend on nothing but the function and the item, so that one, two or four workers, retries
    and restarts give the same numbers.
    """

    @abc.abstractmethod
    def stream(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of `items`, each as soon as it and all before it are done."""

    @abc.abstractmethod
    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Begins to work on one item beside everything else, for example to compile ahead of time what comes later."""

    @abc.abstractmethod
    def close(self) -> None:
        """Ends the workers. A closed runner does no more work; closing twice is harmless."""

    @property
    @abc.abstractmethod
    def lanes(self) -> int:
        """How many items are worked on at the same time."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """All results, in the order of `items`. An exception of the function is raised here."""
        return list(self.stream(function, items))

    def __enter__(self) -> AbstractRunner:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
