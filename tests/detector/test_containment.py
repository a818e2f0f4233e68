"""Where deposits lie against the drift volumes, by hand."""

import numpy as np
import pytest

from studio import Deposits, DriftVolumes, InputError, centred, contained


def volumes() -> DriftVolumes:
    """Two volumes of 100 x 40 x 60 mm on either side of the cathode x = 0."""
    ends = [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    return DriftVolumes([[-100.0, 0.0, 0.0], [100.0, 0.0, 0.0]], ends, [[0.0, 1.0, 0.0]] * 2, 100.0, (40.0, 60.0), 50.0)


def test_what_lies_inside_is_counted_by_length():
    """One in the middle, one through the cathode, one half out of the side y = 20, one beyond, one of padding."""
    position = [[50, 0, 0], [0, 0, 0], [50, 20, 0], [50, 90, 0], [50, 0, 0]]
    along = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]]
    found = contained(volumes(), Deposits(position, [1.0, 2, 4, 8, 16], 10.0, 0.0, along, weight=[1.0, 1, 1, 1, 0]))
    np.testing.assert_allclose(found.share, [1, 1, 0.5, 0, 1], atol=1e-12)
    assert float(found.energy) == pytest.approx(1 + 2 + 2)
    assert float(found.energy_outside) == pytest.approx(2 + 8)
    assert (int(found.count), int(found.count_outside)) == (3, 1)


def test_events_are_put_into_the_middle_of_a_volume():
    event = Deposits([[1000.0, 7, 3], [1040.0, 17, 5], [0.0, 0, 0]], [1.0, 1.0, 1.0], weight=[1.0, 1.0, 0.0])
    moved = centred(volumes(), event, 1)
    np.testing.assert_allclose(moved.position[:2], [[30, -5, -1], [70, 5, 1]])
    assert int(contained(volumes(), moved).count_outside) == 0
    assert int(contained(volumes(), event).count) == 0
    with pytest.raises(InputError, match=r"volume: no such drift volume .*there are 2"):
        centred(volumes(), event, 2)


def test_deposits_are_moved_and_nothing_else_changes():
    event = Deposits([[1.0, 2, 3], [4, 5, 6]], [1.0, 2.0], 3.0)
    moved = event.moved((1.0, 0.0, -1.0))
    np.testing.assert_array_equal(moved.position, [[2, 2, 2], [5, 5, 5]])
    np.testing.assert_array_equal(moved.energy, event.energy)
    with pytest.raises(InputError, match=r"by: shape \(2,\)"):
        event.moved((1.0, 2.0))
