"""Where light goes from a vertex of a walk: phase functions of scattering and lobes of reflection, densities in 1/sr."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .directions import tangent_basis


class Law(NamedTuple):
    """What a vertex does with light, `(n,)` each: `surface`: whether it reflects, else it scatters; `rayleigh`: share of
    Rayleigh scattering, the rest being Henyey and Greenstein's with `asymmetry`; `specular`: share of the lobe in what is
    reflected, the rest being diffuse; `lobe`: its width in rad."""

    surface: Bool[Array, " n"]
    rayleigh: Float[Array, " n"]
    asymmetry: Float[Array, " n"]
    specular: Float[Array, " n"]
    lobe: Float[Array, " n"]


def density(
    law: Law,
    cosine: Float[Array, "..."],
    rise: Float[Array, "..."],
    facing: Float[Array, "..."],
) -> Float[Array, "..."]:
    """Density in 1/sr of the direction in which light leaves; its integral is 1.

    **Arguments**, which broadcast with the fields of `law`: `cosine` between the new and the old direction, `rise`: of the
    new direction above the surface, `facing`: cosine of incidence, positive. Rayleigh: 3 (1 + c²)/16π; Henyey and
    Greenstein 1941, Astrophys. J. 93, 70; Lambert's cosine; a von Mises-Fisher lobe with κ = 1/lobe² about the mirrored
    direction, whose part below the surface is folded up again.
    """
    scattered = phase_function(law, cosine)
    mirrored = _von_mises(cosine + 2 * facing * rise, law.lobe) + _von_mises(cosine, law.lobe)
    above = rise > 0
    reflected = (1 - law.specular) * jnp.where(above, rise, 0.0) / math.pi + law.specular * jnp.where(
        above, mirrored, 0.0
    )
    return jnp.where(law.surface, reflected, scattered)


def phase_function(law: Law, cosine: Float[Array, "..."]) -> Float[Array, "..."]:
    """Density in 1/sr of scattered light at `cosine` to the direction before."""
    return law.rayleigh * rayleigh(cosine) + (1 - law.rayleigh) * henyey_greenstein(cosine, law.asymmetry)


def rayleigh(cosine: Float[Array, "..."]) -> Float[Array, "..."]:
    """Density in 1/sr of unpolarised light after Rayleigh scattering: E[cos²] = 2/5."""
    return 3 / (16 * math.pi) * (1 + cosine**2)


def henyey_greenstein(cosine: Float[Array, "..."], asymmetry: Float[Array, "..."]) -> Float[Array, "..."]:
    """Density in 1/sr with the mean cosine `asymmetry`."""
    base = 1 + asymmetry**2 - 2 * asymmetry * cosine
    return (1 - asymmetry**2) / (4 * math.pi * base * jnp.sqrt(base))


def _von_mises(cosine: Array, width: Array) -> Array:
    sharpness = 1 / width**2
    return sharpness / (2 * math.pi * -jnp.expm1(-2 * sharpness)) * jnp.exp(sharpness * (jnp.minimum(cosine, 1.0) - 1))


def draw(
    law: Law, incoming: Float[Array, "n 3"], normal: Float[Array, "n 3"], uniform: Float[Array, "3 n"]
) -> Float[Array, "n 3"]:
    """Unit directions with `density`, from three uniform numbers each; not to be differentiated."""
    choice, first, second = uniform
    facing = -jnp.sum(incoming * normal, axis=-1)
    mirror = incoming + 2 * facing[:, None] * normal
    shiny = choice < law.specular
    of_scattering = jnp.where(choice < law.rayleigh, _rayleigh_cosine(first), _henyey_cosine(first, law.asymmetry))
    sharpness = 1 / law.lobe**2
    of_lobe = 1 + jnp.log1p(first * jnp.expm1(-2 * sharpness)) / sharpness
    cosine = jnp.where(law.surface, jnp.where(shiny, of_lobe, jnp.sqrt(first)), of_scattering)
    axis = jnp.where(law.surface[:, None], jnp.where(shiny[:, None], mirror, normal), incoming)
    across = tangent_basis(axis)
    sine = jnp.sqrt(jnp.maximum(1 - cosine**2, 0.0))
    turn = 2 * math.pi * second
    swung = jnp.cos(turn)[:, None] * across[:, 0] + jnp.sin(turn)[:, None] * across[:, 1]
    direction = cosine[:, None] * axis + sine[:, None] * swung
    below = jnp.minimum(jnp.sum(direction * normal, axis=-1), 0.0) * law.surface
    direction = direction - 2 * below[:, None] * normal
    return direction / jnp.sqrt(jnp.sum(direction**2, axis=-1, keepdims=True))


def _rayleigh_cosine(uniform: Array) -> Array:
    # The root of c³ + 3c = 8u − 4, by Cardano.
    half = 4 * uniform - 2
    root = jnp.sqrt(half**2 + 1)
    return jnp.cbrt(half + root) + jnp.cbrt(half - root)


def _henyey_cosine(uniform: Array, asymmetry: Array) -> Array:
    safe = jnp.where(jnp.abs(asymmetry) > 1e-4, asymmetry, 1e-4)
    ratio = (1 - safe**2) / (1 - safe + 2 * safe * uniform)
    return jnp.clip((1 + safe**2 - ratio**2) / (2 * safe), -1.0, 1.0)
