"""What is pickled comes back the same, and can be let go of: equinox 0.13 keeps every module that Python itself unpickles."""

import functools
import gc
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import Primary, StudioError
from studio.execution.pickling import dumps, loads

ROOT = Path(__file__).parents[2]
TIMES = 50
Kind = TypeVar("Kind")


def primary() -> Primary:
    return Primary("mu-", np.zeros((1, 3)), np.ones((1, 3)), np.ones(1))


def living(kind: type = Primary) -> int:
    """How many instances there are in this process."""
    gc.collect()
    return sum(isinstance(thing, kind) for thing in gc.get_objects())


class Inner(eqx.Module, Generic[Kind]):
    array: jax.Array
    table: np.ndarray
    name: str = eqx.field(static=True)

    def __init__(self, size: int, name: str):
        self.array, self.table, self.name = jnp.arange(float(size)), np.arange(size, dtype=np.int8), name

    def __check_init__(self):
        if not self.name:
            raise ValueError("an inner module has a name")

    def scaled(self, factor):
        return factor * self.array + self.table

    @eqx.filter_jit
    def doubled(self):
        return 2 * self.array


class Outer(eqx.Module):
    inner: Inner
    others: dict[str, tuple[Inner, ...]]
    function: Callable[[Any], Any]
    nothing: None = None
    count: int = eqx.field(static=True, default=3)


class Empty(eqx.Module):
    pass


class Slotted(eqx.Module):
    __slots__ = ("value",)
    value: int


class Restoring(eqx.Module):
    value: int

    def __getstate__(self):
        return {"value": self.value, "restored": True}

    def __setstate__(self, state):
        assert state["restored"]
        object.__setattr__(self, "value", state["value"])


class Reduced(eqx.Module):
    value: int

    def __reduce__(self):
        return Reduced, (self.value,)


class Named(eqx.Module):
    value: int

    def __reduce__(self):
        return "SINGLE"


class Mixin:
    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)


class Mixed(Mixin, eqx.Module):
    value: int


SINGLE = Named(4)


def add_one(x):
    return x + 1


def outer() -> Outer:
    inner = Inner(5, "middle")
    return Outer(inner, {"a": (inner, Inner(2, "small"))}, add_one)


def test_what_is_unpickled_again_and_again_is_let_go_of():
    """Plain pickle is asked too, so that the counting is seen to count; a later equinox may let go there as well."""
    before, content = living(), dumps(primary())
    for _ in range(TIMES):
        loads(content)
    assert living() == before
    content = pickle.dumps(primary())
    for _ in range(TIMES):
        pickle.loads(content)
    kept = living() - before
    assert kept == (TIMES if eqx.__version__.startswith("0.13.") else kept)


@pytest.mark.parametrize(
    "around",
    [
        lambda tree: tree,
        lambda tree: tree.inner.scaled,
        lambda tree: functools.partial(add_one, tree),
        lambda tree: [tree],
    ],
    ids=["module", "method", "arguments", "list"],
)
def test_nothing_within_it_is_kept_either(around):
    thing = around(outer())
    before, content = living(Inner), dumps(thing)
    for _ in range(TIMES):
        loads(content)
    assert living(Inner) == before


def test_a_tree_comes_back_the_same():
    given = outer()
    found = loads(dumps(given))
    assert jax.tree.structure(found) == jax.tree.structure(given)  # static fields are part of it
    assert bool(eqx.tree_equal(found, given))
    assert isinstance(found.inner.array, jax.Array)
    assert isinstance(found.inner.table, np.ndarray)
    assert found.inner.table.dtype == np.int8
    assert found.function is add_one
    assert found.inner is found.others["a"][0], "what was one module is one module"


def test_what_comes_back_is_a_module_like_any_other():
    found = loads(dumps(outer()))
    with pytest.raises(AttributeError, match="cannot assign"):
        found.count = 4
    changed = eqx.tree_at(lambda tree: tree.inner.array, found, jnp.zeros(5))
    assert float(changed.inner.array.sum()) == 0
    gradient = eqx.filter_grad(lambda tree: jnp.sum(tree.inner.array**2))(found)
    np.testing.assert_array_equal(gradient.inner.array, 2 * found.inner.array)


def test_methods_and_functions_come_back():
    inner = Inner(4, "any")
    np.testing.assert_array_equal(loads(dumps(inner.scaled))(2.0), inner.scaled(2.0))
    np.testing.assert_array_equal(loads(dumps(inner)).doubled(), inner.doubled())
    np.testing.assert_array_equal(loads(dumps(lambda x: inner.scaled(x)))(3.0), inner.scaled(3.0))
    np.testing.assert_array_equal(loads(dumps(eqx.Partial(inner.scaled, 2.0)))(), inner.scaled(2.0))
    method = loads(dumps(inner.scaled))
    assert jax.tree.structure(method) == jax.tree.structure(inner.scaled)
    assert method.__name__ == "scaled"


@pytest.mark.parametrize("kind", [Restoring, Reduced, Mixed, Slotted])
def test_a_module_with_a_way_of_its_own_is_left_to_it(kind):
    found = loads(dumps(kind(7)))
    assert type(found) is kind
    assert found.value == 7


def test_further_odd_modules():
    assert type(loads(dumps(Empty()))) is Empty
    assert loads(dumps(SINGLE)) is SINGLE
    network = eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(0))
    np.testing.assert_array_equal(loads(dumps(network))(jnp.ones(2)), network(jnp.ones(2)))


def test_a_module_of_a_script_is_refused(tmp_path):
    """In another process JAX would see no leaves in it."""
    script = tmp_path / "script.py"
    script.write_text(
        "import equinox as eqx\nfrom studio import StudioError\nfrom studio.execution.pickling import dumps, loads\n"
        "class Own(eqx.Module):\n    value: int\n"
        "def function():\n    return 3\n"
        "assert loads(dumps(function))() == 3\n"
        "for thing in (Own(3), [Own], lambda: Own(3)):\n"
        "    try:\n        dumps(thing)\n    except StudioError as error:\n        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    messages = done.stdout.splitlines()
    assert len(messages) == 3
    assert all("workers cannot import the class Own" in message for message in messages)

    class Local(eqx.Module):
        value: int

    with pytest.raises(StudioError, match=r"class .*Local.*move it to a .py file"):
        dumps(Local(1))


def test_importing_the_runners_loads_neither_ray_nor_jax():
    """A worker process sets its environment before JAX, the driver before Ray."""
    code = "import sys, studio.execution.worker; print([name for name in ('ray', 'jax', 'equinox') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert done.stdout.strip() == "[]", done.stderr
