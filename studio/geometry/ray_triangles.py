"""Rays and points against many triangles, in blocks, so that memory stays bounded whatever their numbers.

Triangles are `corners (m, 3, 3)` in mm that turn left as seen from outside a closed surface.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_ROWS = 2048
"""Rays, or points, at a time."""
_TRIANGLES = 512
"""Triangles at a time: a block's tables have 2048 × 512 numbers, 8 MB each in double precision."""
_ROUNDING = 16.0
"""How many times the rounding of the largest number a ray may miss a triangle by and still hit it."""


class Exit(NamedTuple):
    """Where rays leave: `triangle (n,)`, its index, and `found (n,)`, whether there is one."""

    triangle: Int[Array, " n"]
    found: Bool[Array, " n"]


def first_exit(origins: Float[Array, "n 3"], directions: Float[Array, "n 3"], corners: Float[Array, "m 3 3"]) -> Exit:
    """The nearest triangle through which each ray goes out, for unit directions. It has no derivative.

    Möller and Trumbore (J. Graphics Tools 2 (1997) 21), with their products written as scalar products of what belongs to the
    ray and what belongs to the triangle, so that they are matrix products. Triangles are taken larger by the rounding
    of single or double precision: no ray slips through between two that share an edge. Triangles that face the ray, where it
    would come in, are no exits.
    """
    origins, directions, corners = jax.lax.stop_gradient((origins, directions, corners))
    middle = 0.5 * (jnp.min(corners, axis=(0, 1)) + jnp.max(corners, axis=(0, 1)))
    extent = jnp.max(jnp.abs(corners - middle))
    tables, widest = _by_triangles(corners - middle), jnp.asarray(_ROUNDING * jnp.finfo(corners.dtype).eps) * extent

    def nearest(rays: Array) -> tuple[Array, Array]:
        position, direction = rays[:, :3] - middle, rays[:, 3:]
        ray = jnp.concatenate([jnp.cross(position, direction), direction, position, jnp.ones_like(position[:, :1])], -1)

        def step(best: tuple[Array, Array], piece: tuple[Array, Array, Array]):
            table, edge, index = piece
            across, ahead, first, second = (_product(ray, table[number]) for number in range(4))
            size = edge[0] * edge[1]
            inside = jnp.minimum(jnp.minimum(first, second), across - first - second) >= -widest * edge[0]
            leaves = (across > 4 * jnp.finfo(corners.dtype).eps * size) & (ahead >= -widest * size) & inside
            way = jnp.where(leaves, ahead / jnp.where(leaves, across, 1.0), jnp.inf)
            chosen = jnp.argmin(way, axis=1)
            shortest = jnp.take_along_axis(way, chosen[:, None], axis=1)[:, 0]
            nearer = shortest < best[0]
            return (jnp.where(nearer, shortest, best[0]), jnp.where(nearer, index[chosen], best[1])), None

        start = jnp.full(len(rays), jnp.inf, corners.dtype), jnp.zeros(len(rays), jnp.int32)
        return jax.lax.scan(step, start, tables)[0]

    way, triangle = _in_blocks(nearest, jnp.concatenate([origins, directions], axis=-1))
    return Exit(triangle, jnp.isfinite(way))


def distance_along(
    origins: Float[Array, "n 3"],
    directions: Float[Array, "n 3"],
    corners: Float[Array, "n 3 3"],
    found: Bool[Array, " n"],
) -> Float[Array, " n"]:
    """Distance in mm along each ray to the plane of its own triangle, not below 0; 0 where none is `found`. Smooth."""
    normal = jnp.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across = jnp.where(found, jnp.sum(normal * directions, axis=-1), 1.0)
    ahead = jnp.sum(normal * (corners[:, 0] - origins), axis=-1)
    return jnp.where(found, jnp.maximum(ahead / across, 0.0), 0.0)


def winding_number(points: Float[Array, "n 3"], corners: Float[Array, "m 3 3"]) -> Float[Array, " n"]:
    """How often the surface goes around each point: 1 inside, 0 outside, to rounding; no ray has to be aimed.

    The sum of the solid angles of the triangles over 4π (A. van Oosterom, J. Strackee, IEEE Trans. Biomed. Eng. 30 (1983) 125).
    """
    points, corners = jax.lax.stop_gradient((points, corners))
    pieces, _ = _chunked(corners)

    def around(block: Array) -> Array:
        def step(total: Array, piece: Array) -> tuple[Array, None]:
            a, b, c = (piece[:, corner] - block[:, None] for corner in range(3))
            la, lb, lc = (jnp.linalg.norm(side, axis=-1) for side in (a, b, c))
            triple = jnp.sum(a * jnp.cross(b, c), axis=-1)
            base = la * lb * lc + jnp.sum(a * b, -1) * lc + jnp.sum(b * c, -1) * la + jnp.sum(c * a, -1) * lb
            # The empty triangles that fill up the last chunk have no angle.
            angle = jnp.where(triple == 0, 0.0, jnp.arctan2(triple, base))
            return total + jnp.sum(angle, axis=1), None

        return jax.lax.scan(step, jnp.zeros(len(block), corners.dtype), pieces)[0] / (2 * jnp.pi)

    return _in_blocks(around, points)


def _by_triangles(corners: Float[Array, "m 3 3"]) -> tuple[Array, Array, Array]:
    """Chunks of what belongs to triangles: tables `(chunks, 4, 10, c)`, longest edge and height over it `(chunks, 2, c)`, and
    indices `(chunks, c)`.

    With o and d of the ray, m = o × d, the corner a and the edges e and f of a triangle, n = e × f, the tables
    times (m, d, o, 1) are n·d; n·(a − o), the distance times that; and the two other coordinates of the crossing times it,
    −f·m − d·(a × f) and e·m + d·(a × e).
    """
    pieces, index = _chunked(corners)
    a, e, f = pieces[..., 0, :], pieces[..., 1, :] - pieces[..., 0, :], pieces[..., 2, :] - pieces[..., 0, :]
    n, zero = jnp.cross(e, f), jnp.zeros_like(a)
    one = jnp.zeros_like(a[..., :1])
    rows = [
        jnp.concatenate([zero, n, zero, one], axis=-1),
        jnp.concatenate([zero, zero, -n, jnp.sum(n * a, axis=-1, keepdims=True)], axis=-1),
        jnp.concatenate([-f, -jnp.cross(a, f), zero, one], axis=-1),
        jnp.concatenate([e, jnp.cross(a, e), zero, one], axis=-1),
    ]
    longest = jnp.sqrt(jnp.maximum(jnp.sum(e**2, -1), jnp.maximum(jnp.sum(f**2, -1), jnp.sum((f - e) ** 2, -1))))
    area = jnp.linalg.norm(n, axis=-1)
    # An empty triangle is never left through: nothing is more than its own zero.
    height = area / jnp.where(longest > 0, longest, 1.0)
    return jnp.swapaxes(jnp.stack(rows, axis=1), -1, -2), jnp.stack([longest, height], axis=1), index


def _chunked(corners: Float[Array, "m 3 3"]) -> tuple[Float[Array, "chunks c 3 3"], Int[Array, "chunks c"]]:
    """Triangles in chunks of one size, the last filled up with empty ones, and their indices."""
    count = len(corners)
    size = min(_TRIANGLES, count)
    chunks = -(-count // size)
    padded = jnp.concatenate([corners, jnp.zeros((chunks * size - count, 3, 3), corners.dtype)])
    return padded.reshape(chunks, size, 3, 3), jnp.arange(chunks * size, dtype=jnp.int32).reshape(chunks, size)


def _in_blocks(function, rows: Float[Array, "n k"]):
    """`function` of rows, in blocks of one size."""
    count = len(rows)
    if count <= _ROWS:
        return function(rows)
    blocks = -(-count // _ROWS)
    padded = jnp.concatenate([rows, jnp.broadcast_to(rows[:1], (blocks * _ROWS - count, rows.shape[1]))])
    found = jax.lax.map(function, padded.reshape(blocks, _ROWS, -1))
    return jax.tree.map(lambda leaf: leaf.reshape(blocks * _ROWS)[:count], found)


def _product(rows: Float[Array, "n k"], columns: Float[Array, "k c"]) -> Float[Array, "n c"]:
    return jnp.matmul(rows, columns, precision=jax.lax.Precision.HIGHEST)
