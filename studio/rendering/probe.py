"""Whether this machine can draw in three dimensions: tried in a process of its own, since VTK ends the one it fails in."""

from __future__ import annotations

import functools
from typing import NamedTuple

from .._isolated import ask

_REMEDY = (
    "install an OpenGL library, with 'apt-get install libegl1 libgl1' on Debian and Ubuntu, or libosmesa6 where there is "
    "no EGL"
)

# One pixel, drawn and read back: what fails later fails here. Taking VTK down may hang where drawing worked.
_ATTEMPT = """
import os
import vtkmodules.vtkRenderingOpenGL2, vtkmodules.vtkInteractionStyle
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
window = vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetSize(8, 8)
renderer = vtkRenderer()
renderer.SetBackground(1, 1, 1)
window.AddRenderer(renderer)
window.Render()
pixel = vtkUnsignedCharArray()
window.GetPixelData(4, 4, 4, 4, 1, pixel, 0)
assert pixel.GetValue(0) == 255, "the window stays dark"
print(window.GetClassName(), flush=True)
os._exit(0)
"""


class OpenGL(NamedTuple):
    """Whether three-dimensional pictures can be made here; by what, or why not; and what to do about it."""

    works: bool
    detail: str
    remedy: str = ""

    @property
    def reason(self) -> str:
        """The detail with its remedy."""
        return f"{self.detail}: {self.remedy}" if self.remedy else self.detail


@functools.cache
def opengl(timeout: float = 60.0) -> OpenGL:
    """Draws a pixel with VTK in another process; tried once, then remembered. Never raises, and imports neither VTK nor jax
    here. `timeout` in s: a first import of VTK from a cold network disk takes long."""
    answer = ask(_ATTEMPT, timeout)
    if not answer.problem:
        return OpenGL(True, answer.text.strip())
    if "No module named" in answer.problem:
        return OpenGL(False, "VTK is not installed", "pip install pyvista")
    return OpenGL(False, f"VTK finds no OpenGL ({answer.problem})", _REMEDY)
