"""Where pads stand, which are there, and what follows from the parts of a chamber of pixels, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, LiquidArgon, PixelElectronics, PixelPlane, PixelTPC
from studio.detector import DriftVolumes, pixel_slots_for

WIDTH = (100.0, 60.0)


def volumes(width=WIDTH):
    ends = [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    return DriftVolumes([[500.0 * x for x in end] for end in ends], ends, [[0.0, 1.0, 0.0]] * 2, 500.0, width, 50.0)


@pytest.mark.parametrize("slots", [(30, 20), (31, 21), (30, 21)])
@pytest.mark.parametrize("pitch", [3.4, 4.0, 4.434, 7.9])
def test_every_place_of_the_plane_is_on_a_pad_and_pads_beyond_are_absent(slots, pitch):
    """Even and odd numbers of slots: a pad's edge or middle in the middle of the plane. A pad is there where some of it lies on
    the plane: along an axis those are counted by their inner edges."""
    plane, found = PixelPlane(pitch, slots=slots), volumes()
    random = np.random.default_rng(0)
    place = jnp.asarray(random.uniform(-0.5, 0.5, (500, 2)) * WIDTH)
    row, column = (np.round(np.asarray(axis.number(place[:, k]))) for k, axis in enumerate(plane.axes))
    there = plane.present(found, jnp.zeros(500, int), jnp.asarray(row, int), jnp.asarray(column, int))
    assert np.all(there)
    count = [
        sum(abs(n - (s - 1) / 2) * pitch - pitch / 2 < w / 2 for n in range(s))
        for s, w in zip(slots, WIDTH, strict=True)
    ]
    rows, columns = jnp.arange(-2, slots[0] + 2)[:, None], jnp.arange(-2, slots[1] + 2)
    assert int(jnp.sum(plane.present(found, jnp.zeros((1, 1), int), rows, columns))) == count[0] * count[1]


def test_middles_of_pads_lie_where_their_numbers_say():
    """At the second anode, x = 500: rows along y, columns along direction × across = z."""
    plane = PixelPlane(4.0, slots=(25, 15))
    middle = plane.centres(volumes(), jnp.array([1, 1]), jnp.array([12, 13]), jnp.array([7, 5]))
    assert np.asarray(middle) == pytest.approx(np.array([[500.0, 0, 0], [500.0, 4.0, -8.0]]))


def test_numbers_of_pads_voltage_and_mass():
    """Two anodes of 100 × 60 mm; 2 × 500 × 100 × 60 mm³ of 1.391 g/cm³; 500 V/cm over 50 cm."""
    found = PixelTPC(volumes(), LiquidArgon(), PixelPlane(4.0, slots=pixel_slots_for(3.0, WIDTH)))
    assert pixel_slots_for(3.0, WIDTH) == (34, 20)
    assert float(found.pixel_count) == pytest.approx(2 * 25 * 15)
    assert found.channel_count == 2 * 34 * 20
    assert float(found.argon_mass) == pytest.approx(6e-3 * 1.391, rel=1e-3)
    assert np.asarray(found.cathode_voltage).tolist() == [25e3, 25e3]
    assert np.asarray(found.volume.size).tolist() == [1000.0, 100.0, 60.0]


def test_digitizer():
    """larnd-sim's: (580 − 288)/(1300.78 − 288) of 255 counts is the pedestal, 4 mV/ke the gain: 993 e a count."""
    electronics = PixelElectronics()
    assert float(electronics.step) == pytest.approx((1300.78 - 288.28) / 4e-3 / 255, rel=1e-3)
    assert float(electronics.digitized(jnp.asarray(0.0))) == round((580 - 288) / 1012.5 * 255)
    assert float(electronics.charge(electronics.digitized(jnp.asarray(2e4)))) == pytest.approx(2e4, abs=500)
    assert float(electronics.digitized(jnp.asarray(1e6))) == 255


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: PixelPlane(0.0, slots=(3, 3)), "pitch: must be positive"),
        (lambda: PixelPlane(4.0, 5.0, slots=(3, 3)), "larger than the pitch"),
        (lambda: PixelPlane(4.0, slots=(3, 0)), "whole number"),
        (lambda: PixelElectronics(threshold=0.0), "electronics.threshold: must be positive"),
        (lambda: PixelElectronics(tick=0.0), "electronics.tick: must be positive"),
        (lambda: PixelTPC(volumes(), LiquidArgon(), PixelPlane(4.0, slots=(25, 14))), "give pixel_slots_for"),
    ],
)
def test_bad_input_is_refused(make, match):
    with pytest.raises(InputError, match=match):
        make()
