"""How good an information matrix is, in one number: the A-, D- and E-criterion.

Kiefer, J. R. Stat. Soc. B 21 (1959) 272; Pukelsheim, Optimal Design of Experiments (2006), chapter 6. All are convex, decrease
with the information, and are smaller for the better design. A and E depend on the units of the parameters: give
the matrix in units in which one step of each parameter matters as much as one of any other. D does not.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import InputError, choice_remedy
from .._linear import inverse_positive, largest_eigenvalue, log_determinant_positive


def a_criterion(information: Float[Array, "p p"]) -> Float[Array, ""]:
    """tr M⁻¹: the sum of the variances."""
    return jnp.trace(inverse_positive(information))


def d_criterion(information: Float[Array, "p p"]) -> Float[Array, ""]:
    """−log det M: twice the logarithm of the volume of the error ellipsoid, up to a constant."""
    return -log_determinant_positive(information)


def e_criterion(information: Float[Array, "p p"]) -> Float[Array, ""]:
    """The largest eigenvalue of M⁻¹: the variance along the longest axis of the error ellipsoid.

    Where several axes are the longest the derivative does not exist; see `studio._linear.largest_eigenvalue` for what is
    given instead, a subgradient that treats them alike.
    """
    return largest_eigenvalue(inverse_positive(information))


CRITERIA: dict[str, Callable[[Array], Array]] = {"a": a_criterion, "d": d_criterion, "e": e_criterion}
"""The criteria by their letter."""


def criterion_width(information: Float[Array, "p p"], criterion: str) -> Float[Array, ""]:
    """A criterion as a standard deviation, so that a population of them is reduced as any other resolution is.

    `"a"`: √(tr M⁻¹ / p), the root mean square of the axes of the error ellipsoid; `"d"`: det M^(−1/2p), their geometric
    mean; `"e"`: √λ_max(M⁻¹), the longest of them. Equal where the ellipsoid is a sphere, elsewhere d < a < e. For an event's
    information; to be taken per event and not of a sum over events. **Raises** `InputError` for another letter.
    """
    if criterion not in CRITERIA:
        raise InputError(
            "no such criterion", key="criterion", value=criterion, remedy=choice_remedy(criterion, CRITERIA)
        )
    value, size = CRITERIA[criterion](information), information.shape[0]
    if criterion == "d":
        return jnp.exp(value / (2 * size))
    return jnp.sqrt(value / size if criterion == "a" else value)
