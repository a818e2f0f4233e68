"""Steps of random walks: free flight to a scattering or to the end of the ray, and population control.

A flight is not decided one way or the other: a part of the light scatters on the way, the rest reaches the surface, and
both go on as vertices with their own weights. The number of vertices is then brought down again by systematic
resampling. All choices are made from fixed random numbers and values without derivatives; every weight is multiplied by
the ratio of what it is to what it was chosen with, so that derivatives of all orders are those of the integral.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ...constants import SPEED_OF_LIGHT
from ...detector import Detector
from .spectrum import Wavelengths
from .walks_lobes import Law, density, draw
from .walks_surfaces import Ends, Pinned, bearing, finish, pin, trace

held = jax.lax.stop_gradient

LATTICE = (0.8191725133961645, 0.6710436067037893, 0.5497004779019703)
"""Irrational steps of a lattice in three dimensions: powers of 1 over the root of x⁴ = x + 1 (M. Roberts, "The unreasonable
effectiveness of quasirandom sequences", 2018)."""

# Weight below which nothing is left, so that a division by it is finite.
TINY = 1e-200


class Colours(eqx.Module):
    """The medium and the sensors at the wavelengths `nodes (k,)` in nm of walks.

    **Fields** `(k,)`: `absorption`, `scattering` in 1/mm, `rayleigh`: share of it in scattering, `asymmetry` of the rest,
    `group_index`, `best`: detection efficiency of the best type; `detection (types, k)`.
    """

    nodes: Float[Array, " k"]
    absorption: Float[Array, " k"]
    scattering: Float[Array, " k"]
    rayleigh: Float[Array, " k"]
    asymmetry: Float[Array, " k"]
    group_index: Float[Array, " k"]
    best: np.ndarray
    detection: Float[Array, "types k"]

    @classmethod
    def of(cls, detector: Detector, count: int, dtype) -> Colours:
        """`count` wavelengths between 280 and 700 nm in the medium of `detector`."""
        wavelengths = Wavelengths.of(detector.sensors.types, count)
        nodes, medium = jnp.asarray(wavelengths.nodes, dtype), detector.medium
        by_molecules, by_grains = medium.rayleigh_coefficient(nodes), medium.mie_coefficient(nodes)
        scattering = by_molecules + by_grains
        asymmetry = jnp.broadcast_to(jnp.asarray(medium.asymmetry, dtype), nodes.shape)
        efficiency = wavelengths.efficiency
        return cls(
            nodes,
            medium.absorption_coefficient(nodes),
            scattering,
            by_molecules / scattering,
            asymmetry,
            medium.group_index(nodes),
            np.max(efficiency, axis=0),
            jnp.asarray(efficiency, dtype),
        )


class Vertices(NamedTuple):
    """Where light of walks changes its direction, `(n, ...)`: `position` in mm, `incoming` direction, `normal` of the
    surface (any, where light scatters), `law` of the new direction, `colour`: index of the wavelength, `weight`: photons,
    each times the detection efficiency of the best sensor type, `time` in ns, `disc`: index of the sensor whose glass it
    is, the number of sensors for none."""

    position: Float[Array, "n 3"]
    incoming: Float[Array, "n 3"]
    normal: Float[Array, "n 3"]
    law: Law
    colour: Int[Array, " n"]
    weight: Float[Array, " n"]
    time: Float[Array, " n"]
    disc: Int[Array, " n"]

    @property
    def facing(self) -> Float[Array, " n"]:
        """Cosine of incidence."""
        return -jnp.sum(self.incoming * self.normal, axis=-1)


class Rays(NamedTuple):
    """Light on its way between two points, `(n, ...)`: `origin`, where it `ends` and is `pinned`; `colour`, `weight` at the
    origin, `time` there."""

    origin: Float[Array, "n 3"]
    ends: Ends
    pinned: Pinned
    colour: Int[Array, " n"]
    weight: Float[Array, " n"]
    time: Float[Array, " n"]


def emit_rays(detector: Detector, vertices: Vertices, key: PRNGKeyArray) -> Rays:
    """One ray from each vertex, its direction drawn from the vertex's law."""
    uniform = jax.random.uniform(key, (3, len(vertices.weight)), vertices.weight.dtype)
    direction = draw(held_floats(vertices.law), held(vertices.incoming), held(vertices.normal), uniform)
    ends = held(trace(held_floats(detector), held(vertices.position), direction, vertices.disc))
    pinned = pin(detector, ends, vertices.position)
    way, distance = bearing(vertices.position, pinned.position)
    cosine, rise = jnp.sum(way * vertices.incoming, axis=-1), jnp.sum(way * vertices.normal, axis=-1)
    arrival = -jnp.sum(way * pinned.normal, axis=-1)
    spread = density(vertices.law, cosine, rise, vertices.facing) * arrival * pinned.area / distance**2
    # A disc on a curved wall lies outside it: what leaves along it and never gets in is lost.
    weight = vertices.weight * jnp.where(held(arrival) > 0, relative(spread), 0.0)
    return Rays(vertices.position, ends, pinned, vertices.colour, weight, vertices.time)


def interact(detector: Detector, colours: Colours, rays: Rays, key: PRNGKeyArray) -> Vertices:
    """What becomes of rays: one scattering each, then one reflection each, `2n` vertices."""
    way, distance = bearing(rays.origin, rays.pinned.position)
    colour = rays.colour
    scattering, absorption = colours.scattering[colour], colours.absorption[colour]
    depth = scattering * distance
    uniform = jax.random.uniform(key, depth.shape, depth.dtype)
    path = -jnp.log1p(uniform * jnp.expm1(-depth)) / scattering
    delay = colours.group_index[colour] / SPEED_OF_LIGHT
    scattered = rays.weight * -jnp.expm1(-depth) * jnp.exp(-absorption * path)
    facing = jnp.maximum(-jnp.sum(way * rays.pinned.normal, axis=-1), 0.0)
    surface = finish(detector, colours.detection, rays.ends.disc, colour, facing)
    reflected = rays.weight * jnp.exp(-depth - absorption * distance) * surface.reflected
    here = jnp.ones(depth.shape, bool)
    rayleigh, asymmetry = colours.rayleigh[colour], colours.asymmetry[colour]
    law_inside = Law(~here, rayleigh, asymmetry, jnp.zeros_like(depth), jnp.ones_like(depth))
    law_on_surface = Law(here, rayleigh, asymmetry, surface.specular, surface.lobe)
    none = jnp.full_like(rays.ends.disc, detector.sensors.count)
    inside = Vertices(
        rays.origin + path[:, None] * way, way, -way, law_inside, colour, scattered, rays.time + delay * path, none
    )
    on_surface = Vertices(
        rays.pinned.position,
        way,
        rays.pinned.normal,
        law_on_surface,
        colour,
        reflected,
        rays.time + delay * distance,
        rays.ends.disc,
    )
    return jax.tree.map(lambda *pair: jnp.concatenate(pair), inside, on_surface)


def resample(vertices: Vertices, count: int, key: PRNGKeyArray) -> Vertices:
    """`count` of the vertices, drawn in proportion to their weights, which then all have the same value.

    Systematic: sums over what the vertices carry keep their mean, and their order is kept.
    """
    chosen, factor = systematic(held(vertices.weight), count, key)
    picked = jax.tree.map(lambda leaf: leaf[chosen], vertices)
    return picked._replace(weight=picked.weight * factor)


def systematic(weights: Float[Array, " n"], count: int, key: PRNGKeyArray) -> tuple[Array, Float[Array, " count"]]:
    """Indices of `count` things drawn in proportion to their `weights`, and by how much more each then counts."""
    before = jnp.cumsum(weights)
    total = before[-1]
    marks = (jnp.arange(count) + jax.random.uniform(key, (), weights.dtype)) / count * total
    chosen = jnp.minimum(jnp.searchsorted(before, marks, side="right"), len(weights) - 1)
    return chosen, total / (count * jnp.maximum(weights[chosen], TINY))


def relative(value: Float[Array, "..."]) -> Float[Array, "..."]:
    """1, with the derivatives of the logarithm of what is positive, of all orders those of value / its value; 1 without
    derivatives where it is not positive."""
    positive = value > 0
    safe = jnp.where(positive, value, 1.0)
    return jnp.where(positive, safe / held(safe), 1.0)


def held_floats(tree):
    """Floating leaves without derivatives; others as they are."""
    return jax.tree.map(lambda leaf: held(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)
