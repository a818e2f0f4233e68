"""Options that commands share: where work runs, where it is recorded, quantities with units."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._checks import InputError

if TYPE_CHECKING:
    from ..execution import AbstractRunner
    from ..study.observer import AbstractObserver
    from ..tracking import AbstractTracker


def start_jax() -> None:
    """JAX as every command wants it; before its first array."""
    from .. import _xla

    _xla.start()


@dataclasses.dataclass(frozen=True)
class Running:
    """Where work runs, as the options of a command say."""

    runner: str
    devices: int | None
    address: str | None
    gpus_per_worker: float | None
    time_out: float | None

    def start(self, note: Callable[[str], None]) -> AbstractRunner:
        """The runner; `note` is told of workers that had to be replaced. Ray starts processes: before JAX's first array."""
        from ..execution import LocalRunner, RayRunner

        if self.runner == "local":
            for option in ("address", "gpus_per_worker", "time_out"):
                if getattr(self, option) is not None:
                    name = f"--{option.replace('_', '-')}"
                    raise InputError("is an option of Ray's workers", key=name, remedy="add --runner ray")
            return LocalRunner(self.devices)
        return RayRunner(
            self.devices, address=self.address, gpus=self.gpus_per_worker, time_out=self.time_out, note=note
        )


@contextlib.contextmanager
def at_work(running: Running, quiet: bool) -> Iterator[tuple[AbstractRunner, AbstractObserver]]:
    """The runner, and what shows progress, ended with the work."""
    from ..console import Progressing

    observer = Progressing(quiet)
    try:
        with running.start(observer.note) as runner:
            yield runner, observer
    finally:
        observer.close()


def tracker_at(address: str | None) -> AbstractTracker:
    """The tracker at an address, None for no tracking."""
    from ..tracking import MlflowTracker, NoTracker

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


def running_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of where work runs, and their values as `running`."""

    @functools.wraps(command)
    def with_running(**values: Any) -> None:
        running = Running(**{field.name: values.pop(field.name) for field in dataclasses.fields(Running)})
        command(running=running, **values)

    return _runner_options(with_running)


quiet_option = click.option("--quiet", is_flag=True, help="No progress.")
tracking_option = click.option(
    "--tracking-uri",
    envvar=["STUDIO_TRACKING_URI", "MLFLOW_TRACKING_URI"],
    show_envvar=True,
    help="MLflow store of studies, 'none' for no tracking [default: sqlite:///runs/mlflow.db].",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output instead of tables."
)
seed_option = click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Another seed than the experiment's.")


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(content, indent=2, allow_nan=False))


def length(key: str, text: str | None) -> float | None:
    """A positive length of an option, in mm."""
    from ..units import parse_quantity

    if text is None:
        return None
    value = parse_quantity(text, "length", key=key)
    if value <= 0:
        raise InputError("not positive", key=key, value=text, remedy="write for example '60 cm'")
    return value


def fraction(key: str, text: str | None) -> float | None:
    """A part of an option, above 0 and at most one half."""
    from ..units import parse_quantity

    if text is None:
        return None
    value = parse_quantity(text, "fraction", key=key)
    if not 0 < value <= 0.5:
        raise InputError("not between 0 and 50 %", key=key, value=text, remedy="write for example '1 %'")
    return value


def relative_width(entry: str) -> tuple[str, float]:
    """The path and the relative width of an option `PATH=WIDTH`."""
    path, equals, text = entry.partition("=")
    if not (path and equals):
        remedy = "write for example medium.absorption_length=5%"
        raise InputError("not a path with its width", key="--relative", value=entry, remedy=remedy)
    return path, fraction("--relative", text) or 0.0


def fresh_directory(parent: Path, name: str) -> Path:
    """`parent/name`, or with the first number behind it that is not taken."""
    candidate, number = parent / name, 1
    while candidate.exists():
        number += 1
        candidate = parent / f"{name}-{number}"
    return candidate
