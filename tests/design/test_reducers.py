"""Second stages against numpy: values, derivatives, populations, ties, and what an optimiser makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.design import (
    LocalEvaluation,
    LogMean,
    Maximum,
    Mean,
    MeanLog,
    PopulationObjective,
    Quantile,
    Tail,
    Worst,
    optimise,
)

GENERATOR = np.random.default_rng(3)
WIDTHS = GENERATOR.lognormal(size=(11, 1))
MEMBERS = np.array([1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1], bool)


def tail(logs, share):
    """The mean of the worst `share`, by filling it from the top with whole events and a part of the last."""
    left, total = share * len(logs), 0.0
    for value in sorted(logs)[::-1]:
        part = min(1.0, left)
        total, left = total + part * value, left - part
    return total / (share * len(logs))


REDUCERS = {
    "mean log": (MeanLog(), lambda w: np.mean(np.log(w))),
    "mean": (Mean(), np.mean),
    "log mean": (LogMean(), lambda w: np.log(np.mean(w))),
    "worst": (Worst(), lambda w: np.log(np.max(w))),
    "maximum": (Maximum(), np.max),
    "median": (Quantile(0.5), lambda w: np.quantile(np.log(w), 0.5)),
    "quantile": (Quantile(0.83), lambda w: np.quantile(np.log(w), 0.83)),
    "lowest": (Quantile(0.0), lambda w: np.log(np.min(w))),
    "highest": (Quantile(1.0), lambda w: np.log(np.max(w))),
    "tail": (Tail(0.3), lambda w: tail(np.log(w).ravel(), 0.3)),
    "short tail": (Tail(0.02), lambda w: np.log(np.max(w))),
    "whole tail": (Tail(1.0), lambda w: np.mean(np.log(w))),
}


@pytest.mark.parametrize("name", REDUCERS)
def test_values_and_derivatives(name):
    """Values to rounding; derivatives against central differences of the numpy formula, whose error is about 1e-10."""
    reducer, formula = REDUCERS[name]
    for members in (None, MEMBERS):
        counted = np.ones(11, bool) if members is None else members
        value, slope = jax.value_and_grad(reducer)(jnp.asarray(WIDTHS), members)
        assert float(value) == pytest.approx(formula(WIDTHS[counted]), rel=1e-13)
        numeric = np.zeros((11, 1))
        for row in np.flatnonzero(counted):
            step = 1e-6 * np.eye(11)[:, [row]]
            numeric[row] = (formula((WIDTHS + step)[counted]) - formula((WIDTHS - step)[counted])) / 2e-6
        np.testing.assert_allclose(slope, numeric, atol=1e-8)


@pytest.mark.parametrize("name", REDUCERS)
def test_an_event_outside_the_population_may_be_anything(name):
    reducer, _ = REDUCERS[name]
    spoilt = np.where(MEMBERS[:, None], WIDTHS, np.nan)
    value, slope = jax.value_and_grad(reducer)(jnp.asarray(spoilt), MEMBERS)
    assert float(value) == float(reducer(jnp.asarray(WIDTHS), MEMBERS))
    np.testing.assert_array_equal(slope[~MEMBERS], 0.0)
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("reducer", [Worst(), Quantile(0.5), Tail(0.2), MeanLog()])
def test_what_is_no_number_is_not_hidden(reducer):
    assert np.isnan(reducer(jnp.asarray(np.append(WIDTHS, [[np.nan]], axis=0))))


def test_ties_give_a_derivative_that_descent_may_follow():
    """A subgradient g of a convex f in the logs: f(y) >= f(x) + g (y - x) for all y, here 200 random ones."""
    logs = np.log([2.0, 2.0, 1.0, 2.0, 0.5])
    for reducer in (Worst(), Tail(0.4), Tail(0.7)):
        of_logs = lambda x, reducer=reducer: reducer(jnp.exp(x)[:, None])  # noqa: E731
        value, slope = jax.value_and_grad(of_logs)(jnp.asarray(logs))
        assert float(jnp.sum(slope)) == pytest.approx(1.0, rel=1e-12)
        for other in logs + np.random.default_rng(0).normal(size=(200, 5)):
            assert of_logs(other) >= value + slope @ (other - logs) - 1e-12
    np.testing.assert_allclose(jax.grad(lambda x: Worst()(jnp.exp(x)[:, None]))(logs), [1 / 3, 1 / 3, 0, 1 / 3, 0])
    quantile = jax.grad(lambda x: Quantile(0.75)(jnp.exp(x)[:, None]))(logs)
    assert float(jnp.sum(quantile)) == pytest.approx(1.0)


@pytest.mark.parametrize(("reducer", "expected"), [(Worst(), 1.0), (Tail(0.01), 1.0), (MeanLog(), 0.5)])
def test_a_first_order_optimiser_finds_the_minimax(reducer, expected):
    """Widths exp((x - e)²) at e = 0, 0, 0 and 2: the mean is best at 0.5, the worst case half way, where two events tie."""
    objective = PopulationObjective(lambda tree, event: jnp.exp((tree["x"] - event) ** 2), "width", reducer=reducer)
    events = np.array([0.0, 0.0, 0.0, 2.0])
    result = optimise({"x": 3.0}, ["x"], objective, events=events, steps=300, optimiser="adam")
    # Steps decay; at a kink they zigzag with what is left of them.
    assert float(result.tree["x"]) == pytest.approx(expected, abs=2e-2)


def test_a_population_of_its_own_for_every_term():
    """Rows hold the shared numbers once and a flag a restricted term; values are those of the events chosen by hand."""
    events = GENERATOR.normal(size=(9, 3))
    far = events[:, 2] > 0.2
    calls = []

    def widths(tree, event):
        calls.append(1)
        return jnp.exp(tree["x"] * event[:2])

    def is_far(event):
        return event[2] > 0.2

    def term(name, column, **more):
        return PopulationObjective(widths, name, 2, (column,), **more)

    total = (
        2.0 * term("far", 0, members=is_far) + term("all", 1) + 0.5 * term("bad", 1, reducer=Worst(), members=is_far)
    )
    assert total.size == 2 + 2
    tree = {"x": np.array([0.3, -0.7])}
    result = LocalEvaluation(total, ("x",), events)(tree, 0)
    assert len(calls) == 1
    logs = tree["x"] * events[:, :2]
    expected = {"far": logs[far, 0].mean(), "all": logs[:, 1].mean(), "bad": logs[far, 1].max()}
    for name, value in expected.items():
        assert float(result.terms[name]) == pytest.approx(value, rel=1e-12)
    worst = events[far][np.argmax(logs[far, 1]), 1]
    slope = [2 * events[far, 0].mean(), events[:, 1].mean() + 0.5 * worst]
    np.testing.assert_allclose(result.gradient["x"], slope, rtol=1e-12)


def test_single_precision_stays_single():
    term = PopulationObjective(lambda tree, event: tree["x"] * event, "x", members=lambda event: event > 0)
    row = (2.0 * term + PopulationObjective(term.summary, "y")).summarise({"x": jnp.float32(2)}, jnp.float32(3))
    assert row.dtype == jnp.float32
    np.testing.assert_array_equal(row, [6, 1])


def test_bad_reducers_are_refused():
    with pytest.raises(InputError, match="above 0"):
        Tail(0.0)
    with pytest.raises(InputError, match="not a probability"):
        Quantile(90.0)
