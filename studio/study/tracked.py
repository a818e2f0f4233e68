"""A study as its tracker is told of it."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import __version__
from .._checks import InputError
from ..tracking import REGISTER, AbstractTracker, Register, StudyFacts, usable
from .experiment_file import BASELINE, ENVIRONMENT, EXPERIMENT, STUDY, ExperimentFile
from .ledger import CHECKPOINT, HISTORY, RESULT, Ledger
from .observer import AbstractObserver


class Tracked:
    """A study with its tracker, whose failures are noted once and stop nothing.

    As a context manager it tells the tracker of a study that does not come to its end.
    """

    def __init__(self, tracker: AbstractTracker, observer: AbstractObserver, file: ExperimentFile, ledger: Ledger):
        self._tracker, self._observer, self._ledger = tracker, observer, ledger
        self._lost, self._finished = False, False
        self._tell(lambda: tracker.start(study_facts(file, ledger)))

    def __enter__(self) -> Tracked:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and not self._finished:
            self._tell(lambda: self._tracker.stop(str(error).strip() or type(error).__name__))

    def history(self) -> None:
        """Tells of all steps that the ledger holds."""

        def tell() -> None:
            lines, times = self._ledger.lines(HISTORY), self._ledger.step_times()
            begun = self._ledger.begun_at
            self._tracker.record(lines, [times.get(int(line["step"]), begun) for line in lines])

        self._tell(tell)

    def steps(self, lines: Sequence[Mapping[str, Any]], at: float) -> None:
        """Tells of further steps, made at a time in seconds since 1970."""
        self._tell(lambda: self._tracker.record(lines, [at] * len(lines)))

    def finish(self) -> None:
        """Tells of the result."""
        self._finished = True
        self._tell(lambda: self._tracker.finish(self._ledger.read_json(RESULT), artifacts(self._ledger.directory)))

    def _tell(self, tell: Callable[[], None]) -> None:
        try:
            tell()
            notes = self._tracker.notes()
        except Exception as error:  # whatever a tracker raises, the ledger holds the truth
            notes = [] if self._lost else [f"tracking failed and goes on without: {error}"]
            self._lost = True
        for note in notes:
            self._observer.note(note)


def kept_address(directory: Path) -> str | None:
    """Where the study of a directory was recorded last; None where it never was.

    **Raises** `InputError` where the address had a password, which is not kept.
    """
    address = next(reversed(Register(directory).addresses), None)
    if address is not None and not usable(address):
        remedy = "give --tracking-uri with the password, or --tracking-uri none"
        raise InputError("the study is recorded with a password, which is not kept", value=address, remedy=remedy)
    return address


def study_facts(file: ExperimentFile, ledger: Ledger) -> StudyFacts:
    """What the ledger's study is: its parameters, with defaults where the file says nothing, and what it is found by."""
    study, experiment = ledger.study(), file.experiment
    defaults = experiment.model_dump(mode="json", exclude_none=True)
    tags = {
        "geometry": study["geometry"],
        "objective": objective_words(experiment.objective) + (", robust" if experiment.robust else ""),
        "seed": str(experiment.seed),
        "source": str(study["source"]),
        "directory": str(ledger.directory.absolute()),
        "host": socket.gethostname(),
        "version": __version__,
        **{f"git.{name}": _git_words(state) for name, state in study["git"].items() if state},
    }
    if study["git"].get("package"):
        tags["mlflow.source.git.commit"] = study["git"]["package"]["commit"]
    tags |= {"mlflow.user": _user(), "mlflow.source.name": str(study["source"])}
    parameters = _merged(defaults, file.alone) | {"geometry": study["geometry"]}
    begun_with = [ledger.directory / name for name in (STUDY, EXPERIMENT, BASELINE, ENVIRONMENT)]
    return StudyFacts(ledger.directory, ledger.begun_at, parameters, tags, begun_with)


def objective_words(terms: Sequence[Any]) -> str:
    """An objective by its terms in the order of the alphabet, such as `0.5 energy_resolution + vertex_resolution`."""
    words = sorted((term.label, term.weight) for term in terms)
    return " + ".join(label if weight == 1 else f"{weight:g} {label}" for label, weight in words)


def artifacts(directory: Path) -> list[Path]:
    """The files of a study that belong to its record, in order: all but the state of a loop that is over."""
    own = (CHECKPOINT, REGISTER)
    files = (path for path in directory.rglob("*") if path.is_file())
    return sorted(path for path in files if not path.name.startswith(".") and path.name not in own)


def _merged(defaults: Any, given: Any) -> Any:
    """`given` as a person wrote it, with units, and `defaults` where it says nothing."""
    if isinstance(defaults, Mapping) and isinstance(given, Mapping):
        return {
            key: _merged(defaults.get(key), given[key]) if key in given else defaults[key]
            for key in {**defaults, **given}
        }
    if isinstance(defaults, list) and isinstance(given, list) and len(defaults) == len(given):
        return [_merged(*pair) for pair in zip(defaults, given, strict=True)]
    return defaults if given is None else given


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in a container
        return "unknown"


def _git_words(state: Mapping[str, Any]) -> str:
    return f"{state['commit']}{' (modified)' if state['modified'] else ''}"
