"""Inference: likelihoods, Fisher information, reconstruction, calibration."""

from .fisher import Information, fisher_information
from .reconstruction import Reconstruction, Status, reconstruct

__all__ = ["Information", "Reconstruction", "Status", "fisher_information", "reconstruct"]
