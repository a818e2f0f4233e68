"""Whether there is OpenGL is found out in another process, so that a crash there is an answer and not the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio.rendering import probe

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def forgotten():
    """The probe remembers its answer; these tests ask anew, and so do those that follow."""
    probe.opengl.cache_clear()
    yield
    probe.opengl.cache_clear()


def _asked(timeout: float = 60.0) -> tuple[bool, str]:
    found = probe.opengl(timeout)
    return found.works, found.reason


def test_probing_imports_neither_vtk_nor_jax_here():
    code = (
        "import sys; from studio.rendering.probe import opengl; opengl();"
        "print([name for name in ('vtkmodules', 'pyvista', 'jax', 'matplotlib') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_a_process_that_crashes_means_no_opengl(monkeypatch):
    monkeypatch.setattr(probe, "_ATTEMPT", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    works, reason = _asked()
    assert not works
    assert "libegl1" in reason
    assert "libosmesa6" in reason


def test_vtk_without_its_library_means_no_opengl(monkeypatch):
    """VTK asked to draw with OSMesa where that is not installed ends its process; where it is, it works."""
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
    works, reason = _asked()
    assert works == (reason == "vtkOSOpenGLRenderWindow")
    assert works or "apt-get install" in reason


def test_a_process_that_hangs_means_no_opengl(monkeypatch):
    monkeypatch.setattr(probe, "_ATTEMPT", "import time; time.sleep(60)")
    works, reason = _asked(0.5)
    assert not works
    assert "no answer within 0.5 s" in reason


def test_vtk_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(probe, "_ATTEMPT", "import vtkmodules_of_nowhere")
    assert _asked() == (False, "VTK is not installed: pip install pyvista")


def test_the_answer_is_remembered(monkeypatch):
    first = probe.opengl()
    monkeypatch.setattr(probe, "_ATTEMPT", "raise SystemExit(1)")
    assert probe.opengl() is first
