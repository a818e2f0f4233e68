"""What all time projection chambers in liquid argon have in common, however their charge is read out."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..geometry import Box
from ..medium import LiquidArgon
from .drift_volumes import DriftVolumes
from .space_charge import AbstractSpaceCharge


class AbstractTPC(eqx.Module):
    """Drift volumes in liquid argon: their box, voltage and mass follow from the volumes."""

    volumes: eqx.AbstractVar[DriftVolumes]
    medium: eqx.AbstractVar[LiquidArgon]
    space_charge: eqx.AbstractVar[AbstractSpaceCharge]
    name: eqx.AbstractVar[str]

    @property
    def volume(self) -> Box:
        """The smallest box about the origin that holds all drift volumes: where vertices are drawn."""
        axes, half = self.volumes.axes, 0.5 * self.volumes.widths
        reach = 0.5 * self.volumes.lengths[:, None] * jnp.abs(axes[:, 0])
        reach += half[:, :1] * jnp.abs(axes[:, 1]) + half[:, 1:] * jnp.abs(axes[:, 2])
        return Box(2 * jnp.max(jnp.abs(self.volumes.middle) + reach, axis=0))

    @property
    def cathode_voltage(self) -> Float[Array, " volumes"]:
        """Potential difference in V between the first plane and the cathode: drift field times drift length."""
        return self.volumes.fields * self.volumes.lengths

    @property
    def argon_mass(self) -> Float[Array, ""]:
        """Mass of argon in the drift volumes, in tonnes."""
        cubic_mm = jnp.sum(self.volumes.lengths * jnp.prod(self.volumes.widths, axis=-1))
        return cubic_mm * 1e-3 * self.medium.density * 1e-6
