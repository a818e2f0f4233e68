"""What follows from the parts of a chamber, by hand for SBND's numbers."""

import math

import numpy as np
import pytest

from studio import TPC, InputError, LiquidArgon
from studio.detector import DriftVolumes, WirePlane, slots_for

WIDTH = (4000.0, 5000.0)


def chamber(heights=(6.0, 3.0, 0.0)):
    ends = [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    volumes = DriftVolumes(
        [[2000.0 * x for x in end] for end in ends], ends, [[0.0, 1.0, 0.0]] * 2, 2000.0, WIDTH, 50.0
    )
    angles = (math.pi / 3, -math.pi / 3, 0.0)
    planes = tuple(
        WirePlane(3.0, angle, height, slots=slots_for(3.0, angle, WIDTH))
        for angle, height in zip(angles, heights, strict=True)
    )
    return TPC(volumes, LiquidArgon(), planes)


def test_sizes_voltage_and_mass():
    """Two volumes of 2 × 4 × 5 m at 500 V/cm: 100 kV, and 80 m³ of 1.391 g/cm³."""
    found = chamber()
    assert np.asarray(found.volume.size).tolist() == [4000.0, 4000.0, 5000.0]
    assert np.asarray(found.cathode_voltage).tolist() == [100e3, 100e3]
    assert float(found.argon_mass) == pytest.approx(80 * 1.391, rel=1e-3)


def test_wires():
    """Across the wires the plane measures 4 sin 60° + 5 cos 60° m, or 5 m; the longest slanted wire is 5 m / sin 60°."""
    found = chamber()
    slanted = 4000 * math.sin(math.pi / 3) + 5000 * math.cos(math.pi / 3)
    assert float(found.wire_count) == pytest.approx(2 * (2 * slanted + 5000) / 3)
    assert found.channel_count == 2 * (2 * math.ceil(slanted / 3) + math.ceil(5000 / 3))
    lengths = [float(plane.max()) for plane in found.wire_lengths]
    assert lengths == pytest.approx([5000 / math.sin(math.pi / 3)] * 2 + [4000.0])


@pytest.mark.parametrize("heights", [(3.0, 6.0, 0.0), (6.0, 3.0, 1.0), (3.0, 3.0, 0.0)])
def test_planes_out_of_order_are_refused(heights):
    with pytest.raises(InputError, match="order in which electrons meet them"):
        chamber(heights)
