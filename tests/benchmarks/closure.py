"""What closure commands share: one JSON line an event, and the table of error over σ of all lines so far."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("vertex.x", "vertex.y", "vertex.z", "direction.1", "direction.2", "kinetic_energy", "time")
"""Parameters in the order of the lines' `error` and `sigma`; charge alone does not know the time, which is then left out."""

_FAR, _ASTRAY = 1000.0, 10.0  # mm and degrees: what is further off counts as misreconstructed


def errors(found: Any, truth: Any) -> list[float]:
    """Estimate less truth in mm, rad (in the tangent basis of the truth), MeV and ns."""
    from studio.simulation.optical.directions import tangent_basis

    turn = np.asarray(tangent_basis(truth.direction)) @ np.asarray(found.direction)
    last = (float(found.kinetic_energy - truth.kinetic_energy), float(found.time - truth.time))
    return [*np.asarray(found.vertex - truth.vertex).tolist(), *turn.tolist(), *last]


def made(file: Path) -> set[int]:
    """Numbers of the events that a file holds."""
    return {json.loads(line)["event"] for line in file.read_text().splitlines()} if file.exists() else set()


def append(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Adds lines to a file, for good."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as opened:
        opened.write("".join(json.dumps(line) + "\n" for line in lines))
        opened.flush()
        os.fsync(opened.fileno())


def table(files: Iterable[str]) -> None:
    """Prints the converged part, and by parameter the rms of error over σ with its 95 % interval (bootstrap over events)."""
    generator = np.random.default_rng(1)
    for file in files:
        lines = [json.loads(line) for line in Path(file).read_text().splitlines()]
        if not lines:
            print(f"{file}: no events yet")
            continue
        good = [line for line in lines if line["status"] == 0]
        print(f"{file}: {len(lines)} events, {len(good)} converged ({100 * len(good) / max(1, len(lines)):.1f} %)")
        statuses = [line["status"] for line in lines]
        print("  by status:", {status: statuses.count(status) for status in sorted(set(statuses))})
        off = np.array([line["error"] for line in lines])
        far = np.linalg.norm(off[:, :3], axis=1) > _FAR
        astray = np.degrees(np.linalg.norm(off[:, 3:5], axis=1)) > _ASTRAY
        print(f"  more than 1 m off {100 * far.mean():.2f} %, more than 10° {100 * astray.mean():.2f} %, of all events")
        if not good:
            continue
        pulls = np.array([np.array(line["error"][: len(line["sigma"])]) / np.array(line["sigma"]) for line in good])
        sigma = np.median([line["sigma"] for line in good], axis=0)
        for name, column, typical in zip(NAMES, pulls.T, sigma, strict=False):
            picks = generator.integers(0, len(column), (2000, len(column)))
            low, high = np.percentile(np.sqrt(np.mean(column[picks] ** 2, axis=1)), [2.5, 97.5])
            rms, middle = np.sqrt(np.mean(column**2)), np.percentile(np.abs(column), 68.3)
            mean, error = np.mean(column), np.std(column) / np.sqrt(len(column))
            words = f"68 % {middle:.3f}  mean {mean:+.3f} ± {error:.3f}  σ {typical:.3g}"
            print(f"  {name:15s} rms {rms:.3f} [{low:.3f}, {high:.3f}]  {words}")
        spent = [np.median([line[f"{what}_seconds"] for line in lines]) for what in ("sample", "fit")]
        print(f"  CPU seconds an event (median): sample {spent[0]:.3g}, fit {spent[1]:.3g}")


def command(parser: argparse.ArgumentParser, fit: Callable[[argparse.Namespace], None]) -> None:
    """Runs a closure command: `fit` with its options, to which those that all have are added, or the table."""
    parser.add_argument("--kind", choices=("A", "B"), default="B")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", nargs="+", help="print the table of these files")
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    if options.out is None:
        parser.error("give --out FILE, or --table FILE")
    from studio import _xla

    _xla.start()
    fit(options)
