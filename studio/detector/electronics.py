"""Readout electronics of optical detectors."""

from __future__ import annotations

import equinox as eqx

from ..units import ns


class OpticalElectronics(eqx.Module):
    """How hits are gated and digitized.

    **Fields**: `gate`: length in ns of the charge integration (200 ns in WCSim's digitizer), over which dark noise
    counts; `time_precision`: step in ns in which hit times are stored (0.4 ns in WCSim), which adds step/√12 to the
    time resolution.
    """

    gate: float = 200.0 * ns
    time_precision: float = 0.4 * ns
