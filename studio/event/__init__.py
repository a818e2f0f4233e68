"""Events: primaries, what they leave and what is recorded of it, generators, particle tracks and showers."""

from .cascades import cascade_deposits
from .deposits import Deposits, bucket_size
from .gun import Gun
from .primary import CHARGE_ONLY, PARTICLES, Primary, require_light, stack
from .readout import Readout
from .tracks import track_deposits, track_latent_count

__all__ = [
    "CHARGE_ONLY",
    "PARTICLES",
    "Deposits",
    "Gun",
    "Primary",
    "Readout",
    "bucket_size",
    "cascade_deposits",
    "require_light",
    "stack",
    "track_deposits",
    "track_latent_count",
]
