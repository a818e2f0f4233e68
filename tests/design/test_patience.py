"""Patience: a start ends at the step that its history alone says, with every optimiser and with noise, and tells why."""

import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.design import Equal, Evaluation, Optimisation, Patience, optimise
from tests.design.stepping import assert_resumed_alike, stepped

ADAM = {"kind": "adam", "learning_rate": 0.05, "decay": False}
TREE = {"x": np.array([0.3, -2.0])}
BOUNDS = {"x": (-4, 4)}


def valleys(tree):
    return jnp.sum(jnp.cos(3 * tree["x"]) + 0.1 * tree["x"] ** 2) + 3.0


def noisy(tree, step):
    x = np.asarray(tree["x"])
    noise = np.random.default_rng(step).normal(size=2) if step else 0.0
    return Evaluation(float(valleys(tree)) + float(np.sum(noise)), {"x": -3 * np.sin(3 * x) + 0.2 * x + noise})


def stop(best, patience, relative, absolute):
    """The step to end at, from the best objective at each step: the first one so far behind the last gain; None: never."""
    mark, marked = best[0], 0
    for step, value in enumerate(best):
        if value < mark - max(absolute, relative * abs(mark)):
            mark, marked = value, step
        if step - marked >= patience:
            return step
    return None


@pytest.mark.parametrize("patience", [5, {"steps": 12, "relative": 0.05}, {"steps": 8, "relative": 0, "absolute": 0.3}])
def test_every_start_ends_where_its_own_history_says(patience):
    """Without constraints every step is a feasible design, so the best one of a start is the least of its objectives."""
    options = {"optimiser": ADAM, "steps": 150, "starts": 4}
    endless = Optimisation(TREE, BOUNDS, valleys, **options)
    _, history = stepped(endless)
    rule = {"steps": patience} if isinstance(patience, int) else patience
    rule = {"relative": 1e-3, "absolute": 0.0, **rule}
    first, expected = endless.initial(), {}
    for start in range(4):
        values = [record.objective for record in history if record.start == start]
        values.insert(0, float(first.starts[start].iterate.evaluation.value))
        expected[start] = stop(np.minimum.accumulate(values), rule["steps"], rule["relative"], rule["absolute"])
    assert len(set(expected.values())) > 2, "they end at different steps"
    assert None not in expected.values()
    patient = Optimisation(TREE, BOUNDS, valleys, patience=patience, **options)
    state, ended = stepped(patient)
    assert {start: sum(record.start == start for record in ended) for start in range(4)} == expected
    assert [r.objective for r in ended] == [r.objective for r in history if ended_by(r, history, expected)]
    assert {int(start.step) for start in state.starts} == set(expected.values())
    assert patient.finish(state).status.name == "stalled"


def ended_by(record, history, expected):
    """Whether a step of a start that never stops is one that a start makes before it stops."""
    own = [other for other in history if other.start == record.start]
    return own.index(record) < expected[record.start]


@pytest.mark.parametrize(("patience", "ends"), [(20, {20, 30}), (15, {20, 30}), (1, {10})])
def test_with_noise_it_looks_at_designs_judged_on_the_same_events(patience, ends):
    """From the minimum, where each step's own objective jumps by more than the tolerance: the reference events decide, every
    tenth step."""
    tree = {"x": np.array([np.pi / 3 * 0.98, np.pi / 3])}
    options = {"deterministic": False, "gradient_check": False, "steps": 200, "optimiser": ADAM}
    found = optimise(tree, BOUNDS, evaluate=noisy, patience=patience, **options)
    assert found.status.name == "stalled"
    assert found.history[-1].step in ends
    assert np.ptp([record.objective for record in found.history]) > 0.1


def test_the_status_says_why():
    single = optimise(TREE, BOUNDS, valleys, optimiser=ADAM, patience=6)
    steps = single.history[-1].step
    assert single.status.succeeded
    assert single.require() is single
    assert str(single.status) == f"stalled: stopped after {steps} steps, no better by more than 0.1 % within 6 steps"
    patience = Patience(6, relative=0.02, absolute=0.01)
    several = optimise(TREE, BOUNDS, valleys, optimiser=ADAM, starts=3, patience=patience)
    assert str(several.status).startswith(
        "stalled: of 3 starts 3 stopped, no better by more than 0.01 or 2 % within 6 steps; the best design is of start "
    )
    assert "more than 0 within 3 steps" in str(Patience(3, relative=0.0))


@pytest.mark.parametrize("patience", [None, 1000])
def test_nothing_stops_without_it(patience):
    found = optimise(TREE, BOUNDS, valleys, optimiser=ADAM, steps=60, patience=patience)
    assert found.status.name == "steps_completed"
    assert found.history[-1].step == 60


def test_lbfgs_is_not_stopped_on_its_way_through_what_is_not_feasible():
    """With an equality only the ends of inner minimisations are judged: within them there is nothing to lose patience with."""

    def objective(tree):
        return jnp.sum(100 * (tree["x"][1:] - tree["x"][:-1] ** 2) ** 2 + (1 - tree["x"][:-1]) ** 2)

    total = Equal(lambda tree: jnp.sum(tree["x"]), 1.0, "total")
    tree = {"x": np.array([2.0, 2.0, -2.0, -1.0])}
    endless, patient = (
        optimise(tree, ["x"], objective, [total], optimiser="lbfgs", patience=patience) for patience in (None, 2)
    )
    best = [record.best for record in endless.history]
    still = [best[step] == best[step + 2] for step in range(len(best) - 2)]
    assert any(same and best[step] > 1.01 * best[-1] for step, same in enumerate(still)), "it would have stopped there"
    assert patient.status.name == "stalled"
    assert patient.objective == pytest.approx(endless.objective, rel=1e-3)


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_stored_state_ends_at_the_same_step(deterministic):
    def new():
        given = {"objective": valleys} if deterministic else {"evaluate": noisy, "deterministic": False}
        return Optimisation(TREE, BOUNDS, optimiser=ADAM, steps=200, starts=2, patience=20, **given)

    history = assert_resumed_alike(new, lambda history: (1, 31, len(history) - 1))
    assert len(history) < 400


@pytest.mark.parametrize(
    ("patience", "said"),
    [
        (0, r"patience: must be a whole number of at least 1 \(received 0\)"),
        (2.5, "patience: must be a whole number"),
        ({"steps": 3, "relative": -0.1}, r"patience.relative: must be zero or positive \(received -0.1\)"),
        ({"steps": 3, "absolute": np.nan}, "patience.absolute: must be zero or positive"),
        (
            {"step": 3},
            "patience: not a patience.*give a number of steps, or a mapping with steps, relative and absolute",
        ),
    ],
)
def test_bad_patience_is_refused(patience, said):
    with pytest.raises(InputError, match=said):
        optimise(TREE, BOUNDS, valleys, patience=patience)
