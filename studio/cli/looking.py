"""Commands that show: detectors, events and studies, and what a machine can do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from .._checks import StudioError
from .group import commands
from .options import json_option, print_json, quiet_option, start_jax


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
@quiet_option
@json_option
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
    from ..study.drawing import draw_target, read_target

    subject = read_target(target, geometry)
    start_jax()
    from ..console import Progressing

    report = draw_target(subject, out, formats, event=event, colour=colour, note=Progressing(quiet).note)
    if as_json:
        print_json(report)
    else:
        for path in report["files"]:
            print(path)


@commands.command()
@click.option("--full", is_flag=True, help="Start a Ray cluster on this machine, too.")
@quiet_option
@json_option
def doctor(full: bool, quiet: bool, as_json: bool) -> None:
    """Say what this machine can do for the studio, what is missing, and how to get it."""
    from ..console import show_findings
    from ..doctor import examine

    findings = examine(full, (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr)))
    missing = [finding.name for finding in findings if finding.fatal]
    if as_json:
        print_json({"ok": not missing, "full": full, "findings": [finding.as_dict() for finding in findings]})
    else:
        show_findings(findings)
    if missing:
        raise StudioError(f"studies cannot run here for want of: {', '.join(missing)}")
