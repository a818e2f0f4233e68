"""Progress says where a study is: step, objective and terms, gradient, violation, speed, time left; a bar on a terminal, few
plain lines in a pipe."""

from __future__ import annotations

import io
import itertools
import re

import pytest
from rich.console import Console

from studio.console import Progressing, duration, number, progress_text, show_gain, show_resolutions

STEP = {
    "objective": -1.25,
    "terms": {"vertex_resolution": 4.5, "direction_resolution": -5.75},
    "gradient_norm": 0.0625,
    "violation": 0.0,
    "events": 16,
}


class Watched:
    """An observer whose output is kept and whose clock is turned by hand."""

    def __init__(self, terminal: bool = False, quiet: bool = False, width: int = 80):
        self.file, self.now = io.StringIO(), 100.0
        console = Console(file=self.file, force_terminal=terminal, width=width, highlight=False, color_system=None)
        self.progress = Progressing(quiet, console, clock=lambda: self.now)

    def steps(self, count: int, seconds: float) -> None:
        for _ in range(count):
            self.now += seconds
            self.progress.advance(STEP)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


def test_a_line_says_everything():
    """Ten steps of 4 s with 16 events each: 4 events/s, and 190 steps take 760 s. The first, which is compiled, is not
    counted in."""
    watched = Watched()
    watched.progress.stage("optimise", 200, 0)
    watched.now += 90
    watched.steps(10, 4.0)
    assert watched.lines[0] == "optimise: 200 to do"
    *_, last = watched.lines
    assert last.startswith("optimise: 9/200  objective -1.25  vertex_resolution 4.5  direction_resolution -5.75  ")
    assert last.endswith("gradient 0.0625  violation 0  4 events/s  12 min 44 s left")  # 191 × 4 s
    assert not any("left" in line or "events/s" in line for line in watched.lines[:2])


@pytest.mark.parametrize(
    ("seconds", "most"),
    [
        (0.01, 12),  # 20 s: a line every 2 s at most, and the first and the last
        (5.0, 52),  # 2.8 h: one every 40 steps
        (60.0, 202),  # 33 h: one every ten minutes
    ],
)
def test_a_log_of_2000_steps_stays_readable(seconds, most):
    watched = Watched()
    watched.progress.stage("optimise", 2000, 0)
    watched.steps(2000, seconds)
    steps = [int(found[1]) for line in watched.lines if (found := re.match(r"optimise: (\d+)/2000 ", line))]
    assert most / 2 < len(steps) <= most
    assert steps[0] == 1
    assert steps[-1] == 2000
    assert max(b - a for a, b in itertools.pairwise(steps)) * seconds < 660


def test_a_resumed_stage_goes_on_counting_and_measures_its_own_speed():
    watched = Watched()
    watched.progress.stage("validate", 100, 90)
    watched.steps(10, 3.0)
    assert watched.lines[0] == "validate: 100 to do, 90 done before"
    assert watched.lines[-1].startswith("validate: 100/100 ")
    assert watched.lines[-1].endswith(" 5.333 events/s")  # 16 / 3, and nothing is left
    assert any(line.endswith("21 s left") for line in watched.lines)


def test_pieces_without_events_have_no_speed():
    watched = Watched()
    watched.progress.stage("gradient check", 3, 0)
    for _ in range(3):
        watched.now += 5
        watched.progress.advance({})
    assert watched.lines[1:] == ["gradient check: 1/3", "gradient check: 2/3  5 s left", "gradient check: 3/3"]


def test_stages_do_not_mix():
    watched = Watched()
    watched.progress.stage("optimise", 10, 0)
    watched.steps(10, 100.0)
    watched.progress.stage("validate", 10, 0)
    watched.steps(2, 4.0)
    assert watched.lines[-1].endswith("4 events/s  32 s left")


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_gets_a_bar_and_the_numbers_below_it(width):
    """What stands at the end, whole words at any width: the bar with step, speed and time left, then the numbers."""
    watched = Watched(terminal=True, width=width)
    watched.progress.stage("optimise", 200, 0)
    watched.steps(10, 4.0)
    watched.progress.note("the baseline violates its constraints")
    watched.progress.close()
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", watched.file.getvalue())
    assert "the baseline violates its constraints" in shown
    last = " ".join(shown[shown.rindex("optimise") :].split())
    assert re.match(r"optimise \S+ ?\S* 10/200 4 events/s 12 min 40 s left objective -1.25 ", last)
    assert last.endswith("vertex_resolution 4.5 direction_resolution -5.75 gradient 0.0625 violation 0")
    assert all(len(line) <= width for line in shown.replace("\r", "\n").splitlines())
    assert "\x1b[?25h" in watched.file.getvalue()[-20:]  # the cursor is there again


def test_quiet_is_quiet():
    for terminal in (False, True):
        watched = Watched(terminal=terminal, quiet=True)
        watched.progress.stage("optimise", 3, 0)
        watched.steps(3, 10.0)
        watched.progress.note("x")
        watched.progress.close()
        assert watched.file.getvalue() == ""


def test_a_pipe_gets_whole_lines_without_escapes():
    watched = Watched(width=20)
    watched.progress.stage("optimise", 2, 0)
    watched.progress.note("[bold]not markup[/bold]" + " and long" * 20)
    watched.steps(2, 10.0)
    assert len(watched.lines) == 4
    assert "[bold]not markup[/bold]" in watched.lines[1]
    assert "\x1b" not in watched.file.getvalue()


def test_words():
    assert progress_text({"objective": 1.0, "violation": 0.5}) == "objective 1  violation 0.5"
    noisy = {"objective": 1.0, "gradient_norm": 2.0, "signal_to_noise": 0.125}
    assert progress_text(noisy) == "objective 1  gradient 2  signal/noise 0.125"
    assert progress_text(noisy | {"signal_to_noise": None}) == "objective 1  gradient 2"
    assert number("nan") == "nan"
    assert [duration(seconds) for seconds in (44.6, 200, 7500)] == ["45 s", "3 min 20 s", "2 h 5 min"]


def test_resolutions_are_shown_with_their_units(capsys):
    rows = {name: {"value": 0.05, "low": 0.04, "high": 0.06} for name in ("vertex", "direction", "energy", "failed")}
    show_resolutions({"tank": rows}, {})
    shown = capsys.readouterr().out
    assert "vertex (cm)" in shown
    assert "direction (deg)" in shown


def test_terms_are_shown_from_start_to_end(capsys):
    """Names, statistics and weights beside both values; exp(-0.5) - 1 is 39.3 % less."""
    rows = [
        ("vertex_resolution", "mean log", 1.0, 4.5, 4.0),
        ("energy_resolution e+ worst", "worst log", 0.25, -3.0, -3.5),
    ]
    names = ("name", "statistic", "weight", "baseline", "optimum", "change")
    terms = [dict(zip(names, (*row, -0.3934693), strict=True)) for row in rows]
    values = {"baseline": {"value": 3.75}, "optimum": {"value": 3.125}}
    show_gain(
        {
            "objective": values,
            "objective_terms": terms,
            "constraints": [],
            "feasible": True,
            "validation": {"events": 0},
        }
    )
    lines = [" ".join(re.findall(r"[^\s│]+", line)) for line in capsys.readouterr().out.splitlines()]
    assert "vertex_resolution mean log 1 4.5 4 -39.3 %" in lines
    assert "energy_resolution e+ worst worst log 0.25 -3 -3.5 -39.3 %" in lines
    assert "objective weighted sum 3.75 3.125" in lines
