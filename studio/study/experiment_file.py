"""Experiment files read and checked as far as that goes without jax: text, keys, units, and the geometry file they name."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import ruamel.yaml

from .._checks import InputError, choice_remedy
from ..io.atomic import replace_file
from ..io.document import Document, load_document, parse_document, validate
from ..io.geometry import read_geometry
from .config import Experiment
from .constraint_models import Budget
from .cost_table import Costs, costs_from, read_costs, shipped_costs
from .money import Money

STUDY, EXPERIMENT, BASELINE, ENVIRONMENT = "study.json", "experiment.yaml", "baseline.yaml", "environment.txt"


@dataclasses.dataclass(frozen=True)
class ExperimentFile:
    """An experiment as read: the `document` with its lines, what it says, the geometry file it names, and its prices."""

    document: Document
    experiment: Experiment
    geometry: Path
    costs: Costs

    def with_values(self, changes: Mapping[str, Any]) -> ExperimentFile:
        """The same experiment with other values at dotted keys, such as `{"optimiser.steps": 20}`, checked again."""
        data = self.document.data
        for key, value in changes.items():
            data = _replaced(data, key.split("."), value)
        document = self.document.with_data(data)
        experiment = validate(document, Experiment)
        return ExperimentFile(document, experiment, self.geometry, _costs(document, experiment))

    @property
    def alone(self) -> dict[str, Any]:
        """What the experiment says, as plain data, with the prices of a file written out."""
        data = dict(self.document.data)
        return {**data, "costs": self.costs.data} if isinstance(self.experiment.costs, str) else data

    def error(self, key: str, error: InputError) -> InputError:
        """An error of the physics, placed at the key of the file it comes from."""
        place = self.document.error(key, error.problem)
        return InputError(
            error.problem, file=place.file, line=place.line, key=key, value=error.value, remedy=error.remedy
        )


def read_experiment(path: str | os.PathLike[str]) -> ExperimentFile:
    """An experiment file and the geometry file it names, both validated; imports no jax.

    **Raises** `InputError` naming file, line, key, value and remedy.
    """
    return _checked(load_document(path))


def parse_experiment(text: str, file: str) -> ExperimentFile:
    """As `read_experiment`, for text at hand; relative paths start at the folder of `file`."""
    return _checked(parse_document(text, file))


def _checked(document: Document) -> ExperimentFile:
    experiment = validate(document, Experiment)
    geometry = locate_geometry(document, experiment.geometry)
    try:
        read_geometry(geometry)
    except InputError as error:
        if error.line is None and not geometry.is_file():
            raise document.error("geometry", error.problem, value=experiment.geometry, remedy=error.remedy) from None
        raise
    return ExperimentFile(document, experiment, geometry, _costs(document, experiment))


def _costs(document: Document, experiment: Experiment) -> Costs:
    """The prices of an experiment. **Raises** `InputError` where its budget is in another currency."""
    named = experiment.costs
    if named is None:
        costs = shipped_costs()
    elif isinstance(named, str):
        path = document.directory / named
        if not path.is_file():
            remedy = f"write the path of a file of prices, from {document.directory} on"
            raise document.error("costs", "no such file", value=named, remedy=remedy)
        costs = read_costs(path)
    else:
        costs = costs_from(document, named, "costs")
    for index, term in enumerate(experiment.constraints):
        if isinstance(term, Budget) and isinstance(term.at_most, Money) and term.at_most.currency != costs.currency:
            problem = f"in {term.at_most.currency}, but the prices are in {costs.currency}"
            remedy = f"write it in {costs.currency}; nothing is converted"
            raise document.error(f"constraints.{index}.at_most", problem, remedy=remedy)
    return costs


def read_begun(directory: str | os.PathLike[str]) -> ExperimentFile:
    """The experiment of a study that was begun in `directory`; imports no jax.

    The study's one record of itself is laid out as the files `experiment.yaml` and `baseline.yaml`, for people and for line
    numbers, and `environment.txt`, the packages as pip reads them. **Raises** `InputError` where no study was begun there.
    """
    folder = Path(directory)
    try:
        study = json.loads((folder / STUDY).read_text(encoding="utf-8"))
        data, baseline, packages = study["experiment"], study["baseline"], study["packages"]
    except (FileNotFoundError, NotADirectoryError):
        remedy = "name the directory of a study, as given with --out; one that was killed before it began is run anew"
        raise InputError(f"holds no study: there is no {STUDY}", file=folder, remedy=remedy) from None
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot be read: {error}", file=folder / STUDY, remedy="restore it from a copy") from None
    environment = "".join(f"{name}=={version}\n" for name, version in packages.items())
    for name, text in ((BASELINE, baseline), (EXPERIMENT, yaml_text(data)), (ENVIRONMENT, environment)):
        if not (folder / name).exists():
            replace_file(folder / name, lambda aside, text=text: aside.write_text(text, encoding="utf-8"))
    return read_experiment(folder / EXPERIMENT)


def yaml_text(data: Mapping[str, Any]) -> str:
    """A mapping as YAML, such that reading it gives the same again."""
    stream = io.StringIO()
    writer = ruamel.yaml.YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    writer.dump(dict(data), stream)
    return stream.getvalue()


def locate_geometry(document: Document, named: str) -> Path:
    """The geometry file an experiment names, relative to the experiment.

    A plain name without a suffix, such as `iwcd`, means the geometry of that name that ships with the studio. **Raises**
    `InputError` where there is none.
    """
    path = Path(named)
    if path.name == named and path.suffix == "":
        shipped = shipped_geometries()
        if named not in shipped:
            remedy = choice_remedy(named, shipped) + "; or write the path of a geometry file"
            raise document.error(
                "geometry", "no geometry of that name ships with the studio", value=named, remedy=remedy
            )
        return shipped[named]
    return path if path.is_absolute() else document.directory / path


def shipped_geometries() -> dict[str, Path]:
    """The geometries that ship with the studio, by name."""
    package = Path(str(resources.files("studio")))
    for folder in (package / "geometries", package.parent / "geometries"):  # installed, or in a checkout
        found = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        if found:
            return found
    return {}


def _replaced(node: Any, steps: list[str], value: Any) -> Any:
    if not steps:
        return value
    inner = node.get(steps[0], {}) if isinstance(node, Mapping) else {}
    return {**node, steps[0]: _replaced(inner, steps[1:], value)}
