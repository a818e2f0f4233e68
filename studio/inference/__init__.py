"""Inference: likelihoods, Fisher information, reconstruction, calibration."""

from .fisher import Information, fisher_information, information_by_channel
from .reconstruction import reconstruct
from .result import Reconstruction, Status

__all__ = ["Information", "Reconstruction", "Status", "fisher_information", "information_by_channel", "reconstruct"]
