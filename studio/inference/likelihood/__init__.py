"""Likelihoods of what is recorded, one per detector family."""

from ..._checks import InputError
from ...simulation import AbstractSimulator, OpticalSimulator, PixelSimulator, TPCSimulator
from .base import AbstractLikelihood, Judged, Measured
from .optical import OpticalLikelihood
from .pixels import PixelLikelihood
from .wires import WireLikelihood

__all__ = [
    "AbstractLikelihood",
    "Judged",
    "Measured",
    "OpticalLikelihood",
    "PixelLikelihood",
    "WireLikelihood",
    "likelihood_of",
]


def likelihood_of(simulator: AbstractSimulator, doubt: float = 0.0) -> AbstractLikelihood:
    """The likelihood of what `simulator` records; with `doubt`, the simulator itself may be wrong by that much, relatively.
    **Raises** `InputError` for a simulator without one."""
    if isinstance(simulator, OpticalSimulator):
        return OpticalLikelihood(doubt)
    if isinstance(simulator, TPCSimulator):
        return WireLikelihood(simulator.known_windows())
    if isinstance(simulator, PixelSimulator):
        return PixelLikelihood(simulator.known_windows())
    raise InputError("no likelihood for this simulator", key="simulator", value=type(simulator).__name__)
