"""Two stages: a summary per event, a scalar over the population; sums of weighted terms with named parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.design import (
    FunctionObjective,
    LocalEvaluation,
    Mean,
    PopulationObjective,
    WeightedSum,
    combine,
    event_keys,
    summaries,
    summaries_pull_back,
)

TREE = {"x": np.array([0.3, -0.7]), "scale": 2.0}
EVENTS = np.random.default_rng(0).normal(size=(7, 2))


def widths(tree, event):
    """Two positive numbers per event that depend on the design."""
    return jnp.exp(tree["x"] * event) * tree["scale"]


def both():
    first = PopulationObjective(widths, "first", size=2, columns=(0,))
    second = PopulationObjective(widths, "second", size=2, columns=(1,), reducer=Mean())
    return first, second


def test_mean_log_is_the_mean_of_the_logarithm():
    # log(exp(x e) s) = x e + log s, so the mean over events is known by hand.
    first, _ = both()
    result = LocalEvaluation(first, ("x",), EVENTS)(TREE, 0)
    np.testing.assert_allclose(result.value, 0.3 * EVENTS[:, 0].mean() + np.log(2), rtol=1e-12)
    np.testing.assert_allclose(result.gradient["x"], [EVENTS[:, 0].mean(), 0.0], rtol=1e-12)


def test_the_algebra_weighs_terms_and_reports_them_unweighted():
    first, second = both()
    total = 2.0 * first + second * 0.5
    result = LocalEvaluation(total, ("x",), EVENTS)(TREE, 0)
    expected = {
        "first": 0.3 * EVENTS[:, 0].mean() + np.log(2),
        "second": np.mean(2 * np.exp(-0.7 * EVENTS[:, 1])),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(result.terms[name], value, rtol=1e-12)
    np.testing.assert_allclose(result.value, 2 * expected["first"] + 0.5 * expected["second"], rtol=1e-12)


def test_a_sum_of_sums_is_flat_and_a_shared_summary_is_computed_once():
    first, second = both()
    third = PopulationObjective(lambda tree, event: jnp.sum(tree["x"]) ** 2 + 1.0, "third")
    total = 2.0 * (first + 3.0 * second) + third
    assert isinstance(total, WeightedSum)
    assert total.weights == (2.0, 6.0, 1.0)
    assert total.size == 3  # two numbers shared by the first two terms, one of the third
    calls = []

    def counted(tree, event):
        calls.append(1)
        return widths(tree, event)

    shared = PopulationObjective(counted, "a", 2, (0,)) + PopulationObjective(counted, "b", 2, (1,))
    assert shared.summarise(TREE, EVENTS[0]).shape == (2,)
    assert len(calls) == 1


def test_shards_put_together_give_the_gradient_of_the_whole():
    first, second = both()
    total = 2.0 * first + 0.5 * second
    leaves = {"x": jnp.asarray(TREE["x"])}
    whole = LocalEvaluation(total, ("x",), EVENTS)(TREE, 0)
    shards = [EVENTS[:3], EVENTS[3:5], EVENTS[5:]]
    gathered = jnp.concatenate([summaries(total, TREE, leaves, shard) for shard in shards])
    value, terms, cotangents = combine(total, gathered)
    parts = np.split(np.asarray(cotangents), [3, 5])
    pulled = [summaries_pull_back(total, TREE, leaves, s, c)["x"] for s, c in zip(shards, parts, strict=True)]
    np.testing.assert_allclose(value, whole.value, rtol=1e-13)
    np.testing.assert_allclose(sum(pulled), whole.gradient["x"], rtol=1e-12)
    assert set(terms) == {"first", "second"}


@pytest.mark.parametrize("chunk", [1, 2, 7, 100])
def test_the_chunk_changes_nothing(chunk):
    first, _ = both()
    whole = LocalEvaluation(first, ("x",), EVENTS)(TREE, 0)
    chunked = LocalEvaluation(first, ("x",), EVENTS, chunk=chunk)(TREE, 0)
    np.testing.assert_allclose(chunked.value, whole.value, rtol=1e-13)
    np.testing.assert_allclose(chunked.gradient["x"], whole.gradient["x"], rtol=1e-12)


def test_events_drawn_per_step_follow_seed_and_step():
    first, _ = both()

    def draw(key):
        return jax.random.normal(key, (5, 2))

    evaluation = LocalEvaluation(first, ("x",), draw, seed=3)
    assert not evaluation.deterministic
    assert evaluation(TREE, 1).value == evaluation(TREE, 1).value
    assert evaluation(TREE, 1).value != evaluation(TREE, 2).value
    other = LocalEvaluation(first, ("x",), draw, seed=4)
    assert evaluation(TREE, 1).value != other(TREE, 1).value


def test_event_keys_do_not_depend_on_the_shards():
    whole = jax.random.key_data(event_keys(5, 2, 6))
    parts = [jax.random.key_data(event_keys(5, 2, np.arange(a, b))) for a, b in ((0, 2), (2, 6))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert len({tuple(key) for key in np.asarray(whole)}) == 6


def test_faulty_events_are_named_with_the_leaf():
    def summary(tree, event):
        # The derivative of sqrt at zero is infinite: event 3 has one there, its value is finite.
        return jnp.sqrt(jnp.abs(tree["x"][0] - event[0])) + tree["scale"]

    events = EVENTS.copy()
    events[3, 0] = 0.3
    evaluation = LocalEvaluation(PopulationObjective(summary, "rough"), ("x", "scale"), events)
    assert evaluation.faulty_events(TREE, 0) == {"x": [3]}


def test_bad_objectives_are_refused():
    first, _ = both()
    with pytest.raises(InputError, match="share a name"):
        _ = first + first
    with pytest.raises(InputError, match="finite"):
        _ = float("nan") * first
    with pytest.raises(InputError, match="columns of a summary of 2 numbers"):
        PopulationObjective(widths, "x", size=2, columns=(2,))
    with pytest.raises(InputError, match=r"shape \(2,\) where \(3,\)"):
        LocalEvaluation(PopulationObjective(widths, "x", size=3), ("x",), EVENTS)(TREE, 0)
    with pytest.raises(InputError, match=r"one real number, not shape \(2,\)"):
        LocalEvaluation(FunctionObjective(lambda tree: tree["x"]), ("x",))(TREE, 0)
