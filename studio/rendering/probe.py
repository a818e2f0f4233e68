"""Whether three-dimensional pictures can be drawn here: tried in a process of its own, since VTK ends one without OpenGL."""

from __future__ import annotations

from typing import NamedTuple

from .._isolated import ask

_DRAW = """
import os, pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(32, 32))
plotter.add_mesh(pyvista.Sphere())
assert plotter.screenshot(return_img=True).std() > 0, "the picture is empty"
for line in plotter.render_window.ReportCapabilities().splitlines():
    if line.startswith("OpenGL renderer string:"):
        print(line.partition(":")[2].strip(), flush=True)
os._exit(0)  # taking VTK down may hang where drawing worked
"""


class Probe(NamedTuple):
    """Whether it works; what draws, or what went wrong; and what to do about it."""

    ok: bool
    detail: str
    remedy: str


def opengl(timeout: float = 30.0) -> Probe:
    """Draws a sphere off screen. Never raises."""
    answer = ask(_DRAW, timeout)
    if not answer.problem:
        return Probe(True, answer.text.strip() or "OpenGL", "")
    if "No module named" in answer.problem:
        return Probe(False, answer.problem, "pip install pyvista")
    return Probe(False, answer.problem, "install OpenGL for software: apt-get install libgl1 libegl1 libgl1-mesa-dri")
