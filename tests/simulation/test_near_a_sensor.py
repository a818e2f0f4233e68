"""Tracks that begin right in front of a sensor: everything stays finite and positive, in double and in single precision.

There the approximations of small angles explain more of the spread of arrival times than there is, light of the cone is nothing
but rounding, and pulses without light lie a thousand widths away.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio import OpticalSimulator, Primary
from studio.paths import replace
from studio.simulation.optical.face import unskewed
from studio.study.optical import OpticalPhysics
from tests import tanks

SIMULATOR = OpticalSimulator(segments=8, wavelengths=21, degree=4, kink_modes=8, process=False)


def in_front_of_sensors(detector, count):
    """Muons of 80 to 1,000 MeV, 3 to 600 mm in front of sensors, flying anywhere."""
    generator = np.random.default_rng(5)
    which = generator.integers(detector.sensors.count, size=count)
    normals = np.asarray(detector.placed.normals)[which]
    aside = generator.normal(0.0, 150.0, (count, 3))
    aside -= np.sum(aside * normals, axis=1, keepdims=True) * normals
    height = 10 ** generator.uniform(0.5, 2.8, (count, 1))
    vertices = np.asarray(detector.placed.positions)[which] + height * normals + aside
    inside = np.asarray(detector.volume.contains(jnp.asarray(vertices)))
    directions, energies = generator.normal(size=(count, 3)), generator.uniform(80.0, 1000.0, count)
    return Primary("mu-", vertices[inside], directions[inside], energies[inside])


@pytest.mark.parametrize("precision", [lambda tree: tree, tanks.single], ids=["double", "single"])
def test_light_is_finite_and_positive(precision):
    detector = tanks.cylinder(3710.0, 6000.0, 600.0)
    events = in_front_of_sensors(detector, 300)
    assert events.count > 250

    @jax.jit
    def of(detector, events):
        def one(event):
            return SIMULATOR.expected(detector, event), SIMULATOR.arrivals(detector, event).pulse

        return jax.lax.map(one, events)

    mean, pulse = of(precision(detector), precision(jax.tree.map(jnp.asarray, events)))
    for leaf in jax.tree.leaves((mean, pulse)):
        assert np.all(np.isfinite(np.asarray(leaf)))
    for positive in (mean.charge, mean.time_spread, pulse.share, pulse.over_face, pulse.other):
        assert float(jnp.min(positive)) >= 0


def test_first_hits_of_bright_sensors_in_single_precision():
    """Spreads of first hits against double precision. Rounding of the part of 100 photoelectrons that has arrived long before
    the first one used to count with the square of how long: a third of the spread, or none that is a number. A faint, very
    skew group used to stretch the nodes of the integral over 700 ns: 2 % in either precision. What is left is 0.2 %."""
    detector = tanks.cylinder(3710.0, 6000.0, 600.0)
    events = jax.tree.map(jnp.asarray, in_front_of_sensors(detector, 300))
    spread = jax.jit(
        lambda detector, events: jax.lax.map(lambda event: SIMULATOR.expected(detector, event).time_spread, events)
    )
    double, single = spread(detector, events), spread(tanks.single(detector), tanks.single(events))
    np.testing.assert_allclose(np.asarray(single), np.asarray(double), rtol=0.005)


def test_derivatives_of_resolutions_in_single_precision():
    """Derivatives by all positions of sensors against double precision, event by event. Three defects made one in a hundred wrong, or
    not a number: faint light of a cone was the difference of two steps and nothing but rounding, its derivative was not;
    quotients of charges left the range of single precision in their second derivatives; and the end of a track that leaves through a
    face lay before or behind its plane by rounding. What is left is rounding: 7e-5 in the median, 1.0e-3 at most."""
    detector = tanks.cylinder()
    generator = np.random.default_rng(7)
    normals = np.asarray(detector.placed.normals)
    which = np.repeat(np.arange(detector.sensors.count), 2)
    aside = np.cross(generator.normal(0.0, 150.0, (which.size, 3)), normals[which])
    height = 10 ** generator.uniform(1.5, 2.8, (which.size, 1))
    vertices = np.asarray(detector.placed.positions)[which] + height * normals[which] + aside
    ways = normals[which] + 0.6 * generator.normal(size=(which.size, 3))
    inside = np.asarray(detector.volume.contains(jnp.asarray(vertices))) & (np.sum(ways * normals[which], axis=1) > 0.3)
    events = Primary("mu-", vertices[inside], ways[inside], generator.uniform(100.0, 250.0, which.size)[inside])
    place, way = generator.uniform(-900, 900, (40, 3)), generator.normal(size=(40, 3))
    leaving = Primary("mu-", place, way, generator.uniform(150.0, 500.0, 40))
    events = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), events, leaving)
    assert events.count > 120
    uv = jnp.asarray(detector.sensors.uv)

    def slopes(single):
        physics = OpticalPhysics(simulator=SIMULATOR, single=single)

        def of(uv, event):
            return jnp.sum(jnp.log(physics.resolution(replace(detector, {"sensors.uv": uv}), event)))

        return np.asarray(jax.jit(lambda events: jax.lax.map(lambda event: jax.grad(of)(uv, event), events))(events))

    exact, found = slopes(False), slopes(True)
    assert np.all(np.isfinite(found))
    off = np.linalg.norm(found - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))
    assert np.max(off) < 2e-3


def test_paths_to_a_face_that_arrival_angles_seem_to_explain_altogether():
    """A muon of 150 MeV that ends before a module of IWCD, one seed of a fit: the spread of the paths over the module's face that
    is left when the angle is known was negative, and its first hit not a number."""
    iwcd = studio.load_detector(Path(__file__).parents[2] / "geometries" / "iwcd.yaml")
    seed = Primary("mu-", (2847.05911476, 138.89225957, 1507.79113924), (0.98498518, 0.17198244, -0.01504104), 150.0)
    pulse, time = jax.jit(lambda: (SIMULATOR.arrivals(iwcd, seed).pulse, SIMULATOR.expected(iwcd, seed).time))()
    assert float(jnp.min(pulse.over_face)) >= 0
    assert np.all(np.isfinite(np.asarray(time)))


def test_a_skewed_variable_far_beyond_its_turning_point_in_single_precision():
    """Against double precision, with its slope: float32 has 6e-8, and the square root there doubles what relative error is
    left of some ten operations."""
    far = np.array([-3000.0, -300.0, -10.0, 0.0, 10.0, 300.0])
    for bend in (-0.02, 0.0, 1e-4, 0.02, 0.3):
        rows = []
        for dtype in (jnp.float64, jnp.float32):
            value, slope = jax.jvp(
                lambda x, bend=bend, dtype=dtype: unskewed(x, jnp.asarray(bend, dtype)),
                (jnp.asarray(far, dtype),),
                (jnp.ones(len(far), dtype),),
            )
            rows.append(np.stack([value, slope]).astype(float))
        np.testing.assert_allclose(rows[1], rows[0], rtol=2e-5, atol=2e-5)
