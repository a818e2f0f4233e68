"""One muon sampled and reconstructed in shipped geometries: time, errors and peak memory, two JSON lines a geometry.

    python tests/benchmarks/geometries.py                        # all optical ones
    python tests/benchmarks/geometries.py super_kamiokande juno

The muon and how it is reconstructed: tests/one_muon.py. The first line of a geometry includes compilation, the second, of the
same muon sampled again, does not. Each geometry runs in a fresh process, so that the largest resident memory is its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def measure(name):
    """A line for each of two muons."""
    from studio import _xla

    _xla.prepare()
    import jax
    import numpy as np

    from studio import load_detector
    from tests.one_muon import found_again

    jax.config.update("jax_enable_x64", True)
    detector = load_detector(ROOT / "geometries" / f"{name}.yaml")
    for seed in range(2):
        start = time.perf_counter()
        found = found_again(detector, seed)
        yield {
            "geometry": name,
            "sensors": detector.sensors.count,
            "photoelectrons": round(found.photoelectrons),
            "status": found.status,
            "goodness": found.goodness,
            "vertex_mm": [float(np.linalg.norm(numbers[:3])) for numbers in (found.errors, found.sigma)],
            "direction_deg": [found.angle, found.angle_sigma],
            "energy_mev": [float(found.errors[3]), float(found.sigma[3])],
            "seconds": time.perf_counter() - start,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def optical():
    """The optical geometries that ship."""
    sys.path.insert(0, str(ROOT))
    from studio.io.geometry import read_geometry
    from studio.io.optical_models import OpticalModel

    files = sorted((ROOT / "geometries").glob("*.yaml"))
    return [path.stem for path in files if isinstance(read_geometry(path)[1], OpticalModel)]


def main(arguments):
    """Each geometry in a process of its own."""
    if arguments[:1] == ["--here"]:
        for line in measure(arguments[1]):
            print(json.dumps(line), flush=True)
        return
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for name in arguments or optical():
        subprocess.run([sys.executable, __file__, "--here", name], env=environment, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
