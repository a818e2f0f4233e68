"""Which deposits a chamber holds, and where to put those of a file that has coordinates of its own."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._checks import InputError
from ..event.deposits import Deposits
from .drift_volumes import DriftVolumes


class Contained(eqx.Module):
    """What drift volumes hold of deposits.

    **Fields**: `share (n,)`: the part of the length of each deposit that lies in a volume; `energy`, `energy_outside` in MeV;
    `count`: deposits of which something lies in a volume; `count_outside`: those of which nothing does.
    """

    share: Float[Array, " n"]
    energy: Float[Array, ""]
    energy_outside: Float[Array, ""]
    count: Int[Array, ""]
    count_outside: Int[Array, ""]


def contained(volumes: DriftVolumes, deposits: Deposits) -> Contained:
    """How much of the deposits of one event lies in drift volumes; padding is left out.

    Nothing is warned of where they lie outside: a simulation loses their charge, as a detector does.
    """
    found = _contained(volumes, deposits.padded())
    return eqx.tree_at(lambda tree: tree.share, found, found.share[: deposits.count])


@jax.jit
def _contained(volumes: DriftVolumes, deposits: Deposits) -> Contained:
    along = 0.5 * deposits.length[:, None] * deposits.direction
    low, high = volumes.inside(deposits.position - along, deposits.position + along)
    # A wall that two volumes share belongs to both.
    share = jnp.minimum(jnp.sum(high - low, axis=-1), 1.0)
    energy, there = deposits.energy * deposits.weight, deposits.weight > 0
    return Contained(
        share,
        jnp.sum(energy * share),
        jnp.sum(energy * (1 - share)),
        jnp.sum(there & (share > 0)),
        jnp.sum(there & (share <= 0)),
    )


def centred(volumes: DriftVolumes, deposits: Deposits, volume: int = 0) -> Deposits:
    """Deposits moved such that the middle of the box around them is that of one drift volume.

    **Raises** `InputError` where there is no such volume. Use `deposits.moved(by)` for any other place.
    """
    if not 0 <= volume < volumes.count:
        raise InputError(
            "no such drift volume", key="volume", value=volume, remedy=f"there are {volumes.count}, from 0"
        )
    there = np.asarray(deposits.position)[np.asarray(deposits.weight) > 0]
    middle = 0.5 * (there.min(axis=0) + there.max(axis=0)) if len(there) else np.zeros(3)
    return deposits.moved(volumes.middle[volume] - middle)
