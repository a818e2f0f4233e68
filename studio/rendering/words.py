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


def legend(figure: Figure, view: View, **place: Any) -> None:
    """The types of sensors and the lines of a view by name, where it has some; `place` goes to `Figure.legend`."""
    marks = [
        Line2D([], [], color=colour, marker="o", linestyle="none", markersize=9, label=name)
        for name, colour in view.kinds
    ]
    marks += [Line2D([], [], color=line.colour, linewidth=3, label=line.name) for line in view.lines]
    if marks:
        figure.legend(handles=marks, frameon=False, ncols=len(marks), **place)
