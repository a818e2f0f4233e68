"""What the command line shows: progress on standard error, tables on standard output."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from .study.observer import AbstractObserver

if TYPE_CHECKING:
    from .doctor import Finding

# Piped progress: a line where a fiftieth of the stage has been done since the last one, though none within two seconds of it;
# in any case one every ten minutes, and the first and the last. So a log of 2,000 steps has about 50 lines of them.
_LINES, _SOONEST, _LATEST = 50, 2.0, 600.0


class Progressing(AbstractObserver):
    """Progress of a study on standard error: a bar on a terminal, plain lines otherwise, nothing where `quiet`.

    Speed and time left are measured from the end of the first piece of a stage on, which is the one that is compiled.
    `console` and `clock` (seconds) are for tests.
    """

    def __init__(
        self, quiet: bool = False, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ):
        self.console = Console(stderr=True, highlight=False) if console is None else console
        self.quiet = quiet
        self._clock = clock
        self._live: Live | None = None
        self._bar, self._task, self._numbers = Progress(), TaskID(0), Text()
        self._begin("", 0, 0)

    def _begin(self, name: str, total: int, done: int) -> None:
        self._name, self._total, self._done = name, total, done
        self._since: float | None = None  # when the first piece was done
        self._pieces, self._events = 0, 0  # done since then
        self._said_at, self._said = -math.inf, done

    def stage(self, name: str, total: int, done: int) -> None:
        self.close()
        self._begin(name, total, done)
        if self.quiet:
            return
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                console=self.console,
            )
            self._task = self._bar.add_task(name, total=total, completed=done, speed="")
            self._numbers = Text("compiling" if total > 1 else "")
            self._live = Live(Group(self._bar, self._numbers), console=self.console)
            self._live.start()
        else:
            again = f", {done} done before" if done else ""
            self._say(f"{name}: {total} to do{again}")

    def advance(self, details: Mapping[str, Any]) -> None:
        now = self._clock()
        self._done += 1
        if self._since is None:
            self._since = now
        else:
            self._pieces += 1
            self._events += details.get("events", 0)
        if self.quiet:
            return
        numbers, speed = progress_text(details), self._speed(now)
        if self._live is not None:
            self._bar.update(self._task, completed=self._done, speed=speed)
            self._numbers.plain = numbers
        elif self._due(now):
            self._said_at, self._said = now, self._done
            self._say("  ".join(word for word in (f"{self._name}: {self._done}/{self._total}", numbers, speed) if word))

    def _due(self, now: float) -> bool:
        waited, made = now - self._said_at, self._done - self._said
        enough = waited >= _SOONEST and made >= self._total / _LINES
        return enough or waited >= _LATEST or self._done == self._total

    def note(self, text: str) -> None:
        if not self.quiet:
            self._say(f"note: {text}")

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _say(self, text: str) -> None:
        # Without markup and wrapping: a line of piped output is a line.
        self.console.print(text, markup=False, soft_wrap=True)

    def _speed(self, now: float) -> str:
        """Events per second and the time left, as far as they are known."""
        seconds = now - (now if self._since is None else self._since)
        if not self._pieces or seconds <= 0:
            return ""
        words = [f"{number(self._events / seconds)} events/s"] if self._events else []
        if self._done < self._total:
            words.append(f"{duration(seconds / self._pieces * (self._total - self._done))} left")
        return "  ".join(words)


def progress_text(details: Mapping[str, Any]) -> str:
    """The numbers of a step in a line: objective, its terms, gradient norm and how it stands to its noise, constraint violation."""
    words = []
    if "objective" in details:
        words.append(f"objective {number(details['objective'])}")
    words += [f"{name} {number(value)}" for name, value in details.get("terms", {}).items()]
    if "gradient_norm" in details:
        words.append(f"gradient {number(details['gradient_norm'])}")
    if details.get("signal_to_noise") is not None:
        words.append(f"signal/noise {number(details['signal_to_noise'])}")
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
    "dedx": ("dE/dx", 100.0, "%"),
}


def show_gain(result: Mapping[str, Any]) -> None:
    """The table of a finished study: baseline, optimum, gain with its interval; information and measurement; the audit."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    validation = result["validation"]
    if validation["events"]:
        console.print(_gain_table(validation))
        if any(validation["undetermined"].values()):
            told = ", ".join(f"{count} in the {design}" for design, count in validation["undetermined"].items())
            console.print(f"events that determine nothing, left out of the CRLB: {told}", soft_wrap=True)
        if "measured" in validation:
            console.print(
                f"{validation['events']} events a design; reconstruction failed: {_failed(validation)}", soft_wrap=True
            )
    console.print(_objective_table(result))
    console.print(_audit_table(result["constraints"]))
    console.print("feasible" if result["feasible"] else "NOT FEASIBLE: a constraint is broken, see above", style="bold")


def show_baselines(report: Mapping[str, Any]) -> None:
    """The table of ways to a design: objective, gain against the geometry as built, terms, what was simulated."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 130)
    budget, methods = report["budget"], report["methods"]
    terms = list(methods["as_built"]["objective"]["terms"])
    table = Table(title=f"Within {budget['simulated_events']:,} simulated events")
    for column in ("", "objective", "gain", *(terms if len(terms) > 1 else ()), "designs", "events", "with gradient"):
        table.add_column(column, justify="right" if column else "left")
    table.add_column("feasible")
    for name, found in methods.items():
        if "objective" not in found:
            table.add_row(name.replace("_", " "), found["status"].replace("_", " "))
            continue
        value, counts = found["objective"], found["simulated_events"]
        shown = [number(value["terms"][term]) for term in terms] if len(terms) > 1 else []
        table.add_row(
            name.replace("_", " "),
            number(value["value"]),
            f"{found['gain']:+.4f}",
            *shown,
            str(found["evaluations"]),
            f"{counts['forward']:,}",
            f"{counts['with_gradient']:,}",
            "yes" if found["feasible"] else "NO",
        )
    console.print(table)
    for name, found in methods.items():
        if "objective" not in found:
            console.print(f"{name.replace('_', ' ')}: {found['reason']}", soft_wrap=True)
    measured = report["measured_gradient_cost"]
    took = "" if measured is None else f"; here it took {measured:.1f} times as long"
    console.print(f"an event with its gradient counts {budget['gradient_cost']:g} times{took}", soft_wrap=True)


def show_scan(report: Mapping[str, Any]) -> None:
    """The table of a scan: the objective, its slope and its terms at every value."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 130)
    rows = report["rows"]
    terms = list(rows[0]["terms"])
    beside = any("difference" in row for row in rows)
    table = Table(title=f"Along {report['path']}, {report['events']} events")
    for column in (
        "value",
        "objective",
        "slope",
        *(["difference"] if beside else []),
        *(terms if len(terms) > 1 else []),
    ):
        table.add_column(column, justify="right")
    table.add_column("feasible")
    for row in rows:
        table.add_row(
            number(row["value"]),
            f"{row['objective']:.5f}",
            f"{row['slope']:+.5g}",
            *([f"{row['difference']:+.5g}" if "difference" in row else ""] if beside else []),
            *(number(row["terms"][term]) for term in (terms if len(terms) > 1 else [])),
            "yes" if row["feasible"] else "NO",
        )
    console.print(table)
    if report["minimum"] is not None:
        console.print(f"between its ends the curve is lowest at {number(report['minimum'])}", style="bold")


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
        for key in (key for key in _SHOWN if key in gain["optimum"]):
            name, factor, unit = _SHOWN[key]
            before, after = (f"{values[design][key] * factor:.4g} {unit}" for design in ("baseline", "optimum"))
            table.add_row(title, name, before, after, interval(gain["optimum"][key]))
    return table


def interval(measured: Mapping[str, float]) -> str:
    """A fraction with its interval in per cent."""
    return f"{100 * measured['value']:+.1f} % [{100 * measured['low']:+.1f}, {100 * measured['high']:+.1f}]"


def _objective_table(result: Mapping[str, Any]) -> Table:
    """The terms from start to end. They are logarithms: a difference is a relative change, the same whatever the unit."""
    table = Table(title="Objective, on the events it was optimised for")
    for column in ("term", "statistic", "weight", "start", "end", "change"):
        table.add_column(column, justify="left" if column in ("term", "statistic") else "right")
    for row in result["objective_terms"]:
        numbers = (number(row[name]) for name in ("weight", "baseline", "optimum"))
        table.add_row(row["name"], row["statistic"], *numbers, f"{100 * row['change']:+.1f} %")
    start, end = (result["objective"][design]["value"] for design in ("baseline", "optimum"))
    table.add_row("objective", "weighted sum", "", number(start), number(end), "", end_section=True)
    return table


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
    columns = {key: _SHOWN[key] for key in _SHOWN if all(key in rows for rows in measured.values())}
    for name, _, unit in columns.values():
        table.add_column(f"{name} ({unit})", justify="right")
    table.add_column("failed", justify="right")
    for design, rows in measured.items():
        cells = [_with_interval(rows[key], factor) for key, (_, factor, _) in columns.items()]
        table.add_row(design, *cells, f"{100 * rows['failed']['value']:.2f} %")
    console.print(table)
    for design, rows in gain.items():
        shown = ", ".join(f"{name} {interval(rows[key])}" for key, (name, _, _) in columns.items())
        console.print(f"gain of {design}: {shown}")


def show_costs(costs: Mapping[str, Mapping[str, Any]]) -> None:
    """What designs cost, a line each."""
    for design, cost in costs.items():
        if "problem" in cost:
            print(f"cost of {design}: not known: {cost['problem']}")
            continue
        sensors = sum(cost["sensors"].values())
        parts = {"sensors": sensors, **{name: cost[name] for name in ("channels", "excavation", "medium")}}
        shown = ", ".join(f"{name} {number(value)}" for name, value in parts.items())
        print(f"cost of {design}: {number(cost['total'])} {cost['unit']} of {cost['year']} ({shown})")


def _with_interval(measured: Mapping[str, float], factor: float) -> str:
    value, low, high = (measured[name] * factor for name in ("value", "low", "high"))
    return f"{value:.4g} [{low:.4g}, {high:.4g}]"


def show_certificate(report: Mapping[str, Any]) -> None:
    """What single moves of a sensor are worth."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    table = Table(title=f"The best of {report['moves']} single moves, to {report['places']} places")
    for name in ("sensor", "from (m)", "to (m)", "gain"):
        table.add_column(name, justify="right")
    for move in report["evaluated"]:
        places = [", ".join(f"{value / 1000:.2f}" for value in move[end]) for end in ("from", "to")]
        table.add_row(str(move["sensor"]), *places, f"{move['gain']:+.2e}")
    if report["evaluated"]:
        console.print(table)
    best = report["best"]
    if best is None:
        words = "no single move that is allowed betters it"
    else:
        words = f"the best single move gains {best['gain']:.2e}: moves of single sensors are {_worth(best['gain'])}"
    console.print(f"objective {report['objective']:.6g}; {words}")


def show_tolerance(report: Mapping[str, Any]) -> None:
    """The objective and the gain over detectors that differ from the drawing."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    table = Table(title=f"{report['samples']} detectors as they may be built")
    for name in ("", "as drawn", "mean", "deviation", "5 % to 95 %"):
        table.add_column(name, justify="left" if not name else "right")
    rows = {f"objective of the {name}": row for name, row in report["objective"].items()} | {"gain": report["gain"]}
    rows |= {f"gain of {name}": row for name, row in report["gain_of_terms"].items()}
    for name, row in rows.items():
        numbers = (f"{row['drawn']:.4g}", f"{row['mean']:.4g}", f"{row['deviation']:.2g}")
        table.add_row(name, *numbers, f"{row['low']:.4g} to {row['high']:.4g}")
    console.print(table)
    console.print(f"the optimum is better in {100 * report['gain']['better']:.3g} % of them")


def _worth(gain: float) -> str:
    """A change of a mean of logarithms in words."""
    return f"worth {100 * gain:.2g} % of a resolution"


def show_findings(findings: Sequence[Finding]) -> None:
    """What `studio doctor` found, a line each; below it, where something is amiss, what follows and what helps."""
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{finding.state:<8} {finding.name:<{width}}  {finding.detail}")
        for word in (finding.consequence, finding.remedy and f"to do: {finding.remedy}"):
            if word:
                print(f"{'':<8} {'':<{width}}  - {word}")


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
