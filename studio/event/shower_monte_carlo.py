"""Monte Carlo of electrons, their secondaries and their Cherenkov light in water; run offline to make the package's table.

    python -m studio.event.shower_monte_carlo OUT

Electrons and positrons are followed to the Cherenkov threshold at 300 nm, photons until they can no longer lift an
electron above it. Knock-on electrons, bremsstrahlung photons and elastic collisions beyond a cut are sampled one by
one, everything softer is continuous ("class II"); soft scattering is applied at a random point of the step (random
hinge, Fernandez-Varea et al., NIM B 73 (1993) 447) with its exact first transport moment, and the cut on elastic
collisions is set so that about one hard collision falls in each step, which keeps Moliere's tail.

Light is counted as equivalent length: the length of a beta = 1 track that gives as many photons between 300 and 600 nm
(Frank and Tamm, n(lambda) of `medium.Water`). Angles are those at 400 nm, without dispersion.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ..constants import ELECTRON_MASS
from . import shower_interactions as interactions
from .shower_interactions import Sampler

SHORTEST, LONGEST, REFERENCE = 300.0, 600.0, 400.0  # nm
ELECTRON_CUT = 0.2425  # MeV: the Cherenkov threshold at 300 nm; knock-on electrons above are followed
BREMSSTRAHLUNG_CUT = 0.4  # MeV: photons below lift no electron above the threshold
PHOTON_CUT = 0.39  # MeV
LARGEST_STEP = 2.5  # mm
HIGHEST_ENERGY = 3.0e4  # MeV

_LOSS, _CURVATURE, _ELASTIC, _KNOCK, _RADIATION, _ANNIHILATION, _SOFT, _HARD_CUT, _SCREENING, _STEP = range(10)


@dataclass
class Particles:
    """Charged particles or photons on their way; `position`, `direction` `(3, n)`, `sign` -1, 0, +1; `path` is c t in mm."""

    energy: np.ndarray
    position: np.ndarray
    direction: np.ndarray
    sign: np.ndarray
    shower: np.ndarray
    path: np.ndarray

    def __len__(self) -> int:
        return len(self.energy)

    def select(self, which: np.ndarray) -> Particles:
        return Particles(*(getattr(self, f.name)[..., which] for f in fields(self)))

    @staticmethod
    def join(parts: list[Particles]) -> Particles:
        return Particles(*(np.concatenate([getattr(p, f.name) for p in parts], axis=-1) for f in fields(Particles)))


@dataclass(frozen=True)
class Light:
    """Straight pieces of track that shine.

    **Fields**: `shower (n,)` index; `position (3, n)` of the middle, mm; `direction (3, n)`; `length (n,)` equivalent
    length, mm; `cosine (n,)` of the Cherenkov angle at 400 nm; `path (n,)` c times the time of emission, mm.
    """

    shower: np.ndarray
    position: np.ndarray
    direction: np.ndarray
    length: np.ndarray
    cosine: np.ndarray
    path: np.ndarray


@dataclass(frozen=True)
class Physics:
    """Tabulated interaction rates: `charged (2, energies, 10)` for electrons and positrons on a uniform grid of ln energy."""

    start: float
    step: float
    charged: np.ndarray
    moller: Sampler
    bhabha: Sampler
    radiation: Sampler
    annihilation: Sampler
    compton: Sampler
    pair: Sampler
    inverse_beta2: np.ndarray
    yields: np.ndarray
    index: float

    def rows(self, energy: np.ndarray, sign: np.ndarray) -> np.ndarray:
        position = (np.log(energy) - self.start) / self.step
        lower = np.clip(position.astype(int), 0, self.charged.shape[1] - 2)
        part = (position - lower)[:, None]
        which = (sign > 0).astype(int)
        return self.charged[which, lower] * (1.0 - part) + self.charged[which, lower + 1] * part

    def light(self, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Relative light yield per length, cosine of the Cherenkov angle at 400 nm, 1/beta."""
        gamma = 1.0 + energy / ELECTRON_MASS
        inverse_beta2 = gamma**2 / (gamma**2 - 1.0)
        inverse_beta = np.sqrt(inverse_beta2)
        return (
            np.interp(inverse_beta2, self.inverse_beta2, self.yields),
            np.minimum(inverse_beta / self.index, 1.0),
            inverse_beta,
        )


def cherenkov_yield(refractive_index: Callable[[np.ndarray], np.ndarray], inverse_beta2: np.ndarray) -> np.ndarray:
    """Frank-Tamm photons per length between 300 and 600 nm, relative to beta = 1; argument 1/beta^2 `(n,)`."""
    wavelength = np.linspace(SHORTEST, LONGEST, 601)
    weight = 1.0 / wavelength**2
    inverse_n2 = 1.0 / np.asarray(refractive_index(wavelength)) ** 2
    light = np.clip(1.0 - inverse_beta2[:, None] * inverse_n2, 0.0, None)
    photons = np.trapezoid(light * weight, wavelength, axis=1)
    return np.asarray(photons / np.trapezoid((1.0 - inverse_n2) * weight, wavelength))


def water_refractive_index(wavelength: np.ndarray) -> np.ndarray:
    """n of the package's water at `wavelength` in nm."""
    import jax.numpy as jnp

    from ..medium import Water

    return np.asarray(Water().refractive_index(jnp.asarray(wavelength)), dtype=np.float64)


@functools.cache
def physics() -> Physics:
    """The rates and samplers of water."""
    energies = np.geomspace(0.2, HIGHEST_ENERGY, 500)
    inverse_beta2 = np.linspace(1.0, 2.0, 4001)
    coarse = np.geomspace(0.2, HIGHEST_ENERGY, 160)
    columns = np.stack([_charged_columns(energies, positron) for positron in (False, True)])
    return Physics(
        start=float(np.log(energies[0])),
        step=float(np.log(energies[1] / energies[0])),
        charged=columns,
        moller=Sampler.build(
            coarse, lambda v, e: _log_uniform(v, ELECTRON_CUT, e / 2, lambda t: interactions.moller(t / e, e))
        ),
        bhabha=Sampler.build(
            coarse, lambda v, e: _log_uniform(v, ELECTRON_CUT, e, lambda t: interactions.bhabha(t / e, e))
        ),
        radiation=Sampler.build(
            coarse, lambda v, e: _log_uniform(v, BREMSSTRAHLUNG_CUT, e, lambda k: interactions.bremsstrahlung(k, e) / k)
        ),
        annihilation=Sampler.build(coarse, _annihilation_density),
        compton=Sampler.build(coarse, _compton_density),
        pair=Sampler.build(coarse[coarse > 1.05], _pair_density),
        inverse_beta2=inverse_beta2,
        yields=cherenkov_yield(water_refractive_index, inverse_beta2),
        index=float(water_refractive_index(np.array([REFERENCE]))[0]),
    )


def _log_uniform(
    v: np.ndarray, low: float, high: np.ndarray, density: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """A density in a variable between `low` and `high`, as a density in v = ln(variable/low) / ln(high/low)."""
    span = np.log(np.maximum(high / low, 1.0 + 1e-6))
    value = low * np.exp(v * span)
    return density(value) * value


def _annihilation_density(v: np.ndarray, energy: np.ndarray) -> np.ndarray:
    low, high = annihilation_limits(energy)
    fraction = low * (high / low) ** v
    return interactions.annihilation_split(fraction, energy) * fraction


def annihilation_limits(energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest share of the total energy that a photon of annihilation in flight can take."""
    gamma = 1.0 + energy / ELECTRON_MASS
    root = np.sqrt((gamma - 1.0) / (gamma + 1.0))
    return 0.5 * (1.0 - root), 0.5 * (1.0 + root)


def _compton_density(v: np.ndarray, energy: np.ndarray) -> np.ndarray:
    low = 1.0 / (1.0 + 2.0 * energy / ELECTRON_MASS)
    fraction = low ** (1.0 - v)
    return interactions.klein_nishina_split(fraction, energy) * fraction


def _pair_density(v: np.ndarray, energy: np.ndarray) -> np.ndarray:
    low = ELECTRON_MASS / energy
    fraction = low + v * (1.0 - 2.0 * low)
    return interactions.pair_split(fraction, energy)


def _charged_columns(energies: np.ndarray, positron: bool) -> np.ndarray:
    v = (np.arange(4000) + 0.5)[:, None] / 4000
    cross_section = interactions.bhabha if positron else interactions.moller
    limit = energies if positron else energies / 2

    def knock(t: np.ndarray) -> np.ndarray:
        return cross_section(t / energies, energies) / energies

    span = np.log(np.maximum(limit / ELECTRON_CUT, 1.0))
    t = ELECTRON_CUT * np.exp(v * span)
    density = knock(t) * t * span
    loss = interactions.collision_loss(energies, positron) - np.mean(density * t, axis=0)
    knock_rate = np.mean(density, axis=0)

    soft_limit = np.minimum(BREMSSTRAHLUNG_CUT, energies)
    loss = loss + np.mean(interactions.bremsstrahlung(v * soft_limit, energies), axis=0) * soft_limit
    span = np.log(np.maximum(energies / BREMSSTRAHLUNG_CUT, 1.0))
    k = BREMSSTRAHLUNG_CUT * np.exp(v * span)
    radiation_rate = np.mean(interactions.bremsstrahlung(np.minimum(k, 0.999999 * energies), energies), axis=0) * span

    strength, screening, beta2 = interactions.elastic(energies)
    transport = 2.0 * strength * (np.log1p(1.0 / screening) - 1.0 / (1.0 + screening) - beta2)
    step = np.minimum(np.minimum(0.08 / transport, 0.05 * energies / loss), LARGEST_STEP)
    cut = 1.0 / (1.0 / (step * strength) + 1.0 / (1.0 + screening)) - screening
    hard = strength * (1.0 / (cut + screening) - 1.0 / (1.0 + screening))
    soft = strength * (np.log1p(cut / screening) - cut / (cut + screening) - beta2 * cut)
    curvature = np.gradient(np.log(loss), np.log(energies))
    annihilation = interactions.annihilation(energies) if positron else np.zeros_like(energies)
    return np.stack(
        [loss, curvature, hard, knock_rate, radiation_rate, annihilation, soft, cut, screening, step], axis=-1
    )


def rotate(direction: np.ndarray, cosine: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """`direction (3, n)` turned by a polar angle and an azimuth about itself."""
    x, y, z = direction
    sine = np.sqrt(np.clip(1.0 - cosine**2, 0.0, None))
    sign = np.where(z >= 0.0, 1.0, -1.0)
    a = -1.0 / (sign + z)  # Duff et al., JCGT 6 (2017) 1: an orthonormal basis without poles
    b = x * y * a
    p, q = sine * np.cos(azimuth), sine * np.sin(azimuth)
    turned = np.stack(
        [
            p * (1.0 + sign * x**2 * a) + q * b + cosine * x,
            p * sign * b + q * (sign + y**2 * a) + cosine * y,
            -p * sign * x - q * y + cosine * z,
        ]
    )
    return turned / np.sqrt(np.sum(turned**2, axis=0))


def simulate(energies: np.ndarray, random: np.random.Generator, sign: int = -1) -> Light:
    """Showers of electrons that start at the origin along z with kinetic `energies (n,)` in MeV; `sign` +1: positrons, 0: photons."""
    n = len(energies)
    origin, axis = np.zeros((3, n)), np.zeros((3, n))
    axis[2] = 1.0
    first = Particles(np.asarray(energies, float), origin, axis, np.full(n, sign), np.arange(n), np.zeros(n))
    charged, photons = (first.select(first.sign != 0), first.select(first.sign == 0))
    records: list[tuple[np.ndarray, ...]] = []
    while len(charged) or len(photons):
        stack = [charged, photons]
        if len(charged):
            survivors, secondaries = _step_charged(charged, random, records)
            stack = [survivors, secondaries, photons]
        everything = Particles.join(stack)
        charged = everything.select((everything.sign != 0) & (everything.energy > ELECTRON_CUT))
        photons = everything.select((everything.sign == 0) & (everything.energy > PHOTON_CUT))
        if len(photons):
            made = _step_photons(photons, random)
            photons = made.select((made.sign == 0) & (made.energy > PHOTON_CUT))
            charged = Particles.join([charged, made.select(made.sign != 0)])
    return Light(*(np.concatenate([r[i] for r in records], axis=-1) for i in range(6)))


def _step_charged(p: Particles, random: np.random.Generator, records: list) -> tuple[Particles, Particles]:
    table, n = physics(), len(p)
    row = table.rows(p.energy, p.sign)
    rates = np.cumsum(row[:, _ELASTIC : _ANNIHILATION + 1], axis=1)
    free = -np.log(random.random(n)) / rates[:, -1]
    allowed = np.minimum(row[:, _STEP], 0.3 * p.path + 0.03 * row[:, _STEP])  # the first light of the primary is sharp
    length = np.minimum(np.minimum(free, allowed), (p.energy - ELECTRON_CUT) / row[:, _LOSS] + 1e-6)
    hard = free <= length
    loss = row[:, _LOSS] * length
    loss = loss * (1.0 - 0.5 * row[:, _CURVATURE] * loss / p.energy)

    hinge = random.random(n)
    _shine(p, p.energy - 0.5 * hinge * loss, hinge * length, records)
    mean = row[:, _SOFT] * length
    cosine = 1.0 - 2.0 * np.minimum(-mean * np.log(random.random(n)), 1.0)
    p.direction = rotate(p.direction, cosine, 2.0 * np.pi * random.random(n))
    _shine(p, p.energy - 0.5 * (1.0 + hinge) * loss, (1.0 - hinge) * length, records)
    p.energy = np.maximum(p.energy - loss, 1e-3)

    choice = np.sum(random.random(n)[:, None] * rates[:, -1:] > rates, axis=1)
    choice = np.where(hard, choice, -1)
    _scatter(p, row, choice == 0, random)
    made = [
        _knock_on(p, (choice == 1) & (p.energy > ELECTRON_CUT * np.where(p.sign < 0, 2.0, 1.0)), random),
        _radiate(p, (choice == 2) & (p.energy > BREMSSTRAHLUNG_CUT), random),
        _annihilate(p, choice == 3, random),
        _annihilate_at_rest(p, (p.sign > 0) & (p.energy <= ELECTRON_CUT) & (choice != 3), random),
    ]
    return p, Particles.join(made)


def _shine(p: Particles, energy: np.ndarray, length: np.ndarray, records: list) -> None:
    """Move `length` along the direction, and write down the light of this piece at its mean energy."""
    yields, cosine, inverse_beta = physics().light(np.maximum(energy, 1e-3))
    middle = p.position + 0.5 * length * p.direction
    bright = yields > 0.0
    parts = (p.shower, middle, p.direction, yields * length, cosine, p.path + 0.5 * length * inverse_beta)
    records.append(tuple(np.asarray(x[..., bright], np.int32 if i == 0 else np.float32) for i, x in enumerate(parts)))
    p.position = p.position + length * p.direction
    p.path = p.path + length * inverse_beta


def _scatter(p: Particles, row: np.ndarray, which: np.ndarray, random: np.random.Generator) -> None:
    i = np.flatnonzero(which)
    screening, cut = row[i, _SCREENING], row[i, _HARD_CUT]
    u = random.random(len(i))
    low, high = 1.0 / (cut + screening), 1.0 / (1.0 + screening)
    mu = np.clip(1.0 / (low + u * (high - low)) - screening, 0.0, 1.0)
    gamma = 1.0 + p.energy[i] / ELECTRON_MASS
    mu = np.where(random.random(len(i)) < 1.0 - (1.0 - 1.0 / gamma**2) * mu, mu, 0.0)  # Mott, as null collisions
    p.direction[:, i] = rotate(p.direction[:, i], 1.0 - 2.0 * mu, 2.0 * np.pi * random.random(len(i)))


def _children(p: Particles, i: np.ndarray, energy: np.ndarray, direction: np.ndarray, sign: int) -> Particles:
    return Particles(energy, p.position[:, i], direction, np.full(len(i), sign), p.shower[i], p.path[i])


def _knock_on(p: Particles, which: np.ndarray, random: np.random.Generator) -> Particles:
    i = np.flatnonzero(which)
    energy, negative = p.energy[i], p.sign[i] < 0
    v = np.where(negative, physics().moller(energy, random), physics().bhabha(energy, random))
    given = ELECTRON_CUT * (np.where(negative, energy / 2, energy) / ELECTRON_CUT) ** v
    rest = np.maximum(energy - given, 1e-3)
    total = energy + 2.0 * ELECTRON_MASS
    knocked = np.sqrt(np.minimum(given * total / (energy * (given + 2.0 * ELECTRON_MASS)), 1.0))
    deflected = np.sqrt(np.minimum(rest * total / (energy * (rest + 2.0 * ELECTRON_MASS)), 1.0))
    azimuth = 2.0 * np.pi * random.random(len(i))
    before = p.direction[:, i]
    p.direction[:, i] = rotate(before, deflected, azimuth + np.pi)
    p.energy[i] = rest
    return _children(p, i, given, rotate(before, knocked, azimuth), -1)


def _small_angle(energy: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Cosine of the angle between a radiating lepton and its photon (Tsai's distribution as fitted by Urban, Geant4 manual)."""
    n = len(energy)
    scale = np.where(random.random(n) < 0.25, 0.625, 1.875)
    u = -np.log(random.random(n) * random.random(n)) / scale
    return np.cos(np.minimum(u * ELECTRON_MASS / (energy + ELECTRON_MASS), np.pi))


def _radiate(p: Particles, which: np.ndarray, random: np.random.Generator) -> Particles:
    i = np.flatnonzero(which)
    energy = p.energy[i]
    photon = BREMSSTRAHLUNG_CUT * (energy / BREMSSTRAHLUNG_CUT) ** physics().radiation(energy, random)
    direction = rotate(p.direction[:, i], _small_angle(energy, random), 2.0 * np.pi * random.random(len(i)))
    p.energy[i] = np.maximum(energy - photon, 1e-3)
    return _children(p, i, photon, direction, 0)


def _annihilate(p: Particles, which: np.ndarray, random: np.random.Generator) -> Particles:
    i = np.flatnonzero(which)
    energy = p.energy[i]
    gamma = 1.0 + energy / ELECTRON_MASS
    low, high = annihilation_limits(energy)
    fraction = low * (high / low) ** physics().annihilation(energy, random)
    total = energy + 2.0 * ELECTRON_MASS
    azimuth = 2.0 * np.pi * random.random(len(i))
    photons = []
    for share, turn in ((fraction, 0.0), (1.0 - fraction, np.pi)):
        cosine = np.clip((share * (gamma + 1.0) - 1.0) / (share * np.sqrt(gamma**2 - 1.0)), -1.0, 1.0)
        photons.append(_children(p, i, share * total, rotate(p.direction[:, i], cosine, azimuth + turn), 0))
    p.energy[i] = 0.0
    return Particles.join(photons)


def _annihilate_at_rest(p: Particles, which: np.ndarray, random: np.random.Generator) -> Particles:
    i = np.flatnonzero(which)
    direction = rotate(p.direction[:, i], 2.0 * random.random(len(i)) - 1.0, 2.0 * np.pi * random.random(len(i)))
    energy = np.full(len(i), ELECTRON_MASS)
    return Particles.join([_children(p, i, energy, direction, 0), _children(p, i, energy, -direction, 0)])


def _step_photons(p: Particles, random: np.random.Generator) -> Particles:
    """Every photon flies to its next interaction: scattered photons and the electrons and positrons made."""
    n = len(p)
    compton, pair = interactions.klein_nishina(p.energy), interactions.pair_production(p.energy)
    length = -np.log(random.random(n)) / (compton + pair)
    p.position = p.position + length * p.direction
    p.path = p.path + length
    pairs = random.random(n) * (compton + pair) < pair
    return Particles.join([*_compton(p, np.flatnonzero(~pairs), random), *_pair(p, np.flatnonzero(pairs), random)])


def _compton(p: Particles, i: np.ndarray, random: np.random.Generator) -> list[Particles]:
    energy = p.energy[i]
    low = 1.0 / (1.0 + 2.0 * energy / ELECTRON_MASS)
    fraction = low ** (1.0 - physics().compton(energy, random))
    recoil = energy * (1.0 - fraction)
    cosine = np.clip(1.0 - (1.0 / fraction - 1.0) * ELECTRON_MASS / energy, -1.0, 1.0)
    momentum = np.sqrt(recoil * (recoil + 2.0 * ELECTRON_MASS))
    forward = np.clip((energy - energy * fraction * cosine) / np.maximum(momentum, 1e-9), -1.0, 1.0)
    azimuth = 2.0 * np.pi * random.random(len(i))
    electron = _children(p, i, np.maximum(recoil, 1e-3), rotate(p.direction[:, i], forward, azimuth + np.pi), -1)
    return [_children(p, i, energy * fraction, rotate(p.direction[:, i], cosine, azimuth), 0), electron]


def _pair(p: Particles, i: np.ndarray, random: np.random.Generator) -> list[Particles]:
    energy = p.energy[i]
    low = ELECTRON_MASS / energy
    share = low + physics().pair(energy, random) * (1.0 - 2.0 * low)
    azimuth = 2.0 * np.pi * random.random(len(i))
    leptons = []
    for part, sign, turn in ((share, -1, 0.0), (1.0 - share, 1, np.pi)):
        kinetic = np.maximum(part * energy - ELECTRON_MASS, 1e-3)
        leptons.append(
            _children(p, i, kinetic, rotate(p.direction[:, i], _small_angle(kinetic, random), azimuth + turn), sign)
        )
    return leptons


def main() -> None:
    """Write the table file."""
    import jax

    from .shower_table import write_table

    jax.config.update("jax_enable_x64", True)
    parser = argparse.ArgumentParser(description="Make the table of electron and delta-ray light in water.")
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument(
        "--statistics", type=float, default=1.0, help="number of showers, relative to the shipped table"
    )
    arguments = parser.parse_args()
    write_table(arguments.out, arguments.statistics)


if __name__ == "__main__":
    main()
