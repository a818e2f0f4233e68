"""Whether this machine can draw in three dimensions: tried in a process of its own, since VTK ends the one it fails in."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

REMEDY = (
    "install an OpenGL library, with 'apt-get install libegl1 libgl1' on Debian and Ubuntu, or libosmesa6 where there is "
    "no EGL"
)
_SECONDS = 60.0  # a first import of VTK from a cold network disk takes long

# One pixel, drawn and read back: what fails later fails here.
_ATTEMPT = """
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
"""


class OpenGL(NamedTuple):
    """Whether three-dimensional pictures can be made here, and in words by what, or why not and what to install."""

    works: bool
    reason: str


@functools.cache
def opengl() -> OpenGL:
    """Draws a pixel with VTK in another process; tried once, then remembered. Imports neither VTK nor jax here."""
    command = [sys.executable, "-c", _ATTEMPT]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired:
        return OpenGL(False, f"VTK drew nothing within {_SECONDS:.0f} s: {REMEDY}")
    except OSError as error:
        return OpenGL(False, f"VTK could not be tried: {error.strerror}")
    if done.returncode == 0:
        return OpenGL(True, done.stdout.strip())
    if "ModuleNotFoundError" in done.stderr:
        return OpenGL(False, "VTK is not installed: pip install pyvista")
    return OpenGL(False, f"VTK finds no OpenGL: {REMEDY}")


def _environment() -> dict[str, str]:
    """The same search path as here, so that the same VTK is tried."""
    paths = [path for path in sys.path if path and Path(path).exists()]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
