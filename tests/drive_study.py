"""A study with the stand-in physics in a process of its own:
`drive_study.py EXPERIMENT DIRECTORY run|resume LANES [TRACKING|none] [local|ray]`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from studio import _xla

_xla.prepare(int(os.environ["STUDIO_TEST_DEVICES"]))

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)

sys.path.insert(0, str(Path(__file__).parent))

from stand_in import StandIn  # noqa: E402

from studio.execution import LocalRunner, RayRunner  # noqa: E402
from studio.study import Study  # noqa: E402
from studio.tracking import MlflowTracker  # noqa: E402


def main(experiment: str, directory: str, what: str, lanes: str, address: str = "none", kind: str = "local") -> None:
    tracker = None if address == "none" else MlflowTracker(address)
    with {"local": LocalRunner, "ray": RayRunner}[kind](int(lanes)) as runner:
        if what == "run":
            Study.from_file(experiment, physics=StandIn()).run(directory, runner=runner, tracker=tracker)
        else:
            Study.in_directory(directory, physics=StandIn()).resume(directory, runner=runner, tracker=tracker)


if __name__ == "__main__":
    main(*sys.argv[1:])
