"""Scattering and reflection in the analog Monte Carlo, against what is known exactly.

Counts are Poisson, so every tolerance on them is a number of standard deviations of the count itself.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio.constants import SPEED_OF_LIGHT
from studio.detector import Detector, PhotosensorArray, Reflector, sensor_type
from studio.detector.layouts import fibonacci_sphere, grid
from studio.event import Primary
from studio.geometry import Box, Cylinder, Sphere
from studio.medium import Water
from studio.simulation.optical.analog import analog
from studio.simulation.optical.analog_flight import _reflected, _scattered

TYPE = sensor_type("r3600_20_inch")
CLEAR = Water(absorption_length=1e12, rayleigh_length=1e12)
RADIUS = 5000.0


def ball(uv: np.ndarray, wall=None, glass=None, medium: Water = CLEAR, radius: float = RADIUS) -> Detector:
    sensors = PhotosensorArray(uv, np.zeros(len(uv), int), (TYPE,), glass=glass)
    return Detector(Sphere(radius), medium, sensors, wall=wall)


def draws(count: int = 400_000) -> jax.Array:
    return jax.random.uniform(jax.random.key(5), (4, count), jnp.float32)


@pytest.mark.parametrize("asymmetry", [0.0, 0.9, -0.4])
def test_scattering_has_the_moments_of_its_law_and_the_old_direction_as_its_axis(asymmetry):
    # Rayleigh 3/8 (1 + c²): E[c] = 0, E[c²] = 2/5; Henyey–Greenstein: E[c] = g, E[c²] = (1 + 2 g²)/3
    random = draws()
    count = random.shape[1]
    direction = jnp.broadcast_to(jnp.asarray([[0.6], [0.0], [0.8]], jnp.float32), (3, count))
    for grains, mean, square in ((False, 0.0, 0.4), (True, asymmetry, (1 + 2 * asymmetry**2) / 3)):
        after = _scattered(direction, jnp.float32(asymmetry), jnp.full(count, grains), random)
        cosine = np.asarray(jnp.sum(after * direction, axis=0), float)
        assert abs(cosine.mean() - mean) < 4 * cosine.std() / np.sqrt(count)
        assert abs(np.mean(cosine**2) - square) < 4 * np.std(cosine**2) / np.sqrt(count)
        sideways = np.asarray(after[1], float)  # across the old direction: as much to either side
        assert abs(sideways.mean()) < 4 * sideways.std() / np.sqrt(count)


def test_reflection_goes_into_the_mirrored_lobe_as_schlick_says_and_else_by_lambert():
    # incidence 60°: R = r₀ + (1 − r₀)/32; Lambert: E[cos] = 2/3; a narrow lobe has the mean cosine 1 − w² to the mirror
    random = draws()
    count = random.shape[1]
    normal = jnp.broadcast_to(jnp.asarray([[0.0], [0.0], [1.0]], jnp.float32), (3, count))
    down = jnp.asarray([[np.sqrt(0.75)], [0.0], [-0.5]], jnp.float32)
    direction = jnp.broadcast_to(down, (3, count))
    specular, albedo, width = 0.3, 0.5, 0.1
    makeup = jnp.broadcast_to(jnp.asarray([[specular], [albedo], [width]], jnp.float32), (3, count))
    after, returns = (np.asarray(x) for x in _reflected(direction, normal, makeup, random))
    share = specular + (1 - specular) / 32
    shiny = np.asarray(random[0]) < share
    total = share + (1 - share) * albedo
    assert abs(returns.mean() - total) < 4 * np.sqrt(total * (1 - total) / count)
    assert np.all(after[2] >= 0)
    mirror = np.array([np.sqrt(0.75), 0.0, 0.5])
    to_mirror = mirror @ after[:, shiny].astype(float)
    # the lobe lies 5 widths above the surface: nothing is folded
    assert abs(to_mirror.mean() - (1 - width**2)) < 4 * to_mirror.std() / np.sqrt(shiny.sum()) + 1e-6
    rise = after[2, ~shiny].astype(float)
    assert abs(rise.mean() - 2 / 3) < 4 * rise.std() / np.sqrt(len(rise))


def test_a_mirror_sends_the_light_of_a_central_source_back_through_it():
    # one tube at the top: light going down comes back to it, once: r₀ times the direct light, after three radii
    specular, radius = 0.1, 1000.0
    detector = ball(np.array([[0.0, 0.0, 1.0]]), wall=Reflector(specular, 0.0, 0.01), radius=radius)
    event = Primary("point", kinetic_energy=1000.0)
    result = analog(detector, event, seed=3, events=60, indirect=True)
    direct, indirect = int(result.direct_counts[0]), int(result.counts[0] - result.direct_counts[0])
    # a lobe of 10 mrad moves 20 mm in a flight: as much in as out over the rim the first time. Later some of what had missed
    # the tube wanders in, of two flights 2 × 28 mm/(√(2π) a) = 9 % of r₀²: 1 % of the whole
    ratio = indirect / direct
    assert abs(ratio - specular) < 4 * ratio * np.sqrt(1 / direct + 1 / indirect) + 0.02 * specular
    straight = analog(detector, event, seed=3, events=60)
    assert straight.counts[0] == direct
    flight = straight.mean_time[0]
    expected = flight * (1 + 3 * ratio) / (1 + ratio)
    # 1 %: path differences over the face, and light that came more than three radii
    assert abs(result.mean_time[0] - expected) < 4 * result.time_spread[0] / np.sqrt(direct + indirect) + 0.01 * flight
    assert flight > radius / SPEED_OF_LIGHT


def test_a_white_sphere_shares_out_what_it_reflects():
    # Lambert's law in a sphere lights all of it evenly: indirect/direct = ρ(1 − f)/(1 − (1 − f) ρ'), where ρ' is the mean
    # reflectance of light that comes in by Lambert's cosine, 1/21 + (20/21) ρ with Schlick's law and r₀ = 0
    detector = ball(fibonacci_sphere(300), wall=Reflector(0.0, 0.1, 0.3))
    covered = 300 * 0.5 * (1 - RADIUS / np.hypot(RADIUS, TYPE.radius))
    result = analog(detector, Primary("point", kinetic_energy=500.0), seed=4, events=100, indirect=True)
    direct, indirect = result.direct_counts.sum(), (result.counts - result.direct_counts).sum()
    expected = 0.1 * (1 - covered) / (1 - (1 - covered) * (1 / 21 + 20 / 21 * 0.1))
    ratio = indirect / direct
    # the lobe at grazing incidence, 4 % of the second reflections and of 1/10 of the light, lands elsewhere: 0.4 %
    assert abs(ratio - expected) < 4 * ratio * np.sqrt(1 / indirect + 1 / direct) + 4e-3 * expected


def test_scattering_alone_moves_light_about_and_loses_none():
    # even light from the centre: as much ends on the tubes with scattering as without, e^(−R/L) of it straight
    length = 4000.0
    medium = Water(absorption_length=1e12, rayleigh_length=length)
    events = 100
    scattered = analog(
        ball(fibonacci_sphere(300), medium=medium), Primary("point", kinetic_energy=500.0), 6, events, indirect=True
    )
    clear = analog(ball(fibonacci_sphere(300)), Primary("point", kinetic_energy=500.0), 6, events)
    pair = np.array([scattered.counts.sum(), clear.counts.sum()], float)
    # discs stand out of the sphere by a/R: oblique light meets up to 2 % more or less of them
    assert abs(pair[0] / pair[1] - 1) < 4 * np.sqrt(np.sum(1 / pair)) + 0.02
    wavelength = np.linspace(300.0, 700.0, 2001)
    weight = TYPE.detection_efficiency(wavelength)
    left = np.average(np.exp(-RADIUS * np.asarray(medium.scattering_coefficient(wavelength))), weights=weight)
    straight = scattered.direct_counts.sum()
    assert abs(straight - left * pair[1]) < 4 * np.sqrt(straight + left**2 * pair[1])


@pytest.mark.parametrize("volume", [Cylinder(32_000.0, 65_000.0), Box((9000.0, 30_000.0, 2000.0)), Sphere(19_500.0)])
def test_no_photon_leaks_through_a_wall(volume):
    # a wall that keeps nothing: every photon goes on until a tube detects it, in single precision, at any size
    if isinstance(volume, Cylinder):
        layout = grid(volume, 4000.0, TYPE.radius)
        patch, uv = layout
    elif isinstance(volume, Box):
        turn = np.random.default_rng(1).uniform(-0.8, 0.8, (300, 2))
        uv, patch = turn, np.arange(300) % 6
    else:
        uv, patch = fibonacci_sphere(300), np.zeros(300, int)
    detector = Detector(volume, CLEAR, PhotosensorArray(uv, patch, (TYPE,)), wall=Reflector(0.0, 1.0, 0.3))
    vertex = (0.3 * 9000.0, 0.4 * 9000.0, 0.1 * 2000.0)
    result = analog(detector, Primary("point", vertex=vertex, kinetic_energy=10.0), seed=1, events=2, indirect=True)
    assert result.emitted > 1000
    assert result.counts.sum() == result.emitted


def test_light_off_a_tube_does_not_meet_the_same_tube_again():
    # a single tube with white glass and black walls: nothing that it reflects can come back
    events, event = 20, Primary("point", vertex=(0.0, 0.0, RADIUS - 400.0), kinetic_energy=300.0)
    one = np.array([[0.0, 0.0, 1.0]])
    black = analog(ball(one), event, 2, events)
    white = analog(ball(one, glass=Reflector([0.5], [1.0], [0.3])), event, 2, events, indirect=True)
    assert white.counts[0] == white.direct_counts[0]
    both = int(white.counts[0]), int(black.counts[0])
    assert abs(both[0] - both[1]) < 4 * np.sqrt(sum(both))


def test_tubes_facing_each_other_see_what_the_other_reflects():
    # two tubes across the sphere, mirrors of 50 %: light that the lower one does not detect comes back to the upper one,
    # (1 − ε) r₀ of what would be detected there, wavelength by wavelength
    pair = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    detector = ball(pair, glass=Reflector([0.5], [0.0], [0.01]))
    result = analog(detector, Primary("point", kinetic_energy=4000.0), seed=8, events=60, indirect=True)
    wavelength = np.linspace(300.0, 700.0, 4001)
    efficiency = TYPE.detection_efficiency(wavelength)
    back = 0.5 * (1 - efficiency)
    once = np.sum(efficiency * back) / np.sum(efficiency)
    # flat mirrors spread light: after one, the image of the source is three radii away, 1/9 of the solid angle, lit evenly: the
    # lobe moves 0.1 m, and the rim of the light is 0.5 m away
    direct, indirect = result.direct_counts.sum(), (result.counts - result.direct_counts).sum()
    shares = [np.sum(efficiency * back**k) / np.sum(efficiency) / (2 * k + 1) ** 2 for k in range(1, 6)]
    ratio, expected = indirect / direct, sum(shares)
    assert once / 9 < expected
    assert abs(ratio - expected) < 4 * ratio * np.sqrt(1 / direct + 1 / indirect)


def test_the_same_seed_follows_the_same_photons_in_another_medium():
    # 1 % less absorption length: the difference of the counts is that of few photons, not of two independent runs
    few = [
        analog(
            ball(fibonacci_sphere(100), wall=Reflector(0.0, 0.5, 0.3), medium=Water(absorption_length=length)),
            Primary("point", kinetic_energy=300.0),
            seed=9,
            events=20,
            indirect=True,
        ).counts
        for length in (20_000.0, 20_200.0)
    ]
    total = few[0].sum()
    assert total > 20_000
    assert np.sum(np.abs(few[1] - few[0])) < 0.3 * np.sum(np.sqrt(2 * few[0]))
    assert few[1].sum() > total
