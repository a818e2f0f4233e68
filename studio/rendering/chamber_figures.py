"""Flat pictures of chambers: what wires recorded, time against wire, and a view from the side and from above."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from .._checks import InputError
from ..units import m, us
from .style import AMOUNTS, DPI, INK, STYLE
from .view import View
from .words import colour_bar, legend

_SIGNED = "RdBu_r"  # white where nothing is recorded
_SIGNAL = 0.05  # of the largest pulse: what is shown reaches to where nothing larger is
_NOISE = 7.0  # standard deviations, which no sample of many millions reaches by chance
_MARGIN = 0.08  # beside it, of its extent


def waveform_image(
    waveforms: Sequence[Float[np.ndarray, "wires ticks"]],
    path: str | os.PathLike[str],
    *,
    pedestal: float,
    tick: float,
    noise: float = 0.0,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Digitizer counts around the pedestal as colours, blue below and red above, with a panel for each plane.

    **Arguments**: `waveforms`: counts of every channel of each plane; `pedestal` in counts; `tick` in ns; `noise`: its root mean
    square in counts, below seven of which nothing counts as signal. Each panel shows the channels and the time in which there is signal,
    with one scale of colours a panel. **Raises** `InputError` without waveforms.
    """
    if not waveforms:
        raise InputError("no waveforms", key="waveforms", remedy="give those of one plane at least")
    titles = [f"plane {index + 1}" for index in range(len(waveforms))] if names is None else names
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(waveforms), 4.9), layout="constrained")
        FigureCanvasAgg(figure)
        for index, (counts, name) in enumerate(zip(waveforms, titles, strict=True)):
            axes = figure.add_subplot(1, len(waveforms), index + 1)
            signal = np.asarray(counts, float) - pedestal
            wires, ticks = _lit(signal, noise)
            shown = signal[wires, ticks]
            most = float(np.abs(shown).max(initial=0.0)) or 1.0
            extent = (wires.start - 0.5, wires.stop - 0.5, ticks.start * tick / us, ticks.stop * tick / us)
            image = axes.imshow(
                shown.T, cmap=_SIGNED, vmin=-most, vmax=most, aspect="auto", origin="lower", extent=extent
            )
            axes.set_title(name, fontsize=12, color=INK)
            axes.set_xlabel("channel")
            if index == 0:
                axes.set_ylabel("time since the first sample (µs)")
            figure.colorbar(image, ax=axes, shrink=0.85, label="counts from the pedestal")
        if title:
            figure.suptitle(title, fontsize=14, color=INK, x=0.01, ha="left")
        figure.savefig(path, dpi=DPI)
        return figure


def projections(view: View, path: str | os.PathLike[str]) -> Figure:
    """A view in two projections, where there is no OpenGL to draw it in three dimensions: its second and its third coordinate
    against the first."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.5, 9.5), layout="constrained")
        FigureCanvasAgg(figure)
        for panel, upwards in enumerate((1, 2)):
            axes = figure.add_subplot(2, 1, panel + 1)
            for strokes in view.strokes:
                lines = strokes.ends[..., [0, upwards]] / m
                axes.add_collection(
                    LineCollection(list(lines), colors=strokes.colour, linewidths=0.6, label=strokes.name)
                )
            if view.colouring is not None:
                place = view.positions[:, [0, upwards]].T / m
                marks = axes.scatter(*place, c=view.colours, s=2.0, zorder=3)
                marks.set_rasterized(True)
            axes.autoscale_view()
            axes.set_aspect("equal")
            axes.set_xlabel(f"{view.axes[0]} (m)")
            axes.set_ylabel(f"{view.axes[upwards]} (m)")
        if view.colouring is not None:
            drawn = ScalarMappable(view.colouring.norm, AMOUNTS)
            colour_bar(figure, drawn, view.colouring.label, ax=figure.axes, shrink=0.5, extend=view.colouring.extend)
        figure.suptitle(f"{view.title}: {view.summary}", fontsize=12, color=INK)
        legend(figure, view, loc="outside lower left")
        figure.savefig(path, dpi=DPI)
        return figure


def _lit(signal: np.ndarray, noise: float) -> tuple[slice, slice]:
    """The channels and samples between the first and the last with signal, and a margin; all where there is none."""
    size = np.abs(signal)
    lit = size > max(_SIGNAL * float(size.max(initial=0.0)), _NOISE * noise)
    found = []
    for axis in range(2):
        places = np.flatnonzero(lit.any(axis=1 - axis))
        if len(places) == 0:
            found.append(slice(0, signal.shape[axis]))
            continue
        first, last = int(places[0]), int(places[-1])
        margin = max(6, round(_MARGIN * (last - first)))
        found.append(slice(max(0, first - margin), min(signal.shape[axis], last + margin + 1)))
    return found[0], found[1]
