"""An interactive page of a view: one HTML file that a browser opens without a network, to turn the detector by hand.

The page needs no OpenGL where it is written, only WebGL where it is looked at.
"""

from __future__ import annotations

import html
import os
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm, to_hex, to_rgb
from matplotlib.ticker import LogLocator, MaxNLocator

from ..geometry.triangulation import prisms, tube, wall_lines
from ..io.atomic import replace_file
from ..io.meshes import Body, web_page
from ..units import m
from .camera import VIEW_ANGLE, Camera, camera_around, step
from .style import AMOUNTS, INK, PALETTE, WALL
from .view import LINE_WIDTH, WALL_COLOUR, Colouring, View, drawn_wall, half_box

_AXES = (PALETTE[4], PALETTE[2], PALETTE[5])
_STEPS = 24  # of the colour bar's gradient

_STYLE = """
#words, #scale, #hint { position: fixed; pointer-events: none; font: 14px/1.45 "DejaVu Sans", Arial, sans-serif; color: %s; }
#words { left: 18px; top: 14px; } #words b { font-size: 18px; font-weight: normal; display: block; }
#words i { font-style: normal; white-space: nowrap; display: block; }
#words i::before { content: ""; display: inline-block; width: 22px; height: 4px; margin: 0 8px 4px 0; background: var(--c); }
#words i.dot::before { width: 12px; height: 12px; border-radius: 6px; margin: 0 8px -1px 5px; }
#scale { right: 150px; top: 20%%; height: 60%%; width: 20px; border: 1px solid %s; }
#scale span { position: absolute; left: 28px; transform: translateY(50%%); white-space: nowrap; }
#scale em { position: absolute; left: 92px; top: 50%%; font-style: normal; white-space: nowrap;
  transform: translate(-50%%, -50%%) rotate(-90deg); }
#hint { left: 18px; bottom: 12px; font-size: 12px; }
""" % (INK, WALL)  # noqa: UP031


def write_page(view: View, path: str | os.PathLike[str]) -> None:
    """Writes the page of a view. **Raises** `InputError` where `path` cannot be written."""
    camera = page_camera(view)
    page = web_page(_bodies(view), camera.position * m, VIEW_ANGLE)
    words = f"<title>{html.escape(view.title)}</title><style>{_STYLE}</style>"
    for end, addition in (("</head>", words), ("</body>", _overlay(view))):
        assert page.count(end) >= 1, "the viewer is no page with head and body"
        before, _, after = page.rpartition(end)
        page = f"{before}{addition}{end}{after}"
    page = page.replace("<title>trimesh: threejs viewer</title>", "", 1)
    replace_file(path, lambda aside: Path(aside).write_text(page, encoding="utf-8"))


def page_camera(view: View) -> Camera:
    """Where the first look at a page is from."""
    return camera_around(half_box(view), view.look, (1200, 900))


def _bodies(view: View) -> list[Body]:
    size = float(np.max(half_box(view))) * m
    vertices, faces = drawn_wall(view)
    # Faces turned inwards: as in the pictures, the near side of the wall is cut away.
    bodies = [Body("wall", vertices, faces[:, ::-1], to_rgb(WALL_COLOUR))]
    if len(view.positions):
        marks = view.bodies()
        bodies.append(Body("sensors", *marks, np.repeat(view.colours, len(marks[0]) // len(view.colours), axis=0)))
    bodies += [Body(sheets.name, *_both_sides(sheets.corners), to_rgb(sheets.colour), 0.3) for sheets in view.sheets]
    bodies += [
        Body(strokes.name, *prisms(strokes.ends, 0.12 * LINE_WIDTH * size), to_rgb(strokes.colour))
        for strokes in view.strokes
    ]
    edges = enumerate(wall_lines(view.volume))
    bodies += [Body(f"edge {number}", *tube(line, 0.25 * LINE_WIDTH * size), to_rgb(WALL)) for number, line in edges]
    bodies += [Body(line.name, *tube(line.points, LINE_WIDTH * size), to_rgb(line.colour)) for line in view.lines]
    corner = -half_box(view) * m - 0.1 * size
    for unit, (name, colour) in zip(np.eye(3), _axes(view), strict=True):
        ends = np.stack([corner, corner + _axis_length(view) * m * unit])
        bodies.append(Body(f"{name} axis", *tube(ends, 0.6 * LINE_WIDTH * size), to_rgb(colour)))
    return bodies


def _both_sides(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rectangles `(n, 4, 3)` as triangles that are seen from either side."""
    first = 4 * np.arange(len(corners))[:, None, None]
    faces = (first + np.array([[0, 1, 2], [0, 2, 3], [2, 1, 0], [3, 2, 0]])).reshape(-1, 3)
    return corners.reshape(-1, 3), faces


def _axis_length(view: View) -> float:
    """Of the three axes that stand in the corner, in m."""
    return step(float(np.max(half_box(view))))


def _axes(view: View) -> list[tuple[str, str]]:
    """Name and colour of each axis."""
    return list(zip(view.axes, _AXES, strict=True))


def _overlay(view: View) -> str:
    """Title, legend and colour bar over the picture."""
    rows = [f'<i class="dot" style="--c:{colour}">{html.escape(name)}</i>' for name, colour in view.kinds]
    rows += [f'<i style="--c:{line.colour}">{html.escape(line.name)}</i>' for line in view.lines]
    rows += [f'<i style="--c:{group.colour}">{html.escape(group.name)}</i>' for group in (*view.sheets, *view.strokes)]
    length = _axis_length(view)
    rows += [f'<i style="--c:{colour}">{name}, {length:g} m</i>' for name, colour in _axes(view)]
    words = f'<div id="words"><b>{html.escape(view.title)}</b>{html.escape(view.summary)}{"".join(rows)}</div>'
    hint = '<div id="hint">drag: turn &nbsp; wheel: zoom &nbsp; right button: move</div>'
    return words + (_scale(view.colouring) if view.colouring else "") + hint


def _scale(colouring: Colouring) -> str:
    stops = ", ".join(to_hex(colormaps[AMOUNTS](share)) for share in np.linspace(0, 1, _STEPS + 1))
    norm = colouring.norm
    locator = LogLocator() if isinstance(norm, LogNorm) else MaxNLocator(6)
    ticks = [
        tick for tick in locator.tick_values(colouring.low, colouring.high) if colouring.low <= tick <= colouring.high
    ]
    places = [(100 * float(norm(tick)), f"{tick:g}") for tick in ticks]
    # Beyond the ends colours stay the same; ticks that would stand there give way.
    beyond = [
        (place, f"{sign} {value:.3g}")
        for place, sign, value, side in ((0, "≤", colouring.low, "min"), (100, "≥", colouring.high, "max"))
        if colouring.extend in (side, "both")
    ]
    places = [(p, text) for p, text in places if all(abs(p - end) > 4 for end, _ in beyond)] + beyond
    marks = "".join(f'<span style="bottom:{place:.2f}%">{text}</span>' for place, text in places)
    gradient = f"background: linear-gradient(to top, {stops})"
    return f'<div id="scale" style="{gradient}">{marks}<em>{html.escape(colouring.label)}</em></div>'
