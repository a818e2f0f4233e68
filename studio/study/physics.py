"""What a study needs of a detector family: the resolution the information promises, sampled events, their reconstruction."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ..inference import Reconstruction, Status

QUANTITIES = ("vertex", "direction", "kinetic_energy")
"""What a resolution is given for by every family, in this order: mm, rad, relative to the kinetic energy."""


CustomResolutions = Callable[[Any, Any], Mapping[str, Any]]
"""An objective of one's own: `(information, event) -> {name: resolution}`, scalars that jax can differentiate."""


class Estimates(eqx.Module):
    """Reconstructed events.

    **Fields**: `vertex (events, 3)` in mm, `direction (events, 3)`, `kinetic_energy (events,)` in MeV;
    `failure`, one word an event: why the fit failed, empty where it did not.
    """

    vertex: Float[np.ndarray, "events 3"]
    direction: Float[np.ndarray, "events 3"]
    kinetic_energy: Float[np.ndarray, " events"]
    failure: tuple[str, ...]

    @property
    def failed(self) -> Bool[np.ndarray, " events"]:
        """Whether the fit of each event failed."""
        return np.array([bool(reason) for reason in self.failure], dtype=bool)


def estimates(found: Reconstruction) -> Estimates:
    """What a reconstruction found, on the host."""
    primary = found.primary
    vertex, direction, energy = jax.device_get((primary.vertex, primary.direction, primary.kinetic_energy))
    failure = (Status(int(status)).name.lower() for status in np.asarray(found.status))
    return Estimates(vertex, direction, energy, tuple("" if name == "converged" else name for name in failure))


class AbstractPhysics(eqx.Module):
    """A simulator with its inference, as studies use them. Picklable: workers get a copy.

    `quantities`: what resolutions are given for: `QUANTITIES`, and behind them what a family has besides. `needs_ranges`:
    whether free leaves must say how far they may go, since the sizes of programs follow from that.
    """

    quantities: ClassVar[tuple[str, ...]] = QUANTITIES
    needs_ranges: ClassVar[bool] = False

    def prepared(self, designs: Sequence[Any], groups: Sequence[Any]) -> AbstractPhysics:
        """This physics for any of these groups of events in detectors between these designs; for families whose programs
        have sizes that follow from the events."""
        return self

    @abc.abstractmethod
    def information(self, detector: Any, event: Any) -> Any:
        """What the record of one event says about its parameters, nuisances and process noise included; differentiable."""

    @abc.abstractmethod
    def resolutions(self, information: Any, event: Any) -> Float[Array, " quantities"]:
        """σ of the quantities of one event by the Cramér–Rao bound of its information."""

    @abc.abstractmethod
    def natural_information(self, information: Any, event: Any) -> Float[Array, "k k"]:
        """The information matrix of the quantities together, in natural units: 10 mm, 0.01 rad, 1 % of the kinetic energy."""

    def resolution(self, detector: Any, event: Any) -> Float[Array, " quantities"]:
        """σ of the quantities of one event in a detector."""
        return self.resolutions(self.information(detector, event), event)

    @abc.abstractmethod
    def resolution_and_shares(
        self, detector: Any, event: Any
    ) -> tuple[Float[Array, " quantities"], Float[Array, " sensors"]]:
        """`resolution`, and the share of the information about the quantities that each sensor brings, of no sensors where a
        family has no such picture; not differentiated."""

    @abc.abstractmethod
    def sample(self, detector: Any, event: Any, key: PRNGKeyArray) -> Any:
        """One event as recorded."""

    @abc.abstractmethod
    def reconstruct(self, detector: Any, particle: str, readouts: Any) -> Estimates:
        """Stacked readouts of events of one particle, reconstructed without the truth."""
