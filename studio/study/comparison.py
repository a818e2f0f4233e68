"""What `studio compare` is asked: designs by name, and the events to compare them on. Imports no jax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .._checks import InputError
from .experiment_file import ExperimentFile, parse_experiment, read_begun, read_experiment

_DEFAULT = """
geometry: {geometry}
events:
  kind: gun
  particle: mu-
  kinetic_energy: [200 MeV, 1 GeV]
  vertex: uniform
  direction: isotropic
  contained: true
  count: 1
free: {{sensors.uv: {{}}}}
objective: [{{kind: vertex_resolution}}]
"""


def named_designs(paths: Sequence[Path]) -> dict[str, Path]:
    """Geometry files by a short name; the directory of a study stands for its best design.

    **Raises** `InputError` for a directory without a design.
    """
    named: dict[str, Path] = {}
    for path in paths:
        file = path / "design.yaml" if path.is_dir() else path
        if path.is_dir() and not file.is_file():
            raise InputError(
                "holds no design", file=path, remedy="name a geometry file or the directory of a finished study"
            )
        name = path.name if path.is_dir() else path.stem
        while name in named:
            name += "'"
        named[name] = file
    return named


def comparison_experiment(experiment: Path | None, designs: Sequence[Path], first: Path) -> ExperimentFile:
    """Whose events are used: the experiment given, else that of the first study among the designs, else contained muons of
    200 to 1,000 MeV everywhere and in all directions."""
    if experiment is not None:
        return read_experiment(experiment)
    for path in designs:
        if path.is_dir():
            return read_begun(path)
    return parse_experiment(_DEFAULT.format(geometry=f'"{first.resolve()}"'), "default events")
