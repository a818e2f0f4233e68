"""The face of a sensor: solid angle against the exact integral, blurred edge against an exact convolution.

- Solid angle of a disc of radius a from distance d, any direction above its plane: relative error below 1e-2 (d = 1.5 a),
  1e-3 (2 a), 2e-5 (3 a), 1e-6 (5 a), 1e-9 (10 a); four Gauss nodes leave the 8th power of a/d, which these follow.
- Blurred step against semicircle ∗ Gaussian: 0.65 % of the full step at most, 0.12 % where one of them dominates;
  mean, variance and fourth moment agree; the blurred density is its slope.
- Mean and variance of the emission angle's cosine over the face against a sum over its points, from ten radii to 0.3.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from studio.simulation.optical.face import blurred_density, blurred_part, disc_solid_angle
from studio.simulation.optical.sources import Sensors, sight


def exact_solid_angle(height, lateral, radius):
    """Around the foot of the perpendicular: ∫ dφ (cos of the polar angle at the near rim − at the far rim)."""
    if lateral <= radius:

        def beneath(phi):
            rim = -lateral * np.cos(phi) + np.sqrt(radius**2 - (lateral * np.sin(phi)) ** 2)
            return 1 - height / np.hypot(height, rim)

        return 2 * quad(beneath, 0, math.pi, epsabs=1e-13, epsrel=1e-12, limit=400)[0]

    def beside(phi):
        half = np.sqrt(max(radius**2 - (lateral * np.sin(phi)) ** 2, 0.0))
        middle = lateral * np.cos(phi)
        return height / np.hypot(height, middle - half) - height / np.hypot(height, middle + half)

    return 2 * quad(beside, 0, np.arcsin(radius / lateral), epsabs=1e-13, epsrel=1e-12, limit=400)[0]


def solid_angle(height, lateral, radius):
    return float(disc_solid_angle(jnp.asarray(height), jnp.asarray(lateral**2), jnp.asarray(radius)))


@pytest.mark.parametrize(
    ("distance", "tolerance"), [(1.5, 1e-2), (2.0, 1e-3), (3.0, 2e-5), (5.0, 1e-6), (10.0, 1e-9), (30.0, 1e-11)]
)
@pytest.mark.parametrize("radius", [40.0, 254.0])
def test_solid_angle_is_exact_at_any_angle(distance, tolerance, radius):
    angles = np.deg2rad([0.0, 10.0, 30.0, 50.0, 70.0, 80.0, 88.0])
    for height, lateral in zip(distance * radius * np.cos(angles), distance * radius * np.sin(angles), strict=True):
        exact = exact_solid_angle(height, lateral, radius)
        assert solid_angle(height, lateral, radius) == pytest.approx(exact, rel=tolerance)


def test_solid_angle_at_one_radius_on_the_axis():
    # 2π (1 − 1/√2); the truncated 8th power is worth 1 % here and nowhere in a detector is light made closer.
    assert solid_angle(254.0, 0.0, 254.0) == pytest.approx(2 * math.pi * (1 - math.sqrt(0.5)), rel=1e-2)


def test_far_away_it_is_the_projected_area_over_the_square():
    # The next term of the expansion is of order (a/d)² = 1e-6.
    for angle in (0.0, 0.5, 1.2):
        far = solid_angle(1e5 * math.cos(angle), 1e5 * math.sin(angle), 100.0)
        assert far == pytest.approx(math.pi * 100.0**2 * math.cos(angle) / 1e10, rel=4e-6)


def test_nothing_is_seen_from_behind_and_derivatives_stay_finite():
    radius = jnp.asarray(254.0)
    for height in (-1000.0, 0.0):
        value, slope = jax.value_and_grad(disc_solid_angle)(jnp.asarray(height), jnp.asarray(1e6), radius)
        assert float(value) == pytest.approx(0.0, abs=1e-12)
        assert np.isfinite(float(slope))


def test_solid_angle_derivatives_against_finite_differences():
    # Second derivatives too: central differences of the gradient, h = 1e-3 mm of 600 mm, leave 1e-7 of rounding.
    def angle(point):
        return disc_solid_angle(point[0], point[1] ** 2, point[2])

    point, step = jnp.asarray([600.0, 300.0, 254.0]), 1e-2
    for derivative in (angle, jax.grad(angle)):
        exact = jax.jacobian(derivative)(point)
        numeric = jnp.stack(
            [(derivative(point + step * e) - derivative(point - step * e)) / (2 * step) for e in jnp.eye(3)], axis=-1
        )
        np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-12)


def exact_step(x, share):
    """The cumulative of a semicircle of variance `share` folded with a Gaussian of variance 1 − `share`: Gauss–Chebyshev
    sum of 2,000 nodes."""
    angle = math.pi * np.arange(1, 2001) / 2001
    weight = 2 / 2001 * np.sin(angle) ** 2
    width = math.sqrt(max(1 - share, 1e-12))
    return ndtr((x[:, None] - 2 * math.sqrt(share) * np.cos(angle)) / width) @ weight


def step(x, share):
    return np.asarray(up_to(x, share, 1 - share))


def up_to(x, *blur):
    """The part of a disc before x: from so far away that there is none before."""
    x = jnp.asarray(x)
    return blurred_part(jnp.stack([jnp.full_like(x, -100.0), x]), *(jnp.asarray(value) for value in blur))


@pytest.mark.parametrize(
    ("share", "tolerance"),
    [(0.0, 1e-12), (0.1, 5e-4), (0.3, 5e-4), (0.5, 5e-4), (0.8, 5e-4), (0.9, 1.5e-3), (0.96, 3e-3), (1.0, 6e-3)],
)
def test_blurred_part_is_a_semicircle_folded_with_a_gaussian(share, tolerance):
    x = np.linspace(-5.0, 5.0, 1001)
    assert np.max(np.abs(step(x, share) - exact_step(x, share))) < tolerance


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_blurred_part_has_the_moments_of_the_convolution(share):
    # Excess fourth moment of a semicircle: 2 V² instead of 3 V²; of the sum: 3 − κ². The polynomial's own is 0.5 % off.
    x = np.linspace(-9.0, 9.0, 18001)
    middle, density = 0.5 * (x[1:] + x[:-1]), np.diff(step(x, share))
    assert density.sum() == pytest.approx(1.0, abs=1e-9)
    assert density @ middle == pytest.approx(0.0, abs=1e-9)
    assert density @ middle**2 == pytest.approx(1.0, rel=1e-3)
    assert density @ middle**4 == pytest.approx(3 - share**2, rel=1e-2)


def test_blurred_part_scales_with_its_width():
    x = np.linspace(-3.0, 3.0, 41)
    wide = up_to(7.0 * x, 49.0 * 0.4, 49.0 * 0.6)
    np.testing.assert_allclose(wide, step(x, 0.4), atol=1e-14)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_small_parts_keep_their_precision_in_single_precision(share):
    """Between edges up to seven widths before and behind the centre, down to 1e-12 of the disc, against double precision: value and
    slope. Rounding of such a distance x alone changes exp(−x²/2) by 7² · 6e-8 = 3e-6, that of a few steps by ten times as much."""
    first = np.linspace(-7.0, 7.0, 57, dtype=np.float32)
    edges = np.stack([first, first + np.float32(0.25)])

    def part(edges):
        blur = (jnp.asarray(value, edges.dtype) for value in (share, 1 - share))
        return blurred_part(edges, *blur)

    def both(dtype):
        edge = jnp.asarray(edges, dtype)
        return jax.jvp(part, (edge,), (jnp.ones_like(edge),))

    for single, double in zip(both(jnp.float32), both(jnp.float64), strict=True):
        assert float(jnp.min(jnp.abs(double))) < 1e-9
        np.testing.assert_allclose(np.asarray(single), np.asarray(double), rtol=3e-5, atol=0)


@pytest.mark.parametrize("skewness", [-1.0, -0.3, 0.3, 1.0])
def test_third_moment_is_that_asked_for(skewness):
    # The parabola x + γ/6 (x² − 1) has the skewness γ − 5γ³/108 …; beyond its turning point the floor of the root adds a tail.
    x = np.linspace(-12.0, 12.0, 24001)
    cumulative = np.asarray(up_to(x, 0.0, 1.0, skewness))
    middle, density = 0.5 * (x[1:] + x[:-1]), np.diff(cumulative)
    assert np.all(density >= 0)
    assert density @ middle == pytest.approx(0.0, abs=0.02)
    assert density @ middle**2 == pytest.approx(1.0, abs=0.03)
    assert density @ middle**3 == pytest.approx(skewness, rel=0.15)


def test_solid_angle_is_positive_and_below_half_the_sphere_close_by():
    height, offset = np.meshgrid(np.geomspace(1e-2, 2000.0, 80), np.linspace(0.0, 2000.0, 81))
    value = np.asarray(disc_solid_angle(jnp.asarray(height), jnp.asarray(offset**2), jnp.full(height.shape, 254.0)))
    assert np.all(value > 0)
    assert np.all(value <= 2 * math.pi)


# Distance in radii, the cosine at the face, and how well the mean and the variance of the cosine over the face are met:
# the variance relative to the largest of any direction.
SEEN_FROM = [
    *[(10.0, facing, 2e-5, 0.01) for facing in (1.0, 0.7, 0.3)],
    *[(3.0, facing, 3e-4, 0.02) for facing in (1.0, 0.7, 0.3)],
    *[(2.0, facing, 3e-3, 0.06) for facing in (1.0, 0.7, 0.3)],
    *[(1.0, facing, 0.02, 0.2) for facing in (1.0, 0.8)],
    *[(0.3, facing, 0.06, 0.3) for facing in (1.0, 0.7)],
]


@pytest.mark.parametrize(("distance", "facing", "off", "variance_off"), SEEN_FROM)
def test_cosines_over_the_face_against_integration_over_its_points(distance, facing, off, variance_off):
    turn = 2 * np.pi * (np.arange(300) + 0.5) / 300
    ring = np.sqrt((np.arange(300) + 0.5) / 300)[:, None]
    face = np.stack([(ring * np.cos(turn)).ravel(), (ring * np.sin(turn)).ravel(), np.zeros(90_000)], axis=1)
    source = distance * np.array([np.sqrt(1 - facing**2), 0.0, facing])
    way = face - source
    length = np.linalg.norm(way, axis=1)
    way, weight = way / length[:, None], -way[:, 2] / length**3
    directions = np.concatenate([np.eye(3), [[0.6, 0.48, 0.64], [-0.6, 0.64, -0.48]]])
    cosine = way @ directions.T
    mean = np.average(cosine, axis=0, weights=weight)
    variance = np.average((cosine - mean) ** 2, axis=0, weights=weight)
    sensor = Sensors(
        jnp.zeros((1, 3)),
        jnp.asarray([[0.0, 0.0, 1.0]]),
        jnp.ones(1),
        jnp.zeros(1, int),
        jnp.ones(1),
        jnp.zeros(1, int),
    )
    seen = sight(sensor, jnp.broadcast_to(source, (5, 3)), jnp.asarray(directions))
    np.testing.assert_allclose(seen.cosine[0], mean, atol=off)
    np.testing.assert_allclose(seen.face_variance[0], variance, atol=variance_off * variance.max())


def test_blurred_density_and_its_slope_against_differences():
    x, step = np.linspace(-3, 3, 13), 1e-5
    rise = blurred_part(jnp.asarray([x - step, x + step]), 0.7, 0.3)
    (density, slope), (ahead, _), (behind, _) = (
        blurred_density(jnp.asarray(at), jnp.asarray(0.7), jnp.asarray(0.3)) for at in (x, x + step, x - step)
    )
    np.testing.assert_allclose(density, rise / (2 * step), rtol=1e-6)
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-9)
