"""Wires in liquid argon: time, compilation and memory, one JSON line a case on standard output.

    python tests/benchmarks/wires.py
    python tests/benchmarks/wires.py --case forward gradient response --deposits 1000 5335

A muon of 500 MeV in so many segments in one of two drift volumes of SBND's size: the expected waveforms (`forward`), and a sum of
their squares with its derivatives by place and energy of every segment (`gradient`); `response` is the field response of three
planes, 10 impacts and 1,000 ticks, by itself. Each case runs in a process of its own; the least of five runs is given.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
CASES = ("forward", "gradient", "response")
WIDTH = (4000.0, 5000.0)
PLANES = ((math.pi / 3, 6.0, -200.0), (-math.pi / 3, 3.0, 0.0), (0.0, 0.0, 440.0))


def chamber():
    """Two drift volumes with a common cathode, as in SBND."""
    from studio.detector import TPC, ColdElectronics, DriftVolumes, WirePlane, slots_for
    from studio.medium import LiquidArgon

    ends = [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    anodes = [[2000.0 * end[0], 0.0, 0.0] for end in ends]
    volumes = DriftVolumes(anodes, ends, [[0.0, 1.0, 0.0]] * 2, 2000.0, WIDTH, 50.0)
    planes = tuple(
        WirePlane(3.0, angle, height, bias, slots=slots_for(3.0, angle, WIDTH)) for angle, height, bias in PLANES
    )
    return TPC(volumes, LiquidArgon(), planes, ColdElectronics(ticks=3400))


def workload(case, deposits):
    """A function without arguments that does the work and waits for it."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from studio.event import Primary
    from studio.simulation.tpc import TPCSimulator
    from studio.simulation.tpc.field_response import field_response

    if case == "response":
        heights, biases = (jnp.array([plane[index] for plane in PLANES]) for index in (1, 2))
        compiled = jax.jit(lambda pitch: field_response(pitch, heights, biases, 50.0, time=jnp.arange(1000) * 100.0))
        return lambda: jax.block_until_ready(compiled(3.0))
    detector = chamber()
    muon = Primary("mu-", (-900.0, 0.0, -800.0), (0.2, 0.3, 1.0), 500.0)
    event = TPCSimulator(segments=deposits).deposits(detector, muon)
    simulator = TPCSimulator().fitted(detector, [event])

    def squares(position, energy):
        moved = eqx.tree_at(lambda tree: (tree.position, tree.energy), event, (position, energy))
        readout = simulator.expected(detector, moved)
        return sum(jnp.sum((plane.values - readout.pedestal) ** 2) for plane in readout.planes)

    if case == "gradient":
        compiled = jax.jit(jax.value_and_grad(squares, argnums=(0, 1)))
        return lambda: jax.block_until_ready(compiled(event.position, event.energy))
    return lambda: jax.block_until_ready(simulator.expected(detector, event))


def measure(case, deposits, workload):
    import jax

    run, begun = workload(case, deposits), time.perf_counter()
    run()
    first = time.perf_counter() - begun
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return {
        "case": case,
        "deposits": None if case == "response" else deposits,
        "seconds": round(min(times), 4),
        "compile_seconds": round(first - min(times), 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
        "device": str(jax.devices()[0]),
    }


def run_cases(file, description, cases, workload):
    """The command line of a benchmark `file`: each case in a process of its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=cases, nargs="+", default=list(cases))
    parser.add_argument("--deposits", type=int, nargs="+", default=[1000, 5335])
    parser.add_argument("--here", action="store_true", help="the first case in this process")
    options = parser.parse_args()
    if options.here:
        import jax

        jax.config.update("jax_enable_x64", True)
        print(json.dumps(measure(options.case[0], options.deposits[0], workload)))
        return
    for case in options.case:
        for deposits in options.deposits if case != "response" else options.deposits[:1]:
            command = [sys.executable, file, "--here", "--case", case, "--deposits", str(deposits)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    run_cases(__file__, __doc__, CASES, workload)
