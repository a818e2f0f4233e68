"""Everything the next steps of an optimisation depend on, as arrays: store it, load it, and the run goes on bit by bit."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from .problem import Iterate


class Best(eqx.Module):
    """The best feasible design so far: its leaves, objective and terms, and where it was found."""

    found: Any
    leaves: dict[str, Any]
    value: Any
    terms: dict[str, Any]
    start: Any
    step: Any


class Start(eqx.Module):
    """Where one start stands: its iterate, the steps it made, why it ended (an index of `STATUS`), and the objective of its
    best feasible design (NaN: none). `mark`: that objective when it last fell by more than the tolerance of `Patience` (infinite: not yet),
    `marked`: the step when it did."""

    iterate: Iterate
    step: Any
    status: Any
    value: Any
    mark: Any
    marked: Any


class State(eqx.Module):
    """All starts, the best design of all of them, and the steps and evaluations they took together.

    `first_value`, `first_terms`: of the tree as it was given.
    """

    seed: Any
    step: Any
    evaluations: Any
    starts: tuple[Start, ...]
    best: Best
    first_value: Any
    first_terms: dict[str, Any]
