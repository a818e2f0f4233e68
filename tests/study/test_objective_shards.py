"""Shards add up to the objective computed in one piece, for means and for any other second stage, in any number of lanes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Cylinder, Detector, Gun, InputError, PhotosensorArray, Water, paths, sensor_type
from studio.design import (
    AbstractReducer,
    Maximum,
    Mean,
    MeanLog,
    PopulationObjective,
    Quantile,
    Robust,
    Tail,
    WeightedSum,
    Worst,
)
from studio.execution import LocalRunner
from studio.study.evaluation import BoundEvaluation
from studio.study.objective_shards import ShardedObjective, split_events
from tests.stand_in import StandIn

FREE = ("sensors.uv", "volume.radius")


class SmoothMaximum(AbstractReducer):
    """A second stage of one's own that is no mean: log Σ exp."""

    def __call__(self, summaries, members=None):
        return jax.nn.logsumexp(10 * jnp.log(summaries)) / 10


@pytest.fixture(scope="module")
def detector():
    generator = np.random.default_rng(0)
    uv = np.stack([generator.uniform(-3, 3, 24), generator.uniform(-0.8, 0.8, 24)], axis=-1)
    return Detector(
        Cylinder(2000.0, 4000.0), Water(), PhotosensorArray(uv, np.zeros(24, int), (sensor_type("r3600_20_inch"),))
    )


@pytest.fixture(scope="module")
def groups(detector):
    key = jax.random.key(1)
    return tuple(
        Gun(name, detector.volume, kinetic_energy=(200.0, 900.0)).sample(key, n) for name, n in (("mu-", 5), ("e-", 3))
    )


def objective(reducer) -> PopulationObjective:
    return PopulationObjective(StandIn().resolution, name="resolution", size=3, columns=(0, 2), reducer=reducer)


def is_electron(event):
    return event.particle == "e-"


def populations(reducer):
    """Terms over one particle and over both, which share their summary; the first two over different numbers of events."""
    summary = StandIn().resolution
    electrons = PopulationObjective(summary, "electrons", 3, (1,), reducer, is_electron)
    return WeightedSum([electrons, PopulationObjective(summary, "all", 3, (2,)), objective(reducer)], [2.0, 0.5, 1.0])


def enlarged(detector, sample):
    return paths.replace(detector, {"volume.radius": detector.volume.radius * (1 + 0.02 * sample)})


CASES = {
    "mean": (objective(MeanLog()), True),
    "own": (objective(SmoothMaximum()), False),
    "worst": (objective(Worst()), False),
    "tail": (objective(Tail(0.3)), False),
    "means of populations": (populations(MeanLog()), True),
    "quantiles of populations": (populations(Quantile(0.8)), False),
    "mean over samples": (Robust(populations(Mean()), enlarged, 3), True),
    "worst sample": (Robust(populations(MeanLog()), enlarged, 3, Maximum()), False),
}


def in_one_piece(term, detector, groups):
    def value(leaves):
        tree = paths.replace(detector, leaves)
        rows = [jax.vmap(lambda event: term.summarise(tree, event))(group) for group in groups]
        return term.combine(jnp.concatenate(rows))

    return jax.jit(jax.value_and_grad(value))({path: paths.get(detector, path) for path in FREE})


@pytest.mark.parametrize("case", CASES)
def test_shards_add_up(detector, groups, case):
    """Only the order of float64 sums differs: 1e-12 relative to the largest derivative."""
    term, one_pass = CASES[case]
    value, gradient = in_one_piece(term, detector, groups)
    found = {}
    for devices in (1, 2):
        with LocalRunner(devices) as runner:
            sharded = ShardedObjective(term, detector, FREE, runner, shard=2)
            assert sharded.one_pass is one_pass
            found[devices] = sharded.value_and_gradient(detector, groups)
            assert sharded.value(detector, groups).value == pytest.approx(found[devices].value, rel=1e-14)
    assert found[1].value == pytest.approx(float(value), rel=1e-12)
    assert found[1].summaries.shape == (8, term.size)
    for path in FREE:
        scale = np.abs(gradient[path]).max()
        np.testing.assert_allclose(found[1].gradient[path], gradient[path], rtol=1e-10, atol=1e-12 * scale)
        np.testing.assert_array_equal(found[1].gradient[path], found[2].gradient[path])
    assert found[1].value == found[2].value


def test_a_population_without_events_is_refused(detector, groups):
    with LocalRunner(1) as runner:
        sharded = ShardedObjective(populations(MeanLog()), detector, FREE, runner, shard=2)
        with pytest.raises(InputError, match="electrons: no event belongs"):
            sharded.value_and_gradient(detector, groups[:1])


def test_a_new_design_compiles_nothing(detector, groups):
    with LocalRunner(2) as runner:
        sharded = ShardedObjective(objective(MeanLog()), detector, FREE, runner, shard=2)
        sharded.value_and_gradient(detector, groups)
        assert sharded.compilations == len(groups)  # one a particle
        moved = paths.replace(detector, {"volume.radius": 2100.0, "sensors.uv": np.asarray(detector.sensors.uv) * 0.9})
        sharded.value_and_gradient(moved, groups)
        assert sharded.compilations == len(groups)


def test_the_last_piece_is_filled_up(groups):
    pieces = split_events(groups[0], 2)
    assert [weights.tolist() for _, weights in pieces] == [[1, 1], [1, 1], [1, 0]]
    assert pieces[-1][0].kinetic_energy[0] == pieces[-1][0].kinetic_energy[1]


def test_batches_use_every_event_equally_often(detector, groups):
    """Five events in batches of one: each is used once in five steps, in an order that the seed and the step fix."""
    with LocalRunner(1) as runner:
        sharded = ShardedObjective(objective(MeanLog()), detector, FREE, runner, shard=1)
        evaluate = BoundEvaluation(sharded, groups[:1], batch=1, seed=7)
        energies = [float(evaluate.events_at(step)[0].kinetic_energy[0]) for step in range(5, 10)]
        assert sorted(energies) == sorted(np.asarray(groups[0].kinetic_energy).tolist())
        again = [float(evaluate.events_at(step)[0].kinetic_energy[0]) for step in range(5, 10)]
        assert energies == again
        assert evaluate.events_at(0)[0].count == 5  # designs are compared on all events
