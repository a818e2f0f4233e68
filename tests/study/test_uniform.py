"""The layout of equal spacing: on a Fibonacci lattice of n points on an area A, nothing stands nearer than √(2 · 0.382 A / n).

Two points k steps apart are ‖kφ‖ of the width and k / n of the height from each other, and k ‖kφ‖ ≥ 1 − φ = 0.382 for φ the golden
section, so the sum of the squares is at least twice the product: 2 · 0.382 A / n. A barrel is measured along its wall. On a disc the
lattice is the same only where it is small beside the distance from the middle: 0.8 √(A / n), from where Vogel's spiral begins.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from studio import Box, Cylinder, Detector, InputError, PhotosensorArray, Sphere, Water
from studio.study.uniform import uniform_layout
from studio.units import m
from tests.tanks import plain_sensor

SMALL, LARGE = 30.0, 60.0


def crowded(volume, count: int, patches) -> Detector:
    """Sensors of two sizes, 1 in 4 large, all in one corner of each of their patches."""
    generator = np.random.default_rng(1)
    patch = np.resize(np.asarray(patches), count)
    uv = generator.uniform(0.1, 0.3, (count, volume.chart_size))
    if isinstance(volume, Sphere):
        uv = uv / np.linalg.norm(uv, axis=-1, keepdims=True)
    kind = (np.arange(count) < count // 4).astype(int)
    return Detector(volume, Water(), PhotosensorArray(uv, patch, (plain_sensor(SMALL), plain_sensor(LARGE)), kind))


@pytest.mark.parametrize("count", [13, 368])
@pytest.mark.parametrize(
    ("volume", "areas"),
    [
        (Cylinder(3 * m, 8 * m), [48 * math.pi, 9 * math.pi, 9 * math.pi]),
        (Box((3 * m, 4 * m, 5 * m)), [20, 20, 15, 15, 12, 12]),
        (Sphere(4 * m), [64 * math.pi]),
    ],
    ids=["cylinder", "box", "sphere"],
)
def test_sensors_are_shared_by_area_and_keep_apart(volume, areas, count):
    before = crowded(volume, count, range(len(areas)))
    after = uniform_layout(before)
    sensors = after.sensors
    assert sensors.count == count
    assert np.bincount(sensors.kind).tolist() == np.bincount(before.sensors.kind).tolist()
    np.testing.assert_array_equal(np.asarray(sensors.radius), np.where(sensors.kind == 1, LARGE, SMALL))
    shares = np.bincount(sensors.patch, minlength=len(areas))
    assert np.all(np.abs(shares - count * np.asarray(areas) / np.sum(areas)) < 1)
    clearance = np.asarray(volume.edge_clearance(sensors.patch, sensors.uv))
    assert isinstance(volume, Sphere) or clearance.min() > LARGE * (1 - 1e-6)  # arithmetic of float32
    positions = np.asarray(after.placed.positions)
    for patch, (share, area) in enumerate(zip(shares, areas, strict=True)):
        here = np.asarray(sensors.patch) == patch
        chord = pdist(positions[here]).min() if share > 1 else math.inf
        inside = area * m**2 * (0.75 if share < 20 else 0.9)  # what the faces leave of a patch, at least
        disc = isinstance(volume, Cylinder) and patch > 0
        arc = 2 * 3 * m * math.asin(min(1.0, chord / (6 * m))) if isinstance(volume, Cylinder) and not disc else chord
        assert arc > (0.8 if disc else 0.874) * math.sqrt(inside / share), patch


def test_sensors_stay_on_the_patches_that_bear_some_and_kinds_alternate():
    before = crowded(Cylinder(3 * m, 8 * m), 40, [0, 2])
    after = uniform_layout(before)
    assert set(np.asarray(after.sensors.patch).tolist()) == {0, 2}
    kind = np.asarray(after.sensors.kind)
    windows = np.convolve(kind, np.ones(8), mode="valid")
    assert windows.min() >= 1  # 2 of 8 on average, one more or less
    assert windows.max() <= 3


def test_a_volume_without_such_a_layout_is_refused():
    class Odd:
        pass

    before = crowded(Cylinder(3 * m, 8 * m), 8, [0])
    object.__setattr__(before, "volume", Odd())
    with pytest.raises(InputError, match="no layout of equal spacing is known for a Odd"):
        uniform_layout(before)
