"""Commands around a study: begin, check, optimise, resume, and what its design is worth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .group import commands
from .options import (
    Running,
    at_work,
    fraction,
    fresh_directory,
    json_option,
    length,
    print_json,
    quiet_option,
    relative_width,
    running_options,
    seed_option,
    start_jax,
    tracker_at,
    tracking_option,
)

if TYPE_CHECKING:
    from ..study import StudySolution


@commands.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--geometry", default="iwcd", show_default=True, help="A geometry that ships with the studio, or a file.")
def new(path: Path, geometry: str) -> None:
    """Write a commented example of an experiment to PATH."""
    from ..study.example import write_example

    write_example(path, geometry, before_physics=start_jax)
    print(f"wrote {path}; look at it, then run: studio optimise {path}", file=sys.stderr)


@commands.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Check geometry and experiment FILES and say what they hold."""
    from ..study.checking import check_file

    reports = {}
    for file in files:
        reports[str(file)] = check_file(file, before_physics=start_jax)
    if as_json:
        print_json({"files": reports})
        return
    from ..console import show_mapping

    show_mapping(reports)


@commands.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the study [default: runs/NAME].")
@click.option("--steps", type=click.IntRange(1), help="Another number of steps than the experiment's.")
@click.option("--skip-gradient-check", is_flag=True, help="Do not test the gradient first.")
@seed_option
@running_options
@tracking_option
@quiet_option
@json_option
def optimise(
    experiment: Path,
    out: Path | None,
    steps: int | None,
    skip_gradient_check: bool,
    seed: int | None,
    running: Running,
    tracking_uri: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Optimise the design of EXPERIMENT and measure the gain."""
    from ..study.experiment_file import read_experiment
    from ..tracking import tracking_address

    values = {"optimiser.steps": steps, "seed": seed}
    file = read_experiment(experiment).with_values({key: value for key, value in values.items() if value is not None})
    directory = out or fresh_directory(Path("runs"), experiment.stem)
    tracker = tracker_at(tracking_address(tracking_uri))
    start_jax()
    from ..study import Study

    with at_work(running, quiet) as (runner, observer):
        check = not skip_gradient_check
        solution = Study(file).run(directory, runner=runner, tracker=tracker, observer=observer, check_gradient=check)
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
@seed_option
@running_options
@quiet_option
@json_option
def baselines(
    experiment: Path,
    out: Path | None,
    budget: int | None,
    gradient_cost: float | None,
    seed: int | None,
    running: Running,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare ways to a design of EXPERIMENT: as built, uniform, random, greedy, CMA-ES, gradient.

    All of them may simulate the same number of events. What lies in the directory already is not computed again.
    """
    from ..study.experiment_file import read_experiment

    file = read_experiment(experiment).with_values({} if seed is None else {"seed": seed})
    directory = out or Path("runs") / f"{experiment.stem}_baselines"
    start_jax()
    from ..console import show_baselines
    from ..study.baselines import GRADIENT_COST, compare_ways

    cost = gradient_cost or GRADIENT_COST
    with at_work(running, quiet) as (runner, observer):
        report = compare_ways(file, directory, runner=runner, observer=observer, budget=budget, gradient_cost=cost)
    if as_json:
        print_json(report)
    else:
        show_baselines(report)
        print(f"all of it is in {directory}")


@commands.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.argument("path")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the results [default: runs/NAME_scan].")
@click.option("--points", type=click.IntRange(2), default=9, show_default=True, help="How many values over the range.")
@click.option("--at", "values", type=float, multiple=True, help="A value of its own, in mm, V or ns; may be repeated.")
@click.option("--differences", is_flag=True, help="Central differences beside the slopes, for three times the work.")
@seed_option
@running_options
@quiet_option
@json_option
def scan(
    experiment: Path,
    path: str,
    out: Path | None,
    points: int,
    values: tuple[float, ...],
    differences: bool,
    seed: int | None,
    running: Running,
    quiet: bool,
    as_json: bool,
) -> None:
    """Draw the objective of EXPERIMENT along one free number, PATH, as in planes.0.pitch.

    What follows the number moves with it. What lies in the directory already is not computed again.
    """
    from ..study.experiment_file import read_experiment

    file = read_experiment(experiment).with_values({} if seed is None else {"seed": seed})
    directory = out or Path("runs") / f"{experiment.stem}_scan"
    start_jax()
    from ..console import show_scan
    from ..study import scan as curve

    with at_work(running, quiet) as (runner, observer):
        report = curve.scan(
            file,
            directory,
            path,
            runner=runner,
            observer=observer,
            values=values or None,
            points=points,
            differences=differences,
        )
    if as_json:
        print_json(report)
    else:
        show_scan(report)
        print(f"all of it is in {directory}")


@commands.command()
@click.argument("study", type=click.Path(path_type=Path))
@running_options
@tracking_option
@quiet_option
@json_option
def resume(study: Path, running: Running, tracking_uri: str | None, quiet: bool, as_json: bool) -> None:
    """Take up STUDY, a directory or an MLflow run id, where it stopped; the numbers come out as if it had not.

    It is recorded where it was recorded before, or at --tracking-uri.
    """
    from ..study.comparison import study_directory
    from ..study.experiment_file import read_begun
    from ..study.tracked import kept_address
    from ..tracking import lookup_address, tracking_address

    directory = study_directory(study, lookup_address(tracking_uri))
    read_begun(directory)
    tracker = tracker_at(tracking_address(tracking_uri) if tracking_uri else kept_address(directory))
    start_jax()
    from ..study import Study

    with at_work(running, quiet) as (runner, observer):
        solution = Study.in_directory(directory).resume(directory, runner=runner, tracker=tracker, observer=observer)
    _conclude(solution, as_json)


def _conclude(solution: StudySolution, as_json: bool) -> None:
    from ..console import show_gain

    if as_json:
        print_json(solution.result)
    else:
        show_gain(solution.result)
        print(f"all of it is in {solution.directory}")


_events_option = click.option(
    "--events", type=click.IntRange(1), help="The first so many of the study's [default: all]."
)


@commands.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--spacing", help="Of the places, with its unit, such as '60 cm' [default: the diameter of a face].")
@click.option("--moves", type=click.IntRange(1), default=8, show_default=True, help="How many are evaluated exactly.")
@_events_option
@running_options
@quiet_option
@json_option
def certify(
    study: Path, spacing: str | None, moves: int, events: int | None, running: Running, quiet: bool, as_json: bool
) -> None:
    """Look for a single move of a sensor that would better the design of STUDY, a directory, over the whole wall."""
    from ..study.experiment_file import read_begun

    file, grid = read_begun(study), length("--spacing", spacing)
    start_jax()
    from ..console import show_certificate
    from ..study.certificate import certify as search

    with at_work(running, quiet) as (runner, observer):
        report = search(file, study, runner=runner, observer=observer, spacing=grid, moves=moves, events=events)
    if as_json:
        print_json(report)
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
@_events_option
@seed_option
@running_options
@quiet_option
@json_option
def tolerance(
    study: Path,
    position: str | None,
    dead: str | None,
    relative: tuple[str, ...],
    samples: int,
    events: int | None,
    seed: int | None,
    running: Running,
    quiet: bool,
    as_json: bool,
) -> None:
    """See what is left of the gain of STUDY, a directory, when the detector is not built quite as drawn."""
    from ..study.experiment_file import read_begun

    file = read_begun(study)
    error, part = length("--position", position), fraction("--dead", dead)
    widths = dict(relative_width(entry) for entry in relative)
    start_jax()
    from ..console import show_tolerance
    from ..study.tolerance import Tolerances, tolerate

    wanted = Tolerances(error or 0.0, part or 0.0, widths)
    with at_work(running, quiet) as (runner, observer):
        report = tolerate(
            file, study, wanted, runner=runner, observer=observer, samples=samples, events=events, seed=seed
        )
    if as_json:
        print_json(report)
    else:
        show_tolerance(report)
