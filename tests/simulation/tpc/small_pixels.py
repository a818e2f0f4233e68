"""A small chamber of pixels: one drift volume of 30 × 12 × 12 cm, pads every 4 mm."""

import numpy as np

from studio.detector import DriftVolumes, PixelElectronics, PixelPlane, PixelTPC, pixel_slots_for
from studio.event import Deposits
from studio.medium import LiquidArgon

WIDTH = (120.0, 120.0)


def small_pixels(pitch=4.0, pad=None, smallest=3.5, **electronics) -> PixelTPC:
    """The anode at x = 0, electrons drift towards smaller x; there are slots for the pitch `smallest`."""
    volumes = DriftVolumes([[0.0, 0.0, 0.0]], [[-1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], 300.0, WIDTH, 50.0)
    pixels = PixelPlane(pitch, pad, slots=pixel_slots_for(min(smallest, pitch), WIDTH))
    return PixelTPC(volumes, LiquidArgon(), pixels, PixelElectronics(**electronics))


def piece(energy=0.7, at=(100.0, 1.0, -1.3), length=1.0, direction=(0.0, 0.0, 1.0)) -> Deposits:
    """One deposit."""
    return Deposits(np.array([at]), np.array([energy]), length, 0.0, direction)
