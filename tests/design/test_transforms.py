"""A bound is a bijection: `inverse(forward(w)) = w`, every value is allowed, and derivatives are finite everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.design import (
    Angle,
    Columnwise,
    DesignSpace,
    Disc,
    Free,
    Interval,
    Positive,
    Rowwise,
    Simplex,
    Unbounded,
    UnitVector,
)

BARREL_AND_CAPS = Rowwise((Columnwise(Angle(), Interval(-1, 1)), Disc(1.0)), np.array([0, 1, 1, 0, 1]))

CASES = {
    "unbounded": (Unbounded(), (4,)),
    "positive": (Positive(), (4,)),
    "interval": (Interval(-2.0, 5.0), (4,)),
    "angle": (Angle(), (4,)),
    "disc": (Disc(3.0), (5, 2)),
    "unit vectors": (UnitVector(), (5, 3)),
    "simplex": (Simplex(), (6,)),
    "rows": (BARREL_AND_CAPS, (5, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_survive_the_round_trip(name):
    bound, shape = CASES[name]
    values = bound.forward(np.random.default_rng(0).normal(size=shape))
    again = bound.forward(bound.inverse(values))
    assert np.max(bound.excess(values)) <= 0
    np.testing.assert_allclose(again, values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_every_coordinate_gives_an_allowed_value_with_finite_derivatives(name):
    bound, shape = CASES[name]

    @jax.jit
    def with_derivatives(w):
        return bound.forward(w), jax.jacfwd(bound.forward)(w), jax.jacfwd(jax.jacrev(bound.forward))(w)

    for scale in (0.0, 1e-8, 1e-2, 1.0, 30.0):
        coordinates = scale * np.random.default_rng(1).normal(size=shape)
        coordinates = np.asarray(bound.neutral(coordinates)) if scale == 0.0 else coordinates
        values, first, second = with_derivatives(coordinates)
        assert np.all(np.isfinite(values))
        assert np.max(bound.excess(values)) <= 0
        assert np.all(np.isfinite(first))
        assert np.all(np.isfinite(second))


@pytest.mark.parametrize("name", CASES)
def test_the_derivative_matches_central_differences(name):
    bound, shape = CASES[name]
    generator = np.random.default_rng(2)
    coordinates, direction = generator.normal(size=shape), generator.normal(size=shape)
    step = 1e-6  # error of the central difference: about step^2 = 1e-12 and rounding of 1e-16 / step = 1e-10

    @jax.jit
    def exact_and_numerical(w, v):
        difference = bound.forward(w + step * v) - bound.forward(w - step * v)
        return jax.jvp(bound.forward, (w,), (v,))[1], difference / (2 * step)

    exact, numerical = exact_and_numerical(coordinates, direction)
    np.testing.assert_allclose(exact, numerical, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_samples_are_allowed_and_retraction_keeps_the_value(name):
    bound, shape = CASES[name]
    generator = np.random.default_rng(3)
    start = np.asarray(bound.forward(generator.normal(size=shape)))
    sampled = bound.sample(generator.uniform(1e-3, 1 - 1e-3, shape), start)
    assert np.max(bound.excess(sampled)) <= 0
    coordinates = generator.normal(size=shape)
    np.testing.assert_allclose(bound.forward(bound.retract(coordinates)), bound.forward(coordinates), atol=1e-12)


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("positive", "simplex")])
def test_steepening_gives_the_gradient_by_values_in_natural_units(name):
    bound, shape = CASES[name]
    generator = np.random.default_rng(4)
    coordinates, by_value = generator.normal(size=shape), generator.normal(size=shape)
    if name == "unit vectors":
        by_value -= (
            np.sum(by_value * coordinates, -1, keepdims=True) * coordinates / np.sum(coordinates**2, -1, keepdims=True)
        )
        coordinates /= np.linalg.norm(coordinates, axis=-1, keepdims=True)
    width = {"interval": 3.5, "disc": 3.0}.get(name, 1.0)

    @jax.jit
    def steepened(w, g):
        return bound.steepen(w, jax.vjp(bound.forward, w)[1](g)[0])

    np.testing.assert_allclose(steepened(coordinates, by_value), width * by_value, rtol=1e-9, atol=1e-12)


def test_the_centre_of_a_disc_is_smooth():
    disc = Disc(2.0)
    np.testing.assert_allclose(jax.jacfwd(disc.forward)(jnp.zeros(2)), 2.0 * np.eye(2), atol=1e-15)
    inside, outside = (disc.forward(jnp.array([1e-2 * (1 + side * 1e-9), 0.0])) for side in (-1, 1))
    # The series and the quotient meet where the branch changes.
    np.testing.assert_allclose(inside, outside, rtol=3e-9)


@pytest.mark.parametrize(
    ("bound", "start", "nearby"),
    [
        (Interval(0.0, 8.0), np.array([0.0, 8.0, 4.0]), 8.0 * 1e-3),
        (Disc(3.0), np.array([[3.0, 0.0], [0.0, 0.0]]), 3.0 * 1e-3),
        (Simplex(), np.array([0.0, 0.25, 0.75]), 1e-3),
    ],
)
def test_a_start_on_the_edge_is_moved_just_inside(bound, start, nearby):
    space = DesignSpace.of({"x": start}, {"x": bound})
    moved = space.leaves(space.pack({"x": start}))["x"]
    assert np.all(np.isfinite(moved))
    np.testing.assert_allclose(moved, start, atol=1.001 * nearby)


@pytest.mark.parametrize(
    ("bound", "start", "said"),
    [
        (
            Interval(0.0, 8.0),
            [1.0, 9.0],
            r"x: the start lies outside its bound at index 1 \(received 9\.0\).*between 0 and 8",
        ),
        (Positive(), [1.0, -2.0], r"at index 1 \(received -2\.0\).*above zero"),
        (Positive(), [1.0, 0.0], r"at index 1.*above zero"),
        (Disc(1.0), [[0.0, 0.5], [1.0, 1.0]], r"at index 1 \(received \[1\.0, 1\.0\]\).*disc of radius 1"),
        (UnitVector(), [[0.0, 0.0, 2.0]], r"unit length"),
        (Simplex(), [0.5, 0.6], r"add up to one"),
        (Unbounded(), [1.0, np.nan], r"not finite in 1 of 2 elements"),
    ],
)
def test_a_start_outside_is_refused_with_place_value_and_remedy(bound, start, said):
    with pytest.raises(InputError, match=said):
        DesignSpace.of({"x": np.array(start)}, {"x": bound})


def test_rows_of_another_kind_do_not_disturb_each_other():
    # Row 0 is a barrel row at three turns of azimuth, far outside any disc; its neighbours are discs.
    values = np.array([[6 * np.pi, 0.5], [0.1, 0.2], [-0.9, 0.3], [2.0, -0.9], [0.0, 0.0]])
    coordinates = BARREL_AND_CAPS.inverse(values)
    np.testing.assert_allclose(BARREL_AND_CAPS.forward(coordinates), values, atol=1e-12)
    jacobian = jax.jacfwd(BARREL_AND_CAPS.forward)(coordinates)
    for row in range(5):
        others = [other for other in range(5) if other != row]
        assert np.all(jacobian[row][:, others] == 0)
    assert np.all(np.isfinite(jacobian))


def test_bad_bounds_are_refused():
    with pytest.raises(InputError, match="rising order"):
        Interval(2.0, 1.0)
    with pytest.raises(InputError, match="positive"):
        Disc(-1.0)
    with pytest.raises(InputError, match="index of one of 2 bounds"):
        Rowwise((Disc(1.0), UnitVector()), [0, 2])
    with pytest.raises(InputError, match="one index per row"):
        DesignSpace.of({"x": np.zeros((3, 2))}, {"x": Rowwise((Disc(1.0),), [0, 0])})
    with pytest.raises(InputError, match="one bound per column"):
        DesignSpace.of({"x": np.zeros((3, 2))}, {"x": Free(Columnwise(Angle()))})
