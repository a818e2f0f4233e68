"""The judge: fresh events, sampled and reconstructed for the baseline and for the optimum.

Both designs see the same primaries with the same random keys, so that a particle's own fluctuations are shared and the paired
comparison is as sharp as it can be. Events come from a stream of the study's seed that the optimisation never sees.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import jax
import numpy as np

from .._checks import StudioError
from ..event import Primary
from ..execution import AbstractRunner
from .metrics import UNITS, Errors, failure_fraction, gains, predicted_gains, resolutions
from .objective_shards import split_events
from .physics import AbstractPhysics
from .power import power_table

DESIGNS = ("baseline", "optimum")
_STREAM = 0x5EED  # folded into the study's key for validation; optimisation folds in 0


@dataclasses.dataclass(frozen=True)
class Piece:
    """Events of one particle for one design, with the indices that their random keys derive from."""

    design: str
    number: int
    detector: Any
    events: Primary
    indices: np.ndarray
    kept: int


class ValidationShard:
    """Simulates and reconstructs one piece: `piece -> one line of the validation ledger`."""

    def __init__(self, physics: AbstractPhysics, seed: int, reconstruct: bool):
        self.physics, self.seed, self.reconstruct = physics, seed, reconstruct
        self.sample = jax.jit(self._sampled)
        self._information = jax.jit(self._informed)

    def __call__(self, piece: Piece) -> dict[str, Any]:
        sigma = np.asarray(self._information(piece.detector, piece.events)[0], np.float64)
        readouts = self.sample(piece.detector, piece.events, piece.indices) if self.reconstruct else None
        # An event that hardly any sensor sees determines nothing: null, as JSON has no other word for it.
        known = [[value if np.isfinite(value) else None for value in row] for row in sigma[: piece.kept].tolist()]
        line: dict[str, Any] = {"design": piece.design, "piece": piece.number, "crlb": known}
        if readouts is not None:
            estimates = self.physics.reconstruct(piece.detector, piece.events.particle, readouts)
            errors = event_errors(piece.events, estimates)
            line |= {name: getattr(errors, name)[: piece.kept].tolist() for name in ("vertex", "direction", "energy")}
            line["failed"] = errors.failed[: piece.kept].tolist()
            line["failures"] = dict(collections.Counter(filter(None, estimates.failure[: piece.kept])))
        return line

    def shares(self, piece: Piece) -> np.ndarray:
        """The share of the information that each sensor brings `(sensors,)`: the mean over the events of a piece, to which one that
        determines nothing adds nothing."""
        found = np.asarray(self._information(piece.detector, piece.events)[1], np.float64)[: piece.kept]
        return np.where(np.all(np.isfinite(found), axis=-1, keepdims=True), found, 0.0).mean(axis=0)

    def _sampled(self, detector: Any, events: Primary, indices: Any) -> Any:
        root = jax.random.fold_in(jax.random.key(self.seed), _STREAM + 1)
        keys = jax.vmap(lambda index: jax.random.fold_in(root, index))(indices)
        return jax.lax.map(lambda row: self.physics.sample(detector, *row), (events, keys))

    def _informed(self, detector: Any, events: Primary) -> Any:
        """σ `(events, quantities)`, and the shares of the sensors `(events, sensors)`; one program, since compiling takes longest."""
        return jax.lax.map(lambda event: self.physics.resolution_and_shares(detector, event), events)

    def __getstate__(self) -> dict[str, Any]:
        return {"physics": self.physics, "seed": self.seed, "reconstruct": self.reconstruct}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)


def event_errors(truth: Primary, estimates: Any) -> Errors:
    """Reconstructed minus true: distance in mm, angle in rad, relative energy."""
    vertex = np.linalg.norm(np.asarray(estimates.vertex) - np.asarray(truth.vertex), axis=-1)
    estimated, true = np.asarray(estimates.direction), np.asarray(truth.direction)
    # arctan2 keeps its precision at small angles, where arccos of a product near one has none.
    angle = np.arctan2(np.linalg.norm(np.cross(estimated, true), axis=-1), np.sum(estimated * true, axis=-1))
    energy = np.asarray(estimates.kinetic_energy) / np.asarray(truth.kinetic_energy) - 1
    values = [np.asarray(value, np.float64) for value in (vertex, angle, energy)]
    broken = ~np.all([np.isfinite(value) for value in values], axis=0)
    # An estimate that is no number counts as failed, and as far off as could be.
    vertex, angle, energy = (np.where(broken, worst, v) for v, worst in zip(values, (1e5, np.pi, 10.0), strict=True))
    return Errors(vertex, angle, energy, np.asarray(estimates.failed, bool) | broken)


def validation_key(seed: int) -> Any:
    """The random key that validation events are drawn with."""
    return jax.random.fold_in(jax.random.key(seed), _STREAM)


Line = Mapping[str, Any]


class Validation:
    """Simulates and reconstructs events for several designs, in pieces of `shard` events, on a runner.

    `begin` may be called early, while something else goes on: it computes the first piece, and so compiles what all pieces
    need, beside it.
    """

    def __init__(self, work: ValidationShard, runner: AbstractRunner, groups: Sequence[Primary], shard: int):
        self.work, self.runner, self.groups, self.shard = work, runner, tuple(groups), shard
        self._first: Future[Line] | None = None

    def begin(self, name: str, detector: Any) -> None:
        """Starts on the first piece of the first design."""
        self._first = self.runner.submit(self.work, next(_pieces({name: detector}, self.groups, self.shard)))

    def count(self, designs: int) -> int:
        """Number of pieces for so many designs."""
        return designs * sum(-(-group.count // self.shard) for group in self.groups)

    def run(
        self,
        designs: Mapping[str, Any],
        *,
        done: Sequence[Line] = (),
        record: Callable[[Line], None] = lambda line: None,
    ) -> list[Line]:
        """All lines in order. `done`: lines that an interrupted run left, not computed again; `record` gets every new one."""
        pieces = list(_pieces(designs, self.groups, self.shard))
        lines: list[Line] = list(done[: len(pieces)])
        rest = pieces[len(lines) :]
        if rest:
            # One piece alone, so that programs are compiled once and not once a lane.
            first = self._first if not lines and self._first is not None else self.runner.submit(self.work, rest[0])
            for line in itertools.chain([first.result()], self.runner.stream(self.work, rest[1:])):
                record(line)
                lines.append(line)
        return lines


def _pieces(designs: Mapping[str, Any], groups: Sequence[Primary], shard: int) -> Iterator[Piece]:
    number = 0
    for name, detector in designs.items():
        first = 0
        for group in groups:
            for start, (events, weights) in enumerate(split_events(group, shard)):
                indices = first + start * shard + np.arange(shard)
                yield Piece(name, number, detector, events, indices, int(np.count_nonzero(weights)))
                number += 1
            first += group.count


def event_count(line: Line) -> int:
    """Number of events in a line of the ledger."""
    return len(line["crlb"])


def errors_of(lines: Sequence[Line], design: str, kept: Any = slice(None)) -> Errors:
    """The errors of the `kept` events of one design from the lines of the ledger."""
    columns = {
        name: np.concatenate([np.asarray(line[name]) for line in lines if line["design"] == design])[kept]
        for name in ("vertex", "direction", "energy", "failed")
    }
    return Errors(**columns)


def crlb_of(lines: Sequence[Line], design: str) -> np.ndarray:
    """σ `(events, quantities)` by the Cramér–Rao bound of all events of one design from the lines of the ledger; NaN where an
    event determines nothing."""
    return np.concatenate([np.asarray(line["crlb"], float) for line in lines if line["design"] == design])


def report(lines: Sequence[Line], designs: Sequence[str], *, seed: int, kept: Any = slice(None)) -> dict[str, Any]:
    """The validation section of the result file: metrics with intervals, gains against the first design, predictions.

    `kept (events,)`: a mask of the events that count, by default all. Bounds are over the events that determine all quantities in
    every design; `undetermined` says how many do not, by design.
    """
    everything = {design: crlb_of(lines, design)[kept] for design in designs}
    determined = {design: np.all(np.isfinite(rows), axis=-1) for design, rows in everything.items()}
    both = np.all(list(determined.values()), axis=0)
    if not np.any(both):
        raise StudioError(
            "no validation event determines vertex, direction and energy in every design: there is too little light"
        )
    sigma = {design: rows[both] for design, rows in everything.items()}
    first, *others = designs
    names = ("vertex", "direction", "energy", "dedx")[: sigma[first].shape[1]]
    result: dict[str, Any] = {
        "events": len(everything[first]),
        "undetermined": {design: int(np.count_nonzero(~found)) for design, found in determined.items()},
        "units": {name: UNITS[name] for name in names},
        "crlb": {
            d: {n: float(np.exp(np.mean(np.log(s[:, i])))) for i, n in enumerate(names)} for d, s in sigma.items()
        },
        "predicted_gain": {
            d: {n: g.as_dict() for n, g in predicted_gains(sigma[first], sigma[d], names).items()} for d in others
        },
    }
    if not all("vertex" in line for line in lines):
        return result
    errors = {design: errors_of(lines, design, kept) for design in designs}
    result["measured"] = {
        d: {n: m.as_dict() for n, m in resolutions(e, seed=seed).items()}
        | {"failed": failure_fraction(e.failed).as_dict()}
        for d, e in errors.items()
    }
    result["failures"] = {d: _failures(lines, d) for d in designs}
    result["measured_gain"] = {
        d: {n: g.as_dict() for n, g in gains(errors[first], errors[d], seed=seed).items()} for d in others
    }
    result["power"] = power_table(len(everything[first]))
    return result


def _failures(lines: Sequence[Line], design: str) -> dict[str, int]:
    """How many events failed for which reason."""
    counts: collections.Counter[str] = collections.Counter()
    for line in lines:
        if line["design"] == design:
            counts.update(line["failures"])
    return dict(sorted(counts.items()))
