"""TPCs with wires as studies use them: the simulator of wires, Fisher information, the reconstructor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import whole_number
from .._linear import inverse_positive
from ..detector import TPC
from ..event import Primary
from ..inference import Information, fisher_information, reconstruct
from ..inference.sensitivity import NUISANCE_STEP
from ..simulation import TPCSimulator
from ..simulation.tpc import WireReadout
from ..units import mm, ns
from .physics import QUANTITIES, AbstractPhysics, Estimates, estimates

TIME_PRECISION = 10.0 * ns
"""How well light tells when an event was, taken for what prompt scintillation of 6 ns gives: 0.016 mm of drift, a tenth of what
wires tell of a vertex."""

_SCALE = "medium.w_ion"  # what multiplies all charge of an event
_IRRATIONAL = (2**0.5, 3**0.5, 5**0.5)  # parts of a millimetre of a vertex along these are even in [0, 1)


class TPCPhysics(AbstractPhysics):
    """The simulator of wires with its inference.

    The information is that of an event among wires which stand, of every plane, at a place of their own beside its vertex: as
    the pitch changes, wires keep that place. Events are anywhere, so the mean over events is the same as with wires that stay
    where they are; but it is smooth. With wires numbered from the middle of a plane, a step of the pitch of a thousandth moves
    the hundredth wire by a tenth, and the resolution of every event goes up and down with it. The end of a long track still
    moves from wire to wire; what is left of that goes away in the mean over `phases`, places evenly spread over a pitch.

    Its simulator is coarser than the usual one: for protons of 30 to 100 MeV the resolutions of vertex, energy and charge are
    within 1 % of those with 24 segments, 10 bins and 10 wires to either side, the direction within 3 %, in a quarter of the time.

    **Arguments**: `nuisance`: paths of uncertain detector leaves with the relative σ of their priors, None without prior;
    `simulators`: one a particle, with windows; `prepared` makes them; `phases`, static.
    """

    quantities: ClassVar[tuple[str, ...]] = (*QUANTITIES, "dedx")
    needs_ranges: ClassVar[bool] = True

    nuisance: tuple[tuple[str, float | None], ...] = eqx.field(static=True)
    simulator: TPCSimulator
    simulators: Mapping[str, TPCSimulator]
    phases: int = eqx.field(static=True)

    def __init__(
        self,
        nuisance: Mapping[str, float | None] | None = None,
        simulator: TPCSimulator | None = None,
        simulators: Mapping[str, TPCSimulator] | None = None,
        phases: int = 2,
    ):
        self.nuisance = tuple((nuisance or {}).items())
        self.simulator = TPCSimulator(segments=16, bins=6, around=5) if simulator is None else simulator
        self.simulators = dict(simulators or {})
        self.phases = whole_number("phases", phases)

    def prepared(self, designs: Sequence[TPC], groups: Sequence[Primary]) -> TPCPhysics:
        """With windows that hold every one of these events in all of these designs."""
        made = {
            group.particle: self.simulator.fitted(designs, [group[index] for index in range(group.count)])
            for group in groups
        }
        return TPCPhysics(dict(self.nuisance), self.simulator, dict(self.simulators) | made, self.phases)

    def information(self, detector: TPC, event: Primary) -> Information:
        """Fisher information of vertex, direction, energy, and of the scale of the charge: its mean over phases."""
        wanted, nuisance = (*QUANTITIES, _SCALE), dict(self.nuisance) | {_SCALE: None}
        simulator, known = self.simulators[event.particle], {"time": TIME_PRECISION}

        def beside(phase: Array) -> Information:
            there = _beside(detector, event, phase)
            return fisher_information(simulator, there, event, wanted, nuisance, known=known)

        found = jax.lax.map(jax.checkpoint(beside), jnp.arange(self.phases) / self.phases)
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), found)

    def natural_information(self, information: Information, event: Primary) -> Float[Array, "6 6"]:
        """With the scale of charge known as well as the nuisances say: exactly, where it is none of them."""
        matrix = information.natural
        prior = dict(self.nuisance).get(_SCALE, 0.0)
        if prior == 0:
            return matrix[:6, :6]
        own = matrix[6, 6] + (0.0 if prior is None else (NUISANCE_STEP / prior) ** 2)
        return matrix[:6, :6] - matrix[:6, 6:] * matrix[6:, :6] / own

    def resolutions(self, information: Information, event: Primary) -> Float[Array, "4"]:
        """√ of the trace of the vertex block (mm) and of the direction block (rad), σ of the energy over the energy, and the
        relative σ of the scale of charge where that is free."""
        covariance = inverse_positive(self.natural_information(information, event))
        variances = jnp.diag(covariance) * information.scale[:6] ** 2
        of_charge = jnp.sqrt(inverse_positive(information.natural)[6, 6]) * NUISANCE_STEP
        vertex, direction = jnp.sqrt(jnp.sum(variances[:3])), jnp.sqrt(jnp.sum(variances[3:5]))
        return jnp.stack([vertex, direction, jnp.sqrt(variances[5]) / event.kinetic_energy, of_charge])

    def resolution_and_shares(self, detector: TPC, event: Primary) -> tuple[Float[Array, "4"], Float[Array, "0"]]:
        return self.resolution(detector, event), jnp.zeros(0)

    def sample(self, detector: TPC, event: Primary, key: PRNGKeyArray) -> WireReadout:
        return self.simulators[event.particle].sample(detector, event, key)

    def reconstruct(self, detector: TPC, particle: str, readouts: WireReadout) -> Estimates:
        found = reconstruct(self.simulators[particle], detector, readouts, particle=particle)
        return estimates(found)


def _beside(detector: TPC, event: Primary, phase: float | Array = 0.0) -> TPC:
    """The detector, with the wires of every plane moved across by up to half a pitch, so that the vertex of the event stands
    a part of a pitch beside a wire that follows from its coordinates alone, and `phase` pitches more, whatever the pitch."""
    volumes = detector.volumes
    away = event.vertex - volumes.anode + 0.5 * volumes.lengths[:, None] * volumes.direction
    inside = jnp.einsum("vij,vj->vi", volumes.axes, away)
    outside = jnp.max(
        jnp.abs(inside) - 0.5 * jnp.concatenate([volumes.lengths[:, None], volumes.widths], axis=-1), axis=-1
    )
    flat = inside[jnp.argmin(outside), 1:]
    planes = []
    for number, plane in enumerate(detector.planes):
        beside = jnp.mod(event.vertex @ jnp.asarray(_IRRATIONAL) * (number + 1) / mm, 1.0) + phase
        still = eqx.tree_at(lambda one: one.offset, plane, jnp.zeros_like(plane.offset))
        place = still.number(flat @ plane.across) - beside
        offset = (place - jnp.round(jax.lax.stop_gradient(place))) * plane.pitch
        planes.append(eqx.tree_at(lambda one: one.offset, plane, offset))
    return eqx.tree_at(lambda one: one.planes, detector, tuple(planes))
