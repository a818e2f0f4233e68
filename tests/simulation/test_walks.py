"""Indirect light by random walks: against closed forms and a photon tracer that shares nothing with it, its variance, and its
derivatives, those of surfaces that end included.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Detector, OpticalSimulator, PhotosensorArray, Primary, Sphere, Water
from studio._checks import InputError
from studio.detector.reflector import Reflector
from studio.simulation.optical.simulator import _chunk
from studio.simulation.optical.walks import Walks
from studio.simulation.optical.walks_connection import rim_solid_angle
from studio.simulation.optical.walks_lobes import Law, density, draw
from tests import photon_tracer, tanks

LAMP = Primary("point", (300.0, -500.0, 400.0), kinetic_energy=20.0)


def with_surfaces(detector, wall, glass=None):
    """The detector with a reflecting wall and, where given, glass."""
    there = eqx.tree_at(lambda d: d.wall, detector, wall, is_leaf=lambda leaf: leaf is None)
    if glass is None:
        return there
    return eqx.tree_at(lambda d: d.sensors.glass, there, glass, is_leaf=lambda leaf: leaf is None)


def tank():
    """37 large discs in a murky tank with a shiny wall and glass."""
    detector = tanks.cylinder(1500.0, 3000.0, 1000.0, tanks.plain_sensor(300.0), Water(20e3, 5e3))
    return with_surfaces(detector, Reflector(0.1, 0.7, 0.3), Reflector([0.2], [0.1], [0.15]))


def indirect(detector, event, seed, count=2048):
    """Indirect charge of each sensor, in photoelectrons."""
    simulator = OpticalSimulator(indirect=Walks(count, seed))
    emitted = simulator.emit(detector, event, jnp.zeros(0))
    source, colours = emitted.sources[-1]
    return jnp.sum(source.light(_chunk(detector, jnp.arange(detector.sensors.count)), colours).charge, axis=1)


@eqx.filter_jit
def charges(detector, event, seed, count=2048):
    return indirect(detector, event, seed, count)


def over_seeds(detector, event, seeds, count=2048):
    return np.array([charges(detector, event, jnp.asarray(seed), count) for seed in range(seeds)])


def law(surface=False, rayleigh=1.0, asymmetry=0.8, specular=0.0, lobe=0.3, count=1):
    """`count` vertices of one law."""
    numbers = (jnp.full(count, x) for x in (rayleigh, asymmetry, specular, lobe))
    return Law(jnp.full(count, surface), *numbers)


LAWS = (law(), law(rayleigh=0.3), law(surface=True), law(surface=True, specular=0.6), law(surface=True, specular=1.0))


@pytest.mark.parametrize("of", LAWS)
def test_densities_are_normalised_and_drawn(of):
    """∫ f dω = 1 by Gauss and the trapezoidal rule (1e-6), and the mean of what is drawn is ∫ f ω dω, 200,000 draws,
    4 standard errors. Incidence at 60°, so that part of the lobe is folded up."""
    incoming, normal = jnp.asarray([[math.sqrt(0.75), 0.0, -0.5]]), jnp.asarray([[0.0, 0.0, 1.0]])
    nodes, weights = np.polynomial.legendre.leggauss(200)
    low, high = 0.5 * (nodes - 1), 0.5 * (nodes + 1)
    z, weights = np.concatenate([low, high]), 0.5 * np.concatenate([weights, weights])
    turn = 2 * np.pi * (np.arange(400) + 0.5) / 400
    sine = np.sqrt(1 - z**2)[:, None]
    grid = np.stack([sine * np.cos(turn), sine * np.sin(turn), np.broadcast_to(z[:, None], (400, 400))], axis=-1)
    measure = weights[:, None] * 2 * np.pi / 400
    there = np.asarray(density(of, jnp.asarray(grid) @ incoming[0], jnp.asarray(grid[..., 2]), jnp.asarray(0.5)))
    assert np.sum(there * measure) == pytest.approx(1.0, abs=1e-6)
    mean = np.einsum("ij,ij,ijk->k", there, measure, grid)
    count = 200_000
    many = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count,)), of)
    drawn = draw(
        many,
        jnp.broadcast_to(incoming, (count, 3)),
        jnp.broadcast_to(normal, (count, 3)),
        jax.random.uniform(jax.random.key(1), (3, count)),
    )
    error = np.std(drawn, axis=0) / math.sqrt(count)
    np.testing.assert_array_less(np.abs(np.mean(drawn, axis=0) - mean), 4 * error + 1e-12)


def test_rayleigh_scattering_has_the_second_moment_of_two_fifths():
    """E[cos²θ] = 2/5 from 200,000 draws, 4 standard errors; E[cos θ] = 0."""
    count = 200_000
    axis = jnp.broadcast_to(jnp.asarray([0.0, 0.6, 0.8]), (count, 3))
    drawn = draw(law(count=count), axis, -axis, jax.random.uniform(jax.random.key(0), (3, count)))
    cosine = np.asarray(jnp.sum(drawn * axis, axis=1))
    assert abs(np.mean(cosine**2) - 0.4) < 4 * np.std(cosine**2) / math.sqrt(count)
    assert abs(np.mean(cosine)) < 4 * np.std(cosine) / math.sqrt(count)


def test_solid_angle_from_the_rim_is_right_on_average():
    """The mean over 64 turns of the eight points is the rule with 512: against 2π (1 − h/√(h² + a²)) on the axis, and far
    off it against the sum over the disc's area, 1e-6."""
    turns = jnp.arange(64) / 64
    on_axis = jnp.mean(rim_solid_angle(jnp.asarray(0.1), jnp.asarray(0.0), jnp.asarray(1.0), turns))
    assert float(on_axis) == pytest.approx(2 * math.pi * (1 - 0.1 / math.sqrt(1.01)), rel=1e-6)
    radius, weights = np.polynomial.legendre.leggauss(200)
    radius, weights = 0.5 * (radius + 1), 0.5 * weights
    turn = 2 * np.pi * np.arange(400) / 400
    squared = 0.4**2 + (radius[:, None] * np.cos(turn) - 1.3) ** 2 + (radius[:, None] * np.sin(turn)) ** 2
    summed = np.sum(0.4 / squared**1.5 * (radius * weights)[:, None]) * 2 * np.pi / 400
    aside = jnp.mean(rim_solid_angle(jnp.asarray(0.4), jnp.asarray(1.3**2), jnp.asarray(1.0), turns))
    assert float(aside) == pytest.approx(summed, rel=1e-6)


def test_a_white_sphere_gives_all_light_to_its_sensors():
    """What the wall reflects without loss is detected in the end, whatever its lobes: with a lamp in the centre and coverage f
    the indirect light is (1 − f)/f of the direct. 20 seeds, 4 standard errors."""
    coverage = 0.3
    detector = with_surfaces(tanks.sphere(3000.0, 60, tanks.plain_sensor(), coverage), Reflector(0.1, 1.0, 0.3))
    lamp = Primary("point", (0.0, 0.0, 0.0), kinetic_energy=20.0)
    direct = float(jnp.sum(OpticalSimulator().expected(detector, lamp).charge))
    totals = over_seeds(detector, lamp, 20).sum(axis=1)
    assert abs(totals.mean() - direct * (1 - coverage) / coverage) < 4 * totals.std() / math.sqrt(20)


@pytest.mark.slow
@pytest.mark.parametrize("surfaces", [True, False])
def test_unbiased_against_a_photon_tracer(surfaces):
    """The total of 30 seeds and 10⁶ photons within 4 standard errors of both; pulls of the sensors of unit width, 37 of them:
    χ² within its 4 standard deviations."""
    detector = tank()
    if not surfaces:
        detector = eqx.tree_at(lambda d: (d.wall, d.sensors.glass), detector, (None, None))
    photons = 1_000_000
    _, counts, _ = photon_tracer.trace(detector, LAMP.vertex, photons, 1)
    scale = 20_000 / photons
    seeds = 30
    found = over_seeds(detector, LAMP, seeds)
    error = math.hypot(found.sum(axis=1).std() / math.sqrt(seeds), math.sqrt(counts.sum()) * scale)
    assert abs(found.sum(axis=1).mean() - counts.sum() * scale) < 4 * error
    pulls = (found.mean(axis=0) - counts * scale) / np.sqrt(found.var(axis=0) / seeds + counts * scale**2)
    assert np.sum(pulls**2) < len(pulls) + 4 * math.sqrt(2 * len(pulls))


@pytest.mark.slow
def test_twice_the_walks_halve_the_variance():
    """Mean variance over sensors with 1,024 and 2,048 walks, 60 seeds each: the ratio of two is known to 4 × √(2/60 × 2/10),
    ten sensors being as good as independent."""
    few, many = (over_seeds(tank(), LAMP, 60, count).var(axis=0) for count in (1024, 2048))
    assert float(np.mean(few / many)) == pytest.approx(2.0, abs=4 * 2 * math.sqrt(2 / 60 * 2 / 10))


CHANGES = {
    "absorption": (0.02, lambda x: lambda d, e: (_scaled(d, lambda d: d.medium.absorption_length, x), e)),
    "scattering": (0.02, lambda x: lambda d, e: (_scaled(d, lambda d: d.medium.rayleigh_length, x), e)),
    "albedo": (0.02, lambda x: lambda d, e: (_scaled(d, lambda d: d.wall.diffuse, x), e)),
    "glass": (0.05, lambda x: lambda d, e: (_scaled(d, lambda d: d.sensors.glass.specular, x), e)),
    "vertex": (
        0.02,
        lambda x: lambda d, e: (d, eqx.tree_at(lambda e: e.vertex, e, e.vertex + jnp.asarray([1e3 * x, 0, 0]))),
    ),
    "places": (0.01, lambda x: lambda d, e: (_scaled(d, lambda d: d.sensors.uv, x), e)),
    "discs": (0.02, lambda x: lambda d, e: (_scaled(d, lambda d: d.sensors.radius, x), e)),
    "radius": (0.01, lambda x: lambda d, e: (_scaled(d, lambda d: d.volume.radius, x), e)),
    "height": (0.01, lambda x: lambda d, e: (_scaled(d, lambda d: d.volume.height, x), e)),
}


def _scaled(detector, where, x):
    return eqx.tree_at(where, detector, where(detector) * (1 + x))


@pytest.mark.slow
def test_gradients_are_those_of_the_mean_over_seeds():
    """Derivative of the total, mean of 40 seeds, against central differences of it with the same seeds; both errors are
    taken from the scatter over seeds, of which 4. Without the terms of rims that of "discs" would be 2.5 times too large."""
    detector, seeds = tank(), 40

    def total(xs, seed):
        there, event = detector, LAMP
        for x, (_, change) in zip(xs, CHANGES.values(), strict=True):
            there, event = change(x)(there, event)
        return jnp.sum(indirect(there, event, seed))

    value, gradient = eqx.filter_jit(total), eqx.filter_jit(jax.grad(total))
    still = jnp.zeros(len(CHANGES))
    slopes = np.array([gradient(still, jnp.asarray(seed)) for seed in range(seeds)])
    assert np.isfinite(slopes).all()
    for index, (name, (step, _)) in enumerate(CHANGES.items()):
        there = still.at[index].set(step)
        differences = [
            float(value(there, jnp.asarray(s)) - value(-there, jnp.asarray(s))) / (2 * step) for s in range(seeds)
        ]
        error = math.sqrt((slopes[:, index].var() + np.var(differences)) / seeds)
        assert abs(slopes[:, index].mean() - np.mean(differences)) < 4 * error, name


def test_single_scattering_in_a_sphere():
    """One scattering towards one disc on a black sphere: ∫ d³x e^{−μr}/(4πr²) μ_s p(cos) Ω e^{−μd} on a grid of 60³ points, to
    1 % of the grid and of double scattering (0.5 % at μ_s R = 0.01), and 4 standard errors."""
    kind = tanks.plain_sensor(150.0)
    sphere = Sphere(2000.0)
    sensors = PhotosensorArray(np.array([[0.0, 0.0, 1.0]]), np.zeros(1, int), (kind,))
    detector = Detector(sphere, Water(1e15, 200e3), sensors)
    lamp = Primary("point", (600.0, 0.0, -300.0), kinetic_energy=2000.0)
    found = over_seeds(detector, lamp, 40)[:, 0]
    nodes, weights = np.polynomial.legendre.leggauss(60)
    # Spherical coordinates about the lamp, whose 1/r² they take away.
    cosine, turn = nodes, 2 * np.pi * (np.arange(60) + 0.5) / 60
    sine = np.sqrt(1 - cosine**2)[:, None]
    way = np.stack([sine * np.cos(turn), sine * np.sin(turn), np.broadcast_to(cosine[:, None], (60, 60))], axis=-1)
    source = np.asarray(lamp.vertex)
    b = way @ source
    reach = np.sqrt(b**2 - source @ source + 2000.0**2) - b
    x = source + (0.5 * (nodes + 1))[:, None, None, None] * reach[..., None] * way
    to_disc = np.array([0.0, 0.0, 2000.0]) - x
    distance = np.linalg.norm(to_disc, axis=-1)
    height = to_disc[..., 2]
    solid = np.pi * 150.0**2 * height / (height**2 + (distance**2 - height**2) + 0.75 * 150.0**2) ** 1.5
    phase = 3 / (16 * np.pi) * (1 + (np.sum(to_disc * way, axis=-1) / distance) ** 2)
    density_of = 0.5 * weights[:, None, None] * reach * weights[None, :, None] * (2 * np.pi / 60) / (4 * np.pi)
    geometric = np.sum(density_of * phase * solid)
    wavelength = np.linspace(300.0, 700.0, 4001)
    rate = np.asarray(detector.medium.scattering_coefficient(wavelength)) * kind.detection_efficiency(wavelength)
    expected = 2000 * 1000 * np.trapezoid(rate, wavelength) / 400 * geometric
    assert abs(found.mean() - expected) < 4 * found.std() / math.sqrt(40) + 0.015 * expected


def test_numbers_of_walks_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="indirect.count.*multiple of 512"):
        Walks(1000)
