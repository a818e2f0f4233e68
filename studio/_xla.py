"""What the entry points set before JAX loads: compiler flags. Importing the library sets nothing."""

from __future__ import annotations

import os
from importlib import metadata

# The MLIR fusion emitters of XLA's CPU compiler take twice as long to compile the second derivatives of a study, for
# programs that run no faster. The flag is known to these releases; an unknown flag would end the process.
_QUICKER = "--xla_cpu_use_fusion_emitters=false"
_KNOWN_TO = ("0.10.",)


def prepare(devices: int | None = None) -> None:
    """Set XLA's flags in the environment, those already there kept; `devices`: number of CPU devices to show."""
    flags = os.environ.get("XLA_FLAGS", "")
    wanted = [_QUICKER] if metadata.version("jaxlib").startswith(_KNOWN_TO) else []
    if devices is not None:
        wanted.append(f"--xla_force_host_platform_device_count={devices}")
    added = [flag for flag in wanted if flag.split("=")[0] not in flags]
    os.environ["XLA_FLAGS"] = " ".join([flags, *added]).strip()
