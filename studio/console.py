"""What the command line shows: progress on standard error, tables on standard output."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from .study.observer import AbstractObserver

_PLAIN_INTERVAL = 2.0  # seconds between lines of piped progress


class Progressing(AbstractObserver):
    """Progress of a study on standard error: a bar on a terminal, plain lines otherwise, nothing where `quiet`."""

    def __init__(self, quiet: bool = False):
        self.console = Console(stderr=True, highlight=False)
        self.quiet = quiet
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._name, self._total, self._done, self._before = "", 0, 0, 0
        self._start = self._last = time.monotonic()

    def stage(self, name: str, total: int, done: int) -> None:
        self.close()
        self._name, self._total, self._done, self._before = name, total, done, done
        self._start, self._last = time.monotonic(), -math.inf
        if self.quiet:
            return
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[text]}"),
            )
            self._bar = Progress(*columns, console=self.console)
            self._bar.start()
            self._task = self._bar.add_task(name, total=total, completed=done, text="compiling" if total > 1 else "")
        else:
            again = f", {done} done before" if done else ""
            self._say(f"{name}: {total} to do{again}")

    def advance(self, details: Mapping[str, Any]) -> None:
        self._done += 1
        if self.quiet:
            return
        text = f"{progress_text(details)} {self._left()}".strip()
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, text=text)
        elif now - self._last >= _PLAIN_INTERVAL or self._done == self._total:
            self._last = now
            self._say(f"{self._name}: {self._done}/{self._total} {text}")

    def note(self, text: str) -> None:
        if not self.quiet:
            self._say(f"note: {text}")

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _say(self, text: str) -> None:
        # Without markup and wrapping: a line of piped output is a line.
        print(text, file=sys.stderr, flush=True) if self._bar is None else self._bar.console.print(text, markup=False)

    def _left(self) -> str:
        made = self._done - self._before
        if not made or self._done >= self._total:
            return ""
        seconds = (time.monotonic() - self._start) / made * (self._total - self._done)
        return f"{duration(seconds)} left"


def progress_text(details: Mapping[str, Any]) -> str:
    """The numbers of a step in a line: objective, its terms, gradient norm, constraint violation."""
    words = []
    if "objective" in details:
        words.append(f"objective {number(details['objective'])}")
    words += [f"{name} {number(value)}" for name, value in details.get("terms", {}).items()]
    if "gradient_norm" in details:
        words.append(f"gradient {number(details['gradient_norm'])}")
    if "violation" in details:
        words.append(f"violation {number(details['violation'])}")
    return "  ".join(words)


def number(value: Any) -> str:
    """A number with four figures; text as it is."""
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def duration(seconds: float) -> str:
    """Seconds as `45 s`, `3 min 20 s` or `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


# ---- tables --------------------------------------------------------------------------------------------------------------

_SHOWN = {
    "vertex": ("vertex", 0.1, "cm"),
    "direction": ("direction", 180 / math.pi, "deg"),
    "energy": ("energy", 100.0, "%"),
}


def show_gain(result: Mapping[str, Any]) -> None:
    """The table of a finished study: baseline, optimum, gain with its interval; information and measurement; the audit."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    validation = result["validation"]
    if validation["events"]:
        console.print(_gain_table(validation))
        if "measured" in validation:
            console.print(
                f"{validation['events']} events a design; reconstruction failed: {_failed(validation)}", soft_wrap=True
            )
    terms = result["objective"]
    for name, before in terms["baseline"]["terms"].items():
        console.print(f"{name}: {number(before)} before, {number(terms['optimum']['terms'][name])} after (mean log)")
    console.print(_audit_table(result["constraints"]))
    console.print("feasible" if result["feasible"] else "NOT FEASIBLE: a constraint is broken, see above", style="bold")


def _failed(validation: Mapping[str, Any]) -> str:
    words = []
    for design, measured in validation["measured"].items():
        reasons = ", ".join(f"{count} {reason}" for reason, count in validation["failures"][design].items())
        words.append(f"{design} {100 * measured['failed']['value']:.2f} %" + (f" ({reasons})" if reasons else ""))
    return ", ".join(words)


def _gain_table(validation: Mapping[str, Any]) -> Table:
    table = Table(title="Gain: how much smaller, with 95 % interval")
    for column in ("", "resolution", "baseline", "optimum", "gain"):
        table.add_column(column, justify="left" if column in ("", "resolution") else "right")
    sections = [("CRLB", validation["crlb"], validation["predicted_gain"])]
    if "measured" in validation:
        measured = {d: {n: m["value"] for n, m in rows.items()} for d, rows in validation["measured"].items()}
        sections.append(("measured", measured, validation["measured_gain"]))
    for title, values, gain in sections:
        for key, (name, factor, unit) in _SHOWN.items():
            before, after = (f"{values[design][key] * factor:.4g} {unit}" for design in ("baseline", "optimum"))
            table.add_row(title, name, before, after, interval(gain["optimum"][key]))
    return table


def interval(measured: Mapping[str, float]) -> str:
    """A fraction with its interval in per cent."""
    return f"{100 * measured['value']:+.1f} % [{100 * measured['low']:+.1f}, {100 * measured['high']:+.1f}]"


def _audit_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Constraints, measured after the fact")
    for column in ("constraint", "limit", "value", "margin", "unit", "satisfied"):
        table.add_column(column)
    for row in rows:
        numbers = (number(row[name]) for name in ("limit", "value", "margin"))
        table.add_row(row["name"], *numbers, row["unit"], "yes" if row["satisfied"] else "NO")
    return table


def show_resolutions(measured: Mapping[str, Mapping[str, Any]], gain: Mapping[str, Mapping[str, Any]]) -> None:
    """Resolutions of one or several designs on the same events, and the gain against the first."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    table = Table(title="Measured resolution, with 95 % interval")
    table.add_column("design")
    for name, _, unit in _SHOWN.values():
        table.add_column(f"{name} [{unit}]", justify="right")
    table.add_column("failed", justify="right")
    for design, rows in measured.items():
        cells = [_with_interval(rows[key], factor) for key, (_, factor, _) in _SHOWN.items()]
        table.add_row(design, *cells, f"{100 * rows['failed']['value']:.2f} %")
    console.print(table)
    for design, rows in gain.items():
        shown = ", ".join(f"{name} {interval(rows[key])}" for key, (name, _, _) in _SHOWN.items())
        console.print(f"gain of {design}: {shown}")


def _with_interval(measured: Mapping[str, float], factor: float) -> str:
    value, low, high = (measured[name] * factor for name in ("value", "low", "high"))
    return f"{value:.4g} [{low:.4g}, {high:.4g}]"


def show_mapping(content: Mapping[str, Any], indent: str = "") -> None:
    """Nested names and values, one a line; mappings in a list become the rows of a table under their names."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            print(f"{indent}{key}:")
            show_mapping(value, indent + "  ")
        elif isinstance(value, list) and value and not isinstance(value[0], int | float):
            print(f"{indent}{key}:")
            for line in _rows(value) if isinstance(value[0], Mapping) else value:
                print(f"{indent}  {line}")
        else:
            print(f"{indent}{key}: {_plain(value)}")


def _rows(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Mappings with the same keys as aligned rows under a row of those keys."""
    rows = [list(items[0]), *([_plain(value) for value in item.values()] for item in items)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _plain(value: Any) -> str:
    """A value for people: numbers with four figures, yes and no, lists in brackets."""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return number(value + 0.0) if isinstance(value, float) else str(value)  # -0.0 becomes 0
