"""Weighting potential of a pad in an otherwise grounded plane, and the same as a sum of products of one-dimensional factors.

By Shockley and Ramo (S. Ramo, Proc. IRE 27 (1939) 584) an electron at height z above the plane has induced the charge −e φ(x, y, z) on a
pad, φ being the potential of the pad at 1 with everything else at 0. Above a plane that is the pad's solid angle over 2π:
the part of the plane, seen from the point through the kernel z/(2π r³), that the pad covers.

The kernel is that of a Brownian motion which starts at height z and stops on the plane. The time s at which it stops has Lévy's
density z/√(2π s³) exp(−z²/2s), and until then it has spread over the plane with variance s along either axis (W. Feller,
An Introduction to Probability Theory II, VI.2). So φ is a mean over s of normal shares of the pad along x times the same along y.
Transverse diffusion only adds its variance to s, a piece of track folds a box into either factor, and longitudinal
diffusion folds Lévy's density with a normal one: all in closed form. The mean over s is a trapezoidal rule in log s, which
converges exponentially: the density is analytic for |Im log s| < π/2, so the error falls as exp(−π²/h) with the step h: 2e-5 at 0.8.

Left out: the cathode at drift length D, whose images change φ by less than (area of the pad)/(2π) z/D³ × 2.4 for z < D/2 (the sum
of 1/(2nD)³ over both directions), 1e-5 at 30 mm below a cathode 300 mm away.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .charge_grid import ramp

STEP = 0.8
"""Step of the trapezoidal rule in log s."""

LEVELS = np.exp(np.arange(math.log(1e-3), math.log(2e5), STEP))
"""Variances s in mm²: from 0.03 mm, which an electron drifts in 20 ns, to 450 mm. At a height z the part z/(350 mm) of the density lies
beyond; it adds less than 1e-6 for pads of 5 mm below 30 mm."""


def pad_potential(
    x: Float[Array, "..."], y: Float[Array, "..."], z: Float[Array, "..."], side: float | Float[Array, ""]
) -> Float[Array, "..."]:
    """Weighting potential of a square pad centred on the origin, at points above the plane; lengths in mm, z > 0.

    The solid angle of a rectangle by its four corners, arctan(ab/(z r)) each.
    """
    total = jnp.zeros(jnp.broadcast_shapes(jnp.shape(x), jnp.shape(y), jnp.shape(z)))
    for sign_x in (1, -1):
        for sign_y in (1, -1):
            a, b = side / 2 + sign_x * x, side / 2 + sign_y * y
            total += jnp.arctan2(a * b, z * jnp.sqrt(a**2 + b**2 + z**2))
    return total / (2 * math.pi)


def level_weights(height: Float[Array, "..."], spread: Float[Array, "..."]) -> Float[Array, "... levels"]:
    """What each of `LEVELS` counts for an electron at a normally distributed `height` in mm, of standard deviation `spread`.

    Lévy's density times the step, folded: ∫₀ z exp(−z²/2s) N(z; u, σ²) dz in closed form. Electrons below the plane have
    arrived and count nothing here.
    """
    levels = jnp.asarray(LEVELS, height.dtype)
    u, variance = height[..., None], spread[..., None] ** 2
    both = levels + variance
    gauss = jnp.exp(-0.5 * u**2 / both) / jnp.sqrt(2 * math.pi * both)
    return STEP * gauss * ramp(u * levels / both, jnp.sqrt(levels * variance / both))


def fading(distance: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 for distances of 1 and more, 0 at 0 and below, twice differentiable between."""
    t = jnp.clip(distance, 0.0, 1.0)
    return t**3 * (10 + t * (6 * t - 15))


def arrived(height: Float[Array, "..."], spread: Float[Array, "..."]) -> Float[Array, "..."]:
    """The part of the electrons that is below the plane."""
    return jax.scipy.special.ndtr(-height / spread)
