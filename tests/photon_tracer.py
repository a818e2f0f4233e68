"""A plain photon tracer in NumPy for tests of indirect light: one photon at a time lives or dies, written from the laws.

It knows spheres, cylinders and boxes with flat discs, a wall and glass that reflect by Schlick's law into a von
Mises-Fisher lobe or by Lambert's, Rayleigh and Henyey-Greenstein scattering, and a point source with a flat spectrum.
"""

from __future__ import annotations

import numpy as np

from studio import Box, Cylinder

SPEED_OF_LIGHT = 299.792458  # mm/ns


def trace(detector, vertex, photons, seed):
    """Detections `(sensors,)` of light that came straight and of light that did not, and the sum of the latter's times."""
    random = np.random.default_rng(seed)
    sensors = detector.sensors
    centre, normal, radius = (np.asarray(x) for x in detector.placed)
    direct, indirect, times = (np.zeros(len(radius)) for _ in range(3))
    position = np.tile(np.asarray(vertex, float), (photons, 1))
    direction = _isotropic(random, photons)
    wavelength = random.uniform(300.0, 700.0, photons)
    absorption, rayleigh, mie, group = (
        np.asarray(f(wavelength))
        for f in (
            detector.medium.absorption_coefficient,
            detector.medium.rayleigh_coefficient,
            detector.medium.mie_coefficient,
            detector.medium.group_index,
        )
    )
    efficiency = np.stack([t.detection_efficiency(wavelength) for t in sensors.types])
    efficiency = efficiency * np.asarray(sensors.efficiency)[:, None]
    kind = np.asarray(sensors.kind)
    time, straight, own = np.zeros(photons), np.ones(photons, bool), np.full(photons, -1)
    alive = np.arange(photons)
    while len(alive):
        p, w = position[alive], direction[alive]
        disc, to_disc = _first_disc(centre, normal, radius, p, w, own[alive])
        to_wall, wall_normal = _wall(detector.volume, p, w)
        surface = np.where(disc >= 0, to_disc, to_wall)
        scattering = rayleigh[alive] + mie[alive]
        scatter = random.exponential(size=len(alive)) / np.maximum(scattering, 1e-30)
        absorb = random.exponential(size=len(alive)) / np.maximum(absorption[alive], 1e-30)
        length = np.minimum(np.minimum(surface, scatter), absorb)
        lost = ~np.isfinite(surface)
        length = np.where(lost, 0.0, length)
        position[alive] = p + length[:, None] * w
        time[alive] += length * group[alive] / SPEED_OF_LIGHT
        scatters = (scatter <= surface) & (scatter < absorb) & ~lost
        arrives = (surface < scatter) & (surface < absorb)
        hit = arrives & (disc >= 0)
        detected = hit & (random.uniform(size=len(alive)) < efficiency[kind[disc], alive])
        np.add.at(direct, disc[detected & straight[alive]], 1)
        np.add.at(indirect, disc[detected & ~straight[alive]], 1)
        np.add.at(times, disc[detected & ~straight[alive]], time[alive][detected & ~straight[alive]])
        n = np.where(hit[:, None], normal[disc], wall_normal)
        law = _law(detector.wall, sensors.glass, kind, disc, hit)
        reflected, kept = _reflect(random, w, n, *law)
        by_molecule = random.uniform(size=len(alive)) * scattering < rayleigh[alive]
        asymmetry = np.broadcast_to(np.asarray(detector.medium.asymmetry), len(alive))
        turned = _scatter(random, w, by_molecule, asymmetry)
        direction[alive] = np.where(scatters[:, None], turned, reflected)
        own[alive] = np.where(hit, disc, -1)
        straight[alive] = False
        alive = alive[scatters | (arrives & ~detected & kept)]
    return direct, indirect, times


def _first_disc(centre, normal, radius, p, w, own):
    best, nearest = np.full(len(p), -1), np.full(len(p), np.inf)
    for index in range(len(radius)):
        approach = w @ normal[index]
        height = (centre[index] - p) @ normal[index]
        with np.errstate(divide="ignore", invalid="ignore"):
            along = height / approach
            off = p + along[:, None] * w - centre[index]
            met = (approach < 0) & (along > 0) & (np.sum(off**2, axis=1) < radius[index] ** 2) & (along < nearest)
        met &= own != index
        best, nearest = np.where(met, index, best), np.where(met, along, nearest)
    return best, nearest


def _wall(volume, p, w):
    """Distance along `w` to the wall and the normal there."""
    if isinstance(volume, Box):
        half = np.asarray(volume.size) / 2
        with np.errstate(divide="ignore"):
            along = (np.sign(w) * half - p) / w
        axis = np.argmin(along, axis=1)
        rows = np.arange(len(p))
        normal = np.zeros_like(p)
        normal[rows, axis] = -np.sign(w[rows, axis])
        return along[rows, axis], normal
    d = 2 if isinstance(volume, Cylinder) else 3
    a, b = np.sum(w[:, :d] ** 2, axis=1), np.sum(w[:, :d] * p[:, :d], axis=1)
    c = np.sum(p[:, :d] ** 2, axis=1) - float(volume.radius) ** 2
    # From a disc, which lies outside a round wall, light may never get in: it is lost.
    along = np.where(b * b > a * c, (np.sqrt(np.maximum(b * b - a * c, 0.0)) - b) / a, np.inf)
    at = p + np.where(np.isfinite(along), along, 0.0)[:, None] * w
    normal = -at / float(volume.radius)
    if d == 2:
        normal[:, 2] = 0.0
        cap = (np.sign(w[:, 2]) * float(volume.height) / 2 - p[:, 2]) / w[:, 2]
        on_cap = cap < along
        normal[on_cap] = np.stack([0 * cap, 0 * cap, -np.sign(w[:, 2])], axis=1)[on_cap]
        along = np.minimum(along, cap)
    return along, normal


def _law(wall, glass, kind, disc, hit):
    count = len(disc)
    zero = [np.zeros(count), np.zeros(count), np.ones(count)]
    names = ("specular", "diffuse", "lobe")
    of_wall = zero if wall is None else [np.broadcast_to(np.asarray(getattr(wall, n)), count) for n in names]
    of_glass = zero if glass is None else [np.asarray(getattr(glass, n))[kind[disc]] for n in names]
    return (
        [np.where(hit, g, w) for g, w in zip(of_glass, of_wall, strict=True)],
        wall is not None,
        glass is not None,
        hit,
    )


def _reflect(random, w, n, law, has_wall, has_glass, hit):
    normal_reflectance, diffuse, lobe = law
    facing = np.clip(-np.sum(w * n, axis=1), 0, 1)
    specular = normal_reflectance + (1 - normal_reflectance) * (1 - facing) ** 5
    specular = specular * np.where(hit, has_glass, has_wall)
    u = random.uniform(size=len(w))
    kept = u < specular + (1 - specular) * diffuse
    mirror = w + 2 * facing[:, None] * n
    kappa = 1 / lobe**2
    c = 1 + np.log(1 - random.uniform(size=len(w)) * (1 - np.exp(-2 * kappa))) / kappa
    shiny = _about(random, mirror, c)
    below = np.minimum(np.sum(shiny * n, axis=1), 0)
    shiny = shiny - 2 * below[:, None] * n
    dull = _about(random, n, np.sqrt(random.uniform(size=len(w))))
    return np.where((u < specular)[:, None], shiny, dull), kept


def _scatter(random, w, by_molecule, g):
    count = len(w)
    cosine = random.uniform(-1, 1, count)
    todo = np.arange(count)
    while len(todo):  # von Neumann's rejection
        cosine[todo] = random.uniform(-1, 1, len(todo))
        todo = todo[random.uniform(0, 2, len(todo)) > 1 + cosine[todo] ** 2]
    u = random.uniform(size=count)
    ratio = (1 - g**2) / (1 - g + 2 * g * u)
    return _about(random, w, np.where(by_molecule, cosine, (1 + g**2 - ratio**2) / (2 * g)))


def _about(random, axis, cosine):
    other = np.where(np.abs(axis[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(axis, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(axis, first)
    turn = random.uniform(0, 2 * np.pi, len(axis))[:, None]
    sine = np.sqrt(np.maximum(1 - cosine**2, 0.0))[:, None]
    return cosine[:, None] * axis + sine * (np.cos(turn) * first + np.sin(turn) * second)


def _isotropic(random, count):
    raw = random.normal(size=(count, 3))
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)
