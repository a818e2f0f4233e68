"""Closure of the reconstruction from light: one JSON line an event, and the table of all lines so far.

    python tests/benchmarks/light_closure.py --geometry iwcd --energy 500 --kind B --out runs/iwcd_500_b.jsonl
    python tests/benchmarks/light_closure.py --table runs/iwcd_500_b.jsonl

Contained muons of one energy (MeV), anywhere in the tank and in any direction, sampled, and reconstructed as studies do, without
the truth. σ is the Cramér–Rao bound of the event at its truth, all other parameters marginalized. Kind A: process fluctuations
off in samples, fits and bound; B: on in all. An event depends on its number alone, and those that a file holds are not
computed again.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def fit(options):
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpy as np

    import studio
    from studio.study.optical import fitting
    from tests.benchmarks.closure import append, errors, made

    detector = studio.load_detector(ROOT / "geometries" / f"{options.geometry}.yaml")
    simulator = studio.OpticalSimulator(process=options.kind == "B")
    gun = studio.Gun("mu-", detector.volume, kinetic_energy=options.energy, contained=True)
    groups = ("vertex", "direction", "kinetic_energy", "time")
    # The detector is an argument: as a constant, that of Super-Kamiokande keeps the compiler busy for minutes.
    sampled = eqx.filter_jit(simulator.sample)
    bound = eqx.filter_jit(lambda *event: studio.fisher_information(simulator, *event, groups).covariance())

    def primary(index):
        return jax.tree.map(lambda leaf: leaf[0], gun.sample(jax.random.fold_in(jax.random.key(11), index), 1))

    done = made(options.out)
    for index in range(options.first, options.first + options.events):
        if index in done:
            continue
        begun = time.process_time()
        truth = primary(index)
        readout = jax.block_until_ready(sampled(detector, truth, jax.random.fold_in(jax.random.key(12), index)))
        sigma = np.sqrt(np.diag(np.asarray(bound(detector, truth))))
        prepared = time.process_time()
        stacked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], readout)
        found = jax.block_until_ready(studio.reconstruct(fitting(simulator), detector, stacked, "mu-", starts=2))
        spent = time.process_time()
        line = {
            "event": index,
            "kind": options.kind,
            "status": int(found.status[0]),
            "goodness": float(found.goodness[0]),
            "error": errors(found.primary[0], truth),
            "sigma": sigma.tolist(),
            "fit_sigma": np.sqrt(np.abs(np.diag(np.asarray(found.covariance[0])))).tolist(),
            "vertex": truth.vertex.tolist(),
            "direction": truth.direction.tolist(),
            "sample_seconds": round(prepared - begun, 3),
            "fit_seconds": round(spent - prepared, 3),
        }
        append(options.out, [line])


def main():
    from tests.benchmarks.closure import command

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--geometry", default="iwcd", help="name of a file in geometries/")
    parser.add_argument("--energy", type=float, default=500.0)
    command(parser, fit)


if __name__ == "__main__":
    main()
