"""The command `studio`: parsing and exit codes. 0 done, 1 ran and failed, 2 bad input."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click

from ._checks import InputError, StudioError

if TYPE_CHECKING:
    from .execution import AbstractRunner
    from .study import StudySolution
    from .study.experiment_file import ExperimentFile
    from .tracking import AbstractTracker


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    code = run(arguments)
    if code:
        # At once: what is compiled ahead in the background is of no use any more.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(0)


def run(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code. Errors for people go to standard error, without a traceback."""
    try:
        commands.main(arguments, standalone_mode=False)
    except StudioError as error:
        return _fail(str(error), error.exit_code)
    except click.exceptions.Abort:
        return _fail("interrupted; what is in the ledger stays, and 'studio resume' goes on from there", 1)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except KeyboardInterrupt:
        return _fail("interrupted; what is in the ledger stays, and 'studio resume' goes on from there", 1)
    except BrokenPipeError:
        # Whoever read standard output has gone; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return _fail("out of memory: lower optimiser.shard or validation.shard, or free fewer leaves", 1)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"studio: error: {message}", file=sys.stderr)
    return code


def _start_jax() -> None:
    from . import _xla

    _xla.start()


@dataclasses.dataclass(frozen=True)
class _Running:
    """Where work runs, as the options of a command say."""

    runner: str
    devices: int | None
    address: str | None
    gpus_per_worker: float | None
    time_out: float | None

    def start(self, note: Callable[[str], None]) -> AbstractRunner:
        """The runner; `note` is told of workers that had to be replaced. Ray starts processes: before JAX's first array."""
        from .execution import LocalRunner, RayRunner

        if self.runner == "local":
            for option in ("address", "gpus_per_worker", "time_out"):
                if getattr(self, option) is not None:
                    name = f"--{option.replace('_', '-')}"
                    raise InputError("is an option of Ray's workers", key=name, remedy="add --runner ray")
            return LocalRunner(self.devices)
        return RayRunner(
            self.devices, address=self.address, gpus=self.gpus_per_worker, time_out=self.time_out, note=note
        )


def _tracker(address: str | None) -> AbstractTracker:
    """The tracker at an address, None for no tracking."""
    from .tracking import MlflowTracker, NoTracker

    return NoTracker() if address is None else MlflowTracker(address)


def _options(*decorators: Callable[..., Any]) -> Callable[..., Any]:
    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


_runner_options = _options(
    click.option(
        "--runner", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Where work runs."
    ),
    click.option(
        "--devices", type=click.IntRange(1), help="How many pieces of work run at once [default: all cores or GPUs]."
    ),
    click.option("--address", help="Ray: an existing cluster, 'auto' or HOST:PORT [default: one is started here]."),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0),
        help="Ray: GPUs a worker, such as 0.5 [default: 1 if there are any].",
    ),
    click.option(
        "--time-out",
        type=click.FloatRange(1),
        help="Ray: seconds after which a piece of work hangs [default: by experience].",
    ),
)


def _running(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of where work runs, and their values as `running`."""

    @functools.wraps(command)
    def with_running(**values: Any) -> None:
        running = _Running(**{field.name: values.pop(field.name) for field in dataclasses.fields(_Running)})
        command(running=running, **values)

    return _runner_options(with_running)


_quiet = click.option("--quiet", is_flag=True, help="No progress.")
_tracking = click.option(
    "--tracking-uri",
    envvar=["STUDIO_TRACKING_URI", "MLFLOW_TRACKING_URI"],
    show_envvar=True,
    help="MLflow store of studies, 'none' for no tracking [default: sqlite:///runs/mlflow.db].",
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output instead of tables.")
_seed = click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Another seed than the experiment's.")


def _print_json(content: Mapping[str, Any]) -> None:
    print(json.dumps(content, indent=2, allow_nan=False))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="detector-studio", prog_name="studio")
def commands() -> None:
    """Design of neutrino detectors: simulate, reconstruct, optimise, and measure the gain."""


@commands.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--geometry", default="iwcd", show_default=True, help="A geometry that ships with the studio, or a file.")
def new(path: Path, geometry: str) -> None:
    """Write a commented example of an experiment to PATH."""
    from .study.example import write_example

    write_example(path, geometry, before_physics=_start_jax)
    print(f"wrote {path}; look at it, then run: studio optimise {path}", file=sys.stderr)


@commands.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_json
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Check geometry and experiment FILES and say what they hold."""
    from .study.checking import check_file

    reports = {}
    for file in files:
        reports[str(file)] = check_file(file, before_physics=_start_jax)
    if as_json:
        _print_json({"files": reports})
        return
    from .console import show_mapping

    show_mapping(reports)


@commands.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the study [default: runs/NAME].")
@click.option("--steps", type=click.IntRange(1), help="Another number of steps than the experiment's.")
@click.option("--skip-gradient-check", is_flag=True, help="Do not test the gradient first.")
@_seed
@_running
@_tracking
@_quiet
@_json
def optimise(
    experiment: Path,
    out: Path | None,
    steps: int | None,
    skip_gradient_check: bool,
    seed: int | None,
    running: _Running,
    tracking_uri: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Optimise the design of EXPERIMENT and measure the gain."""
    from .study.experiment_file import read_experiment
    from .tracking import tracking_address

    values = {"optimiser.steps": steps, "seed": seed}
    file = read_experiment(experiment).with_values({key: value for key, value in values.items() if value is not None})
    directory = out or _fresh_directory(Path("runs"), experiment.stem)
    tracker = _tracker(tracking_address(tracking_uri))
    _start_jax()
    from .console import Progressing
    from .study import Study

    observer = Progressing(quiet)
    try:
        with running.start(observer.note) as working:
            solution = Study(file).run(
                directory,
                runner=working,
                tracker=tracker,
                observer=observer,
                check_gradient=not skip_gradient_check,
            )
    finally:
        observer.close()
    _conclude(solution, as_json)


@commands.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the results [default: runs/NAME_baselines].")
@click.option(
    "--budget",
    type=click.IntRange(1),
    help="Simulated events of each way [default: what the experiment's optimiser spends].",
)
@click.option(
    "--gradient-cost", type=click.FloatRange(1), help="For how many events one with its gradient counts [default: 3]."
)
@_seed
@_running
@_quiet
@_json
def baselines(
    experiment: Path,
    out: Path | None,
    budget: int | None,
    gradient_cost: float | None,
    seed: int | None,
    running: _Running,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare ways to a design of EXPERIMENT: as built, uniform, random, greedy, CMA-ES, gradient.

    All of them may simulate the same number of events. What lies in the directory already is not computed again.
    """
    from .study.experiment_file import read_experiment

    file = read_experiment(experiment).with_values({} if seed is None else {"seed": seed})
    directory = out or Path("runs") / f"{experiment.stem}_baselines"
    _start_jax()
    from .console import Progressing, show_baselines
    from .study.baselines import GRADIENT_COST, compare_ways

    observer = Progressing(quiet)
    try:
        with running.start(observer.note) as working:
            report = compare_ways(
                file,
                directory,
                runner=working,
                observer=observer,
                budget=budget,
                gradient_cost=gradient_cost or GRADIENT_COST,
            )
    finally:
        observer.close()
    if as_json:
        _print_json(report)
    else:
        show_baselines(report)
        print(f"all of it is in {directory}")


@commands.command()
@click.argument("study", type=click.Path(path_type=Path))
@_running
@_tracking
@_quiet
@_json
def resume(study: Path, running: _Running, tracking_uri: str | None, quiet: bool, as_json: bool) -> None:
    """Take up STUDY, a directory or an MLflow run id, where it stopped; the numbers come out as if it had not.

    It is recorded where it was recorded before, or at --tracking-uri.
    """
    from .study.comparison import study_directory
    from .study.experiment_file import read_begun
    from .study.tracked import kept_address
    from .tracking import lookup_address, tracking_address

    directory = study_directory(study, lookup_address(tracking_uri))
    read_begun(directory)
    tracker = _tracker(tracking_address(tracking_uri) if tracking_uri else kept_address(directory))
    _start_jax()
    from .console import Progressing
    from .study import Study

    observer = Progressing(quiet)
    try:
        with running.start(observer.note) as working:
            solution = Study.in_directory(directory).resume(
                directory, runner=working, tracker=tracker, observer=observer
            )
    finally:
        observer.close()
    _conclude(solution, as_json)


def _conclude(solution: StudySolution, as_json: bool) -> None:
    from .console import show_gain

    if as_json:
        _print_json(solution.result)
    else:
        show_gain(solution.result)
        print(f"all of it is in {solution.directory}")


@commands.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Event file (HDF5) to write.")
@click.option("--events", type=click.IntRange(1), help="How many [default: validation.events].")
@click.option("--design", type=click.Path(path_type=Path), help="Another geometry than the experiment's.")
@_seed
@_quiet
@_json
def simulate(
    experiment: Path, out: Path, events: int | None, design: Path | None, seed: int | None, quiet: bool, as_json: bool
) -> None:
    """Sample events of EXPERIMENT, as the detector would record them, into an event file."""
    from .study.experiment_file import read_experiment

    file = read_experiment(experiment).with_values({} if seed is None else {"seed": seed})
    _start_jax()
    from .study.measure import simulate_events

    summary = simulate_events(file, out, events=events, design=design)
    if as_json:
        _print_json(summary)
    elif not quiet:
        print(f"wrote {summary['events']} events to {out}", file=sys.stderr)


@commands.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("--input", "source", type=click.Path(path_type=Path), required=True, help="Event file (HDF5).")
@click.option("--out", type=click.Path(path_type=Path), help="JSON lines to write, one an event.")
@click.option("--design", type=click.Path(path_type=Path), help="Another geometry than the experiment's.")
@_quiet
@_json
def reconstruct(
    experiment: Path, source: Path, out: Path | None, design: Path | None, quiet: bool, as_json: bool
) -> None:
    """Reconstruct the events of a file with the detector of EXPERIMENT and compare with the truth in it."""
    from .study.experiment_file import read_experiment

    file = read_experiment(experiment)
    _start_jax()
    from .console import show_resolutions
    from .study.measure import reconstruct_events

    report = reconstruct_events(file, source, out=out, design=design)
    if as_json:
        _print_json(report)
    else:
        show_resolutions({"events": report["measured"]}, {})


@commands.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--events", type=click.IntRange(2), help="How many events a design [default: the experiment's].")
@_seed
@_running
@_quiet
@_json
def validate(target: Path, events: int | None, seed: int | None, running: _Running, quiet: bool, as_json: bool) -> None:
    """Measure TARGET again on fresh events: baseline and optimum of a study's directory, or an experiment's geometry."""
    from .study.experiment_file import read_begun, read_experiment

    file = read_begun(target) if target.is_dir() else read_experiment(target)
    _start_jax()
    from .study.measure import study_designs

    designs = study_designs(target) if target.is_dir() else {file.geometry.stem: file.geometry}
    _measure(file, designs, running, events, seed, quiet, as_json)


@commands.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--spacing", help="Of the places, with its unit, such as '60 cm' [default: the diameter of a face].")
@click.option("--moves", type=click.IntRange(1), default=8, show_default=True, help="How many are evaluated exactly.")
@_running
@_quiet
@_json
def certify(study: Path, spacing: str | None, moves: int, running: _Running, quiet: bool, as_json: bool) -> None:
    """Look for a single move of a sensor that would better the design of STUDY, a directory, over the whole wall."""
    from .study.experiment_file import read_begun

    file, grid = read_begun(study), _length("--spacing", spacing)
    _start_jax()
    from .console import Progressing, show_certificate
    from .study.certificate import certify as search

    observer = Progressing(quiet)
    try:
        with running.start(observer.note) as working:
            report = search(file, study, runner=working, observer=observer, spacing=grid, moves=moves)
    finally:
        observer.close()
    if as_json:
        _print_json(report)
    else:
        show_certificate(report)


@commands.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--position", help="Standard deviation of a sensor's place along the wall, such as '1 cm'.")
@click.option("--dead", help="Part of the sensors that see nothing, such as '1 %'.")
@click.option(
    "--relative",
    multiple=True,
    metavar="PATH=WIDTH",
    help="Relative standard deviation of a leaf, such as medium.absorption_length=5%; may be repeated.",
)
@click.option("--samples", type=click.IntRange(2), default=64, show_default=True, help="How many detectors are built.")
@_seed
@_running
@_quiet
@_json
def tolerance(
    study: Path,
    position: str | None,
    dead: str | None,
    relative: tuple[str, ...],
    samples: int,
    seed: int | None,
    running: _Running,
    quiet: bool,
    as_json: bool,
) -> None:
    """See what is left of the gain of STUDY, a directory, when the detector is not built quite as drawn."""
    from .study.experiment_file import read_begun

    file = read_begun(study)
    error, part = _length("--position", position), _fraction("--dead", dead)
    widths = dict(_relative_width(entry) for entry in relative)
    _start_jax()
    from .console import Progressing, show_tolerance
    from .study.tolerance import Tolerances, tolerate

    observer, wanted = Progressing(quiet), Tolerances(error or 0.0, part or 0.0, widths)
    try:
        with running.start(observer.note) as working:
            report = tolerate(file, study, wanted, runner=working, observer=observer, samples=samples, seed=seed)
    finally:
        observer.close()
    if as_json:
        _print_json(report)
    else:
        show_tolerance(report)


@commands.command()
@click.argument("designs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--experiment", type=click.Path(path_type=Path), help="Whose events to use [default: contained muons].")
@click.option("--events", type=click.IntRange(2), default=400, show_default=True, help="Events a design.")
@_seed
@_running
@_tracking
@_quiet
@_json
def compare(
    designs: tuple[Path, ...],
    experiment: Path | None,
    events: int,
    seed: int | None,
    running: _Running,
    tracking_uri: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare DESIGNS on the same events: geometry files, directories of studies, MLflow run ids. Gains are against the first."""
    from .study.comparison import comparison_experiment, located, named_designs
    from .tracking import lookup_address

    with located(designs, lookup_address(tracking_uri)) as found:
        named = named_designs(found)
        file = comparison_experiment(experiment, found, next(iter(named.values())))
        _start_jax()
        _measure(file, named, running, events, seed, quiet, as_json)


def _measure(
    file: ExperimentFile,
    designs: Mapping[str, Path],
    running: _Running,
    events: int | None,
    seed: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measures designs on the same events and shows what came out."""
    from .console import Progressing, show_costs, show_resolutions
    from .study.measure import measure

    observer = Progressing(quiet)
    try:
        with running.start(observer.note) as working:
            report = measure(file, designs, runner=working, observer=observer, events=events, seed=seed)
    finally:
        observer.close()
    if as_json:
        _print_json(report)
    else:
        show_resolutions(report["measured"], report["measured_gain"])
        show_costs(report["cost"])


@commands.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for pictures [default: here; a study's figures].")
@click.option("--event", type=click.IntRange(0), default=0, show_default=True, help="Which event of an event file.")
@click.option("--geometry", type=click.Path(path_type=Path), help="The geometry that an event file was made with.")
@click.option("--colour", type=click.Choice(["charge", "time"]), default="charge", show_default=True, help="Of events.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(["png", "html", "gif", "glb", "stl", "obj"]),
    multiple=True,
    help="What to write; may be repeated [default: png, html, and gif of a study].",
)
@_quiet
@_json
def render(
    target: Path,
    out: Path | None,
    event: int,
    geometry: Path | None,
    colour: Literal["charge", "time"],
    formats: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Draw TARGET in three dimensions: a geometry file, the directory of a study, or an event file."""
    from .study.drawing import draw_target, read_target

    subject = read_target(target, geometry)
    _start_jax()
    from .console import Progressing

    report = draw_target(subject, out, formats, event=event, colour=colour, note=Progressing(quiet).note)
    if as_json:
        _print_json(report)
    else:
        for path in report["files"]:
            print(path)


@commands.command()
@click.option("--full", is_flag=True, help="Start a Ray cluster on this machine, too.")
@_quiet
@_json
def doctor(full: bool, quiet: bool, as_json: bool) -> None:
    """Say what this machine can do for the studio, what is missing, and how to get it."""
    from .console import show_findings
    from .doctor import examine

    findings = examine(full, (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr)))
    missing = [finding.name for finding in findings if finding.fatal]
    if as_json:
        _print_json({"ok": not missing, "full": full, "findings": [finding.as_dict() for finding in findings]})
    else:
        show_findings(findings)
    if missing:
        raise StudioError(f"studies cannot run here for want of: {', '.join(missing)}")


def _length(key: str, text: str | None) -> float | None:
    """A positive length of an option, in mm."""
    from .units import parse_quantity

    if text is None:
        return None
    value = parse_quantity(text, "length", key=key)
    if value <= 0:
        raise InputError("not positive", key=key, value=text, remedy="write for example '60 cm'")
    return value


def _fraction(key: str, text: str | None) -> float | None:
    """A part of an option, above 0 and at most one half."""
    from .units import parse_quantity

    if text is None:
        return None
    value = parse_quantity(text, "fraction", key=key)
    if not 0 < value <= 0.5:
        raise InputError("not between 0 and 50 %", key=key, value=text, remedy="write for example '1 %'")
    return value


def _relative_width(entry: str) -> tuple[str, float]:
    """The path and the relative width of an option `PATH=WIDTH`."""
    path, equals, text = entry.partition("=")
    if not (path and equals):
        remedy = "write for example medium.absorption_length=5%"
        raise InputError("not a path with its width", key="--relative", value=entry, remedy=remedy)
    return path, _fraction("--relative", text) or 0.0


def _fresh_directory(parent: Path, name: str) -> Path:
    """`parent/name`, or with the first number behind it that is not taken."""
    candidate, number = parent / name, 1
    while candidate.exists():
        number += 1
        candidate = parent / f"{name}-{number}"
    return candidate


__all__ = ["InputError", "main", "run"]
