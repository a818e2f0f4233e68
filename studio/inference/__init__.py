"""Inference: likelihoods, Fisher information, reconstruction, calibration."""

from .fisher import Information, fisher_information

__all__ = ["Information", "fisher_information"]
