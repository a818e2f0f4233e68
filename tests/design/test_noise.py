"""Steps that know their noise: the estimate against the truth, batches that grow, the same bits however a run is interrupted.

The problem: |x - x0|² / 2 whose gradient carries normal noise of known deviation at every step but step 0, so signal and noise
of every gradient are known by hand.
"""

import numpy as np
import optax
import pytest

from studio import InputError
from studio.design import Evaluation, FirstOrder, GradientNoise, Optimisation, optimise
from tests.design.stepping import assert_resumed_alike, stepped

BEST = np.linspace(-1.0, 1.0, 8)
DEVIATIONS = np.linspace(0.5, 1.5, 8)
NOISE = np.sqrt(np.sum(DEVIATIONS**2))


class Noisy:
    """The problem, with the steps that it was asked for."""

    def __init__(self, seed=0, size=1.0):
        self.seed, self.size, self.asked = seed, size, []

    def __call__(self, tree, step):
        self.asked.append(step)
        away = np.asarray(tree["x"]) - BEST
        noise = self.size * DEVIATIONS * np.random.default_rng([self.seed, step]).normal(size=8) if step else 0.0
        return Evaluation(0.5 * float(np.sum(away**2)) + float(np.sum(noise)), {"x": away + noise}, {"step": step})


def problem(noisy, start=3.0, steps=400, **options):
    tree = {"x": np.full(8, start)}
    return Optimisation(tree, ["x"], evaluate=noisy, deterministic=False, steps=steps, **options)


def constant(kind, rate, grow=1):
    return {"kind": kind, "learning_rate": rate, "decay": False, "grow": grow}


# ---- the estimate ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [[1] * 8, [1, 1, 1, 1, 2, 2, 4, 4]], ids=["alone", "growing"])
def test_signal_and_noise_are_unbiased(batches):
    """4000 sequences of gradients s + n: the means of both powers within four standard errors of |s|² and n²."""
    signal = np.linspace(0.2, 0.6, 8)
    generator, found = np.random.default_rng(1), []
    for _ in range(4000):
        noise = GradientNoise.unknown({"x": signal})
        for count in batches:
            noise = noise.after({"x": signal + DEVIATIONS * generator.normal(size=8) / np.sqrt(count)}, count)
        found.append(noise.powers())
    errors = np.std(found, axis=0) / np.sqrt(4000)
    assert np.all(errors < 0.05 * np.array([np.sum(signal**2), NOISE**2]))
    assert np.all(np.abs(np.mean(found, axis=0) - [np.sum(signal**2), NOISE**2]) < 4 * errors)


def test_records_tell_the_ratio_of_the_gradient_that_was_followed():
    """So short steps that the gradient stays: |s| / n = 2.92 all along. With 19 independent gradients in the memory the estimate of
    n scatters by 1 / √(2 · 8 · 19) = 6 %, that of s by half as much, so the mean over 400 steps, 21 memories, by 0.04: four of them."""
    _, records = stepped(problem(Noisy(), optimiser=constant("sgd", 1e-6)))
    ratios = [record.signal_to_noise for record in records]
    assert ratios[:5] == [None] * 5  # the first step follows the reference events; then five gradients are waited for
    assert np.mean(ratios[6:]) == pytest.approx(np.linalg.norm(3.0 - BEST) / NOISE, abs=0.16)


def test_what_swings_is_noise_and_what_stays_is_not():
    to_and_fro = stays = GradientNoise.unknown({"x": BEST})
    for step in range(20):
        to_and_fro, stays = to_and_fro.after({"x": (-1) ** step * BEST}, 1), stays.after({"x": BEST}, 1)
    assert to_and_fro.signal_to_noise(1) == 0.0
    assert stays.signal_to_noise(1) > 1e6  # rounding is all the noise there is


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_without_noise_nothing_is_said(optimiser):
    found = optimise({"x": BEST}, ["x"], lambda tree: (tree["x"] ** 2).sum(), optimiser=optimiser, steps=20)
    assert all(record.signal_to_noise is None and record.batches == 1 for record in found.history)


# ---- batches that grow -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "rate", "gain"), [("sgd", 0.1, 1.8), ("adam", 0.05, 1.3)])
def test_growing_ends_nearer_for_as_many_evaluations(kind, rate, gain):
    """A constant rate ends where noise and pull balance: at a distance that falls as 1 / √8 with eight times the events for
    sgd, and as its root for Adam, whose steps are as long whatever the noise; here after 400 evaluations, from six seeds."""

    def distance(seed, grow):
        optimisation = problem(Noisy(seed), optimiser=constant(kind, rate, grow))
        state, records = stepped(optimisation, batches=400)
        assert sum(record.batches for record in records) in range(400, 400 + grow)
        return np.linalg.norm(np.asarray(optimisation.leaves(state)["x"]) - BEST)

    ratios = [distance(seed, 1) / distance(seed, 8) for seed in range(6)]
    assert np.mean(np.log(ratios)) > np.log(gain)


def test_the_number_of_batches_doubles_when_noise_stays_above_the_signal_and_never_falls():
    noisy = Noisy()
    _, records = stepped(problem(noisy, optimiser=constant("sgd", 0.1, grow=6), steps=100))
    batches = [record.batches for record in records]
    assert batches == sorted(batches)
    assert list(dict.fromkeys(batches)) == [1, 2, 4, 6]
    grown = [step for step in range(1, 100) if batches[step] > batches[step - 1]]
    assert np.all(np.diff(grown) >= 10)
    for step in grown:
        assert all(record.signal_to_noise < 0.25 for record in records[step - 9 : step + 1])
        assert records[step].note == f"noise drowns the gradient: {batches[step]} batches a step from here on"


def test_every_batch_is_asked_for_once_and_counted():
    """Steps 10, 20, … judge their design on the reference events besides."""
    noisy = Noisy()
    state, records = stepped(problem(noisy, optimiser=constant("sgd", 0.1, grow=4), steps=100))
    batches = sum(record.batches for record in records)
    assert records[-1].batches == 4
    assert [step for step in noisy.asked if step] == list(range(1, batches + 1))
    assert int(state.evaluations) == records[-1].evaluations == len(noisy.asked) == 1 + batches + 10


def test_the_batches_of_all_starts_are_evaluated_side_by_side():
    """A call for each round of steps, and one more for the designs of all starts on the reference events."""
    noisy, calls = Noisy(), []

    def many(wanted):
        calls.append([step for _, step in wanted])
        return [noisy(tree, step) for tree, step in wanted]

    optimisation = problem(noisy, optimiser=constant("sgd", 0.1, grow=4), steps=100, starts=3, evaluate_many=many)
    _, records = stepped(optimisation)
    rounds = [steps for steps in calls if any(steps)]
    batches = [[record.batches for record in records[first : first + 3]] for first in range(0, 300, 3)]
    assert [len(steps) for steps in rounds] == [sum(counts) for counts in batches]
    assert max(map(len, rounds)) > 3


def test_a_step_averages_values_gradients_and_terms():
    noisy = Noisy()
    optimisation = problem(noisy, optimiser=constant("sgd", 0.1, grow=4), steps=100)
    state, records = stepped(optimisation)
    there = {"x": optimisation.leaves(state)["x"]}
    last = [Noisy()(there, step) for step in [step for step in noisy.asked if step][-4:]]
    evaluation = state.starts[0].iterate.evaluation
    assert records[-1].objective == pytest.approx(np.mean([one.value for one in last]), rel=1e-12)
    assert records[-1].terms["step"] == np.mean([one.terms["step"] for one in last])
    np.testing.assert_allclose(
        evaluation.gradient["x"], np.mean([one.gradient["x"] for one in last], axis=0), rtol=1e-12
    )


def test_without_growth_a_step_is_a_batch():
    noisy = Noisy(size=10.0)
    _, records = stepped(problem(noisy, optimiser=constant("sgd", 0.1), steps=40))
    assert [step for step in noisy.asked if step] == list(range(1, 41))
    assert {record.batches for record in records} == {1}


def test_where_all_steps_see_the_same_events_nothing_grows():
    def evaluate(tree, step):
        away = np.asarray(tree["x"]) - BEST
        return Evaluation(0.5 * float(np.sum(away**2)), {"x": away})

    tree = {"x": np.full(8, 3.0)}
    found = [
        optimise(tree, ["x"], evaluate=evaluate, steps=60, gradient_check=False, optimiser=constant("sgd", 0.5, grow))
        for grow in (1, 8)
    ]
    assert found[0].history == found[1].history


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_a_stored_state_grows_on_bit_by_bit(kind):
    """Two starts that grow at steps of their own, stopped before, between and after."""

    def new():
        return problem(Noisy(), optimiser=constant(kind, 0.1, grow=8), steps=70, starts=2)

    history = assert_resumed_alike(new, lambda history: (3, 41, 75, 120))
    assert {record.batches for record in history} == {1, 2, 4, 8}


def test_a_gradient_that_is_followed_twice_counts_once():
    """Where x < 1.5 nothing is finite: steps there are halved and made again from the same gradient, on other events."""
    noisy = Noisy()

    def evaluate(tree, step):
        found = noisy(tree, step)
        lost = np.any(np.asarray(tree["x"]) < 1.5)
        return Evaluation(np.nan, found.gradient, found.terms) if lost and step else found

    optimisation = problem(evaluate, start=3.0, steps=60, optimiser=constant("sgd", 0.3, grow=4))
    state, records = stepped(optimisation)
    halved = [record for record in records if "not finite" in record.note]
    assert len(halved) > 2
    followed = state.starts[0].iterate.optimiser["batches"].noise.count
    assert int(followed) == len(records) - len(halved) - 1  # the start's gradient is of the reference events
    asked = [step for step in noisy.asked if step]
    assert asked == list(range(1, len(asked) + 1))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: {"kind": "adam", "grow": 0}, r"optimiser.grow: must be a whole number of at least 1 \(received 0\)"),
        (lambda: {"kind": "adam", "grow": 2.5}, "optimiser.grow: must be a whole number"),
        (lambda: FirstOrder(optax.sgd(0.1), grow=-1), "optimiser.grow: must be a whole number"),
        (lambda: {"kind": "lbfgs", "grow": 8}, "lbfgs refuses its options.*grow"),
    ],
)
def test_bad_growth_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        problem(Noisy(), optimiser=make())
