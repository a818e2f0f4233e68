"""Figures show what they are given, to scale, with units, in colours that everyone can tell apart.

- A map keeps lengths on every flat or unrolled piece of wall, keeps areas on a sphere, and shows walls from outside.
- The pixel at a sensor's centre has the colour of its charge; its disc ends where the sensor ends.
- Colours: lightness of the amount scale rises steadily, for normal sight and for three kinds of colour blindness
  (Machado et al. 2009, severity 1); lines differ by ΔE₇₆ > 10 for each of them, where 2.3 is just noticeable.
"""

from __future__ import annotations

import itertools
import re
import struct

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.path import Path as Polygon

from studio import Box, Cylinder, Detector, InputError, PhotosensorArray, Readout, Sphere, Water, replace
from studio.rendering.figures import event_display, history_plot, layout_before_after, search_plot, tolerance_plot
from studio.rendering.wall_map import wall_map
from studio.units import m, mm
from tests.tanks import cylinder, plain_sensor

RADIUS = 200.0 * mm
VOLUMES = {
    "cylinder": Cylinder(2.0 * m, 5.0 * m),
    "box": Box((3.0 * m, 4.0 * m, 5.0 * m)),
    "sphere": Sphere(3.0 * m),
}


def detector(volume, uv, patch) -> Detector:
    return Detector(volume, Water(), PhotosensorArray(np.asarray(uv), np.asarray(patch), (plain_sensor(RADIUS),)))


def scattered(name: str, count: int = 20, size: float = 1e-3) -> Detector:
    """On every patch `count` small triangles of sensors: rows 3i, 3i + 1, 3i + 2 belong together."""
    volume, generator = VOLUMES[name], np.random.default_rng(1)
    uv, patch = [], []
    for index in range(len(volume.patches)):
        if volume.chart_size == 3:
            corner = generator.normal(size=(count, 1, 3))
            corner /= np.linalg.norm(corner, axis=-1, keepdims=True)
        else:
            corner = generator.uniform(-0.6, 0.6, (count, 1, 2))
        here = corner + size * generator.normal(size=(count, 3, volume.chart_size))
        if volume.chart_size == 3:
            here /= np.linalg.norm(here, axis=-1, keepdims=True)
        uv.append(here.reshape(-1, volume.chart_size))
        patch.append(np.full(3 * count, index))
    return detector(volume, np.concatenate(uv), np.concatenate(patch))


def readout(count: int, seed: int = 0) -> Readout:
    """Every other sensor fired, with charges from 0.5 to 500 photoelectrons."""
    charge = 10 ** np.random.default_rng(seed).uniform(-0.3, 2.7, count)
    hit = np.arange(count) % 2 == 0
    return Readout(np.where(hit, charge, 0.0), np.zeros(count), hit)


def history(steps: int = 6, starts: int = 1) -> list[dict]:
    lines = []
    for start, step in itertools.product(range(starts), range(steps)):
        value = -0.1 * step + 0.03 * start
        terms = {"vertex_resolution": 2 * value, "direction_resolution": -value, "energy_resolution": value / 2}
        line = {"step": start * steps + step, "start": start, "objective": 1.0 + value, "terms": terms}
        best = 1.0 - 0.1 * (min(step, 3) if start == 0 else 3)
        lines.append(line | {"gradient_norm": 2.0 / (1 + step), "violation": 0.002 * step, "best": best})
    return lines


def three_figures(folder) -> dict:
    tank = cylinder()
    moved = replace(tank, {"sensors.uv": np.asarray(tank.sensors.uv) * 0.9})
    return {
        "event": event_display(tank, readout(tank.sensors.count), folder / "event.png"),
        "layout": layout_before_after(tank, moved, folder / "layout.png"),
        "history": history_plot(history(), folder / "history.png"),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def figures(folder):
    return three_figures(folder)


def labelled(figure, label: str) -> EllipseCollection:
    (found,) = [c for axes in figure.axes for c in axes.collections if c.get_label() == label]
    return found


# ---- maps --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VOLUMES)
def test_walls_are_seen_from_outside_and_keep_their_areas(name):
    """Signed areas of small triangles: twice the area in space, positive where the corners turn left as seen from outside.

    Triangles of about 3 mm on walls of 2 m: curvature changes areas by parts in 10⁶ on a barrel, by 1e-3 on a sphere.
    """
    tank = scattered(name)
    positions = np.asarray(tank.placed.positions).reshape(-1, 3, 3) / m
    outwards = -np.asarray(tank.placed.normals).reshape(-1, 3, 3)[:, 0]
    points = wall_map(tank).points.reshape(-1, 3, 2)
    first, second = positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 0]
    in_space = np.einsum("ni,ni->n", np.cross(first, second), outwards)
    a, b = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    on_map = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    rounding = 1e-12  # m²: single sums of 1e-16 m × 3 m / 1e-3
    np.testing.assert_allclose(on_map, in_space, rtol=2e-2 if name == "sphere" else 1e-5, atol=rounding)


@pytest.mark.parametrize("name", ["cylinder", "box"])
def test_maps_keep_lengths_on_each_piece(name):
    """Neighbours a few mm apart: straight and unrolled distances agree to (3 mm / 2 m)² / 24, here 1e-6."""
    tank = scattered(name)
    positions = np.asarray(tank.placed.positions).reshape(-1, 3, 3) / m
    points = wall_map(tank).points.reshape(-1, 3, 2)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        in_space = np.linalg.norm(positions[:, i] - positions[:, j], axis=-1)
        np.testing.assert_allclose(np.linalg.norm(points[:, i] - points[:, j], axis=-1), in_space, rtol=1e-5)


@pytest.mark.parametrize("name", VOLUMES)
def test_every_sensor_lies_inside_one_piece_and_pieces_do_not_overlap(name):
    where = wall_map(scattered(name))
    inside = np.array([Polygon(outline).contains_points(where.points) for outline in where.outlines])
    assert (inside.sum(axis=0) == 1).all()
    assert len(where.outlines) == len(VOLUMES[name].patches)


def test_neighbours_across_the_fold_of_a_cylinder_are_neighbours_on_the_map():
    """The caps are folded out at +x: there barrel and cap meet, with a gap of 6 % of the height and 2 × 5 cm of margin."""
    tank = detector(VOLUMES["cylinder"], [[0.0, 0.98], [0.975, 0.0], [0.0, -0.98], [0.975, 0.0]], [0, 1, 0, 2])
    points = wall_map(tank).points
    for barrel, cap in ((0, 1), (2, 3)):
        np.testing.assert_allclose(points[cap] - points[barrel], [0.0, np.sign(points[cap, 1]) * 0.4], atol=1e-9)


def test_a_volume_without_a_map_is_refused():
    class Egg:
        pass

    tank = cylinder()
    odd = object.__new__(Detector)
    for field in ("medium", "sensors", "electronics", "name"):
        object.__setattr__(odd, field, getattr(tank, field))
    object.__setattr__(odd, "volume", Egg())
    with pytest.raises(InputError, match="no map of a Egg.*use a cylinder, a box, a sphere or a mesh"):
        wall_map(odd)


# ---- files and axes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["event", "layout", "history"])
def test_the_file_is_a_png_of_the_figure_at_150_dots_an_inch(name, figures, folder):
    content = (folder / f"{name}.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    size = struct.unpack(">II", content[16:24])
    inches = figures[name].get_size_inches()
    np.testing.assert_allclose(size, inches * 150, atol=1)  # whole pixels
    assert min(size) >= 1000  # large enough for a slide
    assert len(content) < 300_000  # small enough for a repository


@pytest.mark.parametrize(("ending", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_ending_chooses_the_format(ending, start, tmp_path):
    history_plot(history(), tmp_path / f"history.{ending}")
    assert (tmp_path / f"history.{ending}").read_bytes().startswith(start)


def test_axes_have_units(figures):
    """Every labelled axis ends in its unit; steps and changes of a mean logarithm have none."""
    labels = [
        text for figure in figures.values() for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())
    ]
    labels = [text for text in labels if text]
    units = {re.search(r"\(([^)]*)\)$", text).group(1) for text in labels if text.endswith(")")}
    assert units == {"m", "mm", "photoelectrons", "natural units", "%"}
    assert {text for text in labels if not text.endswith(")")} == {"step", "change since the first step"}


def test_nothing_reaches_over_the_edge_of_the_picture(figures):
    for name, figure in figures.items():
        figure.canvas.draw()
        width, height = figure.canvas.get_width_height()
        for axes in figure.axes:
            box = axes.get_tightbbox(figure.canvas.get_renderer())
            assert box.x0 > -1, name
            assert box.y0 > -1, name
            assert box.x1 < width + 1, name
            assert box.y1 < height + 1, name


# ---- contents ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VOLUMES)
def test_a_sensor_has_the_colour_of_its_charge_and_its_own_size(name, tmp_path):
    """Pixels of the finished picture. A disc is some 10 pixels wide: sampled at its centre, at 0.7 and at 1.4 radii."""
    volume = VOLUMES[name]
    if volume.chart_size == 3:
        tank = detector(volume, np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0, -0.6, 0.8]]), [0, 0, 0])
    else:
        patches = np.arange(len(volume.patches))
        tank = detector(volume, np.tile([[0.3, -0.2]], (len(patches), 1)), patches)
    count = tank.sensors.count
    charge = np.geomspace(2.0, 300.0, count)
    figure = event_display(tank, Readout(charge, np.zeros(count), np.ones(count, bool)), tmp_path / "event.png")
    figure.set_dpi(150)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    axes, discs = figure.axes[0], labelled(figure, "hit")
    points = wall_map(tank).points
    span = np.diff(axes.transData.transform([(0, 0), (RADIUS / m, 0)])[:, 0])[0]
    colours = colormaps["cividis"](discs.norm(charge))[:, :3]

    def at(offset):
        place = axes.transData.transform(points) + offset
        return pixels[(pixels.shape[0] - 1 - np.floor(place[:, 1])).astype(int), np.floor(place[:, 0]).astype(int)]

    for angle in np.arange(0, 2 * np.pi, np.pi / 3):
        towards = span * np.array([np.cos(angle), np.sin(angle)])
        np.testing.assert_allclose(at(0.0 * towards), colours, atol=2.5 / 255)  # 8 bits, and 256 steps of the scale
        np.testing.assert_allclose(at(0.7 * towards), colours, atol=2.5 / 255)
        assert (np.abs(at(1.4 * towards) - 1.0) < 0.02).all()  # white


def test_an_event_display_tells_hits_from_silent_sensors(tmp_path):
    tank = cylinder()
    event = readout(tank.sensors.count)
    figure = event_display(tank, event, tmp_path / "event.png", title="an event")
    lit, unlit = labelled(figure, "hit"), labelled(figure, "no hit")
    np.testing.assert_array_equal(lit.get_array(), event.charge[event.hit])
    np.testing.assert_allclose(lit.get_offsets(), wall_map(tank).points[event.hit])
    np.testing.assert_allclose(unlit.get_offsets(), wall_map(tank).points[~event.hit])
    assert lit.norm.vmin == 1.0
    assert lit.norm.vmax == event.charge.max()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert f"35 of 70 sensors hit, {event.charge.sum():,.0f} photoelectrons" in texts
    assert figure.axes[0].get_title(loc="left").startswith("an event")


def test_an_event_without_a_hit_is_drawn(tmp_path):
    tank = cylinder()
    nothing = np.zeros(tank.sensors.count)
    figure = event_display(tank, Readout(nothing, nothing, nothing > 0), tmp_path / "dark.png")
    assert len(labelled(figure, "no hit").get_offsets()) == 70
    assert any(text.get_text().startswith("0 of 70") for text in figure.axes[0].texts)


def test_a_readout_of_another_detector_is_refused(tmp_path):
    with pytest.raises(InputError, match="a readout of shape \\(7,\\) for 70 sensors.*index the stack"):
        event_display(cylinder(), readout(7), tmp_path / "event.png")
    assert not (tmp_path / "event.png").exists()


def test_displacements_are_straight_distances_and_the_seam_is_not_crossed(tmp_path):
    volume = VOLUMES["cylinder"]
    before = detector(volume, [[3.1, 0.0], [0.5, 0.2], [0.1, 0.1]], [0, 0, 1])
    after = replace(before, {"sensors.uv": np.array([[-3.1, 0.0], [0.6, 0.2], [0.1, 0.1]])})
    figure = layout_before_after(before, after, tmp_path / "layout.png")
    # chords of 2 m: 2 R sin(Δφ/2)
    expected = 2 * 2000.0 * np.sin(np.array([2 * np.pi - 6.2, 0.1, 0.0]) / 2)
    np.testing.assert_allclose(labelled(figure, "after").get_array(), expected, atol=1e-9)
    np.testing.assert_allclose(labelled(figure, "before").get_offsets(), wall_map(before).points)
    (ways,) = [c for c in figure.axes[0].collections if c.get_label() == "displacement"]
    (way,) = ways.get_segments()  # neither across the seam nor of the one that stayed
    np.testing.assert_allclose(way, [wall_map(before).points[1], wall_map(after).points[1]])
    (summary,) = [text.get_text() for text in figure.axes[0].texts if "moved" in text.get_text()]
    assert summary == f"3 sensors, moved {np.median(expected):,.0f} mm in the median, {expected.max():,.0f} mm at most"


def test_a_smaller_wall_keeps_the_old_one_dashed(tmp_path):
    before = cylinder()
    after = replace(before, {"volume.radius": 1.2 * m})
    drawn = {}
    for name, design in (("moved", after), ("same", before)):
        figure = layout_before_after(before, design, tmp_path / f"{name}.png")
        lines = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
        drawn[name] = [c for c in lines if c.get_linestyle()[0][1] is not None]
    assert len(drawn["moved"]) == 1
    assert not drawn["same"]
    np.testing.assert_allclose(drawn["moved"][0].get_segments()[0][:, 0].max(), np.pi * 1.5)  # m, the old barrel


def test_designs_with_other_sensors_have_no_distances(tmp_path):
    before, after = cylinder(), cylinder(spacing=0.6 * m)
    figure = layout_before_after(before, after, tmp_path / "layout.png")
    assert len(figure.axes) == 1  # no scale of displacements
    words = [text.get_text() for text in [*figure.texts, *figure.axes[0].texts]]
    assert any(f"70 sensors before, {after.sensors.count} after" in word for word in words)


def test_a_history_shows_changes_since_the_first_step(tmp_path):
    lines = history()
    figure = history_plot(lines, tmp_path / "history.png")
    top, middle, bottom = figure.axes
    drawn = {line.get_label(): line for line in top.lines}
    steps = [line["step"] for line in lines]
    for label, values in {
        "objective": [line["objective"] for line in lines],
        "vertex resolution": [line["terms"]["vertex_resolution"] for line in lines],
        "energy resolution": [line["terms"]["energy_resolution"] for line in lines],
    }.items():
        np.testing.assert_array_equal(drawn[label].get_xdata(), steps)
        np.testing.assert_allclose(drawn[label].get_ydata(), np.array(values) - values[0], atol=1e-12)
    np.testing.assert_allclose(drawn["best feasible"].get_xydata(), [[3, -0.3]])
    np.testing.assert_allclose(middle.lines[0].get_ydata(), [line["gradient_norm"] for line in lines])
    np.testing.assert_allclose(bottom.lines[0].get_ydata(), [100 * line["violation"] for line in lines])


def test_where_steps_have_their_own_events_the_ring_is_where_the_best_was_found(tmp_path):
    """The objective of a step that happens to come near the best value is no sign of it."""
    lines = history()
    objectives, best = [1.0, 0.5, 1.3, 0.69, 1.1, 0.9], [1.0, 1.0, 0.9, 0.9, 0.71, 0.71]
    lines = [line | {"objective": o, "best": b} for line, o, b in zip(lines, objectives, best, strict=True)]
    drawn = {line.get_label(): line for line in history_plot(lines, tmp_path / "history.png").axes[0].lines}
    np.testing.assert_allclose(drawn["best feasible"].get_xydata(), [[4, -0.29]])
    np.testing.assert_allclose(drawn["best so far"].get_ydata(), np.array(best) - 1.0, atol=1e-12)


def test_rounding_is_not_drawn_as_a_violation(tmp_path):
    """4e-15 % is the rounding of a constraint; the axis ends at 0.1 %, which the audit still takes as satisfied."""
    lines = [line | {"violation": 4e-17 * (line["step"] > 0)} for line in history()]
    bottom = history_plot(lines, tmp_path / "history.png").axes[2]
    low, high = bottom.get_ylim()
    assert low < 0 < 0.1 < high < 0.2
    assert np.max(bottom.lines[0].get_ydata()) < 1e-12 * high


def test_lines_of_two_starts_are_not_joined(tmp_path):
    figure = history_plot(history(steps=4, starts=2), tmp_path / "history.png")
    for axes in figure.axes:
        gaps = [np.flatnonzero(np.isnan(line.get_xdata())) for line in axes.lines if len(line.get_xdata()) > 2]
        assert gaps
        assert all(gap.tolist() == [4] for gap in gaps)


def test_a_ledger_with_text_for_infinite_numbers_and_missing_ones_is_drawn(tmp_path):
    lines = history()
    lines[2] |= {"objective": "nan", "gradient_norm": "inf", "violation": None, "best": None}
    figure = history_plot(lines, tmp_path / "history.png")
    objective = next(line for line in figure.axes[0].lines if line.get_label() == "objective")
    assert np.flatnonzero(np.isnan(objective.get_ydata())).tolist() == [2]
    with pytest.raises(InputError, match="empty history"):
        history_plot([], tmp_path / "none.png")


def test_searches_are_drawn_as_steps_and_single_designs_as_levels(tmp_path):
    """The best objective stays until the next is found: no line slopes between two points."""
    curves = {"as_built": [(40, 1.0)], "cma_es": [(40, 1.0), (120, 0.8), (400, 0.5)]}
    figure = search_plot(curves, tmp_path / "searches.png", 3.0)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"as built", "cma es"}
    assert np.all(np.asarray(lines["as built"].get_ydata()) == 1.0)
    assert np.transpose(lines["cma es"].get_data()).tolist() == [list(pair) for pair in curves["cma_es"]]
    assert lines["cma es"].get_drawstyle() == "steps-post"
    assert "counts 3" in axes.get_xlabel()
    labels = [label.get_text() for label in axes.get_xticklabels() if 40 <= label.get_position()[0] <= 400]
    assert labels == ["50", "100", "200"]
    with pytest.raises(InputError, match="no searches"):
        search_plot({}, tmp_path / "none.png")


def test_a_tolerance_shows_every_detector_that_may_be_built(tmp_path):
    """The gain is that of each pair, not of the sorted values: 1.0 − 0.9, 1.2 − 0.7, 1.4 − 0.8."""
    built = {"baseline": [1.0, 1.2, 1.4], "optimum": [0.9, 0.7, 0.8]}
    figure = tolerance_plot({"baseline": 0.9, "optimum": 0.6}, built, tmp_path / "tolerance.png")
    left, right = figure.axes
    steps = {line.get_label(): line.get_xdata()[1:] for line in left.lines}
    assert steps["baseline"].tolist() == [1.0, 1.2, 1.4]
    assert steps["optimum"].tolist() == [0.7, 0.8, 0.9]
    assert right.lines[0].get_xdata()[1:] == pytest.approx([0.1, 0.5, 0.6])
    assert right.lines[1].get_xdata() == pytest.approx([0.3, 0.3])
    with pytest.raises(InputError, match="3 detectors of the baseline and 2 of the optimum"):
        tolerance_plot({}, {**built, "optimum": [0.9, 0.7]}, tmp_path / "none.png")


# ---- colours -----------------------------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15 (2009) 1291, table 1, severity 1.0, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def lab(rgb: np.ndarray, sight: str) -> np.ndarray:
    """CIE L*a*b* (D65) of sRGB colours `(n, 3)` as that sight sees them."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ SIGHT[sight].T, 0, 1)
    xyz = seen @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    ratio = xyz / [0.9505, 1.0, 1.089]
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=-1)


@pytest.mark.parametrize("sight", SIGHT)
def test_amounts_grow_lighter_for_every_sight(sight, figures):
    """From dark to light without a step back: 32 steps, each lighter than the last, over at least 60 units of lightness."""
    for name, label in (("event", "hit"), ("layout", "after")):
        scale = labelled(figures[name], label).get_cmap()(np.linspace(0, 1, 32))[:, :3]
        lightness = lab(scale, sight)[:, 0]
        assert (np.diff(lightness) > 0.5).all()
        assert lightness[-1] - lightness[0] > 60


@pytest.mark.parametrize("sight", SIGHT)
def test_lines_are_told_apart_by_every_sight(sight, figures):
    colours = {line.get_label(): line.get_color() for line in figures["history"].axes[0].lines}
    colours = {label: colour for label, colour in colours.items() if "resolution" in label or label == "objective"}
    assert len(colours) == 4
    rgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours.values()])
    seen = lab(rgb, sight)
    for first, second in itertools.combinations(range(len(seen)), 2):
        assert np.linalg.norm(seen[first] - seen[second]) > 10, list(colours)


@pytest.mark.parametrize("sight", SIGHT)
def test_silent_sensors_do_not_look_lit(sight, figures):
    """The pale grey of a silent sensor is far from every colour that a charge can have, and visible on white."""
    grey = lab(labelled(figures["event"], "no hit").get_facecolor()[:, :3], sight)[0]
    scale = lab(colormaps["cividis"](np.linspace(0, 1, 256))[:, :3], sight)
    assert np.linalg.norm(scale - grey, axis=-1).min() > 15
    assert np.linalg.norm(lab(np.ones((1, 3)), sight)[0] - grey) > 5
