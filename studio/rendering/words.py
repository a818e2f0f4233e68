"""Words around pictures: colour bars and legends, the same for flat and three-dimensional ones."""

from __future__ import annotations

from typing import Any

from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from .view import View


def colour_bar(figure: Figure, drawn: ScalarMappable, label: str, **place: Any) -> None:
    """The scale of what was drawn, with plain numbers where it is logarithmic; `place` goes to `Figure.colorbar`."""
    bar = figure.colorbar(drawn, **place)
    bar.set_label(label)
    if isinstance(drawn.norm, LogNorm):
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        bar.ax.yaxis.set_minor_formatter(lambda value, _: "")


_ROW = 70  # letters that a row of a legend has room for


def legend(figure: Figure, view: View, **place: Any) -> None:
    """The types of sensors, the lines, planes and wires of a view by name, where it has some; `place` goes to `Figure.legend`."""
    marks = [
        Line2D([], [], color=colour, marker="o", linestyle="none", markersize=9, label=name)
        for name, colour in view.kinds
    ]
    marks += [Line2D([], [], color=line.colour, linewidth=3, label=line.name) for line in view.lines]
    marks += [
        Line2D([], [], color=sheet.colour, marker="s", linestyle="none", markersize=9, label=sheet.name)
        for sheet in view.sheets
    ]
    marks += [Line2D([], [], color=strokes.colour, linewidth=1.5, label=strokes.name) for strokes in view.strokes]
    if marks:
        columns = len(marks) if legend_rows(view) == 1 else 2
        figure.legend(handles=marks, frameon=False, ncols=columns, **place)


def legend_rows(view: View) -> int:
    """Rows of the legend of a view: one, or those of two columns where it does not fit one."""
    names = [name for name, _ in view.kinds] + [one.name for one in (*view.lines, *view.sheets, *view.strokes)]
    short = not view.strokes or sum(len(name) + 6 for name in names) <= _ROW
    return min(len(names), 1) if short else (len(names) + 1) // 2
