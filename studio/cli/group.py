"""The group of all commands."""

from __future__ import annotations

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="detector-studio", prog_name="studio")
def commands() -> None:
    """Design of neutrino detectors: simulate, reconstruct, optimise, and measure the gain."""
