"""Which sensors carry the information: the mean share of each over a few of a study's events, for baseline and optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..detector import Detector
from ..event import Primary
from ..execution import AbstractRunner
from .objective_shards import split_events
from .validation import Piece, ValidationShard

Shares = dict[str, np.ndarray]


def sensor_shares(
    work: ValidationShard,
    runner: AbstractRunner,
    groups: Sequence[Primary],
    shard: int,
    designs: Mapping[str, Detector],
) -> Shares:
    """The share of the information about vertex, direction and energy that each sensor brings `(sensors,)`, by design.

    Mean over the first `shard` events of every group (a particle each); pieces of the size that the validation has, so that
    its programs serve. What a share is: `studio.inference.information_by_channel`.
    """
    pieces = []
    for name, detector in designs.items():
        for group in groups:
            events, weights = next(iter(split_events(group, shard)))
            pieces.append(Piece(name, len(pieces), detector, events, np.arange(shard), int(np.count_nonzero(weights))))
    found = runner.map(work.shares, pieces)
    shares: Shares = {}
    for name in designs:
        rows = [(piece.kept, row) for piece, row in zip(pieces, found, strict=True) if piece.design == name]
        shares[name] = np.average([row for _, row in rows], axis=0, weights=[kept for kept, _ in rows])
    return shares
