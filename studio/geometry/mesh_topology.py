"""Which triangles of a mesh meet, and whether they close a body: checks and connections, made once. NumPy, lengths in mm."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .._checks import InputError

CREASE = math.radians(30.0)
"""Triangles whose planes turn by more where they meet are different walls, with an edge between them."""
_LARGEST_CROSSING_CHECK = 20_000
"""Triangles up to which self-intersection is looked for: pairs grow as their square."""
_FLAT = 1e-6  # of the largest extent: what single precision in a mesh file bends a flat wall by


class Topology(NamedTuple):
    """How the triangles of a closed mesh meet.

    `triangles (m, 3)`, turning left as seen from outside; `wall (m,)`: number of the wall, a set of triangles that meet without a
    crease; `creases (k, 4)`: two vertices and the walls on both sides; `farthest (2,)`: the vertices that are farthest
    apart; `convex`.
    """

    triangles: np.ndarray
    wall: np.ndarray
    creases: np.ndarray
    farthest: np.ndarray
    convex: bool


def topology(vertices: np.ndarray, triangles: np.ndarray) -> Topology:
    """The connections of a mesh that closes one body; turned inside out as a whole, it is turned back.

    **Raises** `InputError` for arrays of other shapes, numbers that are not finite, corners that do not exist, triangles
    without area, edges that do not have two triangles (an open mesh), triangles that turn different ways, several bodies,
    a volume of zero, and triangles that cross each other (not looked for above 20,000 triangles).
    """
    vertices, triangles = np.asarray(vertices, np.float64), np.asarray(triangles)
    _require_arrays(vertices, triangles)
    extent = float(np.max(np.ptp(vertices, axis=0)))
    _require_area(vertices, triangles, extent)
    edges = _edges(triangles)
    pieces, _ = connected_components(_meeting(len(triangles), edges[:, 2:]), directed=False)
    if pieces > 1:
        raise _wrong(f"{pieces} separate bodies", None, "give a mesh of one body; cavities cannot be described yet")
    enclosed = _volume(vertices, triangles)
    if abs(enclosed) <= 1e-9 * extent**3:
        raise _wrong("encloses no volume", enclosed, "give a closed body with a volume in mm³")
    if enclosed < 0:
        triangles = triangles[:, ::-1]
        edges = _edges(triangles)
    _require_no_crossing(vertices, triangles)
    turn, rise = _bends(vertices, triangles, edges)
    sharp = turn > CREASE
    _, wall = connected_components(_meeting(len(triangles), edges[~sharp, 2:]), directed=False)
    creases = np.concatenate([edges[sharp, :2], wall[edges[sharp, 2:]]], axis=1)
    return Topology(triangles, wall, creases, _farthest(vertices), bool(np.all(rise <= _FLAT * extent)))


def _require_arrays(vertices: np.ndarray, triangles: np.ndarray) -> None:
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) < 4:
        remedy = "give at least four points x y z in mm"
        raise InputError(f"shape {vertices.shape}", key="volume.vertices", remedy=remedy)
    if triangles.ndim != 2 or triangles.shape[1] != 3 or not np.issubdtype(triangles.dtype, np.integer):
        remedy = "give rows of three whole numbers: the vertices at the corners"
        raise InputError(f"shape {triangles.shape}", key="volume.triangles", value=str(triangles.dtype), remedy=remedy)
    bad = ~np.isfinite(vertices).all(axis=1)
    if bad.any():
        index = int(np.argmax(bad))
        remedy = "give lengths in mm"
        raise InputError("not finite", key=f"volume.vertices.{index}", value=vertices[index].tolist(), remedy=remedy)
    bad = ((triangles < 0) | (triangles >= len(vertices))).any(axis=1)
    if len(triangles) == 0 or bad.any():
        index = int(np.argmax(bad)) if len(triangles) else 0
        value = triangles[index].tolist() if len(triangles) else None
        remedy = f"corners are numbers from 0 to {len(vertices) - 1}"
        raise InputError("no such vertex", key=f"volume.triangles.{index}", value=value, remedy=remedy)


def _require_area(vertices: np.ndarray, triangles: np.ndarray, extent: float) -> None:
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    doubled = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    longest = np.max([np.linalg.norm(side, axis=-1) for side in (b - a, c - b, a - c)], axis=0)
    flat = doubled <= 1e-9 * extent * longest
    if flat.any():
        index = int(np.argmax(flat))
        problem = f"a triangle without area ({int(flat.sum())} of {len(triangles)})"
        remedy = "merge vertices that lie on each other and remove such triangles"
        raise InputError(problem, key=f"volume.triangles.{index}", value=triangles[index].tolist(), remedy=remedy)


def _edges(triangles: np.ndarray) -> np.ndarray:
    """Edges `(e, 4)`: their vertices, and the triangles in which they go forwards and backwards.

    **Raises** `InputError` where an edge has not two triangles, or two that turn different ways.
    """
    count = len(triangles)
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    owner = np.tile(np.arange(count), 3)
    ends = np.sort(directed, axis=1)
    forwards = directed[:, 0] < directed[:, 1]
    order = np.lexsort((~forwards, ends[:, 1], ends[:, 0]))
    ends, owner, forwards = ends[order], owner[order], forwards[order]
    unique, first, number = np.unique(ends, axis=0, return_index=True, return_counts=True)
    odd = number != 2
    if odd.any():
        index = int(np.argmax(odd))
        problem = f"not closed: {int(odd.sum())} edges do not have exactly two triangles"
        if (number[odd] == 1).all():
            problem = f"not closed: {int(odd.sum())} edges have only one triangle"
        remedy = "fill the holes and merge equal vertices; the first such edge joins these vertices"
        raise _wrong(problem, unique[index].tolist(), remedy)
    same = forwards[first] == forwards[first + 1]
    if same.any():
        edge = unique[int(np.argmax(same))].tolist()
        problem = f"neighbouring triangles turn different ways at {int(same.sum())} edges"
        raise _wrong(problem, edge, "make all corners turn left as seen from outside")
    return np.column_stack([unique, owner[first], owner[first + 1]])


def _meeting(count: int, pairs: np.ndarray) -> coo_array:
    return coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))


def _volume(vertices: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = (vertices[triangles[:, corner]] - vertices.mean(axis=0) for corner in range(3))
    return float(np.sum(a * np.cross(b, c)) / 6)


def _bends(vertices: np.ndarray, triangles: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every edge: the angle between the normals of its triangles, and how far one rises above the plane of the other, in mm:
    positive where the wall bends inwards. All edges bending outwards, a closed body is convex."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    one, other = normals[edges[:, 2]], normals[edges[:, 3]]
    turn = np.arctan2(np.linalg.norm(np.cross(one, other), axis=-1), np.sum(one * other, axis=-1))
    heights = np.einsum("eki,ei->ek", vertices[triangles[edges[:, 3]]] - vertices[edges[:, 0]][:, None], one)
    return turn, heights.max(axis=1)


def _farthest(vertices: np.ndarray) -> np.ndarray:
    best, pair = -1.0, (0, 0)
    for start in range(0, len(vertices), 512):
        block = vertices[start : start + 512]
        squared = np.sum((block[:, None] - vertices) ** 2, axis=-1)
        index = int(np.argmax(squared))
        if squared.flat[index] > best:
            best, pair = float(squared.flat[index]), (start + index // len(vertices), index % len(vertices))
    return np.array(pair)


def _require_no_crossing(vertices: np.ndarray, triangles: np.ndarray) -> None:
    if len(triangles) > _LARGEST_CROSSING_CHECK:
        return
    corners = vertices[triangles]
    low, high = corners.min(axis=1), corners.max(axis=1)
    for start in range(0, len(triangles), 256):
        rows = slice(start, start + 256)
        near = ((low[rows, None] <= high) & (high[rows, None] >= low)).all(axis=-1)
        near &= ~(triangles[rows, None, :, None] == triangles[:, None, :]).any(axis=(-1, -2))
        first, second = np.nonzero(near)
        first = first + start
        crossing = _edges_pierce(corners[first], corners[second])
        if crossing.any():
            index = int(np.argmax(crossing))
            pair = [int(first[index]), int(second[index])]
            raise _wrong("two of its triangles cross each other", pair, "give a body whose wall does not cross itself")


def _edges_pierce(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether an edge of a triangle `one (p, 3, 3)` goes through triangle `other (p, 3, 3)`, by signs of volumes."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
        return np.sign(np.sum((b - a) * np.cross(c - a, d - a), axis=-1))

    a, b, c = (other[:, corner] for corner in range(3))
    pierced = np.zeros(len(one), bool)
    for corner in range(3):
        p, q = one[:, corner], one[:, (corner + 1) % 3]
        through = side(p, a, b, c) * side(q, a, b, c) < 0
        turns = side(p, q, a, b), side(p, q, b, c), side(p, q, c, a)
        pierced |= through & (turns[0] == turns[1]) & (turns[1] == turns[2]) & (turns[0] != 0)
    return pierced


def _wrong(problem: str, value: object, remedy: str) -> InputError:
    return InputError(f"the mesh: {problem}", key="volume.triangles", value=value, remedy=remedy)
