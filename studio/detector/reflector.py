"""What a surface does with light that meets it."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._arrays import as_floating
from .._checks import InputError
from ..units import rad

SMALLEST_LOBE, LARGEST_LOBE = 0.01 * rad, 1.0 * rad
"""Widths that a lobe may have. Below, 1 − cos of the angles in it is lost in single precision; above, it is no lobe."""

_RANGES = {"specular": (0.0, 1.0), "diffuse": (0.0, 1.0), "lobe": (SMALLEST_LOBE, LARGEST_LOBE)}
_REMEDIES = {
    "specular": "give the reflectance at normal incidence, 0 to 1",
    "diffuse": "give the albedo of what the lobe leaves, 0 to 1",
    "lobe": f"give a width in rad, {SMALLEST_LOBE:g} to {LARGEST_LOBE:g}",
}


class Reflector(eqx.Module):
    """A surface that reflects into a lobe about the mirrored direction and diffusely; what is left it absorbs.

    Light that comes in at cosine c to the normal is reflected into the lobe with probability
    R_s(c) = r₀ + (1 − r₀)(1 − c)⁵ (C. Schlick, Computer Graphics Forum 13 (1994) 233, in place of Fresnel's law),
    and with (1 − R_s) · `diffuse` it is sent out by Lambert's cosine, whatever c. Together never more than 1, and the same
    at all wavelengths. The lobe is a von Mises–Fisher distribution of concentration 1 / `lobe`² about the mirrored direction;
    its part below the surface is folded up again, so that none is lost.

    A detector without a `Reflector` on its wall (None) reflects nothing there. One with `specular` 0 still reflects what
    grazes it.

    **Fields**, numbers for a wall, or one a sensor type, `(types,)`, for the glass of sensors

    - `specular`: r₀, the reflectance into the lobe at normal incidence.
    - `diffuse`: albedo of what the lobe leaves.
    - `lobe`: width of the lobe in rad, 0.01 to 1: for narrow ones the standard deviation of its angle on either of two axes.

    **Raises** `InputError` for shapes that differ and numbers outside their range. Traced values are trusted: bounds hold them.
    """

    specular: Float[Array, "*types"]
    diffuse: Float[Array, "*types"]
    lobe: Float[Array, "*types"]

    def __init__(
        self,
        specular: float | Sequence[float] | Array | np.ndarray,
        diffuse: float | Sequence[float] | Array | np.ndarray,
        lobe: float | Sequence[float] | Array | np.ndarray,
    ):
        self.specular, self.diffuse, self.lobe = (_floating(leaf) for leaf in (specular, diffuse, lobe))

    def __check_init__(self):
        for name, (lower, upper) in _RANGES.items():
            leaf = getattr(self, name)
            if leaf.shape != self.specular.shape:
                problem = f"shape {leaf.shape} where `specular` has {self.specular.shape}"
                raise InputError(problem, key=f"reflector.{name}", remedy="give all three alike")
            if isinstance(leaf, Tracer):
                continue
            numbers = np.asarray(leaf)
            bad = ~((numbers >= lower) & (numbers <= upper))  # also what is no number
            if bad.any():
                problem = f"must be between {lower:g} and {upper:g}"
                raise InputError(problem, key=f"reflector.{name}", value=float(numbers[bad][0]), remedy=_REMEDIES[name])

    def reflectance(self, cosine: Float[Array, "..."]) -> Float[Array, "..."]:
        """Probability that light is reflected, in the lobe or diffusely, at cosine `cosine` of incidence; of a wall."""
        mirrored = schlick(self.specular, cosine)
        return mirrored + (1 - mirrored) * self.diffuse

    @property
    def albedo(self) -> Float[Array, "*types"]:
        """Probability that light is reflected that comes from everywhere alike: ∫ 2c R(c) dc, where 2c (1 − c)⁵ makes 1/21."""
        mirrored = self.specular + (1 - self.specular) / 21
        return mirrored + (1 - mirrored) * self.diffuse


def schlick(normal: Float[Array, "..."], cosine: Float[Array, "..."]) -> Float[Array, "..."]:
    """Reflectance into the lobe at `cosine` of incidence, of a surface with `normal` at normal incidence: see `Reflector`."""
    return normal + (1 - normal) * (1 - cosine) ** 5


def _floating(leaf: float | Sequence[float] | Array | np.ndarray) -> Array:
    """An array of its own floating type, plain numbers of the default one, so that replacing them compiles nothing anew."""
    return as_floating(leaf) if hasattr(leaf, "dtype") else jnp.asarray(leaf, jnp.result_type(float))


def black_sheet(specular: float = 0.004, diffuse: float = 0.051, lobe: float = 0.1) -> Reflector:
    """Black polyethylene sheet between the tubes of water Cherenkov detectors: 5.5 % at normal incidence.

    WCSim (MIT), src/WCSimConstructMaterials.cc, from SKDETSIM: 4.5 % below 400 nm, 6 % at 460 nm, 5.5 % above 480 nm, all of it
    diffuse; its detectors scale that by a tuning factor. The gloss is Fresnel's for polyethylene (n = 1.51) in water (1.34),
    0.4 %; that the sheet is as shiny as that, and the width of its lobe, 0.1 rad, are assumptions.
    """
    return Reflector(specular, diffuse, lobe)


def tyvek(specular: float = 0.10, diffuse: float = 0.889, lobe: float = 0.5) -> Reflector:
    """White polyethylene fleece: 90 % at normal incidence, nearly all of it diffuse.

    Total: the usual figure for Tyvek, 0.90 (WCSim has the maker's 0.94). Assumed: the share of the lobe, and its width, for which
    the 0.5 rad stand that WCSim gives the facets of Tyvek (src/WCSimConstructMaterials.cc, after A. Chavarria's thesis).
    """
    return Reflector(specular, diffuse, lobe)
