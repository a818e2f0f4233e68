"""A small chamber: one drift volume of 30 × 40 × 40 cm with three planes as in SBND."""

import math

from studio.detector import TPC, ColdElectronics, DriftVolumes, WirePlane, slots_for
from studio.medium import LiquidArgon

WIDTH = (400.0, 400.0)
ANGLES, BIASES = (math.pi / 3, -math.pi / 3, 0.0), (-200.0, 0.0, 440.0)


def small_tpc(pitch=3.0, gap=3.0, biases=BIASES, field=50.0, smallest=None, lifetime=1e7, **electronics) -> TPC:
    """The anode at x = 0, electrons drift towards smaller x; `smallest`: the pitch that there are slots for."""
    volumes = DriftVolumes([[0.0, 0.0, 0.0]], [[-1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], 300.0, WIDTH, field)
    planes = tuple(
        WirePlane(pitch, angle, height, bias, slots=slots_for(pitch if smallest is None else smallest, angle, WIDTH))
        for angle, height, bias in zip(ANGLES, (2 * gap, gap, 0.0), biases, strict=True)
    )
    return TPC(volumes, LiquidArgon(electron_lifetime=lifetime), planes, ColdElectronics(ticks=700, **electronics))
