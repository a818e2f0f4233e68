"""The Kiefer-Wolfowitz certificate: how far a weighted design can be from the best one.

Kiefer & Wolfowitz, Canad. J. Math. 12 (1960) 363; Pukelsheim, Optimal Design of Experiments (2006), chapter 7. For a
convex criterion of the information M = sum w_i F_i the directional derivative towards candidate i bounds what any other
weights over the same candidates can gain.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .._checks import InputError, StudioError, choice_remedy
from .criteria import CRITERIA


@dataclasses.dataclass(frozen=True)
class Certificate:
    """The gap of a weighted design to the optimum over its candidates.

    - `criterion`: its name; `value`: its value (smaller is better).
    - `sensitivity`: (candidates,) directional derivatives; at an optimum none exceeds their weighted mean. For the
      D-criterion these are the prediction variances.
    - `largest`, `candidate`: the largest of them and its index.
    - `gap`: no weights over these candidates have a criterion below `value - gap`.
    - `efficiency`: for the D-criterion the guaranteed det(M)^(1/p) relative to the optimum; else `1 - gap / value`.
    """

    criterion: str
    value: float
    sensitivity: np.ndarray
    largest: float
    candidate: int
    gap: float
    efficiency: float

    def __str__(self) -> str:
        return (
            f"{self.criterion}: largest sensitivity {self.largest:.6g} at candidate {self.candidate}, gap to the optimum at "
            f"most {self.gap:.3g}, efficiency at least {self.efficiency:.4%}"
        )


def certificate(
    information: ArrayLike,
    weights: ArrayLike,
    criterion: str | Callable[[Any], Any] = "d",
) -> Certificate:
    """The Kiefer-Wolfowitz certificate of weights over candidates.

    **Arguments**

    - `information`: of one unit of each candidate: (candidates, p, p) Fisher matrices, or (candidates, p) regressors.
    - `weights`: (candidates,), at least zero; they are divided by their sum.
    - `criterion`: `"d"` (−log det M), `"a"` (tr M⁻¹), `"e"` (λ_max of M⁻¹), or a convex, decreasing function of M. Where
      the largest eigenvalue is repeated, the gap of the E-criterion is a bound still, but may not be a sharp one.

    **Raises** `InputError` for shapes or weights that do not fit, `StudioError` where M is singular.
    """
    matrices = np.asarray(information, dtype=float)
    if matrices.ndim == 2:
        matrices = matrices[:, :, None] * matrices[:, None, :]
    share = np.asarray(weights, dtype=float)
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or share.shape != matrices.shape[:1]:
        problem = f"information of shape {np.shape(information)} with weights of shape {share.shape}"
        raise InputError(
            problem, key="information", remedy="give (candidates, p, p) or (candidates, p), and one weight each"
        )
    if not np.all(np.isfinite(share)) or np.any(share < 0) or not np.sum(share) > 0:
        raise InputError("weights must be at least zero, not all zero", key="weights")
    if isinstance(criterion, str) and criterion not in CRITERIA:
        raise InputError(
            "no such criterion", key="criterion", value=criterion, remedy=choice_remedy(criterion, CRITERIA)
        )
    function = CRITERIA[criterion] if isinstance(criterion, str) else criterion
    name = criterion.upper() if isinstance(criterion, str) else getattr(criterion, "__name__", "criterion")
    share = share / np.sum(share)
    total = np.einsum("i,ijk->jk", share, matrices)
    if np.linalg.matrix_rank(total, hermitian=True) < total.shape[0]:
        raise StudioError("the information of the weighted design is singular: a parameter is not identified")
    value, slope = jax.value_and_grad(lambda m: jnp.asarray(function(m)))(jnp.asarray(total))
    sensitivity = -np.einsum("jk,ijk->i", np.asarray(slope), matrices)
    candidate = int(np.argmax(sensitivity))
    gap = max(0.0, float(sensitivity[candidate] - share @ sensitivity))
    size = total.shape[0]
    efficiency = float(np.exp(-gap / size)) if criterion == "d" else 1.0 - gap / float(value)
    return Certificate(name, float(value), sensitivity, float(sensitivity[candidate]), candidate, gap, efficiency)
