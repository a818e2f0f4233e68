"""How many batches of events a step averages: more of them once their noise drowns the gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ..evaluation import Evaluation
from .noise import GradientNoise

#: Below this signal-to-noise ratio of a step's gradient, for so many steps in a row, the number of batches doubles. The mean of the
#: gradients in a memory of ten steps has √19 times the ratio of one: about 1.
_THRESHOLD, _WAIT = 0.25, 10


class Batches(eqx.Module):
    """The batches of the steps of one start.

    Noise averages out over successive steps, and for as long as it does the smallest batches lead furthest. Where even the mean
    of the last ten gradients is more noise than signal, the design moves about and not on: then the noise has to become less,
    by larger batches as here or by shorter steps (Smith et al. 2018, arXiv:1711.00489). The test is the norm test of Byrd, Chin,
    Nocedal & Wu (2012, Math. Program. 134, 127), for that mean in place of one gradient and with the estimate of
    `GradientNoise`. Near an optimum the signal fades, so the number of batches never shrinks.

    **Fields**: `noise`: what is known of it, None where every step sees the same events; `count`: batches behind the gradient that
    comes next, 0 at the start, which saw the reference events; `ahead`: how many batches more than steps were used, so that
    each is used once; `below`: steps in a row below the threshold.
    """

    noise: GradientNoise | None
    count: Any
    ahead: Any
    below: Any

    @classmethod
    def of(cls, coordinates: Mapping[str, Any], deterministic: bool) -> Batches:
        """Before the first step."""
        noise = None if deterministic else GradientNoise.unknown(coordinates)
        return cls(noise, np.asarray(0), np.asarray(0), np.asarray(0))

    def after(self, gradient: Mapping[str, Any], most: int) -> tuple[Batches, float | None]:
        """Those of the step that follows a gradient, at most `most`, and the signal-to-noise ratio of that gradient."""
        count = int(self.count)
        if self.noise is None or count == 0:
            return dataclasses.replace(self, count=np.asarray(1)), None
        noise = self.noise.after(gradient, count)
        ratio = noise.signal_to_noise(count)
        below = int(self.below) + 1 if ratio is not None and ratio < _THRESHOLD else 0
        if below >= _WAIT and count < most:
            count, below = min(2 * count, most), 0
        return Batches(noise, np.asarray(count), self.ahead, np.asarray(below)), ratio

    def numbers(self, step: int) -> range:
        """The numbers of a step's batches, as `evaluate` knows them."""
        first = step + int(self.ahead)
        return range(first, first + int(self.count))

    def used(self, by: Batches) -> Batches:
        """These, after a step used the batches of `by`."""
        return dataclasses.replace(self, ahead=self.ahead + (by.count - 1))


def average(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The mean of evaluations of one design; a single one as it is."""
    if len(evaluations) == 1:
        return evaluations[0]
    return jax.tree.map(lambda *arrays: np.mean(arrays, axis=0, dtype=float).astype(arrays[0].dtype), *evaluations)
