"""Derivatives of the shaped response and of the transparency by every number of the geometry.

Against central differences in float64, as L2 norms over planes, wires, impacts and ticks: relative 1e-4, the truncation of
differences being below 1e-6 and that of the ways' nodes, which derivatives hold and differences move, some 1e-5. Taylor: |f(x + h d) − f(x) − h ∇f·d| falls as h to the power 2.0 ± 0.1.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import studio
from tests.simulation.tpc.shaping import pulse

TICK = 200.0
TIME = np.arange(100) * TICK + 15_000.0
IMPACTS = (-0.35, 0.1, 0.2, 0.43)
PULSE = jnp.asarray(pulse(60, TICK) * TICK)

# What is varied, its value and the step of differences; 30 mm of drift keep the window short.
VALUES = {
    "pitch": (jnp.array([3.0, 3.05, 2.95]), 1e-4),
    "gap": (jnp.array([3.0, 3.1]), 1e-4),
    "bias": (jnp.array([-110.0, 5.0, 230.0]), 1e-2),
    "wire_radius": (jnp.array([0.075, 0.07, 0.08]), 1e-6),
    "drift_field": (jnp.array(27.3, float), 1e-3),
    "mesh_distance": (jnp.array(12.0, float), 1e-3),
}
POINT = {name: value for name, (value, _) in VALUES.items()}


def response(point):
    above, below = point["gap"]
    return studio.field_response(
        point["pitch"],
        jnp.stack([above + below, below, 0.0 * below]),
        point["bias"],
        point["drift_field"],
        wire_radius=point["wire_radius"],
        mesh_distance=point["mesh_distance"],
        impacts=IMPACTS,
        time=TIME,
        start=30.0,
        wires=21,
    )


@jax.jit
def shaped(point):
    current = response(point).current
    folded = jax.vmap(lambda line: jnp.convolve(line, PULSE)[: len(TIME)])(current.reshape(-1, len(TIME)))
    return folded.reshape(current.shape)


def unit(name, index):
    """The direction that changes one number."""
    direction = jax.tree.map(jnp.zeros_like, POINT)
    changed = jnp.ones(()) if index is None else jnp.zeros_like(POINT[name]).at[index].set(1.0)
    return {**direction, name: changed}


def moved(point, direction, step):
    return jax.tree.map(lambda value, change: value + step * change, point, direction)


DIRECTIONS = [
    (name, index) for name, (value, _) in VALUES.items() for index in (range(value.size) if value.ndim else [None])
]

pushed = jax.jit(lambda point, direction: jax.jvp(shaped, (point,), (direction,))[1])


@pytest.mark.parametrize(("name", "index"), DIRECTIONS)
def test_response_follows_the_geometry(name, index):
    direction, step = unit(name, index), VALUES[name][1]
    derivative = pushed(POINT, direction)
    difference = (shaped(moved(POINT, direction, step)) - shaped(moved(POINT, direction, -step))) / (2 * step)
    error = jnp.linalg.norm(derivative - difference) / jnp.linalg.norm(difference)
    print(name, index, f"{float(error):.1e}")
    assert error < 1e-4


def test_taylor_slope_of_an_objective():
    """A scalar of the shaped response by reverse mode, as an optimiser would use it."""
    weights = jnp.asarray(np.random.default_rng(1).normal(size=shaped(POINT).shape))

    @jax.jit
    def objective(point):
        values = shaped(point)
        return jnp.sum(values**2) * 1e5 + jnp.sum(weights * values)

    value, gradient = jax.jit(jax.value_and_grad(objective))(POINT)
    generator = np.random.default_rng(2)
    direction = jax.tree.map(lambda leaf: leaf * jnp.asarray(generator.uniform(-0.2, 0.2, leaf.shape)), POINT)
    slope = sum(jnp.sum(a * b) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    steps = np.array([2e-2, 1e-2, 5e-3, 2.5e-3])
    errors = [abs(float(objective(moved(POINT, direction, step)) - value - step * slope)) for step in steps]
    orders = np.diff(np.log(errors)) / np.diff(np.log(steps))
    print(errors, orders)
    np.testing.assert_allclose(orders, 2.0, atol=0.1)


# Where the planes are opaque: a wide gap, which loses electrons to the first plane; an open field behind, to beyond the last.
OPAQUE = {
    "wide gap": {**POINT, "gap": jnp.array([5.0, 5.2]), "drift_field": jnp.array(40.0, float)},
    "strong drift field": {**POINT, "drift_field": jnp.array(50.0, float)},
}


transparency = jax.jit(lambda point: response(point).transparency)
slopes = jax.jit(jax.grad(lambda point: response(point).transparency))


@pytest.mark.parametrize("name", OPAQUE)
def test_transparency_follows_the_geometry(name):
    """Differences within 1e-4 of the derivative, or of the largest one for the same kind of number."""
    point = OPAQUE[name]
    value, gradient = transparency(point), slopes(point)
    assert 0.1 < value < 0.99
    for key, index in DIRECTIONS:
        step, direction = VALUES[key][1], unit(key, index)
        difference = (transparency(moved(point, direction, step)) - transparency(moved(point, direction, -step))) / (
            2 * step
        )
        derivative = gradient[key] if index is None else gradient[key][index]
        print(name, key, index, float(derivative), float(difference))
        largest = float(jnp.max(jnp.abs(gradient[key])))
        assert float(derivative) == pytest.approx(float(difference), rel=1e-4, abs=1e-4 * largest + 1e-8)
