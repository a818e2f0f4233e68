"""Packages and their versions, and what only a try tells: JAX and its devices, OpenGL, Ray."""

from __future__ import annotations

import json
import re
import shutil
from importlib import metadata
from pathlib import Path

from .._isolated import ask
from ..rendering import probe
from .finding import Finding

_PACKAGE = "detector-studio"

# What goes on without these, and what does not.
_OPTIONAL = {
    "ray": "studies run in one process (--runner local)",
    "mlflow": "studies are not tracked; their own folders hold everything",
    "pyvista": "no three-dimensional pictures; maps of the wall are drawn all the same",
    "trimesh": "no meshes are read or written",
}

_DEVICES = """
import json, jax
print(json.dumps([{"platform": one.platform, "kind": one.device_kind} for one in jax.devices()]))
"""

_IMPORT = """
import ray
"""

_START = """
import logging
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
assert ray.get(ray.remote(lambda: 42).remote(), timeout=60) == 42
ray.shutdown()
"""


def packages() -> list[Finding]:
    """Every package that the studio's own metadata names, with the version it needs at least."""
    try:
        wanted = [line for line in metadata.requires(_PACKAGE) or () if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        consequence = "which versions of other packages are needed is not known"
        return [
            Finding(
                name="packages",
                state="warning",
                detail=f"{_PACKAGE} is not installed as a package",
                consequence=consequence,
                remedy="pip install . in the folder of the studio",
            )
        ]
    return [_package(*_parsed(line)) for line in wanted]


def _parsed(requirement: str) -> tuple[str, str]:
    """Name and least version of a requirement such as `ray[default]>=2.40`."""
    name = re.match(r"[\w.-]+", requirement)
    least = re.search(r">=\s*([\w.]+)", requirement)
    return ("" if name is None else name[0]), ("0" if least is None else least[1])


def _package(name: str, least: str) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = None
    old = version is not None and _order(version) < _order(least)
    values = {"version": version, "least": least}
    if version is not None and not old:
        return Finding(name=name, state="ok", detail=f"{version} ({least} or newer)", values=values)
    return Finding(
        name=name,
        state="missing",
        detail=f"{version} is too old, {least} is the least" if old else f"not installed, {least} is the least",
        consequence=_OPTIONAL.get(name, "the studio does not run without it"),
        remedy=f"pip install '{name}>={least}'",
        necessary=name not in _OPTIONAL,
        values=values,
    )


def _order(version: str) -> tuple[int, ...]:
    """The numbers of a version, up to where it is no number any more (0.10.2.dev3: 0, 10, 2)."""
    release = re.match(r"\d+(\.\d+)*", version)
    return () if release is None else tuple(int(number) for number in release[0].split("."))


def devices(timeout: float) -> Finding:
    """What JAX computes on. Asked in another process: a broken driver hangs or ends whoever asks."""
    answer = ask(_DEVICES, timeout)
    if answer.problem:
        return Finding(
            name="jax devices",
            state="missing",
            detail=f"JAX does not start: {answer.problem}",
            consequence="no simulation runs",
            remedy="if a driver is the cause, set JAX_PLATFORMS=cpu; else reinstall: pip install --force-reinstall jax jaxlib",
            necessary=True,
        )
    found = json.loads(answer.text.strip().splitlines()[-1])
    kinds = sorted({one["kind"] for one in found})
    values = {"devices": found, "gpu": any(one["platform"] != "cpu" for one in found)}
    if values["gpu"]:
        return Finding(
            name="jax devices", state="ok", detail=f"{len(found)} × {', '.join(kinds)}", necessary=True, values=values
        )
    if not _nvidia():
        detail = "the processor; this machine shows no graphics card"
        return Finding(name="jax devices", state="ok", detail=detail, necessary=True, values=values)
    return Finding(
        name="jax devices",
        state="warning",
        detail="the processor, though there is an NVIDIA graphics card",
        consequence="studies run on the processor",
        remedy="pip install 'jax[cuda12]', and see that JAX_PLATFORMS is not set to cpu",
        necessary=True,
        values=values,
    )


def _nvidia() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def opengl(timeout: float) -> Finding:
    """Whether three-dimensional pictures can be drawn."""
    found = probe.opengl(timeout)
    if found.works:
        return Finding(name="opengl", state="ok", detail=found.detail)
    return Finding(
        name="opengl", state="missing", detail=found.detail, consequence=_OPTIONAL["pyvista"], remedy=found.remedy
    )


def ray(timeout: float) -> Finding:
    """Whether Ray can be imported."""
    return _ray(_IMPORT, timeout, "can be imported; 'studio doctor --full' starts a cluster")


def cluster(timeout: float) -> Finding:
    """Whether Ray starts a cluster on this machine and works on something there."""
    return _ray(_IMPORT + _START, timeout, "a cluster on this machine starts and works")


def _ray(code: str, timeout: float, success: str) -> Finding:
    answer = ask(code, timeout)
    if not answer.problem:
        return Finding(name="ray cluster", state="ok", detail=success)
    remedy = "see the newest files in /tmp/ray/session_latest/logs; most often memory or /dev/shm is too small"
    if "No module named" in answer.problem:
        remedy = "pip install 'ray[default]'"
    return Finding(
        name="ray cluster", state="missing", detail=answer.problem, consequence=_OPTIONAL["ray"], remedy=remedy
    )
