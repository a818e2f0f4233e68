"""Three-dimensional pictures as they are shown: with titles, axes in metres, colour bars and legends; and moving ones.

Words and axes are drawn around what `scene` draws, so `probe.opengl()` is to be asked before.
"""

# pyright: reportCallIssue=false
# matplotlib's annotations know no subplot of a grid's cell.
from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from ..units import m
from .camera import axes_around
from .scene import Drawing, view_image
from .style import AMOUNTS, DPI, INK, PALETTE, STYLE, UNLIT
from .view import PIXELS, WALL_COLOUR, Colouring, View, alike, drawn_wall, half_box, view_camera
from .words import colour_bar, legend, legend_rows

FRAME_PIXELS = (880, 800)
"""Width and height of what a frame of a moving picture is cut out of."""
_PANEL = 5.6  # inches that a panel is high

Window = tuple[np.ndarray, np.ndarray]


def view_picture(view: View, path: str | os.PathLike[str]) -> Figure:
    """One view as a picture with title, axes in metres, and colour bar or legend; the ending of `path` chooses the format."""
    return _figure([[view]], [""], view, path)


def layout_picture(before: View, after: View, path: str | os.PathLike[str]) -> Figure:
    """A layout before and after, each from above on one side and from below on the other, so that all of the wall is seen."""
    before, after = alike([before, after])
    opposite = tuple(-x for x in after.look)
    rows = [[dataclasses.replace(view, look=look) for view in (before, after)] for look in (after.look, opposite)]
    return _figure(rows, ["before", "after"], after, path)


def moving_picture(views: Sequence[View], captions: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Views of one detector after each other as a GIF that repeats, with a caption for each and a pause at the end."""
    views = alike(views)
    window, drawing = shown_window(views, FRAME_PIXELS), Drawing(views[0], FRAME_PIXELS)
    frames = []
    try:
        for view, caption in zip(views, captions, strict=True):
            drawing.move(view)
            frames.append(_framed(drawing.image(), view, caption, window))
    finally:
        drawing.close()
    palette = _palette()
    reduced = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [*[max(40, min(250, 6_000 // len(frames)))] * (len(frames) - 1), 2_000]
    reduced[0].save(path, save_all=True, append_images=reduced[1:], duration=durations, loop=0, optimize=False)


def _palette() -> Image.Image:
    """The 256 colours of a GIF: those of amounts and kinds, and greys for all that is drawn with soft edges."""
    # White stands alone: Pillow takes a close neighbour for it.
    greys = np.concatenate([[1.0], np.linspace(0.94, 0.0, 64)])[:, None] * np.ones(3)
    fixed = [to_rgb(colour) for colour in (WALL_COLOUR, UNLIT, *PALETTE)]
    colours = np.concatenate(
        [greys, colormaps[AMOUNTS](np.linspace(0, 1, 256 - len(greys) - len(fixed)))[:, :3], fixed]
    )
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.round(255 * colours).astype(int).ravel().tolist())
    return palette


# ---- words around the pictures ---------------------------------------------------------------------------------------


def _figure(rows: list[list[View]], heads: list[str], words: View, path: str | os.PathLike[str]) -> Figure:
    window = shown_window([view for row in rows for view in row])
    height, width = len(rows) * _PANEL, len(rows[0]) * _PANEL * window[0].size / window[1].size
    top = 1.15 if any(heads) else 0.8
    marked = legend_rows(words)
    bottom, right = 0.15 + 0.45 * marked, 1.5 if words.colouring else 0.2
    # At least as wide as a summary.
    full = (max(width + 0.2 + right, 7.2), height + top + bottom)
    with rc_context(STYLE):
        figure = Figure(figsize=full)
        FigureCanvasAgg(figure)
        sides = {"left": 0.2 / full[0], "right": 1 - right / full[0]}
        grid = figure.add_gridspec(
            len(rows), len(rows[0]), top=1 - top / full[1], bottom=bottom / full[1], wspace=0.02, hspace=0.02, **sides
        )
        for row, column in np.ndindex(len(rows), len(rows[0])):
            axes = figure.add_subplot(grid[row, column])
            _panel(axes, rows[row][column], view_image(rows[row][column]))
            axes.set_xlim(window[0][0], window[0][-1])
            axes.set_ylim(window[1][-1], window[1][0])
            if row == 0 and heads[column]:
                axes.set_title(heads[column], fontsize=13, color=INK)
        figure.text(0.2 / full[0], 1 - 0.15 / full[1], words.title, ha="left", va="top", fontsize=14, color=INK)
        figure.text(0.2 / full[0], 1 - 0.47 / full[1], words.summary, ha="left", va="top", fontsize=11, color=INK)
        if words.colouring is not None:
            tall = min(4.5, 0.8 * height)
            middle = bottom + height / 2
            place = (1 - 1.3 / full[0], (middle - tall / 2) / full[1], 0.22 / full[0], tall / full[1])
            _scale(figure, words.colouring, place)
        legend(figure, words, loc="lower left", bbox_to_anchor=(0.1 / full[0], 0.0))
        figure.savefig(path, dpi=DPI)
        return figure


def _scale(figure: Figure, colouring: Colouring, place: tuple[float, float, float, float]) -> None:
    drawn = ScalarMappable(colouring.norm, AMOUNTS)
    colour_bar(figure, drawn, colouring.label, cax=figure.add_axes(place), extend=colouring.extend)


def _panel(axes: Axes, view: View, image: np.ndarray) -> None:
    """The picture with its three axes, in coordinates of its pixels."""
    camera = view_camera(view, (image.shape[1], image.shape[0]))
    axes.imshow(image, interpolation="antialiased", aspect="equal")
    axes.set_axis_off()
    for axis in axes_around(half_box(view), camera, view.axes):
        for line in (axis.ends, *axis.ticks):
            axes.plot(*line.T, color=INK, linewidth=0.9)
        for word, place in axis.words:
            axes.text(*place, word, ha=axis.anchor, va="center", fontsize=11, color=INK)


def shown_window(views: list[View], size: tuple[int, int] = PIXELS) -> Window:
    """The pixels, across and downwards, that walls and axes of all the views need: the same of each, so on one scale."""
    points = []
    for view in views:
        camera, half = view_camera(view, size), half_box(view)
        points.append(camera.project(drawn_wall(view)[0] / m))
        points += [
            np.concatenate([axis.ends, [place for _, place in axis.words]])
            for axis in axes_around(half, camera, view.axes)
        ]
    # Words stand to the left of the vertical axis.
    low, high = np.min(np.concatenate(points), axis=0) - [75, 30], np.max(np.concatenate(points), axis=0) + 30
    return np.arange(low[0], high[0]), np.arange(low[1], high[1])


def _framed(image: np.ndarray, view: View, caption: str, window: Window) -> Image.Image:
    """One frame of a moving picture: title and caption above, the colour bar beside."""
    width, height = (pixels.size / 100 for pixels in window)
    right = 1.3 if view.colouring else 0.0
    full = (width + right, height + 0.7)
    with rc_context(STYLE):
        figure = Figure(figsize=full, dpi=100)
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, 0.0, width / full[0], height / full[1]))
        _panel(axes, view, image)
        axes.set_xlim(window[0][0], window[0][-1])
        axes.set_ylim(window[1][-1], window[1][0])
        figure.text(0.15 / full[0], 1 - 0.12 / full[1], view.title, ha="left", va="top", fontsize=13, color=INK)
        figure.text(0.15 / full[0], 1 - 0.42 / full[1], caption, ha="left", va="top", fontsize=11, color=INK)
        if view.colouring is not None:
            place = ((width + 0.1) / full[0], 0.2 * height / full[1], 0.2 / full[0], 0.6 * height / full[1])
            _scale(figure, view.colouring, place)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
