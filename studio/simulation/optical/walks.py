"""Indirect light: random walks whose every vertex is connected to the sensors.

Photons leave the sources of an event, scatter, are reflected and go on. Every vertex of their walks sends light to every
sensor, as much as the law of the vertex and the solid angle of the sensor say (next-event estimation: Kalos 1963, Nucl.
Sci. Eng. 16, 111; Lux and Koblinger 1991, Monte Carlo Particle Transport Methods, ch. 5). Light that hits a sensor and
is not detected is reflected by its glass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from ..._checks import InputError, whole_number
from ...detector import Detector
from .spectrum import LONGEST, SHORTEST, Optics
from .walks_connection import BLOCK, GROUPS, IndirectLight
from .walks_start import first_rays, lossless
from .walks_steps import Colours, Vertices, emit_rays, held, interact, resample

if TYPE_CHECKING:
    from .emission import Emission

# Vertices of a generation over the number of walks, and for how many generations: after 400 of them 1e-9 is left of light
# of which every reflection keeps 0.95, and their noise follows the light that they carry.
_STAGES = ((1.0, 3), (0.125, 25), (1 / 64, 372))
# Light over that of the first generation below which a generation is not computed.
_NOTHING = 1e-13


class Walks(eqx.Module):
    """Indirect light by random walks.

    **Arguments**: `count`, static: walks that start, and vertices that are connected to the sensors, a multiple of 512; the
    variance falls as its inverse. `seed` of all random numbers, a whole number: with the same one the light is a smooth
    function of everything, and its mean over seeds is free of bias.

    **Raises** `InputError` for other counts.
    """

    count: int = eqx.field(static=True, default=2048)
    seed: Int[Array, ""] | int = 0

    def __check_init__(self):
        if whole_number("indirect.count", self.count) % (GROUPS * BLOCK):
            remedy = f"give a multiple of {GROUPS * BLOCK}"
            raise InputError("number of walks that does not fit", key="indirect.count", value=self.count, remedy=remedy)

    def source(self, detector: Detector, make: Callable[[Optics], Emission], optics: Optics) -> IndirectLight:
        """The indirect light of what `make` emits through given optics; `optics` are those of the direct light."""
        wavelengths = optics.nodes.shape[0]
        colours = Colours.of(detector, wavelengths, optics.nodes.dtype)
        light = make(lossless(colours, optics, (LONGEST - SHORTEST) / wavelengths))
        start, walk, choose, points = jax.random.split(jax.random.key(self.seed), 4)
        vertices = self._walk(detector, light, colours, start, walk)
        chosen = resample(vertices, self.count, choose)
        order = jnp.argsort(held(chosen.time))
        offset = jax.random.uniform(points, (3, self.count), optics.nodes.dtype)
        return IndirectLight(jax.tree.map(lambda leaf: leaf[order], chosen), colours, offset)

    def _walk(
        self, detector: Detector, light: Emission, colours: Colours, start: PRNGKeyArray, walk: PRNGKeyArray
    ) -> Vertices:
        """The vertices of all generations."""
        fly_key, first_key, keep_key = jax.random.split(start, 3)
        rays = first_rays(detector, light, colours, self.count, fly_key)
        current = resample(interact(detector, colours, rays, first_key), self.count, keep_key)
        enough = _NOTHING * jnp.sum(held(current.weight))
        everything = [current]
        for stage, (share, generations) in enumerate(_STAGES):
            key = jax.random.fold_in(walk, stage)
            current = resample(current, max(8, round(share * self.count)), jax.random.fold_in(key, generations))
            current, passed = _generations(detector, colours, current, enough, jax.random.split(key, generations))
            everything.append(jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), passed))
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *everything)


def _generations(detector: Detector, colours: Colours, first: Vertices, enough, keys) -> tuple[Vertices, Vertices]:
    """The last one of as many generations as there are `keys`, and all of them."""
    count = len(first.weight)

    def step(vertices: Vertices, key: PRNGKeyArray) -> Vertices:
        direction, path, keep = jax.random.split(key, 3)
        rays = emit_rays(detector, vertices, direction)
        return resample(interact(detector, colours, rays, path), count, keep)

    def rest(vertices: Vertices, _: PRNGKeyArray) -> Vertices:
        return vertices._replace(weight=jnp.zeros_like(vertices.weight))

    @jax.checkpoint
    def generation(vertices: Vertices, key: PRNGKeyArray) -> tuple[Vertices, Vertices]:
        goes_on = jnp.sum(held(vertices.weight)) > enough
        there = jax.lax.cond(goes_on, step, rest, vertices, key)
        return there, there

    return jax.lax.scan(generation, first, keys)
