"""Where studies are recorded beside their ledger: one interface and an alternative per file."""

from .address import lookup_address, tracking_address, usable
from .base import AbstractTracker, StudyFacts
from .lookup import TrackedStudy, is_run_id, tracked_study
from .mlflow import MlflowTracker
from .none import NoTracker
from .register import REGISTER, Register

__all__ = [
    "REGISTER",
    "AbstractTracker",
    "MlflowTracker",
    "NoTracker",
    "Register",
    "StudyFacts",
    "TrackedStudy",
    "is_run_id",
    "lookup_address",
    "tracked_study",
    "tracking_address",
    "usable",
]
