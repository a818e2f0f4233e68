"""How many simulated events a search needs to reach 95 % of the best gain, one JSON line a case on standard output.

    python tests/benchmarks/search.py                                               # hours: the full size
    python tests/benchmarks/search.py --parameters 10 --seeds 1 --events 2 --steps 6 --evaluations 40 --coarse

The quickstart's problem (where the 368 modules of IWCD stand, for contained muons) with 10, 100 and all 736 free numbers, by
gradient and by CMA-ES, on the same events and under the same smallest spacing. 10 and 100 numbers are the coefficients of the
lowest smooth modes on each patch of the wall, by which all modules are displaced: sine and cosine of the azimuth times
Legendre polynomials of the height on the barrel, powers of x and y on the caps. Each seed draws other events.

The best gain is that of the better search of the same seed. An event whose derivative is taken, too, counts `--gradient-cost`
times; plain numbers of events are given as well. A search that does not come that far has None.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
ALL, REACHED = 736, 0.95


def smooth_modes(detector, count):
    """The lowest `count` modes as displacements of surface coordinates, (modes, sensors, 2), each of unit mean square over its
    patch. Degree by degree; within a degree the barrel first, then both caps, each coordinate by itself."""
    import numpy as np
    from scipy.special import eval_legendre

    uv, patch = np.asarray(detector.sensors.uv), np.asarray(detector.sensors.patch)
    u, v = uv.T
    modes, degree = [], 0
    while len(modes) < count:
        for index in range(3):
            shapes = []
            for first in range(degree + 1):
                second = degree - first
                if index > 0:
                    shapes.append(u**first * v**second)
                else:
                    waves = [np.cos(first * u), np.sin(first * u)] if first else [np.ones_like(u)]
                    shapes += [wave * eval_legendre(second, v) for wave in waves]
            for shape in shapes:
                on_patch = np.where(patch == index, shape, 0.0)
                on_patch = on_patch / np.sqrt(np.mean(on_patch[patch == index] ** 2))
                modes += [np.stack([on_patch, 0 * u], axis=-1), np.stack([0 * u, on_patch], axis=-1)]
        degree += 1
    return np.stack(modes[:count])


class Family:
    """Layouts as a function of the coefficients of modes, and the objective of a study on them."""

    def __init__(self, assembly, evaluation, count):
        import numpy as np

        from studio.design import DesignSpace

        self.baseline, self.evaluation = assembly.baseline, evaluation
        self.space = DesignSpace.of(assembly.baseline, assembly.free)
        self.start = np.asarray(self.space.pack(assembly.baseline)["sensors.uv"])
        self.modes = np.eye(ALL).reshape(ALL, -1, 2) if count == ALL else smooth_modes(assembly.baseline, count)
        self.tree = {"modes": np.zeros(count)}

    def coordinates(self, tree):
        import jax.numpy as jnp

        return {"sensors.uv": self.start + jnp.tensordot(tree["modes"], self.modes, axes=1)}

    def detector(self, tree):
        return self.space.unpack(self.baseline, self.coordinates(tree))

    def positions(self, tree):
        return self.detector(tree).placed.positions

    def with_gradients(self, wanted):
        import numpy as np

        from studio.design import Evaluation

        found = []
        results = self.evaluation.many([(self.detector(tree), step) for tree, step in wanted])
        for (tree, _), result in zip(wanted, results, strict=True):
            pulled = self.space.pull_back(self.coordinates(tree), result.gradient)["sensors.uv"]
            gradient = {"modes": np.tensordot(self.modes, np.asarray(pulled), axes=2)}
            found.append(Evaluation(result.value, gradient, result.terms))
        return found

    def forward(self, wanted):
        return self.evaluation.forward([(self.detector(tree), step) for tree, step in wanted])


def problem(options, seed, runner):
    """The quickstart with other numbers of events, and its objective bound to a runner."""
    from studio import OpticalSimulator
    from studio.study import read_experiment
    from studio.study.assembly import assemble
    from studio.study.evaluation import BoundEvaluation
    from studio.study.objective_shards import ShardedObjective
    from studio.study.optical import OpticalPhysics

    changes = {"events.count": options.events, "optimiser.batch": options.events, "optimiser.shard": 1, "seed": seed}
    file = read_experiment(ROOT / "experiments" / "quickstart.yaml").with_values(changes)
    coarse = OpticalSimulator(segments=8, wavelengths=21, degree=4, kink_modes=2)
    physics = OpticalPhysics(file.experiment.nuisances, coarse) if options.coarse else None
    assembly = assemble(file, physics)
    sharded = ShardedObjective(assembly.objective, assembly.baseline, assembly.experiment.free_paths, runner, shard=1)
    return assembly, BoundEvaluation(sharded, assembly.groups, batch=options.events, seed=seed)


def searched(family, apart, options, seed):
    """Both searches: (events an evaluation costs, history) by name."""
    from studio.design import Free, black_box, optimise

    free = {"modes": Free(scale=1.0)}
    spacing = apart(family.positions)
    rate = {"kind": "adam", "learning_rate": options.learning_rate}
    optimiser = {"kind": "lbfgs"} if options.optimiser == "lbfgs" else rate
    gradient = optimise(
        family.tree,
        free,
        constraints=spacing,
        optimiser=optimiser,
        steps=options.steps,
        evaluate=lambda tree, _: family.with_gradients([(tree, 0)])[0],  # all events at every step
        gradient_check=False,
    )
    black = black_box(
        family.tree, free, None, spacing, evaluations=options.evaluations, seed=seed, evaluate_many=family.forward
    )
    return {"gradient": gradient, "cma_es": black}


def reached(solution, level):
    """Evaluations until the best objective was at a level; None where it never was."""
    made = (record.evaluations for record in solution.history if record.best is not None and record.best <= level)
    return next(made, None)


def case(count, options, runner):
    from studio.design import MinimumSpacing

    rows = {"gradient": [], "cma_es": []}
    gains = {"gradient": [], "cma_es": []}
    begun = time.perf_counter()
    for seed in range(1, options.seeds + 1):
        assembly, evaluation = problem(options, seed, runner)
        (spacing,) = (c for c in assembly.constraints if isinstance(c, MinimumSpacing))
        found = searched(
            Family(assembly, evaluation, count),
            lambda positions, limit=spacing.limit: MinimumSpacing(positions, limit),
            options,
            seed,
        )
        start = found["gradient"].objective_start
        best = min(solution.objective for solution in found.values())
        for name, solution in found.items():
            made = reached(solution, start - REACHED * (start - best))
            rows[name].append(None if made is None else made * options.events)
            gains[name].append(round(start - solution.objective, 5))
    cost = {"gradient": options.gradient_cost, "cma_es": 1.0}
    line = {"parameters": count, "seeds": options.seeds, "events_a_design": options.events, "steps": options.steps}
    line |= {
        "optimiser": options.optimiser,
        "evaluations": options.evaluations,
        "coarse": options.coarse,
        "gradient_cost": options.gradient_cost,
    }
    for name, events in rows.items():
        arrived = [events_needed for events_needed in events if events_needed is not None]
        # The middle one, where those that never arrive are the last.
        median = statistics.median_low(arrived + [float("inf")] * (len(events) - len(arrived)))
        line[name] = {
            "gain": gains[name],
            "events_to_95": events,
            "median_weighted": None if median == float("inf") else cost[name] * median,
        }
    return line | {"seconds": round(time.perf_counter() - begun), "device": f"{os.cpu_count()} cores"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=int, nargs="+", default=[10, 100, ALL], metavar="N", help="free numbers")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--events", type=int, default=40, help="events a design is judged by")
    parser.add_argument("--steps", type=int, default=100, help="of the gradient")
    parser.add_argument("--evaluations", type=int, default=3000, help="of CMA-ES")
    parser.add_argument("--optimiser", choices=("adam", "lbfgs"), default="adam", help="of the gradient")
    parser.add_argument("--learning-rate", type=float, default=0.03)
    parser.add_argument("--gradient-cost", type=float, default=3.0)
    parser.add_argument("--coarse", action="store_true", help="a coarse simulation, whose figures mean little")
    options = parser.parse_args()
    from studio import _xla

    _xla.start()
    from studio import LocalRunner

    with LocalRunner() as runner:
        for count in options.parameters:
            print(json.dumps(case(count, options, runner)), flush=True)


if __name__ == "__main__":
    main()
