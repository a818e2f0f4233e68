"""A liquid-argon chamber as it is to be seen: drift volumes, cathodes, anodes, wires, and the deposits of an event.

Drawn with y upwards, as chambers stand: the coordinates of the view are z, x, y.
"""

# pyright: reportArgumentType=false
# NumPy arrays stand where annotations say JAX's: at run time both are taken.
from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int

from ..detector import TPC, AbstractTPC, PixelTPC, WirePlane
from ..event import Deposits
from ..geometry import Box
from ..units import MeV, cm, m
from .style import PALETTE, WALL
from .view import Colouring, Sheets, Strokes, View

_ORDER = [2, 0, 1]
_WIRES = 40  # of a plane in all volumes together, at the least one a volume
_CATHODE = "#444444"
_LOOK = (-0.62, 0.66, -0.42)
_MARK = 0.004  # size of a deposit, as a fraction of the largest size that is drawn


def chamber_view(detector: AbstractTPC, deposits: Deposits | None = None, title: str | None = None) -> View:
    """Drift volumes as boxes with their cathodes, anodes and wires, of pixels their plane alone; `deposits` of one event coloured by energy per length, pale
    where they are points without length, in those volumes alone that hold some of them.

    Where a plane has many wires every so many is drawn, as the legend says. The middle of what is drawn stands at zero; the
    names of the axes say how far it was moved.
    """
    shown = _shown(detector, deposits)
    corners = np.concatenate([_ends(detector, cathode)[shown].reshape(-1, 3) for cathode in (True, False)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle, size = 0.5 * (low + high), high - low
    position, colouring = _marks(deposits)
    planes = detector.planes if isinstance(detector, TPC) else ()
    strokes = [_boxes(detector, shown), *(_wires(detector, plane, index, shown) for index, plane in enumerate(planes))]
    cathode = Sheets("cathode", _ends(detector, cathode=True)[shown] - middle, _CATHODE)
    return View(
        detector.name if title is None else title,
        _summary(detector) if deposits is None else _event_summary(detector, deposits),
        Box((float(size[0]), float(size[1]), float(size[2]))),
        position - middle,
        np.zeros_like(position),
        np.full(len(position), _MARK * float(size.max())),
        np.zeros((0, 3)) if colouring is None else colouring.colours(),
        colouring,
        look=_LOOK,
        strokes=tuple(dataclasses.replace(one, ends=one.ends - middle) for one in strokes),
        sheets=(cathode,) if deposits is None else (),  # an event is not to stand behind it
        solid=True,
        axes=(_moved("z", middle[0]), _moved("x", middle[1]), _moved("y", middle[2])),
    )


def _shown(detector: AbstractTPC, deposits: Deposits | None) -> Int[np.ndarray, " shown"]:
    """The volumes that hold some deposits; all of them without deposits, and where none does."""
    every = np.arange(detector.volumes.count)
    if deposits is None:
        return every
    along = 0.5 * deposits.length[:, None] * deposits.direction
    low, high = detector.volumes.inside(deposits.position - along, deposits.position + along)
    found = np.flatnonzero(np.asarray((high > low) & (deposits.weight > 0)[:, None]).any(axis=0))
    return found if len(found) else every


def _moved(name: str, shift: float) -> str:
    """The name of an axis whose zero stands at `shift` mm."""
    return name if abs(shift) < 1.0 else f"{name} {'−' if shift > 0 else '+'} {abs(shift) / m:.2f}"


def _summary(detector: AbstractTPC) -> str:
    volumes = detector.volumes
    several = "" if volumes.count == 1 else "s"
    return (
        f"{volumes.count} drift volume{several}, {float(detector.argon_mass):,.0f} t of argon, "
        f"{_channels(detector):,} channels"
    )


def _channels(detector: AbstractTPC) -> int:
    if isinstance(detector, TPC):
        return sum(int((np.asarray(one) > 0).sum()) for one in detector.wire_lengths)
    return detector.pads_present if isinstance(detector, PixelTPC) else 0


def _event_summary(detector: AbstractTPC, deposits: Deposits) -> str:
    count = int((np.asarray(deposits.weight) > 0).sum())
    several = "" if count == 1 else "s"
    return f"{detector.name}: {count:,} deposit{several}, {float(deposits.total_energy) / MeV:,.0f} MeV"


def _ends(detector: AbstractTPC, cathode: bool) -> Float[np.ndarray, "volumes 4 3"]:
    """Corners of each cathode or anode plane."""
    volumes = detector.volumes
    axes, half = np.asarray(volumes.axes), 0.5 * np.asarray(volumes.widths)
    middle = np.asarray(volumes.anode) - cathode * np.asarray(volumes.lengths)[:, None] * axes[:, 0]
    signs = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    flat = np.einsum("ck,vk,vkj->vcj", signs, half, axes[:, 1:])
    return (middle[:, None] + flat)[..., _ORDER]


def _boxes(detector: AbstractTPC, shown: np.ndarray) -> Strokes:
    far, near = _ends(detector, cathode=True)[shown], _ends(detector, cathode=False)[shown]
    edges = [np.stack([far, near], axis=2)]
    edges += [np.stack([end, np.roll(end, 1, axis=1)], axis=2) for end in (far, near)]
    return Strokes("drift volumes", np.concatenate(edges, axis=1).reshape(-1, 2, 3), WALL)


def _wires(detector: AbstractTPC, plane: WirePlane, index: int, shown: np.ndarray) -> Strokes:
    """Wires of a plane, evenly thinned."""
    lengths = np.asarray(plane.lengths(detector.volumes))[shown]
    every = max(1, math.ceil(np.max((lengths > 0).sum(axis=1)) / max(1, _WIRES // len(shown))))
    chosen = slice(plane.slots // 2 % every, None, every)
    ends = np.asarray(plane.ends(detector.volumes))[shown][:, chosen][lengths[:, chosen] > 0]
    thinned = "all wires" if every == 1 else f"one wire in {every}"
    kind = "plane" if plane.read_out else "grid"
    name = f"{kind} {index + 1}, {float(plane.pitch):g} mm: {thinned}"
    return Strokes(name, ends[..., _ORDER], PALETTE[index % len(PALETTE)])


def _marks(deposits: Deposits | None) -> tuple[np.ndarray, Colouring | None]:
    """Places of the deposits, and their energy per length as colours; the highest and lowest two per cent share a colour."""
    if deposits is None:
        return np.zeros((0, 3)), None
    there = np.asarray(deposits.weight) > 0
    energy, length = (np.asarray(part, float)[there] for part in (deposits.energy, deposits.length))
    known = (length > 0) & (energy > 0)
    loss = np.where(known, energy / np.where(known, length, 1.0), np.nan) / (MeV / cm)
    low, high = np.nanpercentile(loss, (2, 98)) if known.any() else (1.0, 10.0)
    colouring = Colouring(loss, "energy per length (MeV/cm)", low, max(high, 1.1 * low), logarithmic=True)
    return np.asarray(deposits.position, float)[there][:, _ORDER], colouring
