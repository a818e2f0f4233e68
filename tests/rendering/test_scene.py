"""Three-dimensional pictures: the pixel where a sensor stands has the sensor's colour, and what is behind or before does not.

Skipped where the probe finds no OpenGL.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from studio import Box, Detector, InputError, PhotosensorArray, Primary, Readout, Sphere, Water, replace
from studio.constants import MUON_MASS
from studio.detector import layouts
from studio.rendering.camera import step
from studio.rendering.probe import opengl
from studio.rendering.style import PALETTE, UNLIT
from studio.rendering.view import Colouring, View, alike, event_view, information_colouring, layout_view, view_camera
from studio.units import m, mm
from tests.tanks import cylinder, plain_sensor, sphere

needs_opengl = pytest.mark.skipif(not opengl().works, reason=opengl().reason)

SIZE = (640, 600)


def box() -> Detector:
    kind, volume = plain_sensor(150 * mm), Box((2.0 * m, 3.0 * m, 4.0 * m))
    layout = layouts.grid(volume, 0.8 * m, kind.radius)
    return Detector(volume, Water(), PhotosensorArray(layout.uv, layout.patch, (kind,)), name="box")


TANKS = {
    "cylinder": lambda: cylinder(2.0 * m, 3.0 * m, 0.9 * m),
    "sphere": lambda: sphere(2 * m, 40, plain_sensor(), 0.3),
    "box": box,
}


def amounts(tank: Detector) -> Colouring:
    return Colouring(np.linspace(0.0, 1.0, tank.sensors.count), "an amount (m)", 0.0, 1.0)


def centres(view: View, size=SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (row, column) of the sensors' centres, and whether each turns its face to the onlooker by more than 25°."""
    camera = view_camera(view, size)
    pixels = np.floor(camera.project(view.positions / m)).astype(int)
    towards = camera.position - view.positions / m
    facing = np.einsum("si,si->s", towards / np.linalg.norm(towards, axis=-1, keepdims=True), view.normals)
    return pixels[:, ::-1], facing > np.sin(np.radians(25.0))


@needs_opengl
@pytest.mark.parametrize("look", [View.look, (-0.3, 0.6, 0.5)])
@pytest.mark.parametrize("name", TANKS)
def test_sensors_on_the_far_side_have_their_colour_where_they_stand(name, look):
    """And those of the near side are cut away: at their places there is wall, or a sensor of the far side."""
    from studio.rendering.scene import view_image

    tank = TANKS[name]()
    view = dataclasses.replace(layout_view(tank, amounts(tank)), look=look)
    image = view_image(view, SIZE) / 255
    places, seen = centres(view)
    assert 0.2 < seen.mean() < 0.7
    found = image[places[seen, 0], places[seen, 1]]
    right = np.abs(found - view.colours[seen]).max(axis=-1) < 1.51 / 255  # rounding, and that of multi-sampling
    assert right.mean() > 0.85  # an edge of the wall may run before the middle of a sensor
    turned = dataclasses.replace(view, normals=-view.normals)
    other = view_image(turned, SIZE) / 255
    same = np.abs(other[places[seen, 0], places[seen, 1]] - view.colours[seen]).max(axis=-1) < 0.02
    assert same.mean() < 0.2  # chance: a sensor of the near side, now seen, before it


@needs_opengl
def test_discs_cover_as_many_pixels_as_their_size_says():
    """Half the radius: a quarter of the pixels, to 5 % for edges and the raster."""
    from studio.rendering.scene import view_image

    tank = TANKS["sphere"]()
    covered = []
    for scale in (1.0, 0.5):
        view = layout_view(replace(tank, {"sensors.radius": scale * np.asarray(tank.sensors.radius)}))
        image = view_image(view, (900, 900)) / 255
        covered.append(np.count_nonzero(np.abs(image - to_rgb(PALETTE[0])).max(axis=-1) < 0.05))
    assert covered[0] > 20_000
    assert covered[1] / covered[0] == pytest.approx(0.25, rel=0.05)


@needs_opengl
@pytest.mark.parametrize("name", TANKS)
def test_nothing_is_cut_off(name):
    """The outermost pixels are white, from wherever a detector is looked at."""
    from studio.rendering.scene import view_image

    tank = TANKS[name]()
    for look in (View.look, (0.0, 1.0, -0.05), (0.2, 0.1, -1.0), (-0.5, 0.5, 0.6)):
        image = view_image(dataclasses.replace(layout_view(tank), look=look), (300, 280))
        edge = np.concatenate([image[:3].ravel(), image[-3:].ravel(), image[:, :3].ravel(), image[:, -3:].ravel()])
        assert (edge == 255).all()


@needs_opengl
def test_forty_thousand_sensors_take_seconds():
    """10 s of this process's own time on a busy machine; some 2 s are spent."""
    from studio.rendering.scene import view_image

    kind = plain_sensor(100 * mm)
    layout = layouts.fibonacci(Sphere(20 * m), 40_000)
    tank = Detector(Sphere(20 * m), Water(), PhotosensorArray(layout.uv, layout.patch, (kind,)))
    start = time.process_time()
    image = view_image(layout_view(tank, amounts(tank)), SIZE)
    assert time.process_time() - start < 10
    assert np.count_nonzero(np.ptp(image.astype(int), axis=-1) > 30) > 5_000  # pixels in colour


@needs_opengl
def test_a_moving_picture_moves(tmp_path):
    """Every frame has its own sensors at their places, on one scale though the tank grows; the last one stays longest."""
    from studio.rendering.pictures import FRAME_PIXELS, moving_picture, shown_window

    tank = TANKS["cylinder"]()
    steps = [
        replace(
            tank, {"volume.radius": (2.0 + 0.2 * i) * m, "sensors.uv": np.asarray(tank.sensors.uv) * (1 - 0.05 * i)}
        )
        for i in range(3)
    ]
    views = [layout_view(design, amounts(design)) for design in steps]
    moving_picture(views, [f"step {i}" for i in range(3)], tmp_path / "moving.gif")
    with Image.open(tmp_path / "moving.gif") as picture:
        assert picture.n_frames == 3
        assert picture.info["loop"] == 0  # for ever
        frames, durations = [], []
        for index in range(3):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB")) / 255)
            durations.append(picture.info["duration"])
    assert durations[2] > 5 * durations[0]
    assert (frames[0][2, 2] == 1).all()
    placed = alike(views)
    across, down = shown_window(placed, FRAME_PIXELS)
    for view, frame in zip(placed, frames, strict=True):
        pixels = view_camera(view, FRAME_PIXELS).project(view.positions / m) - [across[0], down[0]]
        _, seen = centres(view, FRAME_PIXELS)
        rows, columns = (np.floor(pixels[seen, 1]) + 70).astype(int), np.floor(pixels[seen, 0]).astype(int)
        error = np.abs(frame[rows, columns] - view.colours[seen]).max(axis=-1)
        assert np.median(error) < 0.04  # 183 colours of the scale in the palette
        assert (error < 0.08).mean() > 0.9
    assert np.abs(frames[1] - frames[0]).max() > 0.3


@needs_opengl
@pytest.mark.parametrize("kinds", [1, 2])
def test_pictures_are_large_and_have_words(kinds, tmp_path):
    from studio.rendering.pictures import layout_picture, view_picture

    tank = TANKS["cylinder"]()
    figure = layout_picture(layout_view(tank, amounts(tank)), layout_view(tank, amounts(tank)), tmp_path / "layout.png")
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == ["an amount (m)"]
    words = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"x (m)", "y (m)", "z (m)", "0", "−1", "1"} <= words
    assert [axes.get_title() for axes in figure.axes[:2]] == ["before", "after"]
    types = tuple(dataclasses.replace(plain_sensor(), name=f"type_{i}") for i in range(kinds))
    kind = np.arange(tank.sensors.count) % kinds
    mixed = Detector(tank.volume, Water(), PhotosensorArray(tank.sensors.uv, tank.sensors.patch, types, kind=kind))
    figure = view_picture(layout_view(mixed), tmp_path / "kinds.png")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"type {i}" for i in range(kinds)]
    for name in ("layout", "kinds"):
        picture = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
        assert min(picture.shape) > 900
        ink = np.argwhere(picture < 200)
        assert ink.min() > 5  # nothing reaches over the edge
        assert (np.array(picture.shape) - ink.max(axis=0) > 5).all()


def test_a_longer_axis_has_no_more_ticks():
    for half in (0.7, 1.0, 3.5, 16.84, 36.2, 99.0):
        assert 1 <= half / step(half) <= 2.5 + 1e-9


# ---- views ---------------------------------------------------------------------------------------------------------------


def event(tank: Detector, primary: Primary, quantity="charge") -> View:
    charge = np.geomspace(0.5, 200.0, tank.sensors.count)
    hit = np.arange(tank.sensors.count) % 3 > 0
    times = np.linspace(0.0, 50.0, tank.sensors.count)
    return event_view(tank, primary, Readout(charge * hit, times * hit, hit), quantity)


def test_an_event_has_track_and_ring():
    """Every point of the ring lies on the wall, under the Cherenkov angle of the muon's start as seen from there."""
    tank = TANKS["cylinder"]()
    primary = Primary("mu-", (100.0, -200.0, 300.0), (1.0, 0.5, -0.2), 400.0)
    track, ring = event(tank, primary).lines
    start, along = np.asarray(primary.vertex), np.asarray(primary.direction)
    np.testing.assert_allclose(track.points[0], start)
    np.testing.assert_allclose(np.cross(track.points[1] - start, along), 0.0, atol=1e-9)
    gamma = 1 + 400.0 / MUON_MASS
    cosine = 1 / (float(tank.medium.refractive_index(np.asarray(400.0))) * np.sqrt(1 - gamma**-2))
    rays = ring.points - start
    np.testing.assert_allclose(rays @ along / np.linalg.norm(rays, axis=-1), cosine, rtol=1e-12)
    _, _, off = tank.volume.chart(ring.points)
    np.testing.assert_allclose(off, 0.0, atol=1e-6)  # mm
    np.testing.assert_allclose(ring.points[0], ring.points[-1], atol=1e-6)


@pytest.mark.parametrize(
    ("primary", "names"),
    [
        (Primary("mu-", kinetic_energy=40.0), ["track"]),  # below the Cherenkov threshold of 54 MeV
        (Primary("e-", kinetic_energy=100.0), ["axis of the shower", "Cherenkov cone from the vertex, at the wall"]),
        (Primary("point", kinetic_energy=10.0), []),
    ],
)
def test_what_leaves_no_ring_has_none(primary, names):
    assert [line.name for line in event(TANKS["box"](), primary).lines] == names


def test_a_track_ends_at_the_wall():
    tank = TANKS["sphere"]()
    track, _ = event(tank, Primary("mu-", kinetic_energy=3000.0, direction=(0.6, 0.0, 0.8))).lines
    np.testing.assert_allclose(track.points[1], [1.2 * m, 0.0, 1.6 * m])


def test_silent_sensors_are_pale_and_scales_are_logarithmic_for_charge():
    tank = TANKS["sphere"]()
    charge, times = event(tank, Primary("mu-")), event(tank, Primary("mu-"), "time")
    silent = np.arange(tank.sensors.count) % 3 == 0
    for view in (charge, times):
        np.testing.assert_allclose(view.colours[silent], np.tile(to_rgb(UNLIT), (silent.sum(), 1)))
    assert charge.colouring.label == "charge (photoelectrons)"
    assert times.colouring.label == "time of the first hit (ns)"
    assert charge.colouring.norm(np.sqrt(charge.colouring.high)) == pytest.approx(0.5)
    assert charge.colouring.extend == "min"
    assert times.colouring.extend == "both"


def test_shares_of_designs_have_one_scale():
    shares = np.linspace(0.0, 0.01, 101)
    first, second = information_colouring(shares, 2 * shares)
    assert first.high == second.high == pytest.approx(100 * np.percentile([*shares, *2 * shares], 99))
    assert first.label.endswith("(%)")
    np.testing.assert_allclose(second.values, 2 * first.values)


def test_a_readout_of_another_detector_is_refused():
    tank, other = TANKS["box"](), TANKS["sphere"]()
    readout = Readout(np.ones(7), np.zeros(7), np.ones(7, bool))
    with pytest.raises(InputError, match=f"shape \\(7,\\) for {tank.sensors.count} sensors"):
        event_view(tank, Primary("mu-"), readout)
    with pytest.raises(InputError, match="colouring of shape"):
        layout_view(tank, amounts(other))
