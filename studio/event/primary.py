"""Primaries: the particles an event starts from."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._arrays import as_floating
from .._checks import InputError, choice_remedy

PARTICLES = ("mu-", "mu+", "e-", "e+", "point")
"""Particles whose light is known: what guns draw, studies use and event files hold."""

CHARGE_ONLY = ("pi-", "pi+", "proton", "gamma")
"""Further particles, of which only the deposits in liquid argon are known (`event.tracks`, `event.cascades`)."""


class Primary(eqx.Module):
    """A particle, or a stack of them with a leading axis.

    **Fields**: `particle`, static: one of `PARTICLES` or `CHARGE_ONLY`, "point" being an isotropic source; `vertex (..., 3)` in mm;
    `direction (..., 3)`, normalised on entry; `kinetic_energy (...)` in MeV, for a point source in units of 1,000
    photons emitted between 300 and 700 nm with a flat spectrum; `time (...)` in ns.

    **Raises** `InputError` for an unknown particle, shapes that do not fit or numbers that are not finite.
    """

    particle: str = eqx.field(static=True)
    vertex: Float[Array, "*batch 3"]
    direction: Float[Array, "*batch 3"]
    kinetic_energy: Float[Array, "*batch"]
    time: Float[Array, "*batch"]

    def __init__(
        self,
        particle: str,
        vertex=(0.0, 0.0, 0.0),
        direction=(0.0, 0.0, 1.0),
        kinetic_energy: float | Array = 500.0,
        time: float | Array = 0.0,
    ):
        known = PARTICLES + CHARGE_ONLY
        if particle not in known:
            raise InputError("unknown particle", key="particle", value=particle, remedy=choice_remedy(particle, known))
        self.particle = particle
        self.vertex = as_floating(vertex)
        raw = as_floating(direction)
        self.direction = raw / jnp.sqrt(jnp.sum(raw**2, axis=-1, keepdims=True))
        self.kinetic_energy = as_floating(kinetic_energy)
        self.time = jnp.broadcast_to(as_floating(time), self.kinetic_energy.shape)

    def __check_init__(self):
        batch = jnp.shape(self.kinetic_energy)
        for name in ("vertex", "direction"):
            shape = jnp.shape(getattr(self, name))
            if shape != (*batch, 3):
                raise InputError(
                    f"shape {shape} does not fit kinetic_energy of shape {batch}",
                    key=name,
                    remedy=f"give shape {(*batch, 3)}",
                )
        for name in ("vertex", "direction", "kinetic_energy", "time"):
            value = getattr(self, name)
            if not isinstance(value, Tracer) and not np.all(np.isfinite(np.asarray(value))):
                raise InputError(
                    "not finite", key=name, remedy="vertex in mm, a direction that is not zero, energy in MeV"
                )

    @property
    def count(self) -> int:
        """Number of stacked primaries; 1 for a single one."""
        return int(np.prod(jnp.shape(self.kinetic_energy), dtype=int))

    def __getitem__(self, index) -> Primary:
        """The primaries at `index` of the leading axis."""
        return jax.tree.map(lambda leaf: leaf[index], self)


def stack(primaries: list[Primary]) -> Primary:
    """Single primaries of the same particle as one stack. **Raises** `InputError` for an empty list or a mixture."""
    if not primaries or any(p.particle != primaries[0].particle for p in primaries):
        raise InputError("primaries of one particle are needed", key="events", remedy="group events by particle")
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *primaries)


def require_light(primary: Primary) -> None:
    """**Raises** `InputError` for a particle whose light is not known."""
    if primary.particle not in PARTICLES:
        remedy = f"Its deposits in liquid argon are. Particles that make light: {', '.join(PARTICLES)}"
        raise InputError("its light is not simulated", key="particle", value=primary.particle, remedy=remedy)
