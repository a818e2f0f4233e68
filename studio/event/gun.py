"""The particle gun: events with one particle each, drawn inside a volume."""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.stats import norm

from .._checks import InputError, StudioError, choice_remedy
from ..geometry import AbstractVolume
from ..medium import AbstractMedium, LiquidArgon
from ..units import cm
from .energy_loss import csda_range
from .primary import CHARGE_ONLY, PARTICLES, Primary
from .scattering import RADIATION_LENGTH
from .stopping import HEAVY, mass_range

BEAM = (1.0, 0.0, 0.0)
"""The direction that the word "beam" means: +x, horizontal in a tank whose axis is z."""

_ATTEMPTS = 256  # draws an event may take to be accepted
_ROUND = 32  # draws at a time
_BLOCK = 64  # events whose draws are looked at together
_COORDINATES = 6  # uniform numbers a draw takes


class Gun(eqx.Module):
    """Draws primaries of one particle.

    **Fields**

    - `particle`: its name, see `Primary`.
    - `volume`: the volume in which events start; needed for `vertex="uniform"` and for `contained`.
    - `kinetic_energy`: range `(low, high)` in MeV, drawn evenly.
    - `vertex`: "uniform" in the volume, "centre", or a point in mm.
    - `direction`: "isotropic", "beam" (+x), or a vector.
    - `spread`: standard deviation in rad of the (half-normal) angle to the direction; 0 for a pencil beam.
    - `contained`: keep only events that end inside the volume: muons, pions and protons whose mean range (CSDA) ends before
      the wall, and electrons with at least four radiation lengths before it. Exiting muons are a class of their own.
    - `medium`: what the volume holds; in all but liquid argon only particles that shine are known, and taken for in water.

    Event i of a sample depends on the key and i alone, so a longer sample begins with the shorter one.

    **Raises** `InputError` where a word is unknown, a range is not positive, or a volume is needed and missing.
    """

    particle: str = eqx.field(static=True)
    volume: AbstractVolume | None
    kinetic_energy: tuple[float, float]
    vertex: str | tuple[float, float, float] = eqx.field(static=True)
    direction: str | tuple[float, float, float] = eqx.field(static=True)
    spread: float
    contained: bool = eqx.field(static=True)
    medium: AbstractMedium | None

    def __init__(
        self,
        particle: str,
        volume: AbstractVolume | None = None,
        *,
        kinetic_energy: float | tuple[float, float] = 500.0,
        vertex: Literal["uniform", "centre"] | tuple[float, float, float] = "uniform",
        direction: Literal["isotropic", "beam"] | tuple[float, float, float] = "isotropic",
        spread: float = 0.0,
        contained: bool = False,
        medium: AbstractMedium | None = None,
    ):
        self.particle = particle
        self.volume = volume
        low, high = kinetic_energy if isinstance(kinetic_energy, tuple | list) else (kinetic_energy, kinetic_energy)
        self.kinetic_energy = (float(low), float(high))
        self.vertex = vertex if isinstance(vertex, str) else _triple(vertex)
        self.direction = direction if isinstance(direction, str) else _triple(direction)
        self.spread = float(spread)
        self.contained = bool(contained)
        self.medium = medium

    def __check_init__(self):
        _choice("particle", self.particle, PARTICLES + (CHARGE_ONLY if isinstance(self.medium, LiquidArgon) else ()))
        if isinstance(self.vertex, str):
            _choice("vertex", self.vertex, ("uniform", "centre"))
        if isinstance(self.direction, str):
            _choice("direction", self.direction, ("isotropic", "beam"))
        elif not np.linalg.norm(self.direction) > 0:
            raise InputError("a direction of length zero", key="direction", remedy="give a vector such as (0, 0, 1)")
        low, high = self.kinetic_energy
        if not 0 < low <= high < np.inf:
            remedy = "give a positive energy or (low, high) in MeV"
            raise InputError("not a range of energies", key="kinetic_energy", value=self.kinetic_energy, remedy=remedy)
        if self.volume is None and (self.vertex == "uniform" or self.contained):
            raise InputError("a volume is needed", key="volume", remedy="give the detector's volume, or a fixed vertex")

    def sample(self, key: Array, count: int) -> Primary:
        """`count` stacked primaries.

        **Raises** `StudioError` where no acceptable event is found in 256 draws, as for muons whose range is longer than the
        volume.
        """
        words = np.asarray(jax.random.key_data(key)).ravel().tolist()
        generators = [np.random.default_rng([*words, index]) for index in range(count)]
        extents = np.zeros(3) if self.volume is None else np.asarray(self.volume.half_extents)
        chosen = np.zeros((count, _COORDINATES))
        missing = np.arange(count)
        for _ in range(_ATTEMPTS // _ROUND):
            draws = np.stack([generators[index].random((_ROUND, _COORDINATES)) for index in missing])
            accepted = self._accepted(draws, extents)
            found = accepted.any(axis=1)
            first = accepted.argmax(axis=1)
            chosen[missing[found]] = draws[found, first[found]]
            missing = missing[~found]
            if not len(missing):
                return self._primaries(chosen, extents)
        why = "contained " if self.contained else ""
        raise StudioError(
            f"{len(missing)} of {count} {why}{self.particle} events not found in {_ATTEMPTS} draws each: lower the kinetic "
            f"energy (now {self.kinetic_energy[0]:g} to {self.kinetic_energy[1]:g} MeV) or allow exiting ones"
        )

    def _accepted(self, draws: np.ndarray, extents: np.ndarray) -> np.ndarray:
        """Which of the draws `(events, draws, 6)` make an acceptable event; blocks of one size, compiled once."""
        accepted = []
        for start in range(0, len(draws), _BLOCK):
            block = draws[start : start + _BLOCK]
            padded = np.concatenate([block, np.zeros((_BLOCK - len(block), *block.shape[1:]))])
            accepted.append(np.asarray(_accepts(self, self._primaries(padded, extents)))[: len(block)])
        return np.concatenate(accepted)

    def _primaries(self, uniform: np.ndarray, extents: np.ndarray) -> Primary:
        """The primaries of uniform numbers `(..., 6)` in [0, 1): one for the energy, three for the vertex, two for the
        direction."""
        low, high = self.kinetic_energy
        return Primary(
            self.particle,
            self._vertices(uniform[..., 1:4], extents),
            self._directions(uniform[..., 4:6]),
            jnp.asarray(low + (high - low) * uniform[..., 0]),
            0.0,
        )

    def _vertices(self, uniform: np.ndarray, extents: np.ndarray) -> np.ndarray:
        if self.vertex == "uniform":
            return extents * (2 * uniform - 1)
        point = np.zeros(3) if self.vertex == "centre" else np.asarray(self.vertex, dtype=float)
        return np.broadcast_to(point, uniform.shape)

    def _directions(self, uniform: np.ndarray) -> np.ndarray:
        azimuth = 2 * np.pi * uniform[..., 1]
        if self.direction == "isotropic":
            axis, angle = np.array([0.0, 0.0, 1.0]), np.arccos(1 - 2 * uniform[..., 0])
        else:
            axis = np.asarray(BEAM if self.direction == "beam" else self.direction, dtype=float)
            axis, angle = axis / np.linalg.norm(axis), self.spread * norm.isf((1 - uniform[..., 0]) / 2)
        across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
        across = across / np.linalg.norm(across)
        sideways = np.cos(azimuth)[..., None] * across + np.sin(azimuth)[..., None] * np.cross(axis, across)
        return np.cos(angle)[..., None] * axis + np.sin(angle)[..., None] * sideways


@eqx.filter_jit
def _accepts(gun: Gun, primaries: Primary) -> Bool[Array, "*batch"]:
    accepted = jnp.ones(primaries.kinetic_energy.shape, bool)
    if gun.volume is not None and gun.vertex == "uniform":
        accepted &= gun.volume.contains(primaries.vertex)
    if gun.volume is not None and gun.contained:
        room = gun.volume.distance_to_wall(primaries.vertex, primaries.direction)
        accepted &= room > contained_length(gun.particle, primaries.kinetic_energy, gun.medium)
    return accepted


def contained_length(
    particle: str, kinetic_energy: Float[Array, "*batch"], medium: AbstractMedium | None = None
) -> Float[Array, "*batch"]:
    """Path in mm that a contained particle needs before the wall, in liquid argon or else in water; kinetic energy in MeV.

    The CSDA range of muons, pions and protons, four radiation lengths of electrons and gammas, nothing for a point source.
    """
    argon = medium if isinstance(medium, LiquidArgon) else None
    if argon is not None and particle in HEAVY:
        return mass_range(kinetic_energy, HEAVY[particle].mass) / argon.density * cm
    if particle in ("mu-", "mu+"):
        return csda_range(kinetic_energy)
    radiation_length = RADIATION_LENGTH if argon is None else argon.radiation_length
    return jnp.full(kinetic_energy.shape, 4 * radiation_length if particle in ("e-", "e+", "gamma") else 0.0)


def _triple(values) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError("not an allowed word", key=key, value=value, remedy=choice_remedy(value, allowed))
