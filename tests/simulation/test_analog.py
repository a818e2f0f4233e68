"""The analog Monte Carlo against what is known exactly: solid angles, absorption, Frank and Tamm, slowing down.

Counts are Poisson, so every tolerance on them is a number of standard deviations of the count itself.
"""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import chi2

from studio._checks import InputError
from studio.constants import FINE_STRUCTURE, MUON_MASS, SPEED_OF_LIGHT
from studio.detector import Detector, PhotosensorArray, sensor_type
from studio.detector.layouts import fibonacci_sphere, grid
from studio.event import Primary, delta_rays, shower, stack
from studio.event.energy_loss import beta, csda_range, kinetic_energy_at
from studio.event.scattering import scattering_power
from studio.geometry import Box, Cylinder, Sphere
from studio.medium import Water
from studio.simulation.optical import analog_muon
from studio.simulation.optical.analog import AnalogResult, analog
from studio.simulation.optical.analog_wall import Discs

TYPE = sensor_type("r3600_20_inch")
CLEAR = Water(absorption_length=1e15, rayleigh_length=1e15)
WAVELENGTH = np.linspace(280.0, 700.0, 8401)


def ball(count: int = 300, radius: float = 5000.0, medium: Water = CLEAR, types=(TYPE,), kind=None) -> Detector:
    layout = fibonacci_sphere(count)
    sensors = PhotosensorArray(layout, np.zeros(count, int), types, kind=kind)
    return Detector(Sphere(radius), medium, sensors)


def point_light(detector: Detector, distance: float = 0.0) -> float:
    """Detectable photons left of one emitted evenly over 300-700 nm, after a distance in mm."""
    lost = np.exp(-distance * np.asarray(detector.medium.extinction_coefficient(WAVELENGTH)))
    inside = (WAVELENGTH >= 300) & (WAVELENGTH <= 700)
    return float(trapezoid(TYPE.detection_efficiency(WAVELENGTH) * lost * inside / 400.0, WAVELENGTH))


def track_light(detector: Detector, inverse_beta: np.ndarray) -> np.ndarray:
    """Detectable photons per mm (PDG 2022, eq. 34.45)."""
    index = np.asarray(detector.medium.refractive_index(WAVELENGTH))
    sine_squared = np.maximum(1 - (inverse_beta[:, None] / index) ** 2, 0.0)
    spectrum = 2 * np.pi * FINE_STRUCTURE * 1e6 / WAVELENGTH**2 * sine_squared
    return trapezoid(spectrum * TYPE.detection_efficiency(WAVELENGTH), WAVELENGTH, axis=-1)


@functools.cache
def central_source(attenuated: bool) -> tuple[Detector, AnalogResult]:
    detector = ball(medium=Water() if attenuated else CLEAR)
    return detector, analog(detector, Primary("point", kinetic_energy=200.0), seed=11, events=200)


@pytest.mark.parametrize("attenuated", [False, True])
def test_a_central_source_lights_every_sensor_by_its_solid_angle(attenuated):
    # Ω = 2π (1 − h/√(h² + a²)) on the axis of a disc; path lengths to it differ by 0.03 %
    detector, result = central_source(attenuated)
    height, radius = 5000.0, TYPE.radius
    share = 0.5 * (1 - height / np.hypot(height, radius))
    distance = height * (1 + 0.25 * (radius / height) ** 2) if attenuated else 0.0
    expected = 200_000 * 200 * share * point_light(detector, distance)
    total = expected * len(result.counts)
    assert abs(result.counts.sum() - total) < 4 * np.sqrt(total)
    # χ² of 300 Poisson counts around their common mean, within its 1e-4 limits
    statistic = np.sum((result.counts - expected) ** 2 / expected)
    assert chi2.ppf(1e-4, len(result.counts)) < statistic < chi2.ppf(1 - 1e-4, len(result.counts))


def test_arrival_is_at_group_velocity_and_the_first_hit_is_the_earliest_of_its_event():
    # times R n_g(λ)/c with the spectrum's own weights; the first of Poisson(Q) of them
    detector, result = central_source(False)
    inside = (WAVELENGTH >= 300) & (WAVELENGTH <= 700)
    weight = TYPE.detection_efficiency(WAVELENGTH) * inside
    path = 5000.0 * (1 + 0.25 * (TYPE.radius / 5000.0) ** 2)
    time = path * np.asarray(detector.medium.group_index(WAVELENGTH)) / SPEED_OF_LIGHT
    mean = np.average(time, weights=weight)
    spread = np.sqrt(np.average((time - mean) ** 2, weights=weight))
    error = spread / np.sqrt(result.counts.sum())
    assert abs(np.average(result.mean_time, weights=result.counts) - mean) < 4 * error + 1e-4  # 1e-4: single precision
    order = np.argsort(time)
    charge = result.charge.mean()
    later = np.exp(-charge * np.cumsum(weight[order]) / weight.sum())
    first = time[order][0] + trapezoid((later - np.exp(-charge)) / -np.expm1(-charge), time[order])
    error = np.sqrt(np.mean(result.first_hit_error**2) / len(result.counts))
    assert abs(np.mean(result.first_hit_time) - first) < 4 * error + 2e-3  # 2e-3: path differences over the face


def test_a_disc_off_the_axis_takes_its_solid_angle():
    # Ω by integration of h/d³ over a disc one radius away sideways and 1.2 radii up
    detector = ball(count=1, radius=5000.0)
    centre, normal = np.asarray(detector.placed.positions[0]), np.asarray(detector.placed.normals[0])
    radius = TYPE.radius
    across = np.linalg.svd(normal[None])[2][1:]
    source = centre + 1.2 * radius * normal + radius * across[0]
    ring, turn = np.meshgrid((np.arange(400) + 0.5) / 400, 2 * np.pi * (np.arange(400) + 0.5) / 400)
    q = radius * ring[..., None] * (np.cos(turn)[..., None] * across[0] + np.sin(turn)[..., None] * across[1])
    distance = np.linalg.norm(centre + q - source, axis=-1)
    element = ring * radius**2 / 400 * 2 * np.pi / 400
    solid_angle = np.sum(1.2 * radius / distance**3 * element)
    result = analog(detector, Primary("point", vertex=source, kinetic_energy=1000.0), seed=3, events=20)
    expected = 20e6 * solid_angle / (4 * np.pi) * point_light(detector)
    assert abs(result.counts[0] - expected) < 4 * np.sqrt(expected)
    assert expected > 50_000


def test_sensor_types_detect_by_their_own_efficiency():
    # two types in turn on a sphere: their ratio is that of the detected light, and of the relative efficiency
    other = sensor_type("box_and_line_20_inch")
    detector = ball(medium=CLEAR, types=(TYPE, other), kind=np.arange(300) % 2)
    sensors = detector.sensors
    halved = PhotosensorArray(sensors.uv, sensors.patch, sensors.types, sensors.kind, efficiency=np.array([0.5, 1.0]))
    detector = Detector(detector.volume, detector.medium, halved)
    counts = analog(detector, Primary("point", kinetic_energy=200.0), seed=5, events=100).counts
    inside = (WAVELENGTH >= 300) & (WAVELENGTH <= 700)
    first, second = (trapezoid(kind.detection_efficiency(WAVELENGTH) * inside, WAVELENGTH) for kind in (TYPE, other))
    measured = counts[::2].sum() / counts[1::2].sum()
    error = measured * np.sqrt(1 / counts[::2].sum() + 1 / counts[1::2].sum())
    ratio = 0.5 * first / second * (TYPE.radius / other.radius) ** 2
    assert abs(measured - ratio) < 4 * error


@pytest.mark.parametrize("process", [False, True])
def test_a_contained_muon_emits_frank_and_tamm_and_its_delta_rays(process):
    # ∫ ds (cone + δ-ray light per length × light of β = 1); range straggling averages out to first order, 0.1 % is its second
    detector = ball(count=1, radius=20000.0)
    event = Primary("mu-", vertex=(-1000.0, 0, 0), direction=(1.0, 0, 0), kinetic_energy=500.0)
    result = analog(detector, event, seed=1, events=150, process=process)
    residual = np.linspace(1.0, float(csda_range(500.0)), 20001)
    energy = kinetic_energy_at(residual)
    own = trapezoid(track_light(detector, 1 / np.asarray(beta(energy))), residual)
    above = energy > (1 / np.sqrt(1 - 1.3640**-2) - 1) * MUON_MASS  # n = 1.3640 at 282 nm, where sensors begin to see
    length = trapezoid(np.asarray(jax.vmap(delta_rays.light_per_length)(energy)) * above, residual)
    expected = 150 * (own + length * float(track_light(detector, np.ones(1))[0]))
    assert abs(result.emitted - expected) < 4 * np.sqrt(expected) + 1e-3 * expected


def test_an_electron_emits_the_light_of_its_shower():
    detector = ball(count=1, radius=20000.0)
    event = Primary("e-", kinetic_energy=300.0)
    result = analog(detector, event, seed=1, events=60)
    expected = 60 * float(shower.equivalent_length(300.0)) * float(track_light(detector, np.ones(1))[0])
    assert abs(result.emitted - expected) < 4 * np.sqrt(expected) + 3e-4 * expected  # 3e-4: wavelength grids differ


def test_a_straight_muon_sends_its_light_to_the_cherenkov_angle():
    # cos θ = 1/nβ: between those of 280 and 660 nm, on average that of the detected spectrum
    detector = ball(count=1, radius=20000.0)
    event = Primary("mu-", direction=(0, 0, 1.0), kinetic_energy=20000.0)
    emitter = analog_muon.muon_emitter(detector, event, process=False)
    without_delta_rays = eqx.tree_at(lambda source: source.delta, emitter.source, jnp.float32(0.0))
    photons = emitter.draw(without_delta_rays, emitter.spectrum, jax.random.key(0), 1 << 14)
    cosine = np.asarray(photons.direction[2])[np.asarray(photons.made)]
    inverse = 1 / np.asarray(detector.medium.refractive_index(WAVELENGTH))
    seen = (WAVELENGTH > 280) & (WAVELENGTH < 660)
    assert inverse[seen].min() - 1e-4 < cosine.min() < cosine.max() < inverse[seen].max() + 1e-4
    weight = TYPE.detection_efficiency(WAVELENGTH) * (1 - inverse**2) / WAVELENGTH**2
    mean = np.average(inverse, weights=weight)
    assert abs(cosine.mean() - mean) < 4 * cosine.std() / np.sqrt(len(cosine)) + 1e-5  # 1e-5: β falls along the track


def test_tracks_scatter_as_their_law_says():
    # plane variance of the direction: ∫ scattering power ds; of the displacement: ∫ (L − s)² power ds
    detector = ball(count=1, radius=20000.0)
    event = Primary("mu-", direction=(0, 0, 1.0), kinetic_energy=2000.0)
    source = analog_muon.muon_emitter(detector, event, process=True).source
    tracks = [analog_muon.follow(source, jax.random.key(seed)) for seed in range(24)]
    length = np.concatenate([np.asarray(t.length) for t in tracks])
    nodes = np.concatenate([np.asarray(t.nodes).reshape(len(t.length), -1, 6) for t in tracks])
    half = nodes.shape[1] // 2  # half way, where angles are still small: 2 % cos-like corrections beyond
    path = np.linspace(0, 0.5 * length.mean(), 2001)
    power = np.asarray(scattering_power(kinetic_energy_at(float(csda_range(2000.0)) - path)))
    angle = trapezoid(power, path)
    displacement = trapezoid((path[-1] - path) ** 2 * power, path)
    samples = 2 * len(length)
    error = 4 * np.sqrt(2 / samples)  # of a variance from normal samples, 4σ
    assert np.mean(nodes[:, half, 3:5] ** 2) / angle == pytest.approx(1, abs=error + 0.01)
    assert np.mean(nodes[:, half, :2] ** 2) / displacement == pytest.approx(1, abs=error + 0.01)
    assert np.allclose(np.sum(nodes[:, :, 3:] ** 2, axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "volume",
    [Cylinder(1500.0, 2600.0), Sphere(2000.0), Box((3000.0, 2000.0, 2500.0))],
    ids=["cylinder", "sphere", "box"],
)
def test_every_ray_finds_the_disc_that_a_search_of_all_discs_finds(volume):
    # rays of all kinds, half of them starting within 5 cm of the wall and grazing it
    if isinstance(volume, Sphere):
        patch, uv = np.zeros(150, int), fibonacci_sphere(150)
    else:
        patch, uv = grid(volume, 420.0, 180.0)
    radius = np.where(np.arange(len(patch)) % 2, 180.0, 120.0)
    detector = Detector(volume, CLEAR, PhotosensorArray(uv, patch, (TYPE,), radius=radius))
    random = np.random.default_rng(1)
    direction = random.normal(size=(40000, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    start = np.zeros((40000, 3))
    wall = np.asarray(volume.distance_to_wall(jnp.asarray(start), jnp.asarray(direction)))
    depth = np.where(random.random(40000) < 0.5, random.random(40000) * wall, wall - 50 * random.random(40000))
    start = direction * np.maximum(depth, 0)[:, None]
    direction = random.normal(size=(40000, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    sensor, distance = found(Discs.of(detector), start, direction)
    true_sensor, true_distance, clearance = all_discs(detector, start, direction)
    differs = sensor != true_sensor
    assert np.all(clearance[differs] < 0.1)  # mm from the rim: rounding of single precision
    assert differs.mean() < 1e-3
    hit = ~differs & (sensor < len(patch))
    assert hit.mean() > 0.05
    assert np.allclose(distance[hit], true_distance[hit], rtol=1e-3, atol=0.2)


def found(discs: Discs, start: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    position, heading = jnp.asarray(start.T, jnp.float32), jnp.asarray(direction.T, jnp.float32)
    sensor, distance, inner, outer = discs.meet(position, heading)
    searched = discs.search(position, heading, inner, outer)
    grazing = np.asarray(outer - inner > 2 * discs.margin)
    return np.where(grazing, searched[0], sensor), np.where(grazing, searched[1], distance)


def all_discs(detector: Detector, start: np.ndarray, direction: np.ndarray):
    """The first disc met by each ray, its distance, and how close to a rim of any disc the ray passes."""
    centre, normal, radius = (np.asarray(x) for x in detector.placed)
    approach = direction @ normal.T
    distance = np.einsum("sk,sk->s", centre, normal) - start @ normal.T
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(approach < 0, distance / approach, np.inf)
        off = np.stack([start[:, k, None] + distance * direction[:, k, None] - centre[:, k] for k in range(3)])
        to_rim = np.linalg.norm(off, axis=0) - radius
        met = (distance > 0) & (to_rim < 0) & np.isfinite(distance)
    first = np.where(met, distance, np.inf)
    sensor = np.where(met.any(axis=1), first.argmin(axis=1), len(radius))
    return sensor, first.min(axis=1), np.nanmin(np.abs(to_rim), axis=1)


def test_an_empty_place_detects_nothing_and_changes_no_other():
    # the faces do not overlap, so with the same random numbers every other sensor sees the very same photons
    detector, event = ball(count=50), Primary("point", kinetic_energy=100.0)
    every_other = eqx.tree_at(lambda d: d.sensors.weight, detector, jnp.asarray(np.arange(50) % 2, float))
    full, half = (analog(d, event, seed=1, events=20) for d in (detector, every_other))
    assert full.counts.min() > 0
    assert np.array_equal(half.counts, np.where(np.arange(50) % 2, full.counts, 0))
    assert np.array_equal(half.first_hit_time[1::2], full.first_hit_time[1::2])
    assert np.all(np.isnan(half.first_hit_time[::2]))


def test_one_seed_gives_one_result():
    detector = ball(count=50)
    event = Primary("mu-", kinetic_energy=300.0)
    first, second, other = (analog(detector, event, seed=seed, events=20) for seed in (1, 1, 2))
    assert np.array_equal(first.counts, second.counts)
    assert np.array_equal(first.first_hit_time, second.first_hit_time, equal_nan=True)
    assert not np.array_equal(first.counts, other.counts)


def test_bad_input_is_named():
    detector = ball(count=10)
    with pytest.raises(InputError, match="events: not positive"):
        analog(detector, Primary("point"), seed=0, events=0)
    with pytest.raises(InputError, match="not a stack"):
        analog(detector, stack([Primary("point"), Primary("point")]), seed=0, events=1)
    relaxed = eqx.tree_at(lambda d: d.sensors.weight, detector, jnp.ones(10).at[3:5].set(0.3))
    with pytest.raises(
        InputError, match=r"sensors.weight: .* 2 places are neither empty nor a whole.*0\.3.*round them"
    ):
        analog(relaxed, Primary("point"), seed=0, events=1)
