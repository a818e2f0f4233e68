"""What `studio compare` is asked: designs by name, and the events to compare them on. Imports no jax."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .._checks import InputError
from ..io.geometry import read_optical
from ..tracking import is_run_id, tracked_study
from .experiment_file import STUDY, ExperimentFile, parse_experiment, read_begun, read_experiment

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


@contextlib.contextmanager
def located(designs: Sequence[Path], address: str) -> Iterator[tuple[Path, ...]]:
    """The designs with every run id replaced by the directory of its study, or by a copy of what was recorded of it, which is
    removed again in the end.

    `address`: of the store that knows the runs. **Raises** `InputError` for a run that the store does not have.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield tuple(_located(design, address, Path(folder)) for design in designs)


def _located(design: Path, address: str, folder: Path) -> Path:
    if design.exists() or not is_run_id(str(design)):
        return design
    study = tracked_study(str(design), address)
    if study.directory is not None:
        return study.directory
    copy = folder / str(design) / study.name
    copy.mkdir(parents=True)
    study.download((STUDY, "design.yaml"), copy)
    return copy


def study_directory(named: Path, address: str) -> Path:
    """The directory of a study that is named by it or by a run id. **Raises** `InputError` where it is not here."""
    if named.exists() or not is_run_id(str(named)):
        return named
    study = tracked_study(str(named), address)
    if study.directory is None:
        problem = f"the ledger of this run is not on this machine; it was in {study.recorded_directory}"
        remedy = "resume it there, or copy that directory back to its place"
        raise InputError(problem, key="run", value=str(named), remedy=remedy)
    return study.directory


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
    read_optical(first)  # chambers need an experiment: which particles they are for is not known
    return parse_experiment(_DEFAULT.format(geometry=f'"{first.resolve()}"'), "default events")
