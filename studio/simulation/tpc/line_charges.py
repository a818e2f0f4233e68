"""Rows of line charges: the analytic functions that electrostatics in a plane is made of.

Parallel line charges at y = 0, ±P, ±2P, ... of unit charge each have the complex potential −log[2 sinh(π z/P)] with
z = x + i y; its real part is −½ ln[2 (cosh 2πx/P − cos 2πy/P)] (P. M. Morse and H. Feshbach, Methods of Theoretical Physics,
1953, section 10.2). Everything here is written in exp(−2π|x|/P), which cannot overflow.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float


def log_potential(z: Complex[Array, "..."], period: Float[Array, "..."]) -> Float[Array, "..."]:
    """Potential of a row of unit line charges through the origin: −ln|2 sinh(π z / period)|, minus π|x|/period far away."""
    w = jnp.pi * z / period
    height = jnp.abs(w.real)
    decay = jnp.exp(-2 * height)
    return -height - 0.5 * jnp.log(jnp.expm1(-2 * height) ** 2 + 4 * decay * jnp.sin(w.imag) ** 2)


def angle(z: Complex[Array, "..."], period: Float[Array, "..."]) -> Float[Array, "..."]:
    """The argument of sinh(π z / period), between −π and π: minus the stream function of a row of unit charges."""
    w = jnp.pi * z / period
    return jnp.arctan2(jnp.sin(w.imag), jnp.tanh(w.real) * jnp.cos(w.imag))


def coth(w: Complex[Array, "..."]) -> Complex[Array, "..."]:
    """The hyperbolic cotangent, (sinh 2x − i sin 2y) / (cosh 2x − cos 2y)."""
    decay = jnp.exp(-2 * jnp.abs(w.real))
    gap = -jnp.expm1(-2 * jnp.abs(w.real))
    sine = jnp.sin(w.imag)
    square = gap**2 + 4 * decay * sine**2
    sign = jnp.where(w.real < 0, -1.0, 1.0)
    return jax.lax.complex(sign * gap * (1 + decay) / square, -4 * decay * sine * jnp.cos(w.imag) / square)


def self_potential(radius: Float[Array, "..."], period: Float[Array, "..."]) -> Float[Array, "..."]:
    """Mean over a circle of `radius` around one charge of the row's potential: −ln(2π radius / period), exact while no other
    charge is in the circle."""
    return -jnp.log(2 * jnp.pi * radius / period)
