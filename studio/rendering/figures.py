"""Figures: what a detector recorded, what a study moved, how it went there, and what it could have had instead.

Each function draws one figure, writes it to `path` (the ending chooses the format) and returns it, so that it can be looked
into. Colours are told apart by everyone: cividis for amounts, the palette of Okabe and Ito (2008) for kinds.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# NumPy arrays stand where annotations say JAX's: at run time both are taken.
from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection, LineCollection, PathCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline

from .._checks import InputError
from ..detector import Detector
from ..event import Readout
from ..units import m, mm
from .style import AMOUNTS, BEFORE, DPI, INK, PALETTE, STYLE, UNLIT, WALL
from .view import View, displacement, displacement_words
from .wall_map import WallMap, wall_map
from .words import colour_bar, legend

_FRONT = "Pareto front"
_BAR = {"shrink": 0.75, "pad": 0.02}  # where a colour bar stands beside a map


def event_display(
    detector: Detector, readout: Readout, path: str | os.PathLike[str], title: str | None = None
) -> Figure:
    """One event on the map of the wall: sensors to scale, those that fired coloured by charge, the others pale.

    `readout`: fields `(sensors,)`. **Raises** `InputError` where it belongs to another detector.
    """
    charge, hit = np.asarray(readout.charge, float), np.asarray(readout.hit, bool)
    count = detector.sensors.count
    if charge.shape != (count,):
        problem = f"a readout of shape {charge.shape} for {count} sensors"
        raise InputError(problem, key="readout", remedy="give one event of this detector: index the stack")
    where = wall_map(detector)
    with rc_context(STYLE):
        figure, axes = _canvas(where)
        sizes = _diameters(detector)
        _sensors(axes, where.points[~hit], sizes[~hit], facecolor=UNLIT, label="no hit")
        norm = LogNorm(1.0, max(10.0, float(np.max(charge, initial=0.0, where=hit))))
        lit = _sensors(axes, where.points[hit], sizes[hit], cmap=AMOUNTS, norm=norm, array=charge[hit], label="hit")
        below = "min" if np.any(charge[hit] < 1.0) else "neither"
        colour_bar(figure, lit, "charge (photoelectrons)", ax=axes, extend=below, **_BAR)
        summary = f"{int(hit.sum())} of {count} sensors hit, {charge[hit].sum():,.0f} photoelectrons"
        _head(axes, detector.name if title is None else title, summary)
        return _write(figure, path)


def layout_before_after(before: Detector, after: Detector, path: str | os.PathLike[str]) -> Figure:
    """Where sensors stood and stand: grey rings before, discs coloured by how far each moved, and its way as a line.

    Distances are straight ones in space; lines that would cross the map's seam are left out. Where the numbers of sensors
    differ, none of them is the same as before, and discs have one colour.
    """
    old, new = wall_map(before), wall_map(after)
    moved = displacement(before, after)
    with rc_context(STYLE):
        figure, axes = _canvas(new)
        if any(not np.allclose(a, b) for a, b in zip(old.outlines, new.outlines, strict=True)):
            axes.add_collection(LineCollection(old.outlines, colors=WALL, linestyles="--", linewidths=1.0))
        sizes = [_diameters(detector) for detector in (before, after)]
        _sensors(axes, old.points, sizes[0], facecolor="none", edgecolor=BEFORE, linewidth=0.9, label="before")
        if moved is None:
            _sensors(axes, new.points, sizes[1], facecolor=colormaps[AMOUNTS](0.5), label="after")
        else:
            norm = Normalize(0.0, max(1.0, float(moved.max())))
            discs = _sensors(axes, new.points, sizes[1], cmap=AMOUNTS, norm=norm, array=moved, label="after")
            _ways(axes, old.points, new.points, moved * mm / m)
            colour_bar(figure, discs, "displacement (mm)", ax=axes, **_BAR)
        _head(axes, f"{after.name}: rings before, discs after", displacement_words(before, after))
        return _write(figure, path)


def layout_map(detector: Detector, view: View, path: str | os.PathLike[str]) -> Figure:
    """What a three-dimensional view of a detector shows, on the map of the wall instead: sensors to scale, in its colours."""
    where = wall_map(detector)
    with rc_context(STYLE):
        figure, axes = _canvas(where)
        sizes = _diameters(detector)
        _sensors(axes, where.points, sizes, facecolor=view.colours, label="sensors")
        if view.colouring is not None:
            scale = ScalarMappable(view.colouring.norm, AMOUNTS)
            colour_bar(figure, scale, view.colouring.label, ax=axes, extend=view.colouring.extend, **_BAR)
        legend(figure, view, loc="outside lower left")
        _head(axes, view.title, view.summary)
        return _write(figure, path)


def history_plot(history: Sequence[Mapping[str, Any]], path: str | os.PathLike[str]) -> Figure:
    """How an optimisation went: objective and its terms, gradient norm, constraint violation against the step.

    `history`: one mapping a step with `step`, `start`, `objective`, `terms`, `gradient_norm`, `violation` and `best`, as the
    ledger holds them. Objective and terms are drawn as changes since the first step, so that terms of different size share
    an axis; the ring marks the best feasible design. Where every step has its own events, a second line follows the best design so
    far, judged on those of the first step. **Raises** `InputError` for an empty history.
    """
    if not history:
        raise InputError("an empty history", key="history", remedy="run at least one step")
    starts = np.array([line.get("start", 0) for line in history])
    steps = _broken(_column(line["step"] for line in history), starts)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 8.0), layout="constrained")
        FigureCanvasAgg(figure)
        top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(2.0, 1.0, 1.0))
        _objective(top, history, steps, starts)
        norm = _column(line["gradient_norm"] for line in history)
        middle.plot(steps, _broken(norm, starts), color=INK, linewidth=1.8)
        if np.nanmin(norm) > 0:
            middle.set_yscale("log")
            if np.nanmax(norm) < 10 * np.nanmin(norm):
                # Less than a decade: plain numbers where they fit, not powers of ten.
                middle.yaxis.set_major_locator(MaxNLocator(4))
                middle.yaxis.set_minor_locator(MaxNLocator(1))
                middle.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        middle.set_ylabel("gradient norm\n(natural units)")
        violation = 100 * np.maximum(_column(line["violation"] for line in history), 0.0)
        bottom.plot(steps, _broken(violation, starts), color=INK, linewidth=1.8)
        bottom.set_ylim(-0.05 * _top(violation), 1.15 * _top(violation))
        bottom.set_ylabel("worst constraint\nviolation (%)")
        bottom.set_xlabel("step")
        bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in (top, middle, bottom):
            axes.grid(color="#dddddd", linewidth=0.7)
        figure.align_ylabels((top, middle, bottom))
        return _write(figure, path)


def search_plot(
    curves: Mapping[str, Sequence[tuple[float, float]]], path: str | os.PathLike[str], weight: float | None = None
) -> Figure:
    """How far several searches came: the best objective against the events they had simulated.

    `curves`: by name, pairs (simulated events, best objective so far); one pair alone is a level, drawn across. `weight`: for how
    many events one with a derivative counts, said at the axis. **Raises** `InputError` where there are none.
    """
    if not curves:
        raise InputError("no searches", key="curves", remedy="give at least one")
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 5.0), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for (name, pairs), colour in zip(curves.items(), _cycle(len(curves)), strict=True):
            events, best = np.asarray(pairs, float).T
            label = name.replace("_", " ")
            if len(events) == 1:
                axes.axhline(best[0], color=colour, linewidth=1.4, linestyle="--", label=label)
            else:
                axes.plot(events, best, color=colour, linewidth=2.2, drawstyle="steps-post", label=label)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        note = "" if weight is None else f" (one with its derivative counts {weight:g})"
        axes.set_xlabel(f"simulated events{note}")
        axes.set_ylabel("best objective")
        axes.grid(color="#dddddd", linewidth=0.7)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0.0)
        return _write(figure, path)


def scan_plot(
    name: str, rows: Sequence[Mapping[str, Any]], minimum: float | None, path: str | os.PathLike[str]
) -> Figure:
    """The objective along one number, with its slope at every point as a tangent and cubic pieces between them; and below, by how much every term changes.

    `name`: of the number, at the axis; `rows`: in the order of their `value`, with `objective`, `slope`, `terms` and whether they
    are `feasible`; `minimum`: where the curve is lowest between its ends, or None. **Raises** `InputError` where there are no rows.
    """
    if not rows:
        raise InputError("no points", key="rows", remedy="give at least one")
    places, values, slopes = (np.array([row[key] for row in rows], float) for key in ("value", "objective", "slope"))
    kept = np.array([row["feasible"] for row in rows], bool)
    terms = {term: np.array([row["terms"][term] for row in rows], float) for term in rows[0]["terms"]}
    lowest, reach = int(np.argmin(values)), 0.25 * np.min(np.diff(places), initial=np.inf)
    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, 7.0), layout="constrained")
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True)
        if len(places) > 1:
            along = np.linspace(places[0], places[-1], 400)
            upper.plot(along, CubicHermiteSpline(places, values, slopes)(along), color=WALL, linewidth=1.2)
        if np.isfinite(reach):
            ends = np.array([-reach, reach])
            tangents = [
                np.stack([x + ends, y + slope * ends], -1) for x, y, slope in zip(places, values, slopes, strict=True)
            ]
            upper.add_collection(LineCollection(tangents, colors=PALETTE[0], linewidths=2.2, label="slope"))
        upper.scatter(places[kept], values[kept], s=28, color=INK, zorder=3, label="objective")
        if not kept.all():
            upper.scatter(
                places[~kept], values[~kept], s=28, color="white", edgecolor=INK, zorder=3, label="breaks a limit"
            )
        if minimum is not None:
            upper.axvline(minimum, color=PALETTE[1], linewidth=1.4, linestyle="--", label=f"minimum at {minimum:.4g}")
        upper.set_ylabel("objective")
        for (term, along), colour in zip(terms.items(), _cycle(len(terms)), strict=True):
            lower.plot(places, along - along[lowest], color=colour, linewidth=2.2, marker="o", markersize=4, label=term)
        lower.set_ylabel("change of each term")
        lower.set_xlabel(name)
        for axes in (upper, lower):
            axes.grid(color="#dddddd", linewidth=0.7)
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0.0)
        return _write(figure, path)


def tolerance_plot(
    drawn: Mapping[str, float], built: Mapping[str, Sequence[float]], path: str | os.PathLike[str]
) -> Figure:
    """What is left of a gain when detectors are not built as drawn: the part of them below each value of the objective, and the
    part that gains more than each gain.

    `drawn`, `built`: the objective of "baseline" and "optimum" as drawn, and of each detector that may be built, the same errors
    at the same place of both. **Raises** `InputError` where there are none, or not as many of both.
    """
    before, after = (np.asarray(built[name], float) for name in ("baseline", "optimum"))
    if before.size == 0 or before.shape != after.shape:
        problem = f"{before.size} detectors of the baseline and {after.size} of the optimum"
        raise InputError(problem, key="built", remedy="give as many of both, at least one")
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, sharey=True)
        for name, values, colour in (("baseline", before, WALL), ("optimum", after, PALETTE[0])):
            left.ecdf(values, color=colour, linewidth=2.2, label=name)
            left.axvline(drawn[name], color=colour, linewidth=1.2, linestyle="--")
        left.set_xlabel("objective")
        left.set_ylabel("detectors built with no more (%)")
        right.ecdf(before - after, color=INK, linewidth=2.2)
        right.axvline(drawn["baseline"] - drawn["optimum"], color=INK, linewidth=1.2, linestyle="--", label="as drawn")
        right.set_xlabel("gain: baseline − optimum")
        for axes in (left, right):
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.grid(color="#dddddd", linewidth=0.7)
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
        return _write(figure, path)


def pareto_plot(
    values: ArrayLike,
    errors: ArrayLike | None,
    names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    dominated: ArrayLike | None = None,
    title: str | None = None,
) -> Figure:
    """What can be had at the same time: designs of which none is better in everything, one panel for each pair of objectives.

    - `values`, `errors`: `(points, objectives)`, and ±1 standard error; None for errors where there are none.
    - `names`: of the axes, with their units, as in `vertex resolution (mm)`.
    - `dominated`: `(points, objectives)`, designs that were left out, drawn lighter.

    With two objectives a line bounds what some design attains; with more, the colour is the last one in every panel.
    **Raises** `InputError` for shapes that do not fit together, or fewer than two objectives.
    """
    points, spread, others = _columns(values, errors, dominated, names)
    size = len(names) - 1
    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, 6.0) if size == 1 else (4.0 * size + 1.6, 3.5 * size + 0.8), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(size, size, squeeze=False, sharex="col", sharey="row")
        for across, up in itertools.combinations(range(size + 1), 2):
            axes = grid[up - 1, across]
            axes.grid(color="#dddddd", linewidth=0.7)
            if size == 1:
                stairs = points[np.lexsort((points[:, 1], points[:, 0]))]
                axes.step(
                    *stairs.T, where="post", color=BEFORE, linewidth=1.4, zorder=1, label="attained by some design"
                )
            if len(others):
                look = {"linestyle": "none", "marker": "o", "markersize": 6.5, "markerfacecolor": "white"}
                axes.plot(*others[:, [across, up]].T, color=WALL, zorder=1.5, label="dominated", **look)
            drawn = _with_bars(
                axes, points[:, [across, up]], spread[:, [across, up]], points[:, -1] if size > 1 else None
            )
            if up == size:
                axes.set_xlabel(names[across])
            if across == 0:
                axes.set_ylabel(names[up])
        for row, column in itertools.combinations(range(size), 2):
            grid[row, column].remove()
        if size > 1:
            colour_bar(figure, drawn, names[-1], ax=figure.axes, **_BAR)
        figure.align_labels(figure.axes[: size * (size + 1) // 2])
        _explain(figure, grid[0, 0], bool(np.any(spread > 0)), title)
        return _write(figure, path)


def _diameters(detector: Detector) -> np.ndarray:
    """Of the faces, in m; zero at places without a sensor."""
    return 2 * np.asarray(detector.sensors.radius * detector.sensors.present, float) / m


# ---- pieces of the trade-off -----------------------------------------------------------------------------------------


def _columns(values, errors, dominated, names) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a trade-off is drawn from, as arrays of one width; errors that are not known are zero."""
    points = np.asarray(values, float)
    spread = np.zeros_like(points) if errors is None else np.asarray(errors, float)
    others = np.empty((0, len(names))) if dominated is None else np.asarray(dominated, float)
    if len(names) < 2 or points.ndim != 2 or points.shape[1] != len(names) or not len(points):
        problem = f"points of shape {points.shape} for {len(names)} objectives"
        raise InputError(
            problem, key="values", remedy="give (points, objectives), at least one point and two objectives"
        )
    for key, array, expected in (("errors", spread, points.shape), ("dominated", others, (len(others), len(names)))):
        if array.shape != expected:
            problem = f"shape {array.shape} beside points of shape {points.shape}"
            raise InputError(problem, key=key, remedy="give one column per objective")
    return points, np.nan_to_num(spread), others


def _with_bars(axes: Axes, points: np.ndarray, spread: np.ndarray, amounts: np.ndarray | None) -> PathCollection:
    """Points over bars of ±1σ in both directions, where there is an error; coloured by `amounts` where there are some."""
    bars = [spread[:, column] if np.any(spread[:, column] > 0) else None for column in (0, 1)]
    axes.errorbar(*points.T, xerr=bars[0], yerr=bars[1], fmt="none", ecolor=INK, elinewidth=1.2, capsize=3.0, zorder=2)
    colours = {"color": PALETTE[0]} if amounts is None else {"c": amounts, "cmap": AMOUNTS}
    return axes.scatter(*points.T, s=42, zorder=3, label=_FRONT, **colours)


def _explain(figure: Figure, axes: Axes, bars: bool, title: str | None) -> None:
    """A title above the panels and a legend below them, where they cover nothing; the front stands first."""
    if title is not None:
        figure.suptitle(title, x=0.02, ha="left", fontsize=14, color=INK)
    drawn = {handle.get_label(): handle for handle in axes.get_legend_handles_labels()[0]}
    front = drawn.pop(_FRONT)
    labels = [_FRONT + (", bars ±1σ over events" if bars else ""), *drawn]
    place = {"loc": "outside lower left", "ncols": len(labels), "fontsize": 11, "frameon": False}
    figure.legend([front, *drawn.values()], labels, **place)


# ---- pieces of the maps ----------------------------------------------------------------------------------------------


def _canvas(where: WallMap) -> tuple[Figure, Axes]:
    """A figure with the walls of a map drawn, its axes to scale and labelled."""
    everything = np.concatenate(where.outlines)
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = 0.03 * float(np.max(high - low))
    width, height = high - low + 2 * margin
    tall = 8.6 * height / width
    scale = min(1.0, 8.6 / tall)
    figure = Figure(figsize=(8.6 * scale + 2.2, tall * scale + 1.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(low[1] - margin, high[1] + margin)
    axes.add_collection(LineCollection(where.outlines, colors=WALL, linewidths=1.2, zorder=1))
    for text, x, y in where.captions:
        axes.text(x, y, text, color=INK, ha="left", va="bottom" if len(text) < 3 else "center", fontsize=11)
    axes.set_xlabel(where.across)
    bottom, top = where.ticks
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(bottom, top)
    axes.set_yticks([tick for tick in ticks if bottom <= tick <= top])
    axes.set_ylabel(where.upwards)
    axes.spines["left"].set_bounds(bottom, top)
    return figure, axes


def _sensors(axes: Axes, points: np.ndarray, diameters: np.ndarray, **style: Any) -> EllipseCollection:
    """Circles of `diameters` in m, the axes' own unit, around `points`."""
    array = style.pop("array", None)
    look = {"edgecolor": "none", "linewidth": 0.0, "zorder": 2, **style}
    discs = EllipseCollection(
        diameters, diameters, np.zeros(len(points)), units="xy", offsets=points, offset_transform=axes.transData, **look
    )
    if array is not None:
        discs.set_array(array)
    axes.add_collection(discs, autolim=False)
    return discs


def _ways(axes: Axes, before: np.ndarray, after: np.ndarray, moved: np.ndarray) -> None:
    """Lines from `before` to `after`, without those that the seam of the map makes longer than the way in space."""
    length = np.linalg.norm(after - before, axis=-1)
    drawn = (length > 0) & (length < 2 * moved)
    ways = np.stack([before[drawn], after[drawn]], axis=1)
    axes.add_collection(LineCollection(ways, colors=INK, linewidths=0.8, zorder=3, label="displacement"), autolim=False)


def _head(axes: Axes, title: str, summary: str) -> None:
    axes.set_title(f"{title}\n", loc="left", fontsize=14, color=INK)
    axes.text(0.0, 1.012, summary, transform=axes.transAxes, ha="left", va="bottom", fontsize=11, color=INK)


# ---- pieces of the history -------------------------------------------------------------------------------------------


def _objective(axes: Axes, history: Sequence[Mapping[str, Any]], steps: np.ndarray, starts: np.ndarray) -> None:
    whole = _column(line["objective"] for line in history)
    axes.axhline(0.0, color=WALL, linewidth=0.8)
    best = _column(line.get("best") for line in history)
    # The objective of a step may be that of its own events; the best design is judged on those of the first step.
    drawn = np.isfinite(best[-1]) and not np.any(np.isclose(whole, best[-1], rtol=1e-12, atol=0.0))
    look = {"linewidth": 1.2, "alpha": 0.5} if drawn else {"linewidth": 2.6}
    axes.plot(steps, _broken(whole - whole[0], starts), color=INK, label="objective", zorder=3, **look)
    if drawn:
        line = {"color": INK, "linewidth": 2.6, "drawstyle": "steps-post"}
        axes.plot(steps, _broken(best - whole[0], starts), label="best so far", zorder=4, **line)
    names = list(history[0].get("terms", {}))
    for name, colour in zip(names if len(names) > 1 else (), _cycle(len(names)), strict=False):
        term = _column(line["terms"].get(name) for line in history)
        label = name.replace("_", " ")
        axes.plot(steps, _broken(term - term[0], starts), color=colour, linewidth=1.8, label=label)
    if np.isfinite(best[-1]):
        found = int(np.flatnonzero(best == best[-1])[0])
        ring = {"markersize": 11, "markerfacecolor": "none", "markeredgewidth": 2.0, "linestyle": "none"}
        place = history[found]["step"], best[-1] - whole[0]
        axes.plot(*place, "o", color=INK, label="best feasible", zorder=5, **ring)
    axes.set_ylabel("change since the first step")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0.0)


def _column(values: Iterable[Any]) -> np.ndarray:
    """Numbers of the ledger, where those that are not finite stand as text and missing ones as nothing."""
    return np.array([math.nan if value is None else float(value) for value in values])


def _broken(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """`values` with a gap wherever a new start begins, so that no line joins two starts."""
    return np.insert(values, np.flatnonzero(np.diff(starts)) + 1, math.nan)


def _cycle(count: int) -> list[str]:
    return [PALETTE[index % len(PALETTE)] for index in range(count)]


def _top(values: np.ndarray) -> float:
    """The end of an axis of violations in per cent: 0.1, which the audit takes as satisfied, at least."""
    return max(float(np.nanmax(values, initial=0.0)), 0.1)


def _write(figure: Figure, path: str | os.PathLike[str]) -> Figure:
    figure.set_dpi(DPI)
    figure.canvas.draw()  # the layout needs two rounds where an axes of fixed shape stands beside a colour bar
    figure.savefig(path, dpi=DPI)
    return figure
