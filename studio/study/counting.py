"""Studies that decide how many sensors there are: one weight for all of them, or one a patch, and then a layout with so many.

A weight w of all places stands for w times as many sensors spread as the places are: it multiplies information and cost, and need
not stay below one. What that leaves out is where exactly the sensors of the layout with so many stand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..detector import Detector
from .uniform import shares, uniform_layout


@dataclasses.dataclass(frozen=True)
class Count:
    """A number of sensors with what the layout of so many cost.

    - `sensors`: how many stand on each patch, by its name.
    - `relaxed`, `rounded`: the objective with weights, and of the layout.
    """

    sensors: dict[str, int]
    relaxed: float
    rounded: float

    @property
    def loss(self) -> float:
        """What rounding cost; negative where the layout is better than the places were."""
        return self.rounded - self.relaxed

    def __str__(self) -> str:
        listed = ", ".join(f"{count:,} on {patch}" for patch, count in self.sensors.items())
        return (
            f"{sum(self.sensors.values()):,} sensors ({listed}), spread evenly: {self.rounded:.6g}, after {self.relaxed:.6g} "
            f"with weights (rounding cost {self.loss:.3g})"
        )

    def report(self) -> Mapping[str, Any]:
        """The section of `result.json`."""
        return {
            "sensors": self.sensors,
            "standing": sum(self.sensors.values()),
            "relaxed": self.relaxed,
            "rounded": self.rounded,
            "loss": self.loss,
        }


def counted(detector: Detector, value: Callable[[Detector], float]) -> tuple[Detector, Count]:
    """The detector with as many sensors as the weights of each patch add up to, spread evenly there, and how good it is.

    In all there are not more than the weights say, so a layout does not cost more than they did.
    """
    weight, patch = np.asarray(detector.sensors.weight, dtype=float), np.asarray(detector.sensors.patch)
    bearing = np.unique(patch)
    sums = np.array([weight[patch == index].sum() for index in bearing])
    total = max(1, int(np.floor(sums.sum() * (1 + 1e-9))))
    counts = {int(i): int(n) for i, n in zip(bearing, shares(sums, total), strict=True) if n}
    layout = uniform_layout(detector, counts)
    names = {detector.volume.patches[index]: count for index, count in counts.items()}
    return layout, Count(names, value(detector), value(layout))
