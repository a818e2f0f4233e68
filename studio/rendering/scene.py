"""Three-dimensional pictures with PyVista: layouts, events, and a design that moves. Nothing else imports PyVista.

Off-screen always. Ask `probe.opengl()` first: where there is no OpenGL, VTK ends the process. Sensors are drawn on the side of
the wall that faces the onlooker with its inside; the near side is cut away, so that nothing stands before anything.
Lengths are in metres.
"""

# pyright: reportCallIssue=false
# matplotlib's annotations know no subplot of a grid's cell.
from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import pyvista
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from PIL import Image
from vtkmodules.vtkCommonCore import vtkLogger

from ..geometry.triangulation import disc_sides, discs, tube, wall_lines, wall_triangles
from ..units import m
from .camera import VIEW_ANGLE, Camera, axes_around, camera_around
from .style import AMOUNTS, DPI, INK, PALETTE, STYLE, UNLIT, WALL
from .view import LINE_WIDTH, WALL_COLOUR, Colouring, View, alike, half_box, wall_scale

_PIXELS = (1100, 1000)  # of one panel
_FRAME_PIXELS = (880, 800)  # of a moving picture
_PANEL = 5.6  # inches that a panel is high


def view_picture(view: View, path: str | os.PathLike[str]) -> Figure:
    """One view as a picture with title, axes in metres, and colour bar or legend; the ending of `path` chooses the format."""
    return _figure([[view]], [""], view, path)


def layout_picture(before: View, after: View, path: str | os.PathLike[str]) -> Figure:
    """A layout before and after, each from above on one side and from below on the other, so that all of the wall is seen."""
    before, after = alike([before, after])
    opposite = tuple(-x for x in after.look)
    rows = [[_looking(view, look) for view in (before, after)] for look in (after.look, opposite)]
    return _figure(rows, ["before", "after"], after, path)


def moving_picture(views: Sequence[View], captions: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Views of one detector after each other as a GIF that repeats, with a caption for each and a pause at the end."""
    views = alike(views)
    window, drawing = _window(views, _FRAME_PIXELS), _Drawing(views[0], _FRAME_PIXELS)
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


def view_image(view: View, size: tuple[int, int] = _PIXELS) -> np.ndarray:
    """The bare three-dimensional picture `(height, width, 3)`, with its axes and without words."""
    drawing = _Drawing(view, size)
    try:
        return drawing.image()
    finally:
        drawing.close()


class _Drawing:
    """One view in an off-screen window. Wall and sensors may be moved; lines and camera stay."""

    def __init__(self, view: View, size: tuple[int, int]):
        # VTK complains of a missing X server before it draws without one.
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        self.plotter = pyvista.Plotter(off_screen=True, window_size=list(size), lighting="none")
        self.plotter.renderer.SetBackground(1.0, 1.0, 1.0)
        self.plotter.enable_anti_aliasing("msaa", multi_samples=8)
        self.sides = disc_sides(len(view.radii))
        vertices, faces = wall_triangles(view.volume)
        self.wall = _mesh((wall_scale(view) * vertices / m, faces))
        # Seen from inside, as the sensors are: faces that turn their outside to the onlooker are left out.
        self.plotter.add_mesh(self.wall, color=WALL_COLOUR, lighting=False, culling="front")
        self.edges = [pyvista.lines_from_points(line / m) for line in wall_lines(view.volume)]
        for edge in self.edges:
            self.plotter.add_mesh(edge, color=WALL, line_width=2.0)
        self.sensors = _mesh(discs(view.positions / m, view.normals, view.radii / m, self.sides))
        self.sensors.cell_data["colours"] = self._colours(view)
        self.plotter.add_mesh(self.sensors, scalars="colours", rgb=True, lighting=False, culling="back")
        for line in view.lines:
            body = _mesh(tube(line.points / m, LINE_WIDTH * float(np.max(half_box(view)))))
            self.plotter.add_mesh(body, color=line.colour, lighting=False)
        self._aim(view_camera(view, size))

    def move(self, view: View) -> None:
        """Wall, sensors and their colours as in another view of the same detector."""
        self.wall.points = wall_scale(view) * wall_triangles(view.volume)[0] / m
        for edge, line in zip(self.edges, wall_lines(view.volume), strict=True):
            edge.points = line / m
        self.sensors.points = discs(view.positions / m, view.normals, view.radii / m, self.sides)[0]
        self.sensors.cell_data["colours"] = self._colours(view)

    def image(self) -> np.ndarray:
        """What the camera sees, (height, width, 3)."""
        self.plotter.reset_camera_clipping_range()
        self.plotter.render()
        return np.asarray(self.plotter.screenshot(return_img=True))

    def close(self) -> None:
        self.plotter.close()

    def _colours(self, view: View) -> np.ndarray:
        return np.repeat(np.round(255 * view.colours).astype(np.uint8), self.sides, axis=0)

    def _aim(self, camera: Camera) -> None:
        self.plotter.camera_position = [tuple(camera.position), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
        self.plotter.camera.view_angle = VIEW_ANGLE


def _mesh(triangles: tuple[np.ndarray, np.ndarray]) -> pyvista.PolyData:
    vertices, faces = triangles
    return pyvista.PolyData.from_regular_faces(vertices, faces)


def view_camera(view: View, size: tuple[int, int] = _PIXELS) -> Camera:
    """The camera that a view is seen with."""
    return camera_around(half_box(view), view.look, size)


def _looking(view: View, look: tuple[float, ...]) -> View:
    return dataclasses.replace(view, look=look)


# ---- words around the pictures ---------------------------------------------------------------------------------------


def _figure(rows: list[list[View]], heads: list[str], words: View, path: str | os.PathLike[str]) -> Figure:
    window = _window([view for row in rows for view in row])
    height, width = len(rows) * _PANEL, len(rows[0]) * _PANEL * window[0].size / window[1].size
    top = 1.15 if any(heads) else 0.8
    marked = bool(words.kinds or words.lines)
    bottom, right = 0.6 if marked else 0.15, 1.5 if words.colouring else 0.2
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
            _colour_bar(figure, figure.add_axes(place), words.colouring)
        _legend(figure, words, 0.1 / full[0])
        figure.savefig(path, dpi=DPI)
        return figure


def _colour_bar(figure: Figure, axes: Axes, colouring: Colouring) -> None:
    bar = figure.colorbar(ScalarMappable(colouring.norm, AMOUNTS), cax=axes, extend=colouring.extend)
    bar.set_label(colouring.label)
    if isinstance(colouring.norm, LogNorm):
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        bar.ax.yaxis.set_minor_formatter(lambda value, _: "")


def _legend(figure: Figure, view: View, left: float) -> None:
    marks = [
        Line2D([], [], color=colour, marker="o", linestyle="none", markersize=9, label=name)
        for name, colour in view.kinds
    ]
    marks += [Line2D([], [], color=line.colour, linewidth=3, label=line.name) for line in view.lines]
    if marks:
        figure.legend(handles=marks, loc="lower left", bbox_to_anchor=(left, 0.0), frameon=False, ncols=len(marks))


def _panel(axes: Axes, view: View, image: np.ndarray) -> None:
    """The picture with its three axes, in coordinates of its pixels."""
    camera = view_camera(view, (image.shape[1], image.shape[0]))
    axes.imshow(image, interpolation="antialiased", aspect="equal")
    axes.set_axis_off()
    for axis in axes_around(half_box(view), camera):
        for line in (axis.ends, *axis.ticks):
            axes.plot(*line.T, color=INK, linewidth=0.9)
        for word, place in axis.words:
            axes.text(*place, word, ha=axis.anchor, va="center", fontsize=11, color=INK)


Window = tuple[np.ndarray, np.ndarray]


def _window(views: list[View], size: tuple[int, int] = _PIXELS) -> Window:
    """The pixels, across and downwards, that walls and axes of all the views need: the same of each, so on one scale."""
    points = []
    for view in views:
        camera, half = view_camera(view, size), half_box(view)
        points.append(camera.project(wall_scale(view) * wall_triangles(view.volume)[0] / m))
        points += [
            np.concatenate([axis.ends, [place for _, place in axis.words]]) for axis in axes_around(half, camera)
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
            _colour_bar(figure, figure.add_axes(place), view.colouring)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
