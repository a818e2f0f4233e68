"""Pictures of chambers show what stands where, and what wires recorded, when they recorded it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from studio import TPC, ColdElectronics, Deposits, DriftVolumes, InputError, LiquidArgon, WirePlane, save_detector
from studio.cli import run
from studio.io import write_deposits
from studio.rendering.chamber_figures import projections, waveform_image
from studio.rendering.chamber_view import chamber_view
from studio.rendering.probe import opengl
from studio.rendering.style import UNLIT
from studio.rendering.view import view_camera
from studio.units import m

needs_opengl = pytest.mark.skipif(not opengl().works, reason=opengl().reason)
SIZE = (640, 600)


def chamber() -> TPC:
    """Two volumes of 1 m (x) × 0.8 m (y) × 1.2 m (z) on either side of the cathode x = 0."""
    ends = [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    anodes = [[-1000.0, 0.0, 0.0], [1000.0, 0.0, 0.0]]
    volumes = DriftVolumes(anodes, ends, [[0.0, 1.0, 0.0]] * 2, 1000.0, (800.0, 1200.0), 50.0)
    planes = (WirePlane(5.0, 0.6, 3.0, 0.0, slots=300), WirePlane(100.0, 0.0, 0.0, 440.0, slots=12))
    return TPC(volumes, LiquidArgon(), planes, ColdElectronics(ticks=600), name="small")


def event() -> Deposits:
    """In the second volume; the last is a point without length."""
    position = [[300.0, 100.0, -200.0], [500.0, -300.0, 400.0], [700.0, 0.0, 0.0]]
    return Deposits(position, [1.0, 8.0, 2.0], [5.0, 10.0, 0.0], 0.0, (0.0, 0.0, 1.0))


def test_volumes_planes_and_wires_stand_where_they_are():
    """The view's coordinates are z, x, y."""
    view = chamber_view(chamber())
    np.testing.assert_allclose(view.volume.size, [1200, 2000, 800])
    assert view.axes == ("z", "x", "y")
    (cathode,) = view.sheets
    np.testing.assert_allclose(cathode.corners[..., 1], 0.0, atol=1e-9)
    np.testing.assert_allclose(np.abs(cathode.corners[..., [0, 2]]), np.broadcast_to([600, 400], (2, 4, 2)))
    boxes, slanted, vertical = view.strokes
    assert boxes.ends.shape == (2 * 12, 2, 3)  # a box has twelve edges
    assert vertical.name == "plane 2, 100 mm: all wires"
    np.testing.assert_allclose(np.unique(vertical.ends[..., 0]), np.arange(-550, 551, 100))
    np.testing.assert_allclose(np.abs(vertical.ends[..., 1]), 1000)
    # (800 sin 0.6 + 1200 cos 0.6) / 5 = 288.4 wires cross each anode; every so many is drawn, as the legend says.
    every = int(slanted.name.rpartition(" ")[2])
    assert slanted.name == f"plane 1, 5 mm: one wire in {every}"
    assert abs(len(slanted.ends) / 2 - 288.4 / every) <= 1
    np.testing.assert_allclose(np.abs(slanted.ends[..., 1]), 997)


def test_deposits_are_coloured_by_energy_per_length_in_the_volumes_that_hold_them():
    view = chamber_view(chamber(), event())
    np.testing.assert_allclose(view.volume.size, [1200, 1000, 800])
    assert view.axes == ("z", "x − 0.50", "y")
    np.testing.assert_allclose(view.positions[0], [-200, 300 - 500, 100])
    np.testing.assert_allclose(view.colouring.values, [2.0, 8.0, np.nan])  # 1 MeV on 5 mm, 8 MeV on 10 mm, none
    np.testing.assert_allclose(view.colours[2], to_rgb(UNLIT))
    assert "3 deposits, 11 MeV" in view.summary
    assert (
        len(chamber_view(chamber(), event().moved((0.0, 5000.0, 0.0))).strokes[0].ends) == 24
    )  # nowhere: all are shown


@needs_opengl
def test_the_pixel_of_a_deposit_has_its_colour():
    from studio.rendering.scene import view_image

    view = chamber_view(chamber(), event())
    image = view_image(view, SIZE)
    for place, colour in zip(view.positions, view.colours, strict=True):
        column, row = np.floor(view_camera(view, SIZE).project(place[None] / m)[0]).astype(int)
        near = image[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3)
        # Beside the tip that is nearest, faces have the same colour: no light falls on them.
        assert np.abs(near - 255 * colour).max(axis=1).min() < 12


def test_waveforms_are_shown_where_there_is_signal(tmp_path):
    """A pulse of +50 counts on channel 40 at samples 200 to 210, one of −80 on channel 60 at sample 300; noise of one count."""
    counts = 2000.0 + np.random.default_rng(1).normal(size=(200, 600))
    counts[40, 200:211] += 50
    counts[60, 300] -= 80
    figure = waveform_image([counts], tmp_path / "waves.png", pedestal=2000.0, tick=500.0, noise=1.0, names=["plane"])
    axes = figure.axes[0]
    (low, high), (early, late) = axes.get_xlim(), axes.get_ylim()
    assert 30 < low < 40 < 60 < high < 70
    assert 90 < early < 100 < 150 < late < 160  # µs
    image = axes.images[0]
    assert image.get_clim() == (-np.abs(counts - 2000).max(), np.abs(counts - 2000).max())
    assert image.get_array()[300 - int(early * 2), 60 - int(low + 0.5)] < -70
    assert (tmp_path / "waves.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="no waveforms"):
        waveform_image([], tmp_path / "none.png", pedestal=0.0, tick=500.0)


def test_without_opengl_two_projections_take_the_place(tmp_path):
    view = chamber_view(chamber(), event())
    figure = projections(view, tmp_path / "flat.png")
    marks = [axes.collections[-1].get_offsets() for axes in figure.axes[:2]]
    np.testing.assert_allclose(marks[0], view.positions[:, [0, 1]] / m)
    np.testing.assert_allclose(marks[1], view.positions[:, [0, 2]] / m)


def test_render_draws_chambers_and_their_events(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_detector(chamber(), "small.yaml")
    write_deposits("event.h5", event().moved((5000.0, 0.0, 0.0)))
    assert run(["render", "small.yaml", "--format", "html", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["small_layout.html"]
    page = Path("small_layout.html").read_text()
    for words in ("cathode", "plane 2, 100 mm: all wires", "2 drift volumes"):
        assert words in page
    assert run(["render", "event.h5", "--geometry", "small.yaml", "--format", "html"]) == 0
    assert "nothing lies in the chamber" in capsys.readouterr().err
    assert "energy per length" in Path("event_event_0.html").read_text()
    assert run(["render", "event.h5", "--geometry", "small.yaml", "--format", "html", "--event", "7"]) == 2
    assert "events are 0 to 0" in capsys.readouterr().err
    assert run(["render", "small.yaml", "--format", "glb"]) == 2
    assert "a chamber has no mesh" in capsys.readouterr().err
