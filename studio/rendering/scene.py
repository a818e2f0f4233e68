"""Views drawn in three dimensions with PyVista. Nothing else imports PyVista.

Off-screen always. Ask `probe.opengl()` first: where there is no OpenGL, VTK ends the process. Sensors are drawn on the side of
the wall that faces the onlooker with its inside; the near side is cut away, so that nothing stands before anything.
Lengths are in metres.
"""

from __future__ import annotations

import numpy as np
import pyvista
from vtkmodules.vtkCommonCore import vtkLogger

from ..geometry.triangulation import tube, wall_lines
from ..units import m
from .camera import VIEW_ANGLE, Camera
from .style import WALL
from .view import LINE_WIDTH, PIXELS, WALL_COLOUR, View, drawn_wall, half_box, view_camera

_SHEET = 0.18  # opacity: what stands behind is seen


def view_image(view: View, size: tuple[int, int] = PIXELS) -> np.ndarray:
    """The bare three-dimensional picture `(height, width, 3)`, with its axes and without words."""
    drawing = Drawing(view, size)
    try:
        return drawing.image()
    finally:
        drawing.close()


class Drawing:
    """One view in an off-screen window. Wall and sensors may be moved; lines and camera stay."""

    def __init__(self, view: View, size: tuple[int, int]):
        # VTK complains of a missing X server before it draws without one.
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        self.plotter = pyvista.Plotter(off_screen=True, window_size=list(size), lighting="none")
        self.plotter.renderer.SetBackground(1.0, 1.0, 1.0)
        self.plotter.enable_anti_aliasing("msaa", multi_samples=8)
        vertices, faces = drawn_wall(view)
        self.wall = _mesh((vertices / m, faces))
        # Seen from inside, as the sensors are: faces that turn their outside to the onlooker are left out.
        self.plotter.add_mesh(self.wall, color=WALL_COLOUR, lighting=False, culling="front")
        self.edges = [pyvista.lines_from_points(line / m) for line in wall_lines(view.volume)]
        for edge in self.edges:
            self.plotter.add_mesh(edge, color=WALL, line_width=2.0)
        self._add_sheets_and_strokes(view)
        self.sensors = _mesh(view.bodies(m))
        if len(view.positions):
            self.sensors.cell_data["colours"] = self._colours(view)
            self.plotter.add_mesh(self.sensors, scalars="colours", rgb=True, lighting=False, culling="back")
        for line in view.lines:
            body = _mesh(tube(line.points / m, LINE_WIDTH * float(np.max(half_box(view)))))
            self.plotter.add_mesh(body, color=line.colour, lighting=False)
        self._aim(view_camera(view, size))

    def move(self, view: View) -> None:
        """Wall, sensors and their colours as in another view of the same detector."""
        self.wall.points = drawn_wall(view)[0] / m
        for edge, line in zip(self.edges, wall_lines(view.volume), strict=True):
            edge.points = line / m
        if len(view.positions):
            self.sensors.points = view.bodies(m)[0]
            self.sensors.cell_data["colours"] = self._colours(view)

    def image(self) -> np.ndarray:
        """What the camera sees, (height, width, 3)."""
        self.plotter.reset_camera_clipping_range()
        self.plotter.render()
        return np.asarray(self.plotter.screenshot(return_img=True))

    def close(self) -> None:
        self.plotter.close()

    def _add_sheets_and_strokes(self, view: View) -> None:
        for sheets in view.sheets:
            corners = sheets.corners.reshape(-1, 3) / m
            body = pyvista.PolyData.from_regular_faces(corners, np.arange(len(corners)).reshape(-1, 4))
            self.plotter.add_mesh(body, color=sheets.colour, opacity=_SHEET, lighting=False)
        for strokes in view.strokes:
            body = pyvista.line_segments_from_points(strokes.ends.reshape(-1, 3) / m)
            self.plotter.add_mesh(body, color=strokes.colour, line_width=1.5, lighting=False)

    def _colours(self, view: View) -> np.ndarray:
        each = self.sensors.n_cells // max(1, len(view.colours))
        return np.repeat(np.round(255 * view.colours).astype(np.uint8), each, axis=0)

    def _aim(self, camera: Camera) -> None:
        self.plotter.camera_position = [tuple(camera.position), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
        self.plotter.camera.view_angle = VIEW_ANGLE


def _mesh(triangles: tuple[np.ndarray, np.ndarray]) -> pyvista.PolyData:
    vertices, faces = triangles
    return pyvista.PolyData.from_regular_faces(vertices, faces)
