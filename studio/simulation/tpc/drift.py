"""From deposits to electrons at the anode: recombination, drift, capture and diffusion, in many volumes at once."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..._checks import InputError, whole_number
from ...detector.drift_volumes import DriftVolumes
from ...detector.space_charge import AbstractSpaceCharge, UniformField
from ...event.deposits import Deposits
from ...medium import LiquidArgon
from .drift_velocity import drift_velocity
from .recombination import ionise


class AnodeCharge(eqx.Module):
    """Charge where it arrives. A deposit has one row, or more where it crosses from one drift volume into another.

    **Fields**

    - `electrons (rows,)`: mean number that reaches the anode; 0 for padding and for rows outside every volume.
    - `photons (rows,)`: mean number of scintillation photons made inside the volume.
    - `position (rows, 3)` in mm: the point of the anode plane at which the middle of the segment arrives.
    - `extent (rows, 3)` in mm: the segment as a vector, the part inside the volume only; across the drift it spreads the
      charge on the plane, along the drift in time.
    - `time (rows,)`: when the middle arrives, in ns; `drift_time (rows,)` in ns.
    - `longitudinal_variance`, `transverse_variance (rows,)`: 2 D t, in mm². Variances and not widths, because they add, and
      are smooth where the drift time is zero.
    - `velocity (rows,)`: drift velocity in mm/ns of the row's volume.
    - `volume (rows,)`, `deposit (rows,)`: indices of the drift volume and of the deposit.
    - `share (rows,)`: the part of the deposit that lies in the volume.
    - `outside`: energy in MeV of the deposits' parts outside every volume, whose charge is lost.
    - `outside_count`: number of deposits of which nothing lies in any volume.
    """

    electrons: Float[Array, " rows"]
    photons: Float[Array, " rows"]
    position: Float[Array, "rows 3"]
    extent: Float[Array, "rows 3"]
    time: Float[Array, " rows"]
    drift_time: Float[Array, " rows"]
    longitudinal_variance: Float[Array, " rows"]
    transverse_variance: Float[Array, " rows"]
    velocity: Float[Array, " rows"]
    volume: Int[Array, " rows"]
    deposit: Int[Array, " rows"]
    share: Float[Array, " rows"]
    outside: Float[Array, ""]
    outside_count: Int[Array, ""]

    @property
    def longitudinal_spread(self) -> Float[Array, " rows"]:
        """Standard deviation along the drift in mm."""
        return _root(self.longitudinal_variance)

    @property
    def transverse_spread(self) -> Float[Array, " rows"]:
        """Standard deviation across the drift, per axis, in mm."""
        return _root(self.transverse_variance)

    @property
    def time_spread(self) -> Float[Array, " rows"]:
        """Standard deviation of the arrival time in ns: the longitudinal one over the drift velocity."""
        return self.longitudinal_spread / self.velocity


def drift(
    deposits: Deposits,
    volumes: DriftVolumes,
    medium: LiquidArgon,
    space_charge: AbstractSpaceCharge | None = None,
    *,
    parts: int = 2,
) -> AnodeCharge:
    """Mean charge that the deposits of one event bring to the anodes.

    **Arguments**

    - `deposits`: of one event, no leading axes (use `jax.vmap` for stacks of one size).
    - `volumes`: where the charge drifts, and how strong the field is.
    - `medium`: lifetime, diffusion, recombination, temperature.
    - `space_charge`: displacement and field map; none by default.
    - `parts`: of how many drift volumes a segment may have a part; the largest parts are kept.

    Recombination takes the local field, distortion included, and the angle of the segment to it. The drift velocity is that
    of the uniform field: what space charge changes in the drift time is in its displacement along the drift. Electrons are
    lost as exp(−t/τ). Variances are 2 D t with constant D. Everything is differentiable, sizes of volumes included.
    """
    if deposits.energy.ndim != 1:
        problem = f"energies of shape {deposits.energy.shape}"
        raise InputError(problem, key="deposits", remedy="give one event; use jax.vmap for stacks")
    space_charge = UniformField() if space_charge is None else space_charge
    return _drift(deposits, volumes, medium, space_charge, min(whole_number("parts", parts), volumes.count))


@eqx.filter_jit
def _drift(
    deposits: Deposits, volumes: DriftVolumes, medium: LiquidArgon, space_charge: AbstractSpaceCharge, parts: int
) -> AnodeCharge:
    along = deposits.length[:, None] * deposits.direction
    low, high = volumes.inside(deposits.position - 0.5 * along, deposits.position + 0.5 * along)
    share, volume = jax.lax.top_k(high - low, parts)
    # What lies in a wall that two volumes share belongs to both, half each.
    share = share / jnp.maximum(jnp.sum(share, axis=-1, keepdims=True), 1.0)
    deposit = jnp.broadcast_to(jnp.arange(deposits.count)[:, None], volume.shape).ravel()
    share, volume = share.ravel(), volume.ravel()
    middle = 0.5 * (low + high)[deposit, volume]
    occupied = share > 0
    position = deposits.position[deposit] + jnp.where(occupied, middle - 0.5, 0.0)[:, None] * along[deposit]

    direction, nominal = volumes.direction[volume], volumes.fields[volume]
    local = space_charge.distortion(position) - nominal[:, None] * direction  # electrons drift against the field
    strength = jnp.sqrt(jnp.sum(local**2, axis=-1))
    cosine = jnp.sum(local * deposits.direction[deposit], axis=-1) / strength
    fraction = share * deposits.weight[deposit]
    made = ionise(deposits.energy[deposit], deposits.length[deposit], cosine, strength, medium)

    seen = position + space_charge.displacement(position)
    distance = jnp.sum((volumes.anode[volume] - seen) * direction, axis=-1)
    at_anode = seen + distance[:, None] * direction
    velocity = drift_velocity(nominal, medium.temperature)
    drift_time = jnp.where(occupied, jnp.maximum(distance, 0.0), 0.0) / velocity
    lost = deposits.weight * (1 - jnp.sum(share.reshape(deposits.count, -1), axis=-1))
    return AnodeCharge(
        electrons=made.electrons * fraction * jnp.exp(-drift_time / medium.electron_lifetime),
        photons=made.photons * fraction,
        position=at_anode,
        extent=share[:, None] * along[deposit],
        time=deposits.time[deposit] + drift_time,
        drift_time=drift_time,
        longitudinal_variance=2 * medium.longitudinal_diffusion * drift_time,
        transverse_variance=2 * medium.transverse_diffusion * drift_time,
        velocity=velocity,
        volume=volume,
        deposit=deposit,
        share=share,
        outside=jnp.sum(lost * deposits.energy),
        outside_count=jnp.sum((deposits.weight > 0) & (jnp.max(high - low, axis=-1) <= 0)),
    )


def _root(variance: Float[Array, " rows"]) -> Float[Array, " rows"]:
    """√, with derivative 0 at 0."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)
