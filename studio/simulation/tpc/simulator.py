"""The simulator of wires in liquid argon: from deposits, or a particle, to what every wire records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from ..._checks import InputError, whole_number
from ...detector.tpc import TPC, check_same_field
from ...detector.wire_plane import WirePlane
from ...event import Primary
from ...event.deposits import Deposits
from ...units import mm, ns, us
from ..base import AbstractSimulator
from .arrivals import arriving_charge, deposits_of, fluctuating_charge, latents_of
from .charge_grid import GridOrigin, GridSize, Pieces, Pulses, charge_grid, fits, in_parts, pieces
from .drift import AnodeCharge
from .field_response import FieldResponse, field_response
from .noise import noise
from .ribbons import Ribbons, RibbonSize, voltages_and_slopes
from .signals import PlaneSignals, WireReadout, WireVoltages, joined, lengths_in, lengths_of, placed
from .windows import Windows, common_windows, origin_of, volumes_held, whole_origin, whole_windows, windows_for
from .wire_readout import convolved, response_spectrum

#: What the tail of the electronics is reckoned from where the shaping time is traced, in ns.
_LONGEST_SHAPING = 4.0 * us

Spectra = tuple[Complex[Array, "offsets bins frequencies"], ...]


class TPCSimulator(AbstractSimulator):
    """Wires in liquid argon: recombination, drift, field response, electronics, noise.

    **Arguments**, all static:

    - `segments`: pieces of a particle's track. Information matrices know its scattering from piece to piece, so that the
      direction at the vertex is known no better than pieces can tell, and their cost grows with the number.
    - `bins`: places across a pitch at which the field response is taken.
    - `around`: on how many wires to either side of the nearest one a charge induces currents.
    - `start`: height above the collection plane in mm where the field response begins; farther away charge induces nothing.
    - `step`: time step of the field response in ns; a whole number of steps makes a sample.
    - `span`: how long a field response is followed, in ns: longer than an electron takes from `start` to its wire.
    - `windows`: what is simulated. Without them an event that is known gets windows around its charge, and one that is
      traced all wires and samples; `fitted` makes a simulator with windows for given events, as inference needs it.
    - `process`: whether a particle scatters and straggles, and its ionisation fluctuates; without, every track and its charge
      are the mean ones, and the electronics' noise is all that fluctuates.
    """

    together: ClassVar[bool] = True

    segments: int = eqx.field(static=True)
    bins: int = eqx.field(static=True)
    around: int = eqx.field(static=True)
    start: float = eqx.field(static=True)
    step: float = eqx.field(static=True)
    span: float = eqx.field(static=True)
    windows: Windows | None = eqx.field(static=True)
    process: bool = eqx.field(static=True)
    chunk: int = eqx.field(static=True)

    def __init__(
        self,
        segments: int = 100,
        bins: int = 10,
        around: int = 10,
        start: float = 100.0 * mm,
        step: float = 100.0 * ns,
        span: float = 100.0 * us,
        windows: Windows | None = None,
        process: bool = True,
    ):
        self.segments = whole_number("segments", segments, least=2)
        self.bins, self.around = whole_number("bins", bins), whole_number("around", around)
        self.start, self.step, self.span, self.windows = float(start), float(step), float(span), windows
        self.process = bool(process)
        self.chunk = 2**31 - 1  # all channels at once: they share their transforms

    # ---- what is recorded ------------------------------------------------------------------------------------------

    def expected(self, detector: TPC, event: Primary | Deposits) -> WireReadout:
        """Mean digitizer counts, not rounded, of one event; differentiable in everything.

        **Raises** `InputError` for a stack of events: use `jax.vmap` with a `fitted` simulator.
        """
        simulator = self._with_windows(detector, event)
        return simulator._expected(detector, event, simulator.responses(detector))

    def sample(self, detector: TPC, event: Primary | Deposits, key: PRNGKeyArray) -> WireReadout:
        """Digitizer counts of one event, with the fluctuations of the particle, of its ionisation, and of the electronics.

        A particle scatters and straggles; deposits are taken as they are. Every wire is read out, noise and all; a simulator
        with `windows` reads out those alone.
        """
        of_charge, of_noise = jax.random.split(key)
        charge = (
            fluctuating_charge(detector, event, self.segments, of_charge)
            if self.process
            else arriving_charge(detector, event, self.segments)
        )
        if self.windows is not None:
            signals, outside = self._signals(detector, charge, self.responses(detector))
            return self._digitized(detector, signals, outside, of_noise)
        known = not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((detector, charge)))
        after = self._samples_after(detector)
        simulator = self.with_windows(self._window(detector, charge, after)) if known else self._whole(detector)
        signals, outside = simulator._signals(detector, charge, simulator.responses(detector))
        ticks = detector.electronics.ticks
        everywhere = tuple(
            placed(signal, plane.groups(detector.volumes), plane.channels, ticks)
            for signal, plane in zip(signals, detector.read_planes, strict=True)
        )
        return self._digitized(detector, everywhere, outside, of_noise)

    def deposits(self, detector: TPC, event: Primary | Deposits, latents: Array | None = None) -> Deposits:
        """The deposits of an event; those of a particle are made here, with `latents` the fluctuations of its track."""
        return deposits_of(detector, event, self.segments, latents)

    def response(self, detector: TPC) -> FieldResponse:
        """The field response of the detector's planes, grids among them. **Raises** `InputError` where drift fields differ."""
        check_same_field(detector.volumes)
        impacts = (np.arange(self.bins) + 0.5) / self.bins - 0.5
        return field_response(
            jnp.stack([plane.pitch for plane in detector.planes]),
            jnp.stack([plane.height for plane in detector.planes]),
            jnp.stack([plane.bias for plane in detector.planes]),
            detector.volumes.fields[0],
            wire_radius=jnp.stack([plane.wire_radius for plane in detector.planes]),
            impacts=jnp.asarray(impacts),
            time=jnp.arange(math.ceil(self.span / self.step)) * self.step,
            field_behind=detector.field_behind,
            mesh_distance=detector.mesh_distance,
            start=self.start,
            temperature=detector.medium.temperature,
            wires=2 * max(20, self.around) + 1,
        )

    def responses(self, detector: TPC) -> Spectra:
        """How the wires around an electron answer it, plane by plane that is read, as transforms over the samples of the
        windows."""
        windows = self.known_windows()
        found = self.response(detector)
        middle = found.current.shape[1] // 2
        read = np.array([index for index, plane in enumerate(detector.planes) if plane.read_out])
        near = found.current[read, middle - self.around : middle + self.around + 1]
        # The preamplifiers invert: collected electrons make positive pulses.
        return tuple(
            response_spectrum(-current, self.step, detector.electronics, size.samples)
            for current, size in zip(near, windows.planes, strict=True)
        )

    # ---- what inference asks for -----------------------------------------------------------------------------------

    def latent_count(self, event: Primary | Deposits) -> int:
        return latents_of(event, self.segments) if self.process else 0

    def emit(self, detector: TPC, event: Primary | Deposits, latents: Array) -> AnodeCharge:
        return arriving_charge(detector, event, self.segments, latents if self.process else None)

    def receive(self, detector: TPC, emitted: AnodeCharge, channels: Array) -> WireVoltages:
        """Voltages of channels of the windows: the wires of one plane after the other, volume by volume."""
        signals, _ = self._signals(detector, emitted, self.responses(detector))
        lengths = [
            lengths_in(plane.channel_lengths(detector.volumes), signal)
            for plane, signal in zip(detector.read_planes, signals, strict=True)
        ]
        voltage = jnp.concatenate([signal.values.reshape(-1, signal.values.shape[-1]) for signal in signals])[channels]
        length = jnp.concatenate([length.reshape(-1) for length in lengths])[channels]
        return WireVoltages(jnp.fft.rfft(voltage, axis=-1), length, voltage.shape[-1])

    def receives_by(self, path: str) -> bool:
        return not path.startswith(("medium.", "space_charge.")) or path == "medium.temperature"

    def receive_along(
        self, detector: TPC, emitted: AnodeCharge, changes: AnodeCharge, channels: Array
    ) -> tuple[WireVoltages, WireVoltages]:
        """`receive`, and its derivatives along changes: from piece to piece of the track, each on the wires that it reaches."""
        if any(plane.joined is not None for plane in detector.read_planes):
            return super().receive_along(detector, emitted, changes, channels)
        windows = self.known_windows()
        held = volumes_held(emitted, windows, detector.volumes.count)
        moving, fixed = eqx.partition(emitted, eqx.is_inexact_array)
        values, slopes, lengths = [], [], []
        for plane, size, spectrum in zip(detector.read_planes, windows.planes, self.responses(detector), strict=True):
            origin = self._origin(self.pulses(detector, emitted, plane, size.parts), held, size, plane)

            def seen(charge: AnodeCharge, plane: WirePlane = plane) -> tuple[Pieces, Array]:
                found = self.pieces(detector, eqx.combine(charge, fixed), plane)
                return eqx.partition(found, eqx.is_inexact_array)

            pieces, push, volume = jax.linearize(seen, moving, has_aux=True)
            first = origin.sample[jnp.argmax(volume.volume[:, None] == origin.volume, axis=1)]
            pieces = eqx.tree_at(lambda one: one.sample, eqx.combine(pieces, volume), pieces.sample - first)
            grids = (origin.volume.shape[0], size.wires)
            ribbons = Ribbons(origin.volume, origin.wire, jnp.broadcast_to(origin.sample[:, None], grids))
            frequencies = size.samples // 2 + 1
            reach = RibbonSize(size.bins, size.wires, size.samples, frequencies, size.parts, size.patch)
            value, slope = voltages_and_slopes(pieces, jax.vmap(push)(changes), ribbons, reach, spectrum)
            values.append(value.reshape(-1, frequencies))
            slopes.append(slope.reshape(slope.shape[0], -1, frequencies))
            lengths.append(lengths_of(plane.lengths(detector.volumes), origin.volume, origin.wire, size.wires).ravel())
        length, samples = jnp.concatenate(lengths)[channels], windows.planes[0].samples
        slope = jnp.concatenate(slopes, axis=1)[:, channels]
        return (
            WireVoltages(jnp.concatenate(values)[channels], length, samples),
            WireVoltages(slope, jnp.zeros((slope.shape[0], *length.shape), length.dtype), samples),
        )

    # ---- windows ---------------------------------------------------------------------------------------------------

    def known_windows(self) -> Windows:
        """The windows. **Raises** `InputError` where there are none."""
        if self.windows is None:
            remedy = "give TPCSimulator().fitted(detector, events)"
            raise InputError("its windows are not known", key="simulator", remedy=remedy)
        return self.windows

    def fitted(
        self, detectors: TPC | Sequence[TPC], events: Sequence[Primary | Deposits], room: float = 0.0
    ) -> TPCSimulator:
        """This simulator with windows that hold the charge of each of these events in each of these detectors, and `room` mm
        more to every side."""
        several = [detectors] if isinstance(detectors, TPC) else list(detectors)
        after = max(self._samples_after(detector) for detector in several)
        found = [
            self._window(detector, arriving_charge(detector, event, self.segments), after, room)
            for detector in several
            for event in events
        ]
        return self.with_windows(common_windows(found))

    def _window(self, detector: TPC, charge: AnodeCharge, after: int, room: float = 0.0) -> Windows:
        seen = [self.pulses(detector, charge, plane) for plane in detector.read_planes]
        return windows_for(detector, charge, seen, self.bins, self.around, after, room)

    def with_windows(self, windows: Windows) -> TPCSimulator:
        """This simulator with these windows."""
        return TPCSimulator(
            self.segments, self.bins, self.around, self.start, self.step, self.span, windows, self.process
        )

    def _with_windows(self, detector: TPC, event: Primary | Deposits) -> TPCSimulator:
        if self.windows is not None:
            return self
        known = not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((detector, event)))
        return self.fitted(detector, [event]) if known else self._whole(detector)

    def _whole(self, detector: TPC) -> TPCSimulator:
        return self.with_windows(whole_windows(detector, self.bins, self.around, self._samples_after(detector)))

    def _samples_after(self, detector: TPC) -> int:
        """Samples from the beginning of a response to where the electronics have forgotten it."""
        shaping = detector.electronics.shaping_time
        longest = _LONGEST_SHAPING if isinstance(shaping, Tracer) else float(shaping)
        return math.ceil((self.span + detector.electronics.reach * longest) / detector.electronics.tick)

    # ---- the pieces ------------------------------------------------------------------------------------------------

    @eqx.filter_jit
    def _expected(self, detector: TPC, event: Primary | Deposits, spectra: Spectra) -> WireReadout:
        charge = arriving_charge(detector, event, self.segments)
        signals, outside = self._signals(detector, charge, spectra)
        electronics = detector.electronics
        planes = tuple(PlaneSignals(electronics.counts(plane.values), plane.origin) for plane in signals)
        return self._readout(detector, planes, electronics.counts(jnp.zeros(())), outside)

    @eqx.filter_jit
    def _digitized(
        self, detector: TPC, signals: tuple[PlaneSignals, ...], outside: Array, key: PRNGKeyArray
    ) -> WireReadout:
        """Voltages with noise, in whole digitizer counts."""
        electronics, planes = detector.electronics, []
        for one, signal, plane in zip(jax.random.split(key, len(signals)), signals, detector.read_planes, strict=True):
            lengths = lengths_in(plane.channel_lengths(detector.volumes), signal)
            voltage = signal.values + noise(one, lengths, electronics, signal.values.shape[-1])
            planes.append(PlaneSignals(electronics.digitized(voltage), signal.origin))
        return self._readout(detector, tuple(planes), electronics.digitized(jnp.zeros(())), outside)

    def _readout(self, detector: TPC, planes: tuple[PlaneSignals, ...], pedestal: Array, outside: Array) -> WireReadout:
        channels = tuple(plane.channels for plane in detector.read_planes)
        groups = tuple(plane.groups(detector.volumes) for plane in detector.read_planes)
        return WireReadout(planes, pedestal, outside, channels, groups, detector.electronics.ticks)

    def pieces(self, detector: TPC, charge: AnodeCharge, plane: WirePlane) -> Pieces:
        """What a plane sees, in samples from when the response to each charge begins."""
        begin = detector.electronics.trigger_offset + self.start / charge.velocity[0]
        return pieces(charge, plane, detector.volumes, begin, detector.electronics.tick)

    def pulses(self, detector: TPC, charge: AnodeCharge, plane: WirePlane, parts: int = 1) -> Pulses:
        """The same in `parts`."""
        return in_parts(self.pieces(detector, charge, plane), parts)

    def _origin(self, rows: Pulses, held: Array, size: GridSize, plane: WirePlane) -> GridOrigin:
        windows = self.known_windows()
        if windows.whole:
            return whole_origin(held, size, plane.slots, windows.after)
        return origin_of(rows, held, size, windows.after)

    @eqx.filter_jit
    def _signals(
        self, detector: TPC, charge: AnodeCharge, spectra: Spectra
    ) -> tuple[tuple[PlaneSignals, ...], Float[Array, ""]]:
        """Voltages of every plane in its windows, and the largest part of the charge that the windows of a plane miss."""
        windows = self.known_windows()
        held = volumes_held(charge, windows, detector.volumes.count)
        found, inside = [], []
        for plane, size, spectrum in zip(detector.read_planes, windows.planes, spectra, strict=True):
            rows = self.pulses(detector, charge, plane, size.parts)
            origin = self._origin(rows, held, size, plane)
            voltage = convolved(charge_grid(rows, origin, size), spectrum)
            lengths = lengths_in(plane.lengths(detector.volumes), PlaneSignals(voltage, origin))
            of_wires = PlaneSignals(jnp.where(lengths[..., None] > 0, voltage, 0.0), origin)
            found.append(joined(of_wires, plane, detector.electronics.ticks))
            inside.append(fits(rows, origin, size))
        return tuple(found), 1 - jnp.min(jnp.stack(inside))
