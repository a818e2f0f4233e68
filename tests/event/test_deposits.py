"""Deposits check what they are given, and padding changes nothing that is counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio._checks import InputError
from studio.event import Deposits, bucket_size


def _deposits(count: int = 5) -> Deposits:
    random = np.random.default_rng(3)
    return Deposits(
        random.normal(size=(count, 3)) * 100,
        random.uniform(0, 2, count),
        random.uniform(0, 3, count),
        random.uniform(0, 9, count),
        random.normal(size=(count, 3)),
        13,
        np.arange(count),
    )


def test_fields_are_broadcast_and_directions_are_of_unit_length_or_zero():
    one = Deposits([[1, 2, 3], [4, 5, 6]], [1, 2], direction=[[0, 0, 5], [0, 0, 0]], pdg=13)
    np.testing.assert_array_equal(one.direction, [[0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(one.length, [0, 0])
    np.testing.assert_array_equal(one.pdg, [13, 13])
    np.testing.assert_array_equal(one.weight, [1, 1])
    assert one.position.dtype == one.energy.dtype == jnp.float64
    assert jnp.issubdtype(one.track.dtype, jnp.integer)
    slope = jax.jit(jax.grad(lambda d: jnp.sum(Deposits(np.zeros((2, 3)), np.ones(2), direction=d).direction)))(
        np.zeros(3)
    )
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"position": np.zeros((4, 3))}, ["position", "(4, 3)", "(5, 3)"]),
        ({"energy": 3.0}, ["position", "give shape (3,)"]),
        ({"energy": [1.0, -2.0, 0, 0, 0]}, ["energy", "negative", "-2.0", "MeV"]),
        ({"length": [1.0, -1.0, 0, 0, 0]}, ["length", "negative"]),
        ({"time": np.nan}, ["time", "not finite", "nan"]),
        ({"weight": np.inf}, ["weight", "not finite"]),
        ({"pdg": 13.0}, ["pdg", "whole numbers", "float"]),
        ({"track": np.zeros(3, int)}, ["track", "(3,)"]),
    ],
)
def test_bad_input_is_refused_by_name(change, words):
    arguments = {"position": np.zeros((5, 3)), "energy": np.ones(5)} | change
    with pytest.raises(InputError) as caught:
        Deposits(**arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_padding_adds_deposits_that_do_not_count():
    plain = _deposits()
    padded = plain.padded()
    assert padded.count == bucket_size(5) == 64
    assert padded.total_energy == plain.total_energy
    for name in ("position", "energy", "direction", "pdg", "track", "weight"):
        np.testing.assert_array_equal(getattr(padded, name)[:5], getattr(plain, name))
        assert not np.asarray(getattr(padded, name)[5:]).any()
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), padded, _deposits(9).padded(64))
    assert stacked.padded(100).energy.shape == (2, 100)
    with pytest.raises(InputError, match="count: fewer than there are deposits.*give 5 up"):
        plain.padded(4)


def test_buckets_grow_geometrically():
    """At most a quarter, and rounding, is padding; few sizes serve every event up to 100,000 deposits."""
    counts = np.arange(64, 100_000, 37)
    sizes = np.array([bucket_size(int(count)) for count in counts])
    assert (sizes >= counts).all()
    assert (sizes <= 1.25 * counts + 2).all()
    assert len(set(sizes)) < 36
