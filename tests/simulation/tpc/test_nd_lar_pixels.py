"""ND-LAr: 35 modules of two volumes with pads. Deposits of published files, placed in its modules, land on pads at any pitch."""

import jax.numpy as jnp
import numpy as np
import pytest

from studio import LiquidArgon, PixelPlane, PixelSimulator, PixelTPC, read_deposits
from studio.detector import DriftVolumes, pixel_slots_for
from studio.event import Deposits
from studio.simulation.tpc.arrivals import arriving_charge
from tests.reference_data import reference

DRIFT, WIDTH = 500.0, (3000.0, 1000.0)  # of one of the two volumes of a module; 7 × 5 modules of 1 × 3 × 1 m


def nd_lar(pitch: float, extra: int = 0) -> PixelTPC:
    """Cathodes in the middle of the modules, electrons drift along ±x; `extra` slots move the pads by half a pitch."""
    x, z = np.meshgrid(np.arange(-3, 4) * 1000.0, np.arange(-2, 3) * 1000.0)
    middle = np.stack([x.ravel(), np.zeros(35), z.ravel()], axis=-1)
    ends = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    anode = (middle[:, None] + DRIFT * ends).reshape(-1, 3)
    volumes = DriftVolumes(anode, np.tile(ends, (35, 1)), np.tile([[0.0, 1.0, 0.0]], (70, 1)), DRIFT, WIDTH, 50.0)
    rows, columns = pixel_slots_for(pitch, WIDTH)
    return PixelTPC(volumes, LiquidArgon(), PixelPlane(pitch, slots=(rows + extra, columns + extra)))


def deposits() -> Deposits:
    """Those of five files, each in a module of its own: files are in mm about the middle of a module of 0.6 × 1.2 × 0.6 m, which
    fits into one of ND-LAr's."""
    found = [read_deposits(reference(f"events/edepsim/input_{n}.h5")) for n in range(5)]
    places = [np.array([1000.0 * (n - 2), 150.0 * n, 1000.0 * (2 - n)]) for n in range(5)]
    assert all(np.abs(np.asarray(one.position)).max(axis=0)[1] < 700 for one in found)
    join = lambda name: np.concatenate([np.asarray(getattr(one, name)) for one in found])  # noqa: E731
    position = np.concatenate([np.asarray(one.position) + place for one, place in zip(found, places, strict=True)])
    return Deposits(position, join("energy"), join("length"), 0.0, join("direction"))


@pytest.mark.parametrize(("pitch", "extra"), [(3.87, 0), (4.434, 1), (7.1, 1)])
def test_every_contained_deposit_is_on_a_pad(pitch, extra):
    """Every deposit in these files is in a volume, and the middle of every one arrives on a pad that is there."""
    detector = nd_lar(pitch, extra)
    charge = arriving_charge(detector, deposits(), 2)
    assert int(charge.outside_count) == 0
    lit = np.asarray(charge.electrons) > 0
    flat = jnp.einsum(
        "nij,nj->ni", detector.volumes.axes[charge.volume, 1:], charge.position - detector.volumes.anode[charge.volume]
    )
    row, column = (jnp.round(axis.number(flat[:, k])).astype(int) for k, axis in enumerate(detector.pixels.axes))
    there = np.asarray(detector.pixels.present(detector.volumes, charge.volume, row, column))
    assert there[lit].all()
    # By hand: the middles of these pads are nowhere more than half a pitch away.
    middle = detector.pixels.centres(detector.volumes, charge.volume, row, column)
    assert np.abs(np.asarray(middle - charge.position))[lit].max() <= pitch / 2 + 1e-6
    assert lit.sum() > 500


@pytest.mark.parametrize(("pitch", "extra"), [(4.434, 0), (7.1, 1)])
def test_pads_collect_what_drifts(pitch, extra):
    """To 0.5 %, in the list that is kept: what diffuses past the edges of planes, and what a list of pads leaves out."""
    detector, event = nd_lar(pitch, extra), deposits()
    found = PixelSimulator(around=1, start=8.0, clocks=16).expected(detector, event)
    drifted = float(jnp.sum(arriving_charge(detector, event, 2).electrons))
    assert float(jnp.sum(found.charge)) == pytest.approx(drifted, rel=5e-3)
    assert len(set(np.asarray(found.volume).tolist()) - {-1}) >= 5
