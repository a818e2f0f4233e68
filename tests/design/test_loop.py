"""The stepper: resumable bit by bit, one compilation, records that tell what happened."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import StudioError
from studio.design import (
    AtMost,
    Evaluation,
    MeanLog,
    MinimumSpacing,
    Optimisation,
    PopulationObjective,
    optimise,
    trace_counts,
)

FAST = {"kind": "adam", "learning_rate": 0.05}
START = {"p": np.random.default_rng(0).normal(size=(6, 2)), "size": 1.5}


def objective(tree):
    return jnp.sum(tree["p"] ** 2) / tree["size"] + tree["size"]


def positions(tree):
    return tree["p"]


def cost(tree):
    return tree["size"] * jnp.mean(tree["p"] ** 2)


def optimisation(kind, **options):
    constraints = [MinimumSpacing(positions, 0.8), AtMost(cost, 2.0, "budget")]
    free = {"p": None, "size": "positive"}
    return Optimisation(START, free, objective, constraints, optimiser=kind, steps=12, starts=2, seed=5, **options)


def run(problem, state, history, stop=None):
    while not problem.done(state) and (stop is None or int(state.step) < stop):
        state, records = problem.step(state)
        history.extend(records)
    return state


def same(a, b):
    leaves_a, structure_a = jax.tree.flatten(a)
    leaves_b, structure_b = jax.tree.flatten(b)
    return structure_a == structure_b and all(np.array_equal(x, y) for x, y in zip(leaves_a, leaves_b, strict=True))


@pytest.mark.parametrize("kind", ["adam", "lbfgs"])
def test_a_stored_state_goes_on_bit_by_bit(kind):
    whole, history = optimisation(kind), []
    state = whole.initial()
    final = run(whole, state, history)
    for stop in (1, 13, 20):
        first, early = optimisation(kind), []
        stored = pickle.dumps(run(first, first.initial(), early, stop))
        second = optimisation(kind)  # a new process would build it anew
        resumed = run(second, pickle.loads(stored), early)
        assert [record.as_dict() for record in early] == [record.as_dict() for record in history]
        assert same(resumed, final)


def test_a_state_holds_arrays_on_the_host_only():
    problem = optimisation("adam")
    state, _ = problem.step(problem.initial())
    for leaf in jax.tree.leaves(state):
        assert isinstance(leaf, np.ndarray | np.generic | int | float), type(leaf)


def test_one_compilation_whatever_the_values():
    def count(shift):
        tree = {"p": START["p"] + shift, "size": 1.5 + shift}
        spacing = MinimumSpacing(positions, 0.8)
        optimise(tree, {"p": None, "size": "positive"}, objective, [spacing], optimiser="adam", steps=5)
        return trace_counts()

    before = count(0.0)
    assert count(0.1) == before
    evaluation = "value_and_gradient"
    problem = optimisation("adam")
    state = problem.initial()
    after_initial = trace_counts()[evaluation]
    run(problem, state, [])
    assert trace_counts()[evaluation] == after_initial


def test_the_history_tells_what_happened():
    problem, history = optimisation("adam"), []
    state = problem.initial()
    history.append(problem.record(state))
    final = run(problem, state, history)
    solution = problem.finish(final, history)
    assert [record.step for record in history] == list(range(25))
    assert [record.start for record in history] == [0] + [0, 1] * 12
    best = [record.best for record in history if record.best is not None]
    assert best == sorted(best, reverse=True)
    assert solution.objective == best[-1]
    assert solution.objective == pytest.approx(float(objective(solution.tree)), rel=1e-12)
    assert set(history[-1].violations) == {"minimum_spacing", "budget"}
    assert history[-1].evaluations == solution.evaluations
    assert solution.terms_start == {"objective": pytest.approx(float(objective(START)), rel=1e-9)}
    assert solution.terms_end == {"objective": solution.objective}
    assert solution.status.name == "steps_completed"
    assert "of 2 starts 2 made all 12 steps; the best design is of start" in str(solution.status)
    assert all(np.isfinite(solution.start_values))
    with pytest.raises(StudioError, match="finished"):
        problem.step(final)


def test_a_run_stopped_early_reports_what_it_has():
    problem = optimisation("adam")
    state = run(problem, problem.initial(), [], stop=3)
    solution = problem.finish(state)
    assert solution.status.name == "running"
    assert solution.audit.feasible


def test_several_starts_find_what_one_misses():
    # Two valleys: the start rolls into the shallow one at -1; the deep one lies at +2.
    def valleys(tree):
        x = tree["x"]
        return jnp.sum(-jnp.exp(-((x + 1) ** 2)) - 3 * jnp.exp(-2 * (x - 2) ** 2))

    start = {"x": np.array([-1.2])}
    alone = optimise(start, {"x": (-4, 4)}, valleys, optimiser="adam")
    several = optimise(start, {"x": (-4, 4)}, valleys, optimiser="adam", starts=8, seed=1)
    assert float(alone.tree["x"][0]) == pytest.approx(-1.0, abs=1e-2)
    assert float(several.tree["x"][0]) == pytest.approx(2.0, abs=1e-2)
    assert several.start_values[0] == pytest.approx(alone.objective, abs=1e-9)
    assert several.objective == min(several.start_values)


def valleys_elsewhere(tree, step):
    x = np.asarray(tree["x"])
    return Evaluation(float(np.sum(np.cos(3 * x) + 0.1 * x**2)), {"x": -3 * np.sin(3 * x) + 0.2 * x})


@pytest.mark.parametrize("kind", ["adam", "lbfgs"])
def test_starts_at_once_go_as_each_would_alone(kind):
    """Starts that converge at different steps, evaluated together, against each of them as the only start."""
    asked = []

    def together(wanted):
        asked.append([step for _, step in wanted])
        return [valleys_elsewhere(*one) for one in wanted]

    tree = {"x": np.array([0.3, -2.0])}
    options = {"optimiser": FAST if kind == "adam" else kind, "steps": 60, "seed": 3}
    problem = Optimisation(
        tree, {"x": (-4, 4)}, evaluate=valleys_elsewhere, evaluate_many=together, starts=4, **options
    )
    history = []
    final = run(problem, problem.initial(), history)
    for start in range(4):
        leaves = {"x": np.asarray(problem.space.leaves(problem.space.start(tree, 3, start))["x"])}
        alone = Optimisation(leaves, {"x": (-4, 4)}, evaluate=valleys_elsewhere, **options)
        own = []
        ended = run(alone, alone.initial(), own)
        mine = [record for record in history if record.start == start]
        assert len(mine) == len(own)
        np.testing.assert_allclose([r.objective for r in mine], [r.objective for r in own], rtol=1e-9)
        assert float(final.starts[start].value) == pytest.approx(float(ended.starts[0].value), rel=1e-9)
        assert int(final.starts[start].status) == int(ended.starts[0].status)
    assert max(map(len, asked)) == 4
    assert all(len(set(steps)) == 1 for steps in asked)  # the same events for all starts of a round
    assert sum(map(len, asked)) == int(final.evaluations)


def test_a_start_without_a_finite_value_leaves_the_others_alone():
    def evaluate(tree, step):
        x = float(np.asarray(tree["x"])[0])
        return Evaluation(np.nan if x > 0 else (x + 1) ** 2, {"x": np.array([2 * (x + 1)])})

    tree = {"x": np.array([-0.2])}
    result = optimise(
        tree, {"x": (-4, 4)}, evaluate=evaluate, starts=6, steps=100, gradient_check=False, optimiser=FAST
    )
    assert result.objective == pytest.approx(0.0, abs=1e-4)
    assert 0 < np.count_nonzero(np.isnan(result.start_values)) < 6
    assert "ended where the objective is not finite" in result.status.reason


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_a_stationary_start_is_left(optimiser):
    # A maximum along x, a minimum along y: the gradient is exactly zero in x at the start and on the whole line x = 0.
    def saddle(tree):
        x, y = tree["p"]
        return jnp.cos(x) + (y - 1) ** 2

    optimiser = {"kind": "adam", "learning_rate": 0.2} if optimiser == "adam" else optimiser
    result = optimise({"p": np.array([0.0, 0.3])}, ["p"], saddle, optimiser=optimiser, steps=400)
    assert result.objective == pytest.approx(-1.0, abs=1e-4)


def test_evaluate_from_elsewhere_gets_tree_and_step():
    steps = []

    def evaluate(tree, step):
        steps.append(step)
        x = np.asarray(tree["x"])
        return Evaluation(float(np.sum((x - 3) ** 2)), {"x": 2 * (x - 3)}, {"square": float(np.sum((x - 3) ** 2))})

    result = optimise(
        {"x": np.array([1.0, 2.0])}, ["x"], evaluate=evaluate, steps=50, gradient_check=False, optimiser=FAST
    )
    assert steps == list(range(51))
    assert result.terms_start == {"square": 5.0}
    assert result.terms_end["square"] < 0.1


def test_where_every_step_has_its_own_events_designs_are_compared_on_the_same_ones():
    # The value of a step depends on its events far more than on the design; only step 0 may choose the best.
    def evaluate(tree, step):
        x = np.asarray(tree["x"])
        luck = 0.0 if step == 0 else -100.0 * np.random.default_rng(step).random()
        return Evaluation(float(np.sum(x**2)) + luck, {"x": 2 * x})

    result = optimise(
        {"x": np.array([1.0])}, ["x"], evaluate=evaluate, deterministic=False, steps=40, gradient_check=False
    )
    assert result.objective == pytest.approx(float(result.tree["x"][0] ** 2))
    assert result.objective is not None
    assert 0 <= result.objective < 0.6
    assert result.best_step % 10 == 0


def test_an_objective_that_is_lost_on_the_way_is_kept_out():
    # log of a negative number beyond x = 0.5; the minimum of the rest lies at its edge.
    def evaluate(tree, step):
        x = float(np.asarray(tree["x"])[0])
        lost = x > 0.5
        return Evaluation(np.nan if lost else -x, {"x": np.array([np.nan if lost else -1.0])})

    result = optimise(
        {"x": np.array([0.1])},
        ["x"],
        evaluate=evaluate,
        steps=200,
        gradient_check=False,
        optimiser={"kind": "adam", "learning_rate": 0.3},
    )
    assert result.status.succeeded
    assert 0.45 < float(result.tree["x"][0]) <= 0.5
    assert any("not finite" in record.note for record in result.history)


def test_a_run_that_the_largest_penalty_does_not_help_is_not_called_converged():
    """x⁴ ≤ 0 holds at x = 0 alone, where its derivative vanishes: no multiplier balances the objective, and no penalty."""
    result = optimise(
        {"x": np.array([0.0, 0.3])},
        {"x": (-1.0, 2.0)},
        lambda tree: -tree["x"][0] + (tree["x"][1] - 0.5) ** 2,
        [AtMost(lambda tree: tree["x"][0] ** 4, 0.0, "flat")],
        optimiser="lbfgs",
    )
    last = result.history[-1]
    assert result.status.name == "penalty_limit"
    assert result.status.reason.startswith("ended at the largest penalty after")
    assert result.status.succeeded
    assert result.audit.feasible  # the design that is reported was restored; it is not the last one
    assert last.violation > 1e-6
    assert last.penalty == 1e8
    assert f"constraints are broken by {last.violation:.2g}" in last.note


def test_a_start_without_a_finite_value_is_an_error():
    with pytest.raises(StudioError, match="cannot be used at the start"):
        optimise({"x": np.array([-1.0])}, ["x"], lambda t: jnp.sum(jnp.log(t["x"])), gradient_check=False)


def test_events_of_a_population_reach_the_objective():
    # The mean log of |x - e| widths: the gradient is known by hand, and the best x is the geometric centre.
    events = np.linspace(-1, 1, 21)
    cost = PopulationObjective(lambda tree, event: jnp.exp((tree["x"] - event) ** 2), "width", reducer=MeanLog())
    result = optimise({"x": np.array(0.7)}, ["x"], cost, events=events, chunk=5)
    assert float(result.tree["x"]) == pytest.approx(0.0, abs=1e-6)
    assert result.objective == pytest.approx(np.mean(events**2), rel=1e-9)


def test_the_callback_sees_every_record():
    seen = []
    result = optimise(START, ["p"], objective, optimiser="adam", steps=4, callback=seen.append)
    assert tuple(seen) == result.history
