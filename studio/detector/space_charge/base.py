"""The interface of a space-charge map."""

from __future__ import annotations

import abc

import equinox as eqx
from jaxtyping import Array, Float


class AbstractSpaceCharge(eqx.Module):
    """Displacement and distortion of the field against a uniform drift field, twice differentiable in position."""

    @abc.abstractmethod
    def displacement(self, position: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """Shift in mm from where a charge was freed (mm) to where it appears to have been if the drift field were uniform.

        Across the drift it moves the charge on the anode; along the drift it is the change of drift time times velocity.
        """

    @abc.abstractmethod
    def distortion(self, position: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """What is added to the uniform field at positions in mm, a vector in V/mm."""
