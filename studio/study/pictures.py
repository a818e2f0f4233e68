"""Pictures of geometries, events and studies: still ones, moving ones, pages to turn by hand, meshes.

Three-dimensional pictures need OpenGL; where a probe in another process finds none, maps of the wall take their place and one
line says what to install. Pages and meshes need none.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import InputError
from ..detector import TPC, AbstractTPC, Detector, centred, contained
from ..event import Deposits, Primary, Readout
from ..io.deposits import deposit_events, read_deposits
from ..io.event_file import EventSet, read_events
from ..io.geometry import load_detector
from ..rendering.probe import opengl
from ..rendering.view import (
    Colouring,
    View,
    displacement,
    displacement_words,
    event_view,
    information_colouring,
    layout_view,
)
from .ledger import RESULT, SHARES, TRAJECTORY, Ledger
from .measure import study_designs
from .observer import AbstractObserver
from .trajectory import designs as designs_of

PICTURES, MESHES = ("png", "html", "gif"), ("glb", "stl", "obj")
_FRAMES = 60  # of a moving picture, at most

Note = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Artist:
    """Where pictures go, which kinds are wanted (`PICTURES`, `MESHES`), and who is told what could not be made.

    `paths` collects what was written, in order.
    """

    folder: Path
    formats: tuple[str, ...]
    note: Note
    paths: list[Path] = dataclasses.field(default_factory=list)

    def still(
        self, name: str, draw: Callable[[Path], Any], flat: Callable[[Path], Any], flat_name: str | None = None
    ) -> None:
        """`name.png` by `draw`, in three dimensions; where there is no OpenGL by `flat`, as `flat_name.png` if that is given."""
        if "png" in self.formats:
            self.write(f"{name}.png", draw) if self.can_draw else self.write(f"{flat_name or name}.png", flat)

    def moving(self, name: str, draw: Callable[[Path], Any]) -> None:
        """`name.gif` by `draw`, where there is OpenGL."""
        if "gif" in self.formats and self.can_draw:
            self.write(f"{name}.gif", draw)

    def page(self, name: str, view: View) -> None:
        """`name.html`, to be turned by hand."""
        if "html" in self.formats:
            from ..rendering.page import write_page

            self.write(f"{name}.html", lambda path: write_page(view, path))

    def meshes(self, name: str, detector: Detector, colours: np.ndarray) -> None:
        """The detector's wall and sensors in every format of meshes that is wanted."""
        for ending in MESHES:
            if ending in self.formats:
                from ..io.meshes import detector_bodies, write_mesh

                self.write(f"{name}.{ending}", lambda path: write_mesh(detector_bodies(detector, colours), path))

    @functools.cached_property
    def can_draw(self) -> bool:
        """Whether there is OpenGL; the first who asks has it noted where there is none."""
        found = opengl()
        if not found.works:
            self.note(f"no three-dimensional pictures: {found.reason}")
        return found.works

    def write(self, name: str, draw: Callable[[Path], Any]) -> None:
        """A file by `draw`, in the folder, which is made where it is missing."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draw(self.folder / name)
        except OSError as error:
            problem = f"cannot be written: {error.strerror}"
            raise InputError(problem, file=self.folder, remedy="name a folder you may write to with --out") from None
        self.paths.append(self.folder / name)


def draw_geometry(detector: Detector, name: str, artist: Artist) -> None:
    """The layout of one detector, coloured by the types of its sensors."""
    view = layout_view(detector)
    artist.still(f"{name}_layout", lambda path: _drawn().view_picture(view, path), _map(detector, view))
    artist.page(f"{name}_layout", view)
    artist.meshes(name, detector, view.colours)


def draw_event(
    detector: Detector,
    source: Path,
    number: int,
    artist: Artist,
    quantity: Literal["charge", "time"] = "charge",
) -> None:
    """One event of a file, counted from 0 through all its populations.

    **Raises** `InputError` where the file holds no such event, no readouts, or those of another detector.
    """
    primary, readout = _event(source, number)
    sensors = np.shape(readout.charge)[0]
    if sensors != detector.sensors.count:
        problem = f"holds {sensors} sensors, the detector has {detector.sensors.count}"
        raise InputError(problem, file=source, remedy="name the geometry the events were made with (--geometry)")
    view = event_view(detector, primary, readout, quantity)
    name = f"{source.stem}_event_{number}" + ("" if quantity == "charge" else f"_{quantity}")
    artist.still(name, lambda path: _drawn().view_picture(view, path), _map(detector, view))
    artist.page(name, view)
    artist.meshes(name, detector, view.colours)


def draw_chamber(detector: AbstractTPC, source: Path, number: int | None, artist: Artist) -> None:
    """A chamber; with the deposits of an event of a file, counted from 0, and what its wires would record of them.

    Deposits of which nothing lies in the chamber are put into the middle of its first drift volume, which is noted. **Raises**
    `InputError` where the file holds no such event, and for meshes, of which chambers have none.
    """
    if unknown := set(artist.formats) & set(MESHES):
        raise InputError("a chamber has no mesh", key="--format", value=sorted(unknown)[0], remedy="png or html")
    from ..rendering.chamber_view import chamber_view

    if number is None:
        view, name = chamber_view(detector), f"{source.stem}_layout"
    else:
        events, title = deposit_events(source), f"{source.name}, event {number}"
        if number >= len(events):
            remedy = f"events are 0 to {len(events) - 1}"
            raise InputError("no such event", file=source, key="--event", value=number, remedy=remedy)
        deposits = read_deposits(source, events[number])
        if int(contained(detector.volumes, deposits).count) == 0:
            artist.note("nothing lies in the chamber: the event was moved into the middle of its first drift volume")
            deposits = centred(detector.volumes, deposits)
        view, name = chamber_view(detector, deposits, title), f"{source.stem}_event_{number}"
        if "png" in artist.formats and isinstance(detector, TPC):
            artist.write(f"{name}_waveforms.png", lambda path: _draw_waveforms(detector, deposits, title, path))
    artist.still(name, lambda path: _drawn().view_picture(view, path), lambda path: _projections(view, path))
    artist.page(name, view)


def _draw_waveforms(detector: TPC, deposits: Deposits, title: str, path: Path) -> None:
    from ..rendering.chamber_figures import waveform_image
    from ..simulation import TPCSimulator

    electronics = detector.electronics
    data = TPCSimulator().sample(detector, deposits.padded(), jax.random.key(0))
    longest = max(float(lengths.max()) for lengths in detector.wire_lengths)
    counts = float(electronics.noise(jnp.asarray(longest)) / electronics.full_scale) * (2**electronics.bits - 1)
    waveform_image(
        [np.asarray(one) for one in data.waveforms],
        path,
        pedestal=float(data.pedestal),
        tick=electronics.tick,
        noise=counts,
        title=f"{title}, in {detector.name}",
    )


def _projections(view: View, path: Path) -> None:
    from ..rendering.chamber_figures import projections

    projections(view, path)


@dataclasses.dataclass(frozen=True)
class StudyPicture:
    """What pictures of a study show.

    `shares`: the share of the information of each sensor, for `baseline` and `design`, None where it was not found out;
    `trajectory`: lines of the ledger; `best_step`: where the design was found.
    """

    baseline: Any
    design: Any
    shares: tuple[np.ndarray, np.ndarray] | None
    trajectory: Sequence[Mapping[str, Any]]
    best_step: int


def draw_study(study: StudyPicture, artist: Artist) -> None:
    """The layout before and after, sensors coloured by the information they carry (without that, by how far they moved),
    and the design moving; of a chamber its volumes and wires, before and after."""
    if isinstance(study.design, AbstractTPC):
        for name, chamber in (("baseline", study.baseline), ("design", study.design)):
            draw_chamber(chamber, Path(name), None, artist)
        return
    before, after = _before_and_after(study)
    artist.still(
        "layout_3d",
        lambda path: _drawn().layout_picture(before, after, path),
        _map(study.design, after),
        "layout_information",
    )
    artist.moving("moving", lambda path: _drawn().moving_picture(*_frames(study), path))
    artist.page("layout", after)
    artist.meshes("design", study.design, after.colours)


def write_figures(
    picture: Callable[[], StudyPicture],
    history: Sequence[Mapping[str, Any]],
    directory: Path,
    observer: AbstractObserver,
) -> None:
    """`figures/`: layout before and after, flat and in three dimensions, history, and the design moving.

    `picture` finds what pictures show. One that fails is noted and stops nothing.
    """
    folder = directory / "figures"
    artist = Artist(folder, PICTURES, observer.note)

    def flat(shown: StudyPicture) -> None:
        from ..rendering import figures

        folder.mkdir(exist_ok=True)
        figures.history_plot(history, folder / "history.png")
        if isinstance(shown.baseline, Detector) and isinstance(shown.design, Detector):
            figures.layout_before_after(shown.baseline, shown.design, folder / "layout.png")

    try:
        shown = picture()
        flat(shown)
        draw_study(shown, artist)
    except Exception as error:  # a study is not lost for a picture
        observer.note(f"figures were not made: {error}")


def read_study_picture(directory: Path) -> StudyPicture:
    """A finished study as pictures need it. **Raises** `InputError` where the study has no design yet."""
    designs = {name: load_detector(path) for name, path in study_designs(directory).items()}
    ledger = Ledger(directory)
    pair = None
    if (directory / SHARES).is_file():
        with np.load(directory / SHARES, allow_pickle=False) as stored:
            pair = (stored["baseline"], stored["optimum"])
    best = ledger.read_json(RESULT)["best_step"]
    return StudyPicture(designs["baseline"], designs["optimum"], pair, ledger.lines(TRAJECTORY), int(best))


def _before_and_after(study: StudyPicture) -> tuple[View, View]:
    moved, words = displacement(study.baseline, study.design), displacement_words(study.baseline, study.design)
    if study.shares is not None:
        colourings = information_colouring(*study.shares)
    elif moved is None:
        colourings = [None, None]
    else:
        colourings = [_distance(np.zeros_like(moved), moved.max()), _distance(moved, moved.max())]
    before, after = (
        layout_view(detector, colouring, study.design.name, words)
        for detector, colouring in zip((study.baseline, study.design), colourings, strict=True)
    )
    return before, after


def _frames(study: StudyPicture) -> tuple[list[View], list[str]]:
    """Views of the designs that the study went through, and of the one that it found, coloured by how far sensors moved.

    A design that was rounded to another number of sensors is none of these pictures: what moves is the same in all of them.
    """
    steps = designs_of(study.baseline, study.trajectory, study.best_step)
    kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _FRAMES)).round().astype(int)) if steps else []
    alike = study.design.sensors.count == study.baseline.sensors.count
    shown = [*(steps[index] for index in kept), *([(study.best_step, study.design)] if alike or not steps else [])]
    distances = [displacement(study.baseline, design) for _, design in shown]
    high = max((float(np.max(distance)) for distance in distances if distance is not None), default=0.0)
    views = [
        layout_view(design, None if distance is None else _distance(distance, high), study.design.name, "")
        for (_, design), distance in zip(shown, distances, strict=True)
    ]
    captions = [f"step {step}" for step, _ in shown]
    if alike:
        captions[-1] = f"best feasible design, of step {study.best_step}"
    return views, captions


def _distance(values: np.ndarray, high: float) -> Colouring:
    return Colouring(values, "distance from the start (mm)", 0.0, max(1.0, float(high)))


def _event(source: Path, number: int) -> tuple[Primary, Readout]:
    first, populations = 0, read_events(source).populations
    for population in populations:
        if number < first + population.count:
            if population.readouts is None:
                problem = "holds primaries without readouts"
                raise InputError(problem, file=source, remedy="make it with 'studio simulate'")
            one: EventSet = jax.tree.map(operator.itemgetter(number - first), population)
            assert one.readouts is not None
            return one.primaries, one.readouts
        first += population.count
    raise InputError("no such event", file=source, key="--event", value=number, remedy=f"events are 0 to {first - 1}")


def _map(detector: Detector, view: View) -> Callable[[Path], Any]:
    def draw(path: Path) -> None:
        from ..rendering.figures import layout_map

        layout_map(detector, view, path)

    return draw


def _drawn() -> Any:
    """The module that draws with VTK; only ever loaded where the probe found OpenGL."""
    from ..rendering import pictures

    return pictures
