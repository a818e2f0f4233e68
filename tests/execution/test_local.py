"""Results come in the order of the items, whatever finishes first; failures arrive; memory does not follow the count."""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError
from studio.execution import LocalRunner


def late_first(number: int) -> int:
    time.sleep(0.02 if number == 0 else 0.0)
    return number * number


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_results_are_in_order(devices):
    with LocalRunner(devices) as runner:
        assert runner.map(late_first, range(20)) == [n * n for n in range(20)]


def test_stream_yields_before_all_is_done():
    released = threading.Event()

    def wait_for_last(number: int) -> int:
        if number == 1:
            released.wait(10)
        return number

    with LocalRunner(2) as runner:
        results = runner.stream(wait_for_last, range(2))
        assert next(results) == 0
        released.set()
        assert list(results) == [1]


def test_items_in_flight_are_bounded():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    with LocalRunner(2) as runner:
        results = runner.stream(lambda number: number, items())
        next(results)
        assert len(taken) <= 5
        del results


def test_an_exception_of_the_function_arrives():
    def fails(number: int) -> int:
        if number == 3:
            raise ValueError("item 3 is bad")
        return number

    with LocalRunner(2) as runner, pytest.raises(ValueError, match="item 3 is bad"):
        runner.map(fails, range(10))


def test_one_and_two_lanes_give_the_same_bits():
    """One executable, so the same instructions: equality is exact."""
    program = jax.jit(lambda x: jnp.sum(jnp.sin(x) * jnp.exp(-(x**2)))).lower(jnp.zeros(1000)).compile()
    items = [np.linspace(0, n, 1000) for n in range(1, 17)]
    results = []
    for devices in (1, 2):
        with LocalRunner(devices) as runner:
            results.append([float(value) for value in runner.map(program, items)])
    assert results[0] == results[1]


def test_a_closed_runner_refuses_work():
    runner = LocalRunner(1)
    runner.close()
    runner.close()
    with pytest.raises(RuntimeError, match="closed"):
        runner.map(late_first, [1])


def test_no_lane_is_refused():
    with pytest.raises(InputError, match="devices: not a positive number"):
        LocalRunner(0)
