"""Commands that simulate, reconstruct and measure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .group import commands
from .options import (
    Running,
    at_work,
    json_option,
    print_json,
    quiet_option,
    running_options,
    seed_option,
    start_jax,
    tracking_option,
)

if TYPE_CHECKING:
    from ..study.experiment_file import ExperimentFile


@commands.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Event file (HDF5) to write.")
@click.option("--events", type=click.IntRange(1), help="How many [default: validation.events].")
@click.option("--design", type=click.Path(path_type=Path), help="Another geometry than the experiment's.")
@seed_option
@quiet_option
@json_option
def simulate(
    experiment: Path, out: Path, events: int | None, design: Path | None, seed: int | None, quiet: bool, as_json: bool
) -> None:
    """Sample events of EXPERIMENT, as the detector would record them, into an event file."""
    from ..study.experiment_file import read_experiment

    file = read_experiment(experiment).with_values({} if seed is None else {"seed": seed})
    start_jax()
    from ..study.measure import simulate_events

    summary = simulate_events(file, out, events=events, design=design)
    if as_json:
        print_json(summary)
    elif not quiet:
        print(f"wrote {summary['events']} events to {out}", file=sys.stderr)


@commands.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option("--input", "source", type=click.Path(path_type=Path), required=True, help="Event file (HDF5).")
@click.option("--out", type=click.Path(path_type=Path), help="JSON lines to write, one an event.")
@click.option("--design", type=click.Path(path_type=Path), help="Another geometry than the experiment's.")
@quiet_option
@json_option
def reconstruct(
    experiment: Path, source: Path, out: Path | None, design: Path | None, quiet: bool, as_json: bool
) -> None:
    """Reconstruct the events of a file with the detector of EXPERIMENT and compare with the truth in it."""
    from ..study.experiment_file import read_experiment

    file = read_experiment(experiment)
    start_jax()
    from ..console import show_resolutions
    from ..study.measure import reconstruct_events

    report = reconstruct_events(file, source, out=out, design=design)
    if as_json:
        print_json(report)
    else:
        show_resolutions({"events": report["measured"]}, {})


@commands.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--events", type=click.IntRange(2), help="How many events a design [default: the experiment's].")
@seed_option
@running_options
@quiet_option
@json_option
def validate(target: Path, events: int | None, seed: int | None, running: Running, quiet: bool, as_json: bool) -> None:
    """Measure TARGET again on fresh events: baseline and optimum of a study's directory, or an experiment's geometry."""
    from ..study.experiment_file import read_begun, read_experiment

    file = read_begun(target) if target.is_dir() else read_experiment(target)
    start_jax()
    from ..study.measure import study_designs

    designs = study_designs(target) if target.is_dir() else {file.geometry.stem: file.geometry}
    _measure(file, designs, running, events, seed, quiet, as_json)


@commands.command()
@click.argument("designs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--experiment", type=click.Path(path_type=Path), help="Whose events to use [default: contained muons].")
@click.option("--events", type=click.IntRange(2), default=400, show_default=True, help="Events a design.")
@seed_option
@running_options
@tracking_option
@quiet_option
@json_option
def compare(
    designs: tuple[Path, ...],
    experiment: Path | None,
    events: int,
    seed: int | None,
    running: Running,
    tracking_uri: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare DESIGNS on the same events: geometry files, directories of studies, MLflow run ids. Gains are against the first."""
    from ..study.comparison import comparison_experiment, located, named_designs
    from ..tracking import lookup_address

    with located(designs, lookup_address(tracking_uri)) as found:
        named = named_designs(found)
        file = comparison_experiment(experiment, found, next(iter(named.values())))
        start_jax()
        _measure(file, named, running, events, seed, quiet, as_json)


def _measure(
    file: ExperimentFile,
    designs: Mapping[str, Path],
    running: Running,
    events: int | None,
    seed: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measures designs on the same events and shows what came out."""
    from ..console import show_costs, show_resolutions
    from ..study.measure import measure

    with at_work(running, quiet) as (runner, observer):
        report = measure(file, designs, runner=runner, observer=observer, events=events, seed=seed)
    if as_json:
        print_json(report)
    else:
        show_resolutions(report["measured"], report["measured_gain"])
        show_costs(report["cost"])
