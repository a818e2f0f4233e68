"""A design space names free leaves of any tree, packs them into natural units, and puts them back."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.design import DesignSpace, Disc, Free, Interval


class Tank(eqx.Module):
    radius: float
    wall: dict
    count: int = eqx.field(static=True)


def tank():
    return Tank(3500.0, {"uv": jnp.array([[0.1, 0.2], [0.3, -0.4]]), "patch": jnp.array([0, 1])}, 2)


def test_pack_and_unpack_are_inverse_and_leave_the_rest_alone():
    space = DesignSpace.of(tank(), {"radius": (3000, 5000), "wall.uv": Disc(1.0)})
    coordinates = space.pack(tank())
    moved = space.unpack(tank(), {name: array + 0.1 for name, array in coordinates.items()})
    again = space.unpack(tank(), coordinates)
    np.testing.assert_allclose(again.radius, 3500.0, rtol=1e-12)
    np.testing.assert_allclose(again.wall["uv"], tank().wall["uv"], rtol=1e-12)
    assert moved.radius > 3500.0
    assert moved.count == 2
    np.testing.assert_array_equal(moved.wall["patch"], [0, 1])
    assert space.size == 5


@pytest.mark.parametrize(
    ("free", "unit"),
    [
        (["x"], np.sqrt((3000.0**2 + 4000.0**2) / 2)),  # its magnitude
        ({"x": (0, 10000)}, None),
        ({"x": Free(scale=100.0)}, 100.0),
    ],
)
def test_one_coordinate_unit_is_one_natural_unit(free, unit):
    tree = {"x": np.array([3000.0, 4000.0])}
    space = DesignSpace.of(tree, free)
    slope = jnp.diag(jax.jit(jax.jacfwd(lambda c: space.leaves(c)["x"]))(space.pack(tree))["x"])
    # An interval: half-width times 1 - t^2, with t the position between -1 and 1.
    expected = [5000 * (1 - 0.4**2), 5000 * (1 - 0.2**2)] if unit is None else [unit, unit]
    np.testing.assert_allclose(slope, expected, rtol=1e-12)


def test_held_elements_do_not_move():
    tree = {"x": np.array([1.0, 2.0, 3.0])}
    space = DesignSpace.of(tree, {"x": Free(where=np.array([True, False, True]))})
    assert space.size == 2
    gradient = jax.jit(jax.grad(lambda c: jnp.sum(space.leaves(c)["x"] ** 2)))(space.pack(tree))["x"]
    assert gradient[1] == 0
    assert np.all(gradient[jnp.array([0, 2])] != 0)
    np.testing.assert_allclose(space.leaves(space.start(tree, 0, 3))["x"][1], 2.0, rtol=1e-12)


def test_the_pull_back_is_the_chain_rule():
    tree = tank()
    space = DesignSpace.of(tree, {"radius": (3000, 5000), "wall.uv": Disc(1.0)})

    def f(design):
        return design.radius**2 * jnp.sum(design.wall["uv"] ** 3)

    coordinates = space.pack(tree)
    leaves = space.leaves(coordinates)
    by_leaves = jax.jit(jax.grad(lambda values: f(Tank(values["radius"], {"uv": values["wall.uv"]}, 2))))(leaves)
    direct = jax.jit(jax.grad(lambda c: f(space.unpack(tree, c))))(coordinates)
    for name, array in jax.jit(lambda c, g: space.pull_back(c, g))(coordinates, by_leaves).items():
        np.testing.assert_allclose(array, direct[name], rtol=1e-12)


def test_starts_are_reproducible_spread_and_allowed():
    tree = {"x": np.full(3, 4.0), "u": np.array([[0.0, 0.0, 1.0]])}
    space = DesignSpace.of(tree, {"x": (0, 8), "u": "unit_vector"})
    starts = [space.leaves(space.start(tree, 7, index)) for index in range(33)]
    np.testing.assert_allclose(starts[0]["x"], 4.0)
    points = np.array([start["x"] for start in starts[1:]])
    assert np.all((points > 0) & (points < 8))
    # 32 Sobol points put exactly one point into each of 32 equal slices of every axis.
    for axis in range(3):
        assert sorted(np.floor(points[:, axis] / 8 * 32).astype(int)) == list(range(32))
    np.testing.assert_array_equal(space.start(tree, 7, 5)["x"], space.start(tree, 7, 5)["x"])
    np.testing.assert_allclose(np.linalg.norm(starts[4]["u"], axis=1), 1.0)


def test_many_dimensions_have_starts_too():
    tree = {"x": np.zeros(30000)}
    space = DesignSpace.of(tree, {"x": (-1, 1)})
    values = space.leaves(space.start(tree, 0, 1))["x"]
    assert abs(float(jnp.mean(values))) < 5 / np.sqrt(3 * 30000)  # five sigma of a mean of uniform numbers


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (["radius", "wall.uw"], r"wall\.uw: no such path.*wall\.uv"),
        (["radius", "radius"], "radius: named twice"),
        ([], "free: nothing is free"),
        (["wall.patch"], r"wall\.patch: a free leaf must hold real numbers"),
        (["wall"], "wall: a free leaf must hold real numbers"),
        ({"radius": "positiv"}, r"radius: no such bound \(received 'positiv'\).*Did you mean 'positive'"),
        ({"radius": 3.0}, "radius: not a bound"),
        ({"radius": (5000, 3000)}, "radius: an interval needs"),
        ({"radius": Free(scale=-1.0)}, "radius: a natural unit must be positive"),
        ({"wall.uv": Free(where=np.ones(3, bool))}, r"wall\.uv: a mask of shape \(3,\)"),
    ],
)
def test_bad_descriptions_name_the_path_and_the_remedy(free, said):
    with pytest.raises(InputError, match=said):
        DesignSpace.of(tank(), free)


def test_bounds_from_what_users_write():
    tree = {"x": np.array([0.5])}
    for written in ((0, 1), [0, 1], {"between": [0, 1]}, Interval(0, 1), Free(Interval(0, 1))):
        space = DesignSpace.of(tree, {"x": written})
        np.testing.assert_allclose(space.leaves({"x": np.array([50.0])})["x"], 1.0)
