"""The best of a few kinds of design: answers known by hand, trees that differ, choices that cannot be had."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, StudioError
from studio.design import AtMost, PerChoice, best_of, optimise

MONEY = 12.0


def light(tree):
    """What n sensors of areas a see together, made small: -Σ √a."""
    return -jnp.sum(jnp.sqrt(tree["area"]))


def cost(tree):
    """One for each sensor and one for each unit of area."""
    return jnp.sum(1.0 + tree["area"])


BUDGET = AtMost(cost, MONEY, "budget", "MUSD")


def sensors(*counts):
    return {f"{n} sensors": {"area": np.linspace(0.1, 0.3, n)} for n in counts}


def test_how_many_sensors_for_a_fixed_cost():
    """√ is concave, so n sensors share the area 12 - n equally and see √(n (12 - n)): six of area 1 are the best and see 6.
    Thirteen cost more than there is."""
    counts = (1, 3, 5, 6, 7, 9, 13)
    found = best_of(sensors(*counts), {"area": (1e-3, 20.0)}, light, [BUDGET], steps=300)
    assert found.best == "6 sensors"
    np.testing.assert_allclose(found.require().tree["area"], np.ones(6), rtol=1e-3)
    for n in counts[:-1]:
        assert found.solutions[f"{n} sensors"].objective == pytest.approx(-np.sqrt(n * (12 - n)), rel=1e-5)
    assert found.ranked == ("6 sensors", "5 sensors", "7 sensors", "3 sensors", "9 sensors", "1 sensors") or (
        found.ranked == ("6 sensors", "7 sensors", "5 sensors", "9 sensors", "3 sensors", "1 sensors")
    )
    none = found.solutions["13 sensors"]
    assert none.tree is None
    assert "'budget' cannot be satisfied within the bounds" in none.status.reason
    assert not found.feasible("13 sensors")


def test_the_table_reads_from_the_best_to_the_worst():
    found = best_of(sensors(13, 3, 6), {"area": (1e-3, 20.0)}, light, [BUDGET], steps=300)
    title, *rows = str(found).splitlines()
    assert title.split() == ["choice", "objective", "behind", "evaluations", "status"]
    assert [row[:10].strip() for row in rows] == ["6 sensors", "3 sensors", "13 sensors"]
    values = [[float(word) for word in row.split()[2:4]] for row in rows[:2]]
    assert values == [pytest.approx([-6, 0], abs=1e-4), pytest.approx([-np.sqrt(27), 6 - np.sqrt(27)], abs=1e-3)]
    assert rows[0].split()[4] == str(found.solutions["6 sensors"].evaluations)
    assert rows[2].endswith(f"infeasible: {found.solutions['13 sensors'].status.reason}")
    assert len({row.index("infeasible" if "infeasible" in row else "converged") for row in rows}) == 1


def test_trees_of_any_structure_with_arguments_of_their_own():
    """A disc and a rectangle of perimeter at most 1: the areas are 1 / 4π and 1 / 16."""
    shapes = {"rectangle": {"sides": [0.1, 0.2]}, "disc": {"radius": 0.1}}
    areas = {
        "rectangle": lambda tree: tree["sides"][0] * tree["sides"][1],
        "disc": lambda tree: jnp.pi * tree["radius"] ** 2,
    }
    perimeters = {
        "rectangle": lambda tree: 2 * (tree["sides"][0] + tree["sides"][1]),
        "disc": lambda tree: 2 * jnp.pi * tree["radius"],
    }
    found = best_of(
        shapes,
        PerChoice(lambda name, tree: dict.fromkeys(["radius"] if "radius" in tree else ["sides.0", "sides.1"], (0, 1))),
        PerChoice(lambda name, tree: lambda t: -areas[name](t)),
        PerChoice(lambda name, tree: [AtMost(perimeters[name], 1.0, "perimeter")]),
        steps=PerChoice(lambda name, tree: 100 if name == "disc" else 200),
    )
    assert found.best == "disc"
    assert found.solutions["disc"].objective == pytest.approx(-1 / (4 * np.pi), rel=1e-4)
    assert found.solutions["rectangle"].objective == pytest.approx(-1 / 16, rel=1e-4)


def test_a_choice_is_what_optimise_makes_of_it():
    """The options reach it, and what can be read once is there for every choice."""
    seen, options = [], {"optimiser": "adam", "steps": 7, "seed": 3, "starts": 2}
    tree = sensors(3)["3 sensors"]
    alone = optimise(tree, {"area": (0.01, 20.0)}, light, [BUDGET], **options)
    found = best_of(
        {"a": tree, "b": tree}, {"area": (0.01, 20.0)}, light, iter([BUDGET]), callback=seen.append, **options
    )
    for solution in found.solutions.values():
        assert solution.history == alone.history
        assert jax.tree.all(jax.tree.map(np.array_equal, solution.tree, alone.tree))
    assert len(seen) == 2 * len(alone.history)
    assert found.best == "a"  # of equals the first
    named = best_of({"a": tree, "b": tree}, iter(["area"]), lambda t: jnp.sum((t["area"] - 1.0) ** 2), steps=9)
    assert named.ranked == ("a", "b")


def test_where_no_choice_can_be_had_each_says_why():
    found = best_of(sensors(13, 14), {"area": (1e-3, 20.0)}, light, [BUDGET])
    assert found.best is None
    assert found.ranked == ()
    assert str(found).count("infeasible: ") == 2
    with pytest.raises(StudioError, match="no choice has a feasible design: 13 sensors: .*budget.*; 14 sensors: "):
        found.require()


def test_faults_name_the_choice():
    with pytest.raises(InputError, match="choices: there is nothing to choose from"):
        best_of({}, ["area"], light)
    with pytest.raises(InputError, match="choices.b, aera: .*Did you mean 'area'"):
        best_of({"b": {"area": np.ones(2)}}, ["aera"], light)
    found = best_of(
        {"b": {"area": -np.ones(2)}, "c": {"area": np.ones(2)}}, ["area"], light, steps=1, gradient_check=False
    )
    assert (found.best, list(found.solutions)) == ("c", ["c"])  # what is computed is not lost for a fault
    assert "the objective cannot be used at the start" in found.failures["b"]
    assert found.failures["b"] in str(found)
    with pytest.raises(StudioError, match="no choice has a feasible design: b: the objective cannot be used"):
        best_of({"b": {"area": -np.ones(2)}}, ["area"], light, gradient_check=False).require()
