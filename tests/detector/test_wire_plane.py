"""Wires against their construction point by point: where they stand, how long they are, how many there are."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.detector import DriftVolumes, WirePlane, slots_for

WIDTH = (400.0, 500.0)


def volumes(width=WIDTH, count=1):
    ends = [(-1.0) ** (n + 1) for n in range(count)]
    return DriftVolumes(
        [[300.0 * end, 10.0, -20.0] for end in ends],
        [[end, 0.0, 0.0] for end in ends],
        [[0.0, 1.0, 0.0]] * count,
        250.0,
        width,
        50.0,
    )


@pytest.mark.parametrize("angle", [0.0, math.pi / 3, -math.pi / 3, math.pi / 2, 0.2])
def test_lengths_are_those_of_points_along_the_line_that_lie_inside(angle):
    """A line in steps of 0.01 mm: each end is known to a step."""
    plane = WirePlane(7.0, angle, slots=slots_for(7.0, angle, WIDTH) + 4)
    steps = np.arange(-400.0, 400.0, 0.01)
    for wire, found in zip(np.asarray(plane.coordinates), np.asarray(plane.lengths(volumes())[0]), strict=True):
        flat = wire * np.asarray(plane.across) + steps[:, None] * np.asarray(plane.along)
        inside = np.all(np.abs(flat) <= np.array(WIDTH) / 2, axis=1)
        assert found == pytest.approx(0.01 * np.sum(inside), abs=0.021)


def test_wires_cover_the_plane():
    """What wires of a fine pitch sweep is the area of the rectangle: the trapezoidal rule for a trapezium is off by the corners."""
    plane = WirePlane(0.5, 0.7, slots=slots_for(0.5, 0.7, WIDTH))
    assert float(jnp.sum(plane.lengths(volumes())) * plane.pitch) == pytest.approx(400 * 500, rel=1e-5)


def test_ends_lie_on_the_edge_of_each_anode_at_the_height_of_the_plane():
    plane = WirePlane(5.0, 0.4, height=6.0, slots=slots_for(5.0, 0.4, WIDTH))
    two = volumes(count=2)
    ends = np.asarray(plane.ends(two))
    assert ends[0, ..., 0] == pytest.approx(-300 + 6)
    assert ends[1, ..., 0] == pytest.approx(300 - 6)
    distance = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1)
    assert distance == pytest.approx(np.asarray(plane.lengths(two)), abs=1e-9)
    off = np.abs(ends[..., 1:] - [10.0, -20.0]) / (np.array(WIDTH) / 2)
    assert np.max(off, axis=-1) == pytest.approx(1.0)


def test_slots_beyond_the_edge_have_no_length_and_cost_nothing():
    few, many = (WirePlane(6.0, 0.3, slots=slots) for slots in (slots_for(6.0, 0.3, WIDTH), 200))
    assert float(jnp.sum(many.lengths(volumes()) > 0)) in (few.slots, few.slots - 1)
    assert float(few.wire_count(volumes())[0]) == float(many.wire_count(volumes())[0])
    assert abs(float(few.wire_count(volumes())[0]) - few.slots) < 1


def test_a_wire_stands_at_its_number():
    plane = WirePlane(3.0, 0.1, slots=11)
    assert np.asarray(plane.number(plane.coordinates)) == pytest.approx(np.arange(11))


@pytest.mark.parametrize("angle", [0.0, 1.0, math.pi / 2])
def test_derivatives_of_lengths_against_differences(angle):
    """By pitch, angle and both widths; the total length of all wires. Central differences of 1e-5 are good to 1e-7."""

    def total(numbers):
        plane = WirePlane(numbers[0], numbers[1], slots=80)
        return jnp.sum(plane.lengths(volumes(numbers[2:])) ** 2) / 1e5

    at = jnp.array([7.3, angle + 1e-3, 400.0, 500.0])
    exact = jax.grad(total)(at)
    assert np.all(np.isfinite(exact))
    for index, step in enumerate((1e-5, 1e-6, 1e-4, 1e-4)):
        shift = jnp.zeros(4).at[index].set(step)
        assert float(exact[index]) == pytest.approx(float(total(at + shift) - total(at - shift)) / (2 * step), rel=1e-6)


def test_derivatives_are_finite_along_the_axes():
    def total(angle):
        return jnp.sum(WirePlane(7.0, angle, slots=60).lengths(volumes()))

    assert np.isfinite(jax.grad(total)(0.0))
    assert np.isfinite(jax.grad(total)(math.pi / 2))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pitch": -3.0}, "must be positive"),
        ({"pitch": 0.14}, "touch"),
        ({"height": -1.0}, "behind the collection plane"),
        ({"angle": math.inf}, "finite"),
        ({"slots": 0}, "slots"),
        ({"pitch": [3.0, 4.0]}, "shape"),
    ],
)
def test_what_cannot_be_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        WirePlane(**{"pitch": 3.0, "slots": 10, **changes})
