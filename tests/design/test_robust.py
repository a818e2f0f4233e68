"""Perturbed designs against the same designs worked out one by one; objectives relative to a reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.design import (
    FunctionObjective,
    LocalEvaluation,
    Maximum,
    Mean,
    PopulationObjective,
    Relative,
    Robust,
    Worst,
    optimise,
    relative_to,
)

TREE = {"x": np.array([0.3, -0.7]), "y": 1.0}
EVENTS = np.random.default_rng(0).normal(size=(6, 2))
SAMPLES = 4


def shaken(tree, sample):
    noise = jax.random.normal(jax.random.fold_in(jax.random.key(7), sample), (2,))
    return {"x": tree["x"] + 0.3 * noise, "y": tree["y"]}


def width(tree, event):
    return jnp.exp(jnp.sin(tree["x"] * event)) * tree["y"]


def objective():
    first = PopulationObjective(width, "first", 2, (0,))
    return 2.0 * first + PopulationObjective(width, "second", 2, (1,), Worst(), lambda event: event[0] < 0.5)


@pytest.mark.parametrize(("reducer", "formula"), [(None, np.mean), (Maximum(), np.max)])
def test_samples_are_designs_of_their_own(reducer, formula):
    """The same sums in another order: 1e-12."""
    robust = LocalEvaluation(Robust(objective(), shaken, SAMPLES, reducer), ("x", "y"), EVENTS)(TREE, 0)
    single = LocalEvaluation(objective(), ("x", "y"), EVENTS)
    each = [single(shaken(TREE, sample), 0) for sample in range(SAMPLES)]
    values = [float(one.value) for one in each]
    assert float(robust.value) == pytest.approx(formula(values), rel=1e-12)
    counted = each if reducer is None else [each[int(np.argmax(values))]]
    # The perturbation moves x as a whole, so the derivative is that of the perturbed designs.
    for name in ("x", "y"):
        np.testing.assert_allclose(robust.gradient[name], np.mean([one.gradient[name] for one in counted], axis=0))
    for name in ("first", "second"):
        assert float(robust.terms[name]) == pytest.approx(np.mean([float(one.terms[name]) for one in counted]))


def test_the_derivative_passes_through_the_perturbation():
    """A perturbation in proportion to the design: (1 + s) x with s = 0, 1, 2 in (x - 3)², minimal at 3·6 / 14."""
    square = FunctionObjective(lambda tree: (tree["x"] - 3) ** 2)
    robust = Robust(square, lambda tree, sample: {"x": tree["x"] * (1 + sample)}, 3)
    result = optimise({"x": 1.0}, ["x"], robust, steps=50)
    assert float(result.tree["x"]) == pytest.approx(18 / 14, rel=1e-6)


def test_a_reference_makes_a_mean_start_at_one():
    mean = PopulationObjective(lambda tree, event: 1e6 * width(tree, event), "large", 2, reducer=Mean())
    relative = relative_to(mean, TREE, EVENTS)
    at_start = LocalEvaluation(relative, ("y",), EVENTS)(TREE, 0)
    assert float(at_start.value) == pytest.approx(1.0, rel=1e-14)
    assert float(at_start.terms["large"]) == float(at_start.value)
    assert float(at_start.gradient["y"]) == pytest.approx(1.0, rel=1e-12)  # proportional to y, which is 1


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="no samples"):
        Robust(objective(), shaken, 0)
    with pytest.raises(InputError, match="to divide by.*logarithms need none"):
        Relative(objective(), -1.2)
