"""The simulator of pixels in liquid argon: from deposits, or a particle, to what every pad records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray

from ..._checks import InputError, StudioError, whole_number
from ...detector.pixel_tpc import PixelTPC
from ...event import Primary
from ...event.deposits import Deposits
from ...units import mm
from ..base import AbstractSimulator
from .arrivals import arriving_charge, deposits_of, fluctuating_charge, latents_of
from .charge_grid import REACH
from .drift import AnodeCharge
from .pad_charge import PadCharge, PixelWindows, covered, pad_charge, pixel_pulses
from .pixel_readout import PixelReadout
from .self_trigger import triggered
from .windows import roomy

_LONGEST = 0.5  # pitches that one part of a track may be long
_PARTS = 16  # at most


class PixelSimulator(AbstractSimulator):
    """Pixels in liquid argon: recombination, drift, induced charge, chips that trigger by themselves.

    **Arguments**, all static:

    - `segments`: pieces of a particle's track; see `TPCSimulator`.
    - `around`: on how many pads to either side of the nearest one a charge induces charge.
    - `start`: height above the anode in mm from which on charge induces; between half of it and all of it that fades in.
    - `clocks`: of the electronics in a slice of time, for what is expected; samples are made clock by clock.
    - `windows`: how many pads and slices are simulated. Without them those follow the event, which must then be known;
      `fitted` makes a simulator with windows for given events, as inference and tracing need it.

    Charge counts as coming from far away, wherever it was made: a deposit at the height of three pitches really leaves 2 % of
    its charge on the pad below it to its ions, which drift away too slowly to be seen, one at ten pitches 0.2 %.
    """

    together: ClassVar[bool] = True

    segments: int = eqx.field(static=True)
    around: int = eqx.field(static=True)
    start: float = eqx.field(static=True)
    clocks: int = eqx.field(static=True)
    windows: PixelWindows | None = eqx.field(static=True)
    chunk: int = eqx.field(static=True)

    def __init__(
        self,
        segments: int = 100,
        around: int = 2,
        start: float = 30.0 * mm,
        clocks: int = 4,
        windows: PixelWindows | None = None,
    ):
        self.segments = whole_number("segments", segments, least=2)
        self.around, self.clocks = whole_number("around", around), whole_number("clocks", clocks)
        if not start > 0:
            raise InputError("must be positive", key="start", value=start, remedy="give mm")
        self.start, self.windows = float(start), windows
        self.chunk = 2**31 - 1  # all channels at once: a charge is on many of them

    # ---- what is recorded ------------------------------------------------------------------------------------------

    def expected(self, detector: PixelTPC, event: Primary | Deposits) -> PadCharge:
        """Mean charge on every pad near the event's, slice by slice, before any threshold; differentiable in everything.

        **Raises** `InputError` for a stack of events: use `jax.vmap` with a `fitted` simulator.
        """
        simulator = self._with_windows(detector, event)
        charge = arriving_charge(detector, event, self.segments)
        return simulator.receive(detector, charge, None)

    def sample(self, detector: PixelTPC, event: Primary | Deposits, key: PRNGKeyArray) -> PixelReadout:
        """What the chips record of one event, with the fluctuations of the particle, of its ionisation, and of the electronics.

        How diffusion deals out the electrons of a piece of track among pads fluctuates too, by less than √(n/4), 60 of
        15,000: that is left out.
        """
        of_charge, of_chips = jax.random.split(key)
        charge = fluctuating_charge(detector, event, self.segments, of_charge)
        known = self.windows is None and not _traced(detector, charge)
        simulator = self._around_charge(detector, [charge]) if known else self
        return simulator._recorded(detector, charge, of_chips)

    def deposits(self, detector: PixelTPC, event: Primary | Deposits, latents: Array | None = None) -> Deposits:
        """The deposits of an event; those of a particle are made here, with `latents` the fluctuations of its track."""
        return deposits_of(detector, event, self.segments, latents)

    # ---- what inference asks for -----------------------------------------------------------------------------------

    def latent_count(self, event: Primary | Deposits) -> int:
        return latents_of(event, self.segments)

    def emit(self, detector: PixelTPC, event: Primary | Deposits, latents: Array) -> AnodeCharge:
        return arriving_charge(detector, event, self.segments, latents)

    @eqx.filter_jit
    def receive(self, detector: PixelTPC, emitted: AnodeCharge, channels: Array | None) -> PadCharge:
        """Charge on the pads with those places in the list; on all of them for None."""
        found = pad_charge(detector, emitted, self.known_windows(), self.start, self.slice(detector))
        if channels is None:
            return found
        rows = (found.volume[channels], found.row[channels], found.column[channels], found.begin[channels])
        return PadCharge(*rows, found.charge[channels], found.outside, found.slice)

    def slice(self, detector: PixelTPC) -> float:
        """Length in ns of the slices of what is expected."""
        return self.clocks * detector.electronics.tick

    # ---- windows ---------------------------------------------------------------------------------------------------

    def known_windows(self) -> PixelWindows:
        """The windows. **Raises** `StudioError` where there are none."""
        if self.windows is None:
            raise StudioError(
                "the sizes of a simulation of pixels follow the event: where it is traced, and for inference, give the "
                "simulator windows with PixelSimulator().fitted(detector, events)"
            )
        return self.windows

    def fitted(self, detector: PixelTPC, events: Sequence[Primary | Deposits], room: float = 0.2) -> PixelSimulator:
        """This simulator with windows that hold the charge of each of these events, and by the part `room` more."""
        charges = [arriving_charge(detector, event, self.segments) for event in events]
        return self._around_charge(detector, charges, room)

    def _around_charge(self, detector: PixelTPC, charges: Sequence[AnodeCharge], room: float = 0.0) -> PixelSimulator:
        found = [self._windows_for(detector, charge, room) for charge in charges]
        return self._with(PixelWindows(*(max(sizes) for sizes in zip(*found, strict=True))))

    def _with(self, windows: PixelWindows) -> PixelSimulator:
        return PixelSimulator(self.segments, self.around, self.start, self.clocks, windows)

    def _with_windows(self, detector: PixelTPC, event: Primary | Deposits) -> PixelSimulator:
        return self if self.windows is not None or _traced(detector, event) else self.fitted(detector, [event], 0.0)

    def _windows_for(self, detector: PixelTPC, charge: AnodeCharge, room: float) -> PixelWindows:
        """The windows of one event whose charge is known."""
        pitch, slice = float(detector.pixels.pitch), self.slice(detector)
        lit = np.asarray(charge.electrons) > 0
        if not lit.any():
            return PixelWindows(4, 4, 2 * self.around + 2, 4, 1)
        extent = np.max(np.abs(np.asarray(charge.extent)[lit])) / pitch
        parts = min(_PARTS, max(1, math.ceil((1 + room) * extent / _LONGEST)))
        rows = pixel_pulses(detector, charge, parts).along[0]
        lit = np.asarray(rows.electrons) > 0
        width, spread = (float(np.max(np.asarray(leaf)[lit])) for leaf in (rows.width, rows.spread))
        patch = 2 * self.around + 2 + math.ceil(2 * (1 + room) * REACH * width + extent / parts)
        slowest = float(np.min(np.asarray(charge.velocity)))
        lasting = self.start / slowest + 2 * (1 + room) * REACH * spread
        patch_slices = roomy(math.ceil(lasting / slice) + 2)
        pads, slices = covered(detector, charge, parts, patch, patch_slices, self.start, slice)
        return PixelWindows(
            roomy(math.ceil((1 + room) * pads)), roomy(math.ceil((1 + room) * slices)), patch, patch_slices, parts
        )

    # ---- the pieces ------------------------------------------------------------------------------------------------

    @eqx.filter_jit
    def _recorded(self, detector: PixelTPC, charge: AnodeCharge, key: PRNGKeyArray) -> PixelReadout:
        """Charge clock by clock through the chips."""
        electronics, windows = detector.electronics, self.known_windows()
        finer = windows._replace(slices=windows.slices * self.clocks, patch_slices=windows.patch_slices * self.clocks)
        mean = pad_charge(detector, charge, finer, self.start, electronics.tick)
        found = triggered(key, mean.integrated, electronics)
        there = (mean.volume >= 0)[:, None]
        hit = found.fired & there
        zero = jnp.zeros((), mean.charge.dtype)
        return PixelReadout(
            volume=mean.volume,
            row=mean.row,
            column=mean.column,
            counts=jnp.where(hit, found.counts, zero),
            charge=jnp.where(hit, electronics.charge(found.counts), zero),
            time=jnp.where(hit, mean.begin[:, None] + found.clock * electronics.tick, zero),
            hit=hit,
            outside=mean.outside,
        )


def _traced(*trees) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees))
