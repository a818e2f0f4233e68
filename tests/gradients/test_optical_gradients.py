"""The gradient of the design objective, log σ of an event's parameters, by everything that is built.

Against central differences in float64: 1e-5 relative (Richardson's extrapolation of steps 1e-4 and 5e-5 in natural units
leaves 1e-8 even where light is made beside a sensor and the objective bends within millimetres; rounding adds 1e-13 over
the step, 1e-9). Taylor slope 2.0 ± 0.05. At the edges of the parametrisation values and gradients stay finite.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import studio
from studio import OpticalSimulator, Primary, fisher_information
from studio.design.gradient_check import check_gradient
from studio.units import m
from tests import tanks

pytestmark = pytest.mark.slow  # minutes on two cores: compilation and Monte Carlo

# Natural units of the leaves: uv as it is, 0.1 m, 1 m, 1 m, 100 m.
SCALES = {
    "sensors.uv": 1.0,
    "sensors.radius": 0.1 * m,
    "volume.radius": 1.0 * m,
    "volume.height": 1.0 * m,
    "medium.absorption_length": 100.0 * m,
}
SIMULATOR = OpticalSimulator(segments=16, kink_modes=2)
# Of a difference quotient: 1e-13 of an objective of 5 over the step.
ROUNDING = 1e-9


@functools.cache
def tank():
    return tanks.cylinder()


@functools.cache
def compiled(particle):
    """Value and gradient of the objective by (design in natural units, event); one compilation a particle."""

    wanted = ("vertex", "kinetic_energy") if particle == "point" else ("vertex", "direction", "kinetic_energy")

    def objective(design, event):
        detector = studio.replace(tank(), {path: design[path] * SCALES[path] for path in SCALES})
        return jnp.mean(jnp.log(fisher_information(SIMULATOR, detector, event, wanted).sigma()))

    return jax.jit(jax.value_and_grad(objective))


def random_design(seed):
    generator = np.random.default_rng(seed)
    moves = {"sensors.uv": 0.03, "sensors.radius": 0.2, "volume.radius": 0.1, "volume.height": 0.2}
    design = {path: np.asarray(studio.get(tank(), path)) / SCALES[path] for path in SCALES}
    for path, size in moves.items():
        design[path] = design[path] + size * generator.uniform(-1, 1, design[path].shape)
    return design


def random_event(particle, seed):
    """A contained one: no light within 0.4 m of the wall."""
    generator = np.random.default_rng(100 + seed)
    energy, length = {"mu-": (280.0, 1.4 * m), "e-": (120.0, 1.4 * m), "point": (2.0, 0.4 * m)}[particle]
    while True:
        vertex, direction = generator.uniform(-0.5, 0.5, 3) * m, generator.standard_normal(3)
        event = Primary(particle, vertex, direction, energy)
        if float(tank().volume.distance_to_wall(event.vertex, event.direction)) > length:
            return event


def central(value, step):
    """Derivative at 0 of a function of one number, to fourth order."""
    slope = lambda h: (value(h) - value(-h)) / (2 * h)  # noqa: E731
    return (4 * slope(step / 2) - slope(step)) / 3


def verify(particle, seed):
    design, event = random_design(seed), random_event(particle, seed)
    both = compiled(particle)
    gradient = {path: np.asarray(leaf) for path, leaf in both(design, event)[1].items()}
    generator = np.random.default_rng(seed)
    for path in SCALES:
        along = generator.standard_normal(np.shape(design[path]))

        def moved(step, path=path, along=along):
            return float(both({**design, path: design[path] + step * along}, event)[0])

        assert np.sum(gradient[path] * along) == pytest.approx(central(moved, 1e-4), rel=1e-5, abs=ROUNDING), path

    # And the single coordinate that matters most.
    largest = np.unravel_index(np.argmax(np.abs(gradient["sensors.uv"])), gradient["sensors.uv"].shape)

    def one(step):
        uv = design["sensors.uv"].copy()
        uv[largest] += step
        return float(both({**design, "sensors.uv": uv}, event)[0])

    assert gradient["sensors.uv"][largest] == pytest.approx(central(one, 1e-4), rel=1e-5)

    check = check_gradient(
        lambda point: float(both(dict(point), event)[0]),
        lambda point: {path: np.asarray(leaf) for path, leaf in both(dict(point), event)[1].items()},
        design,
        seed=seed,
        tolerance=0.05,
    )
    assert check.passed, check.message
    for leaf, slope in check.slopes.items():
        assert slope == pytest.approx(2.0, abs=0.05), leaf


@pytest.mark.parametrize("particle", ["point", "e-"])
def test_gradient_at_a_random_design(particle):
    verify(particle, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradient_by_muons_at_random_designs(seed):
    verify("mu-", seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("particle", ["point", "e-"])
def test_gradient_at_more_random_designs(particle, seed):
    verify(particle, seed)


def require_finite(particle, event, design=None):
    design = random_design(0) if design is None else design
    value, gradient = compiled(particle)(design, event)
    assert np.isfinite(float(value))
    for path, leaf in gradient.items():
        assert np.all(np.isfinite(leaf)), path


ENERGIES = {"mu-": 280.0, "e-": 120.0}
EDGES = {
    "vertex at the centre": ((0.0, 0.0, 0.0), (1.0, 0.3, 0.2)),
    "up": ((100.0, 50.0, -300.0), (0.0, 0.0, 1.0)),
    "down": ((100.0, 50.0, 300.0), (0.0, 0.0, -1.0)),
    "along the axis of the tank": ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "across, in the plane z = 0": ((100.0, 0.0, 0.0), (1.0, 0.0, 0.0)),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("particle", ["e-", pytest.param("mu-", marks=pytest.mark.slow)])
def test_edges_are_finite(particle, edge):
    vertex, direction = EDGES[edge]
    require_finite(particle, Primary(particle, vertex, direction, ENERGIES[particle]))


@pytest.mark.parametrize("particle", ["e-", pytest.param("mu-", marks=pytest.mark.slow)])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_sensor_exactly_on_the_axis_of_the_track_is_finite(particle, side):
    # The undisturbed grid has one sensor at the centre of each cap and the track runs into it, or away from it.
    design = {path: np.asarray(studio.get(tank(), path)) / SCALES[path] for path in SCALES}
    assert np.any(np.all(design["sensors.uv"] == 0.0, axis=1))
    event = Primary(particle, (0.0, 0.0, -200.0 * side), (0.0, 0.0, side), ENERGIES[particle])
    require_finite(particle, event, design)


def test_point_source_at_the_centre_is_finite():
    design = {path: np.asarray(studio.get(tank(), path)) / SCALES[path] for path in SCALES}
    require_finite("point", Primary("point", (0.0, 0.0, 0.0), kinetic_energy=2.0), design)


# 50.3 MeV is the Cherenkov threshold of muons at 280 nm.
@functools.cache
def light():
    def total(design, event):
        detector = studio.replace(tank(), {path: design[path] * SCALES[path] for path in SCALES})
        arrivals = SIMULATOR.arrivals(detector, event)
        return jnp.sum(arrivals.charge) + jnp.sum(jnp.where(arrivals.charge > 0.1, arrivals.pulse.moments()[0], 0.0))

    return jax.jit(jax.value_and_grad(total, argnums=(0, 1)))


@pytest.mark.parametrize("energy", [20.0, 49.0, 50.0, 50.3, 51.0, 53.0, 56.0, 70.0])
def test_light_around_the_threshold_is_finite(energy):
    value, gradients = light()(random_design(0), Primary("mu-", (100.0, 50.0, -300.0), (1.0, 0.2, 0.1), energy))
    assert np.isfinite(float(value))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradients))


@pytest.mark.slow
@pytest.mark.parametrize("energy", [56.0, 70.0])
def test_information_just_above_the_threshold_is_finite(energy):
    require_finite("mu-", Primary("mu-", (100.0, 50.0, -300.0), (1.0, 0.2, 0.1), energy))
