"""Time, compile time and peak memory of the optical simulator, one JSON line a case on standard output.

    python tests/benchmarks/optical.py                          # all cases
    python tests/benchmarks/optical.py --case point_forward --sensors 10000
    python tests/benchmarks/optical.py --case fisher_forward fisher_gradient --sensors 11000 --free 10 1000 22034

Cases: `point_forward`, `point_gradient`, `muon_forward`, `muon_gradient` (of the total charge, by sensor uv and vertex),
`fisher_forward`, `fisher_gradient` (the mean log σ of four muons of 500 MeV, alone or with its gradient by surface coordinates of
sensors: of all of them, or of as many numbers as `--free` says, spread over the wall). The tank has the shape of
Super-Kamiokande; spacing and size of its 20-inch sensors follow from their number, so 11,000 is Super-Kamiokande itself.
Every case runs in a fresh process, so that the largest resident memory is its own. Needs jax, equinox, numpy and scipy only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

RADIUS, HEIGHT = 16_840.0, 36_200.0  # mm
SENSORS = (100, 1_000, 10_000, 40_000)
CASES = ("point_forward", "point_gradient", "muon_forward", "muon_gradient", "fisher_forward", "fisher_gradient")
REPEATS = 3


def tank(count):
    """A tank like Super-Kamiokande with about `count` sensors on a grid, and their coverage of 40 %."""
    from studio import Cylinder, Detector, PhotosensorArray, Water, sensor_type
    from studio.detector import layouts

    volume = Cylinder(RADIUS, HEIGHT)
    area = 2 * math.pi * RADIUS * (RADIUS + HEIGHT)
    spacing = math.sqrt(area / count)
    radius = 254.0 * spacing / 707.0
    # The edges cost a few sensors: the spacing that comes nearest to the number asked for.
    trials = [layouts.grid(volume, spacing * factor, radius) for factor in (0.97, 0.98, 0.985, 0.99, 0.995, 1.0, 1.005)]
    layout = min(trials, key=lambda trial: abs(len(trial.patch) - count))
    sensors = PhotosensorArray(
        layout.uv, layout.patch, (sensor_type("r3600_20_inch"),), radius=[radius] * len(layout.patch)
    )
    return Detector(volume, Water(), sensors)


def workload(case, detector, free):
    """A function of arguments, and the arguments, for `case`, with `free` surface coordinates where that plays a part."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from studio import OpticalSimulator, Primary, fisher_information, replace

    simulator = OpticalSimulator()
    particle, kind = case.split("_")
    uv = detector.sensors.uv
    if particle == "fisher":
        starts = jnp.asarray([[0.0, 0, 0], [3e3, 5e3, -8e3], [-9e3, 1e3, 1.2e4], [1e4, -4e3, -3e3]])
        ways = jnp.asarray([[1.0, 0.2, 0.1], [0.1, -1, 0.4], [0.5, 0.5, -0.9], [-0.3, 0.8, 0.2]])
        events = Primary("mu-", starts, ways, jnp.full(4, 500.0))

        numbers = np.linspace(0, uv.size - 1, min(free or uv.size, uv.size)).round().astype(int)

        def objective(chosen):
            built = replace(detector, {"sensors.uv": uv.ravel().at[numbers].set(chosen).reshape(uv.shape)})
            one = jax.checkpoint(lambda event: jnp.mean(jnp.log(fisher_information(simulator, built, event).sigma())))
            return jnp.mean(jax.lax.map(one, events))

        return objective if kind == "forward" else jax.value_and_grad(objective), (uv.ravel()[numbers],)

    def event(vertex):
        if particle == "point":
            return Primary("point", vertex, jnp.asarray([0.0, 0.0, 1.0]), jnp.asarray(1000.0))
        return Primary("mu-", vertex, jnp.asarray([1.0, 0.2, 0.1]), jnp.asarray(500.0))

    def forward(uv, vertex):
        return simulator.expected(replace(detector, {"sensors.uv": uv}), event(vertex))

    vertex = jnp.asarray([1e3, -2e3, 3e3])
    if kind == "forward":
        return forward, (uv, vertex)
    return jax.value_and_grad(lambda *at: jnp.sum(forward(*at).charge), argnums=(0, 1)), (uv, vertex)


def measure(case, count, free):
    """Build, compile, run; the best of three runs."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import equinox
    import jaxlib
    import numpy

    import studio

    detector = tank(count)
    function, arguments = workload(case, detector, free)
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    compile_time = time.perf_counter() - start
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - start)
    finite = all(bool(numpy.all(numpy.isfinite(leaf))) for leaf in jax.tree.leaves(result))
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return {
        "case": case,
        "sensors": int(detector.sensors.count),
        "free": int(arguments[0].size) if case == "fisher_gradient" else None,
        "time_s": round(min(times), 5),
        "compile_s": round(compile_time, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20),
        "finite": finite,
        "device": f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores",
        "versions": {
            "studio": studio.__version__,
            "jax": jax.__version__,
            "jaxlib": jaxlib.__version__,
            "equinox": equinox.__version__,
            "numpy": numpy.__version__,
            "python": sys.version.split()[0],
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, nargs="+", default=CASES)
    parser.add_argument("--sensors", type=int, nargs="+", default=SENSORS)
    parser.add_argument("--free", type=int, nargs="+", default=[0], help="free numbers of fisher_gradient [all]")
    parser.add_argument("--here", action="store_true", help="measure one case in this process")
    options = parser.parse_args()
    root = Path(__file__).resolve().parents[2]
    sys.path.insert(0, str(root))
    if options.here:
        from studio import _xla

        _xla.prepare(one_thread=False)
        print(json.dumps(measure(options.case[0], options.sensors[0], options.free[0])))
        return 0
    failed = 0
    for case in options.case:
        for count, free in itertools.product(options.sensors, options.free if case == "fisher_gradient" else [0]):
            command = [sys.executable, __file__, "--here", "--case", case, "--sensors", str(count), "--free", str(free)]
            outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            failed += outcome.returncode != 0
            line = outcome.stdout.strip() or json.dumps({"case": case, "sensors": count, "exit": outcome.returncode})
            print(line, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
