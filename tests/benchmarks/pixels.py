"""Pixels in liquid argon: time, compilation and memory, one JSON line a case on standard output.

    python tests/benchmarks/pixels.py
    python tests/benchmarks/pixels.py --case forward gradient sample --deposits 1000 5335

A muon of 500 MeV in so many segments in one of ND-LAr's 70 volumes, pads every 4.434 mm: the expected charge by pad and slice
(`forward`), a sum of its squares with its derivatives by place and energy of every segment (`gradient`), and what the chips record,
clock by clock (`sample`). Each case runs in a process of its own; the least of five runs is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.benchmarks.wires import run_cases

CASES = ("forward", "gradient", "sample")


def workload(case, deposits):
    """A function without arguments that does the work and waits for it."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from studio import PixelSimulator, Primary
    from tests.simulation.tpc.test_nd_lar_pixels import nd_lar

    detector = nd_lar(4.434)
    muon = Primary("mu-", (100.0, -900.0, -400.0), (0.2, 0.9, 0.3), 500.0)
    event = PixelSimulator(segments=deposits).deposits(detector, muon)
    simulator = PixelSimulator().fitted(detector, [event])

    def squares(position, energy):
        moved = eqx.tree_at(lambda tree: (tree.position, tree.energy), event, (position, energy))
        return jnp.sum(simulator.expected(detector, moved).charge ** 2)

    if case == "gradient":
        compiled = jax.jit(jax.value_and_grad(squares, argnums=(0, 1)))
        return lambda: jax.block_until_ready(compiled(event.position, event.energy))
    if case == "sample":
        return lambda: jax.block_until_ready(simulator.sample(detector, event, jax.random.key(0)))
    return lambda: jax.block_until_ready(simulator.expected(detector, event))


if __name__ == "__main__":
    run_cases(__file__, __doc__, CASES, workload)
