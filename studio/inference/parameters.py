"""An event's parameters as numbers of order one: vertex, direction (two tangent coordinates), kinetic energy, time."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..event import Primary
from ..simulation.optical.directions import turned
from ..units import mm, ns, rad

GROUPS: dict[str, tuple[str, ...]] = {
    "vertex": ("vertex.x", "vertex.y", "vertex.z"),
    "direction": ("direction.1", "direction.2"),
    "kinetic_energy": ("kinetic_energy",),
    "time": ("time",),
}
"""The parameters of an event by group; a direction has two coordinates (rad) along its own tangent basis."""


def groups_of(event: Primary) -> tuple[str, ...]:
    """The groups that mean something for this particle: a point source has no direction."""
    return tuple(group for group in GROUPS if event.particle != "point" or group != "direction")


def names_of(groups: tuple[str, ...]) -> tuple[str, ...]:
    """The parameter names of the groups in order."""
    return tuple(name for group in groups for name in GROUPS[group])


def scales(event: Primary, groups: tuple[str, ...]) -> Float[Array, " parameters"]:
    """Natural steps of the parameters: 10 mm, 0.01 rad, 1 % of the energy, 0.1 ns."""
    energy = event.kinetic_energy
    steps = {
        "vertex": [10.0 * mm] * 3,
        "direction": [0.01 * rad] * 2,
        "kinetic_energy": [0.01 * energy],
        "time": [0.1 * ns],
    }
    return jnp.stack([jnp.asarray(step, energy.dtype) for group in groups for step in steps[group]])


def moved(event: Primary, groups: tuple[str, ...], change: Float[Array, " parameters"]) -> Primary:
    """`event` with its parameters changed by `change` in physical units (mm, rad, MeV, ns)."""
    fields: dict[str, Any] = {
        "vertex": event.vertex,
        "direction": event.direction,
        "kinetic_energy": event.kinetic_energy,
        "time": event.time,
    }
    start = 0
    for group in groups:
        step = change[start : start + len(GROUPS[group])]
        start += len(GROUPS[group])
        if group == "direction":
            fields[group] = turned(event.direction, step)
        elif group == "vertex":
            fields[group] = event.vertex + step
        else:
            fields[group] = fields[group] + step[0]
    return Primary(event.particle, **fields)
