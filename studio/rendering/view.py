"""What a three-dimensional picture shows, before anything draws it: walls, sensors with their colours, lines, words.

Pictures (`scene`) and interactive pages (`page`) show the same views.
"""

# pyright: reportArgumentType=false
# NumPy arrays stand where annotations say JAX's: at run time both are taken.
from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize, to_rgb

from .._checks import InputError
from ..constants import ELECTRON_MASS, MUON_MASS
from ..detector import Detector
from ..event import Primary, Readout
from ..event.energy_loss import beta, csda_range
from ..geometry import AbstractVolume, MeshVolume
from ..geometry.triangulation import Triangles, disc_sides, discs, octahedra, wall_triangles
from ..units import MeV, m, mm
from .camera import Camera, camera_around
from .style import AMOUNTS, PALETTE, UNLIT

_WAVELENGTH = 400.0  # nm: near the middle of the Cherenkov light that photosensors detect
PIXELS = (1100, 1000)
"""Width and height of a picture."""
WALL_COLOUR = "#f2f4f7"
LINE_WIDTH = 0.009
"""Half the width of a line, as a fraction of the detector's half size."""
_SHOWER = 2.5 * m  # an electron is drawn as long as its shower about is


@dataclasses.dataclass(frozen=True)
class Colouring:
    """Amounts as colours of sensors.

    **Fields**: `values (sensors,)`, NaN for a sensor that is drawn pale; `label` with the unit; `low`, `high`: the ends of the
    scale, beyond which colours stay the same; `logarithmic`.
    """

    values: Float[np.ndarray, " sensors"]
    label: str
    low: float
    high: float
    logarithmic: bool = False

    @property
    def norm(self) -> Normalize:
        """From amounts to [0, 1]."""
        return (LogNorm if self.logarithmic else Normalize)(self.low, self.high, clip=True)

    @property
    def extend(self) -> Literal["neither", "min", "max", "both"]:
        """On which sides of the scale there are values beyond its ends, as matplotlib names them."""
        known = self.values[~np.isnan(self.values)]
        below, above = bool(np.any(known < self.low)), bool(np.any(known > self.high))
        return "both" if below and above else "min" if below else "max" if above else "neither"

    def colours(self) -> Float[np.ndarray, "sensors 3"]:
        """Red, green and blue between 0 and 1."""
        known = ~np.isnan(self.values)
        found = np.tile(to_rgb(UNLIT), (len(self.values), 1))
        found[known] = colormaps[AMOUNTS](self.norm(self.values[known]))[:, :3]
        return found


@dataclasses.dataclass(frozen=True)
class Line:
    """A line in space: what it is, its points `(n, 3)` in mm, its colour."""

    name: str
    points: Float[np.ndarray, "points 3"]
    colour: str


@dataclasses.dataclass(frozen=True)
class Strokes:
    """Many thin straight lines of one kind: what they are, their `ends (n, 2, 3)` in mm, their colour."""

    name: str
    ends: Float[np.ndarray, "n 2 3"]
    colour: str


@dataclasses.dataclass(frozen=True)
class Sheets:
    """Flat rectangles of one kind that one can see through: what they are, their `corners (n, 4, 3)` in mm, their colour."""

    name: str
    corners: Float[np.ndarray, "n 4 3"]
    colour: str


@dataclasses.dataclass(frozen=True)
class View:
    """One detector as it is to be seen.

    **Fields**: `title`, `summary`: words above the picture; `volume`; `positions`, `normals (sensors, 3)` and `radii
    (sensors,)` in mm; `colours (sensors, 3)`; `colouring`: the scale they come from, or `kinds`: the name and colour of each
    type of sensor; `lines`; `look (3,)`: the direction a picture looks along; `room (3,)`: half sizes in m of the box that a
    picture has room for, by default the wall's; `strokes` and `sheets`; `solid`: whether what stands at the positions are small
    bodies that are seen from everywhere, and not discs; `axes`: what the three coordinates are called, the third upwards.
    """

    title: str
    summary: str
    volume: AbstractVolume
    positions: Float[np.ndarray, "sensors 3"]
    normals: Float[np.ndarray, "sensors 3"]
    radii: Float[np.ndarray, " sensors"]
    colours: Float[np.ndarray, "sensors 3"]
    colouring: Colouring | None = None
    kinds: tuple[tuple[str, str], ...] = ()
    lines: tuple[Line, ...] = ()
    look: tuple[float, float, float] = (0.78, 0.5, -0.38)
    room: Float[np.ndarray, "3"] | None = None
    strokes: tuple[Strokes, ...] = ()
    sheets: tuple[Sheets, ...] = ()
    solid: bool = False
    axes: tuple[str, str, str] = ("x", "y", "z")

    def bodies(self, unit: float = mm) -> tuple[np.ndarray, np.ndarray]:
        """Vertices, in `unit`, and triangles of all that stands at the positions: as many of each everywhere."""
        positions, radii = self.positions / unit, self.radii / unit
        return (
            octahedra(positions, radii) if self.solid else discs(positions, self.normals, radii, disc_sides(len(radii)))
        )


def layout_view(
    detector: Detector, colouring: Colouring | None = None, title: str | None = None, summary: str | None = None
) -> View:
    """Where sensors stand, coloured by an amount, or by their type."""
    sensors = detector.sensors
    counted = f"{int(sensors.present.sum()):,} sensors, {float(detector.coverage):.0%} of the wall"
    head = (detector.name if title is None else title, counted if summary is None else summary)
    words = (*head, detector.volume, *_placed(detector))
    if colouring is not None:
        _require_fit(detector, colouring.values, "colouring")
        return View(*words, colouring.colours(), colouring)
    palette = [PALETTE[index % len(PALETTE)] for index in range(len(sensors.types))]
    colours = np.array([to_rgb(colour) for colour in palette])[np.asarray(sensors.kind)]
    kinds = tuple((entry.name.replace("_", " "), colour) for entry, colour in zip(sensors.types, palette, strict=True))
    return View(*words, colours, kinds=kinds)


def information_colouring(*shares: np.ndarray) -> list[Colouring]:
    """Shares of the information `(sensors,)` of one or more designs on one scale, which the highest per cent exceeds."""
    high = 100 * float(np.percentile(np.concatenate(shares), 99))
    label = "share of the information about the event (%)"
    return [Colouring(100 * share, label, 0.0, high if high > 0 else 1.0) for share in shares]


def event_view(
    detector: Detector,
    primary: Primary,
    readout: Readout,
    quantity: Literal["charge", "time"] = "charge",
    title: str | None = None,
) -> View:
    """One event: sensors that fired coloured by charge or time, the others pale; the track, and where the Cherenkov cone of
    its first point meets the wall. `readout`: fields `(sensors,)`. **Raises** `InputError` where it is of another detector."""
    _require_fit(detector, readout.charge, "readout")
    charge, hit = np.asarray(readout.charge, float), np.asarray(readout.hit, bool)
    if quantity == "charge":
        high = max(10.0, float(np.max(charge, initial=0.0, where=hit)))
        colouring = Colouring(np.where(hit, charge, np.nan), "charge (photoelectrons)", 1.0, high, logarithmic=True)
    else:
        # The middle 96 %: dark hits come at any time.
        early, late = np.percentile(np.asarray(readout.time)[hit], (2, 98)) if hit.any() else (0.0, 1.0)
        times = np.where(hit, np.asarray(readout.time, float), np.nan)
        colouring = Colouring(times, "time of the first hit (ns)", early, max(late, early + 1.0))
    energy = float(primary.kinetic_energy)
    amount = f"{energy:,.0f} thousand photons" if primary.particle == "point" else f"{energy / MeV:,.0f} MeV"
    words = f"{primary.particle} of {amount}" if title is None else title
    summary = (
        f"{detector.name}: {int(hit.sum()):,} of {hit.size:,} sensors hit, {charge[hit].sum():,.0f} photoelectrons"
    )
    lines = (*_track(detector, primary), *_ring(detector, primary))
    look = _behind(np.asarray(primary.direction)) if lines else View.look
    return View(
        words, summary, detector.volume, *_placed(detector), colouring.colours(), colouring, lines=lines, look=look
    )


def drawn_wall(view: View) -> Triangles:
    """Vertices in mm and faces of the wall, drawn a little larger, since the edges of flat discs stand out of a round one."""
    vertices, faces = wall_triangles(view.volume)
    larger = wall_scale(view)
    if isinstance(view.volume, MeshVolume):
        # Outwards everywhere: a wall that bends inwards would come before its sensors by a scale.
        return np.asarray(view.volume.moved_inwards((1 - larger) * float(np.min(_wall_box(view))) * m), float), faces
    return larger * vertices, faces


def wall_scale(view: View) -> float:
    """How many times larger the wall is drawn: the edges of flat discs stand out of a round one by r² / 2R."""
    return 1.005 + 0.5 * float(np.max(view.radii, initial=0.0) / m / np.min(_wall_box(view))) ** 2


def half_box(view: View) -> Float[np.ndarray, "3"]:
    """Half sizes in m of the box that a picture has room for."""
    return _wall_box(view) if view.room is None else view.room


def view_camera(view: View, size: tuple[int, int] = PIXELS) -> Camera:
    """The camera that a view is seen with in a picture of that size."""
    return camera_around(half_box(view), view.look, size)


def alike(views: Sequence[View]) -> list[View]:
    """The same views, all with room for the largest of them, so that they are seen on one scale."""
    room = np.max([_wall_box(view) for view in views], axis=0)
    return [dataclasses.replace(view, room=room) for view in views]


def _wall_box(view: View) -> np.ndarray:
    return np.max(np.abs(wall_triangles(view.volume)[0]), axis=0) / m


def _placed(detector: Detector) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    positions, normals, radii = (np.asarray(part, float) for part in detector.placed)
    return positions, normals, radii * np.asarray(detector.sensors.present)  # an empty place is not seen


def _require_fit(detector: Detector, values: np.ndarray, key: str) -> None:
    if np.shape(values) != (detector.sensors.count,):
        problem = f"{key} of shape {np.shape(values)} for {detector.sensors.count} sensors"
        raise InputError(problem, key=key, remedy="give one event of this detector: index the stack")


def _track(detector: Detector, primary: Primary) -> tuple[Line, ...]:
    """The way of a particle: as far as a muon gets on average, or a shower about reaches, and not beyond the wall."""
    if primary.particle == "point":
        return ()
    start, along = np.asarray(primary.vertex, float), np.asarray(primary.direction, float)
    muon = primary.particle in ("mu-", "mu+")
    length = float(csda_range(primary.kinetic_energy)) if muon else _SHOWER
    inside = bool(detector.volume.contains(primary.vertex))
    room = float(detector.volume.distance_to_wall(primary.vertex, primary.direction)) if inside else length
    name = "track" if muon else "axis of the shower"
    return (Line(name, np.stack([start, start + min(length, room) * along]), PALETTE[1]),)


def _ring(detector: Detector, primary: Primary, corners: int = 180) -> tuple[Line, ...]:
    """Where the Cherenkov cone of the track's first point meets the wall, at the index of light of 400 nm."""
    if primary.particle == "point" or not bool(detector.volume.contains(primary.vertex)):
        return ()
    mass = MUON_MASS if primary.particle in ("mu-", "mu+") else ELECTRON_MASS
    index = float(detector.medium.refractive_index(jnp.asarray(_WAVELENGTH)))
    cosine = 1 / (index * float(beta(primary.kinetic_energy, mass)))
    if cosine >= 1:
        return ()
    along = np.asarray(primary.direction, float)
    first = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    first /= np.linalg.norm(first)
    azimuth = np.linspace(0, 2 * math.pi, corners + 1)[:, None]
    across = np.cos(azimuth) * first + np.sin(azimuth) * np.cross(along, first)
    rays = cosine * along + math.sqrt(1 - cosine**2) * across
    start = np.broadcast_to(np.asarray(primary.vertex, float), rays.shape)
    distance = np.asarray(detector.volume.distance_to_wall(jnp.asarray(start), jnp.asarray(rays)))
    return (Line("Cherenkov cone from the vertex, at the wall", start + distance[:, None] * rays, PALETTE[3]),)


def _behind(direction: np.ndarray) -> tuple[float, float, float]:
    """A look along a direction from behind, 30° aside and 15° from above; along a vertical one, from the side."""
    azimuth = math.atan2(direction[1], direction[0]) + math.radians(30.0)
    level = math.atan2(direction[2], math.hypot(direction[0], direction[1]))
    elevation = min(max(0.5 * level - math.radians(15.0), -0.8), 0.8)
    return (
        math.cos(elevation) * math.cos(azimuth),
        math.cos(elevation) * math.sin(azimuth),
        math.sin(elevation),
    )


def displacement(before: Detector, after: Detector) -> Float[np.ndarray, " sensors"] | None:
    """How far each sensor stands from where it stood, in mm; None where their numbers differ."""
    if before.sensors.count != after.sensors.count:
        return None
    return np.linalg.norm(np.asarray(after.placed.positions) - np.asarray(before.placed.positions), axis=-1) / mm


def displacement_words(before: Detector, after: Detector) -> str:
    """The same in a line for people."""
    moved = displacement(before, after)
    if moved is None:
        return f"{before.sensors.count:,} sensors before, {after.sensors.count:,} after"
    return f"{len(moved):,} sensors, moved {np.median(moved):,.0f} mm in the median, {moved.max():,.0f} mm at most"
