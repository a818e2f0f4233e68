"""Closure of the track fit on wires of SBND's size: one JSON line an event, and the table of all lines so far.

    python tests/benchmarks/track_closure.py --kind A --events 1000 --out runs/closure_a.jsonl
    python tests/benchmarks/track_closure.py --table runs/closure_a.jsonl runs/closure_b.jsonl

Muons of 500 MeV that stop inside either drift volume, in any direction; each fit starts 1 m and 20° off the truth, at 20 % more
energy (or without any start: `--free`). Kind A: process fluctuations off in the samples and in the information, B: on in both. An
event depends on its number alone, and those that a file holds are not computed again.

Readouts are those of `TPCSimulator.sample`, all wires and samples; one takes about half a minute, most of it compilation.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

ENERGY, MARGIN = 500.0, 100.0


def event_of(detector, index):
    """Event `index`: a vertex and a direction with which the mean track stays `MARGIN` mm inside one of the drift volumes."""
    import jax.numpy as jnp
    import numpy as np

    from studio.event.stopping import HEAVY, mass_range
    from studio.units import cm

    length = float(mass_range(jnp.asarray(ENERGY), HEAVY["mu-"].mass)) / float(detector.medium.density) * cm
    generator = np.random.default_rng([20261123, index])
    while True:
        side = generator.choice([-1.0, 1.0])
        vertex = generator.uniform(
            [MARGIN, -2000 + MARGIN, -2500 + MARGIN], [2000 - MARGIN, 2000 - MARGIN, 2500 - MARGIN]
        )
        vertex[0] *= side
        direction = generator.normal(size=3)
        direction /= np.linalg.norm(direction)
        end = vertex + length * direction
        if MARGIN < side * end[0] < 2000 - MARGIN and abs(end[1]) < 2000 - MARGIN and abs(end[2]) < 2500 - MARGIN:
            break
    away, turn = generator.normal(size=3), generator.normal(size=3)
    across = np.cross(direction, turn / np.linalg.norm(turn))
    across /= np.linalg.norm(across)
    start = {
        "vertex": vertex + 1000.0 * away / np.linalg.norm(away),
        "direction": math.cos(math.radians(20)) * direction + math.sin(math.radians(20)) * across,
        "kinetic_energy": 1.2 * ENERGY,
    }
    return {"vertex": vertex, "direction": direction, "kinetic_energy": ENERGY}, start


def fit(options):
    import jax
    import jax.numpy as jnp
    import numpy as np

    import studio
    from studio.event.primary import stack
    from tests.benchmarks.closure import append, errors, made
    from tests.benchmarks.wires import chamber

    detector, process = chamber(), options.kind == "B"
    simulator = studio.TPCSimulator(segments=options.segments, process=process)
    done = made(options.out)
    left = [index for index in range(options.first, options.first + options.events) if index not in done]
    for first in range(0, len(left), options.together):
        chosen = left[first : first + options.together]
        truths, starts, readouts = [], [], []
        begun = time.process_time()
        for index in chosen:
            truth, start = event_of(detector, index)
            truths.append(studio.Primary("mu-", **truth))
            starts.append(studio.Primary("mu-", **start))
            readouts.append(simulator.sample(detector, truths[-1], jax.random.fold_in(jax.random.key(7), index)))
        readouts = jax.tree.map(lambda *leaves: jnp.stack(leaves), *readouts)
        jax.block_until_ready(readouts)
        sampled = time.process_time()
        begin = None if options.free else stack(starts)
        found = studio.reconstruct(simulator, detector, readouts, "mu-", start=begin)
        jax.block_until_ready(found)
        spent = time.process_time()
        lines = [
            {
                "event": index,
                "kind": options.kind,
                "status": int(found.status[place]),
                "goodness": float(found.goodness[place]),
                "error": errors(found.primary[place], truths[place])[:6],
                "sigma": np.sqrt(np.abs(np.diag(np.asarray(found.covariance[place])))).tolist(),
                "direction": truths[place].direction.tolist(),
                "sample_seconds": round((sampled - begun) / len(chosen), 3),
                "fit_seconds": round((spent - sampled) / len(chosen), 3),
            }
            for place, index in enumerate(chosen)
        ]
        append(options.out, lines)


def main():
    from tests.benchmarks.closure import command

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=100)
    parser.add_argument("--together", type=int, default=1, help="events sampled and fitted before lines are written")
    parser.add_argument("--free", action="store_true", help="fit without a start")
    command(parser, fit)


if __name__ == "__main__":
    main()
