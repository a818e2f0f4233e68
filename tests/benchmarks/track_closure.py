"""Closure of the track fit on wires of SBND's size: one JSON line an event, and the table of all lines so far.

    python tests/benchmarks/track_closure.py --kind A --events 1000 --out runs/closure_a.jsonl
    python tests/benchmarks/track_closure.py --table runs/closure_a.jsonl runs/closure_b.jsonl

Muons of 500 MeV that stop inside either drift volume, in any direction; each fit starts 1 m and 20° off the truth, at 20 % more
energy (or without any start: `--free`). Kind A: process fluctuations off in the samples and in the information, B: on in both. An
event depends on its number alone, and those that a file holds are not computed again.

Readouts are 1,024 wires a plane around the track, and all samples. Their waveforms come from windows along the track, twice as long as
those of most fits, and not from the simulator's own `sample`, which takes minutes an event and a program of its own for
most of them; tests/simulation/tpc/test_ribbons.py holds the two together.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

NAMES = ("vertex.x", "vertex.y", "vertex.z", "direction.1", "direction.2", "kinetic_energy")
ENERGY, MARGIN = 500.0, 100.0
PARTS = 16  # of a piece of track, as the fit of 100 pieces has them: a coarser cut shows, at these precisions


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


def sampler(simulator, detector):
    """Readouts of wires around the track, from windows along it."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from studio.inference.track_windows import arrival_of, ribbons_along, spectra_for
    from studio.inference.wire_tracks import occupied
    from studio.simulation.tpc.charge_grid import GridOrigin
    from studio.simulation.tpc.ribbons import RibbonSize, answers, transformed_charge
    from studio.simulation.tpc.signals import PlaneSignals

    samples, wires = 512, 1024
    sizes = (RibbonSize(simulator.bins, wires, samples, samples // 2 + 1, PARTS, 24),) * 3
    spectra = spectra_for(simulator, detector, samples)

    @eqx.filter_jit
    def draw(event, key):
        of_charge, of_noise = jax.random.split(key)
        charge = occupied(simulator._fluctuating_charge(detector, event, of_charge), simulator.segments + 8)
        rows = tuple(simulator.pulses(detector, charge, plane, PARTS) for plane in detector.planes)
        ribbons = ribbons_along(detector, rows, sizes, 1, arrival_of(simulator, detector))
        planes, ticks = [], detector.electronics.ticks
        for seen, stands, size, spectrum in zip(rows, ribbons, sizes, spectra, strict=True):
            transform = answers(transformed_charge(seen, stands, size), spectrum).total
            turn = (stands.sample % samples)[..., None] * jnp.arange(samples // 2 + 1)
            voltage = jnp.fft.irfft(transform * jnp.exp(2j * jnp.pi * turn / samples), samples, axis=-1)
            column = stands.sample[..., None] + jnp.arange(samples)
            column = jnp.where((column >= 0) & (column < ticks), column, ticks)
            row = jnp.arange(wires)[None, :, None]
            whole = jnp.zeros((1, wires, ticks + 1)).at[jnp.zeros((1, 1, 1), int), row, column].set(voltage)[..., :-1]
            planes.append(PlaneSignals(whole, GridOrigin(stands.volume, stands.wire, jnp.zeros(1, jnp.int32))))
        return simulator._digitized(detector, tuple(planes), jnp.zeros(()), of_noise)

    return draw


def fit(options):
    import jax
    import jax.numpy as jnp
    import numpy as np

    import studio
    from studio.event.primary import stack
    from tests.benchmarks.wires import chamber

    detector, process = chamber(), options.kind == "B"
    simulator = studio.TPCSimulator(segments=options.segments, process=process)
    draw = sampler(simulator, detector)
    made = (
        {json.loads(line)["event"] for line in options.out.read_text().splitlines()} if options.out.exists() else set()
    )
    left = [index for index in range(options.first, options.first + options.events) if index not in made]
    for first in range(0, len(left), options.together):
        chosen = left[first : first + options.together]
        truths, starts, readouts = [], [], []
        begun = time.process_time()
        for index in chosen:
            truth, start = event_of(detector, index)
            truths.append(studio.Primary("mu-", **truth))
            starts.append(studio.Primary("mu-", **start))
            readouts.append(draw(truths[-1], jax.random.fold_in(jax.random.key(7), index)))
        readouts = jax.tree.map(lambda *leaves: jnp.stack(leaves), *readouts)
        jax.block_until_ready(readouts)
        sampled = time.process_time()
        begin = None if options.free else stack(starts)
        found = studio.reconstruct(simulator, detector, readouts, "mu-", start=begin)
        jax.block_until_ready(found)
        spent = time.process_time()
        with options.out.open("a") as file:
            for place, index in enumerate(chosen):
                off = errors(found.primary[place], truths[place])
                line = {
                    "event": index,
                    "kind": options.kind,
                    "status": int(found.status[place]),
                    "goodness": float(found.goodness[place]),
                    "error": off,
                    "sigma": np.sqrt(np.abs(np.diag(np.asarray(found.covariance[place])))).tolist(),
                    "direction": truths[place].direction.tolist(),
                    "sample_seconds": round((sampled - begun) / len(chosen), 3),
                    "fit_seconds": round((spent - sampled) / len(chosen), 3),
                }
                file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def errors(found, truth):
    """Estimate less truth in mm, rad (in the tangent basis of the truth) and MeV."""
    import numpy as np

    from studio.simulation.optical.directions import tangent_basis

    basis = np.asarray(tangent_basis(truth.direction))
    turn = basis @ np.asarray(found.direction)
    return [
        *np.asarray(found.vertex - truth.vertex).tolist(),
        *turn.tolist(),
        float(found.kinetic_energy - truth.kinetic_energy),
    ]


def table(files):
    """Converged part, and rms of error over σ with its 95 % interval (bootstrap over events), by parameter."""
    import numpy as np

    generator = np.random.default_rng(1)
    for file in files:
        lines = [json.loads(line) for line in Path(file).read_text().splitlines()]
        good = [line for line in lines if line["status"] == 0]
        print(f"{file}: {len(lines)} events, {len(good)} converged ({100 * len(good) / max(1, len(lines)):.1f} %)")
        counts = {
            status: sum(line["status"] == status for line in lines) for status in {line["status"] for line in lines}
        }
        print("  by status:", counts)
        if not good:
            continue
        pulls = np.array([np.array(line["error"]) / np.array(line["sigma"]) for line in good])
        sigma = np.median([line["sigma"] for line in good], axis=0)
        for name, column, typical in zip(NAMES, pulls.T, sigma, strict=True):
            picks = generator.integers(0, len(column), (2000, len(column)))
            low, high = np.percentile(np.sqrt(np.mean(column[picks] ** 2, axis=1)), [2.5, 97.5])
            rms, middle = np.sqrt(np.mean(column**2)), np.percentile(np.abs(column), 68.3)
            print(f"  {name:15s} rms {rms:.3f} [{low:.3f}, {high:.3f}]  68 % {middle:.3f}  σ {typical:.3g}")
        print(
            f"  CPU seconds an event (median): sample {np.median([line['sample_seconds'] for line in lines])},", end=" "
        )
        print(f"fit {np.median([line['fit_seconds'] for line in lines])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("A", "B"), default="A")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--segments", type=int, default=100)
    parser.add_argument("--together", type=int, default=10, help="events sampled and fitted before lines are written")
    parser.add_argument("--free", action="store_true", help="fit without a start")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", nargs="+", help="print the table of these files")
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    from studio import _xla

    _xla.prepare()
    import jax

    jax.config.update("jax_enable_x64", True)
    fit(options)


if __name__ == "__main__":
    main()
