"""How much of a step's gradient is noise, from the gradients of successive steps alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np

#: The weight of a gradient falls by this factor with every step after it: a memory of about ten steps.
_MEMORY = 0.9

#: Gradients seen before anything is said.
_FIRST = 5


class GradientNoise(eqx.Module):
    """Exponential averages of the gradient g and of |g|², which part its signal from its noise without further evaluations.

    Where g is a mean over B batches, E g = s and E |g|² = s² + n² / B, with the noise n² of one batch (the trace of its
    covariance). For the mean m of gradients with weights w that add up to one, E |m|² = s² + ρ n² with ρ = Σ w² / B; for the
    mean q of |g|², E q = s² + κ n² with κ = Σ w / B. So

        n² = (q - |m|²) / (κ - ρ),    s² = (κ |m|² - ρ q) / (κ - ρ),

    both without bias from the second gradient on; κ = 1 where each is of one batch. The weights are those of Adam's moments, with
    the same correction of the first steps. n² / s² is the noise scale of McCandlish et al. (2018, arXiv:1812.06162, appendix A.1),
    which is found there from batches of two sizes at each step.

    It is assumed that signal and noise drift little over the memory: what drifts, or swings to and fro, counts as noise. And that
    batches are drawn independently. Batches that share out a number of events cancel each other's noise on the way through
    them: with K of them a round, s² comes out too small by up to n² / (K - 1), though by no more than ρ n², with ρ = 1/19 in the
    long run. So a ratio below a quarter may be said to be none.
    """

    count: Any
    mean: dict[str, Any]
    square: Any
    single: Any
    together: Any

    @classmethod
    def unknown(cls, coordinates: Mapping[str, Any]) -> GradientNoise:
        """Before the first gradient."""
        mean = {name: np.zeros(np.shape(array)) for name, array in coordinates.items()}
        return cls(np.asarray(0), mean, np.asarray(0.0), np.asarray(0.0), np.asarray(0.0))

    def after(self, gradient: Mapping[str, Any], batches: int) -> GradientNoise:
        """With one more gradient, the mean over so many batches."""
        rows = {name: np.asarray(gradient[name], float) for name in self.mean}
        square, taken = sum(float(np.sum(row**2)) for row in rows.values()), 1 - _MEMORY
        return GradientNoise(
            count=self.count + 1,
            mean={name: _MEMORY * mean + taken * rows[name] for name, mean in self.mean.items()},
            square=_MEMORY * self.square + taken * square,
            single=_MEMORY * self.single + taken / batches,
            together=_MEMORY**2 * self.together + taken**2 / batches,
        )

    def powers(self) -> tuple[float, float]:
        """The squares of the signal and of the noise of one batch, without bias: the first may be negative.

        Not a number before the second gradient.
        """
        if int(self.count) < 2:
            return math.nan, math.nan
        whole = 1 - _MEMORY ** int(self.count)
        mean = sum(float(np.sum(np.asarray(row) ** 2)) for row in self.mean.values()) / whole**2
        square, single, together = self.square / whole, self.single / whole, self.together / whole**2
        apart = single - together
        return float((single * mean - together * square) / apart), float((square - mean) / apart)

    def signal_to_noise(self, batches: int) -> float | None:
        """s / (n / √B) of a gradient over so many batches; zero where there is no signal, None while too little is known."""
        if int(self.count) < _FIRST:
            return None
        signal, noise = (max(0.0, power) for power in self.powers())
        return math.sqrt(batches * signal / noise) if noise > 0 else math.inf
