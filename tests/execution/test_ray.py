"""As the runner of this process, and: workers that die or hang are replaced, and the results do not tell."""

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from studio import InputError, Primary, StudioError
from studio.execution import RayRunner
from studio.execution.ray import _FUNCTIONS, _Function

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def notes():
    return []


@pytest.fixture(scope="module")
def runner(notes):
    with RayRunner(2, note=notes.append) as working:
        yield working


def square(number: int) -> int:
    return number * number


def late_first(number: int) -> int:
    time.sleep(0.5 if number == 1 else 0.0)
    return number


def test_results_are_in_order(runner):
    assert runner.map(late_first, range(20)) == list(range(20))
    assert runner.lanes == 2


def test_items_in_flight_are_bounded(runner):
    taken = []
    results = runner.stream(square, (taken.append(number) or number for number in range(100)))
    next(results)
    assert len(taken) <= 5
    results.close()
    assert runner.map(square, range(3)) == [0, 1, 4]


def test_an_exception_of_the_function_arrives_as_it_is(runner):
    def fails(number: int) -> int:
        if number == 3:
            raise ValueError("item 3 is bad")
        return number

    with pytest.raises(ValueError, match="item 3 is bad"):
        runner.map(fails, range(10))
    assert runner.map(square, range(3)) == [0, 1, 4]


class Counting:
    """Counts its own calls, in the process it is in."""

    def __init__(self):
        self.calls = 0

    def __call__(self, item):
        self.calls += 1
        return os.getpid(), self.calls


def test_a_function_stays_in_its_worker(runner):
    """Each process counts up to the number of its own items: the function was carried there once."""
    function = Counting()
    pairs = runner.map(function, range(30)) + runner.map(function, range(30))
    most = {pid: max(calls for p, calls in pairs if p == pid) for pid, _ in pairs}
    assert sum(most.values()) == 60
    assert function.calls == 0


def test_submit_works_beside_the_others(runner):
    future = runner.submit(late_first, 1)
    assert runner.map(square, range(4)) == [0, 1, 4, 9]
    assert future.result(60) == 1


def primaries() -> int:
    """How many modules of this kind there are in this process."""
    return sum(isinstance(thing, Primary) for thing in gc.get_objects())


class Carrying:
    """A function with a module among its constants; gives back its item, and how many modules its process then holds."""

    def __init__(self, constant: Primary):
        self.constant = constant

    def __call__(self, item: Primary) -> tuple[Primary, int]:
        return item, primaries()


def test_modules_that_travel_are_let_go_of_on_both_sides(runner):
    """A worker holds an item, and a constant of each function that it still knows; the driver what is made here."""
    muon = Primary("mu-", np.zeros((1, 3)), np.ones((1, 3)), np.ones(1))
    before = primaries()
    function = Carrying(muon)
    assert [count for _, count in runner.stream(function, [muon] * 200)] == [2] * 200
    for _ in range(2 * _FUNCTIONS):
        (count,) = [count for _, count in runner.map(Carrying(muon), [muon])]
        assert count <= 1 + _FUNCTIONS
    assert runner.submit(function, muon).result(60)[1] == 2
    gc.collect()
    assert primaries() == before


def settings(_):
    return jnp.zeros(1).dtype.name, jax.default_backend(), len(jax.devices())


def test_a_worker_has_the_precision_of_the_driver_and_one_device(runner):
    assert runner.map(settings, [0]) == [("float64", "cpu", 1)]


def program(x):
    """A matrix product and sums that several threads would split in several ways."""
    matrix = jnp.sin(x[:, None] * x[None, :])
    return jnp.sum(jnp.linalg.inv(matrix @ matrix.T + jnp.eye(x.shape[0])) * jnp.exp(-(x**2)))


def compiled(x):
    return float(jax.jit(program)(x))


def test_workers_give_the_bits_of_the_driver(runner):
    """The same instructions on the same machine: equality is exact."""
    items = [np.linspace(0, n, 300) for n in range(1, 17)]
    assert runner.map(compiled, items) == [compiled(item) for item in items]


class Once:
    """Does its mischief at item 3, once in all: the marker tells later attempts."""

    def __init__(self, folder: Path, mischief: str):
        self.marker, self.mischief = folder / "done", mischief

    def __call__(self, number: int) -> int:
        if number == 3 and not self.marker.exists():
            self.marker.touch()
            if self.mischief == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.mischief == "crash":
                ctypes.string_at(0)
            else:
                time.sleep(3600)
        return number * number


@pytest.mark.parametrize("mischief", ["kill", "crash", "hang"])
def test_an_item_whose_worker_is_lost_is_repeated(runner, notes, monkeypatch, tmp_path, mischief):
    if mischief == "hang":  # a worker that has just started may take some seconds for its first piece on a busy machine
        monkeypatch.setattr(runner, "_time_out", 10.0)
    notes.clear()
    assert runner.map(Once(tmp_path, mischief), range(8)) == [n * n for n in range(8)]
    (note,) = notes
    assert ("did not answer within 10 s" if mischief == "hang" else "died") in note
    assert "is replaced" in note


def test_an_item_that_kills_every_worker_ends_with_a_clear_error(runner, monkeypatch):
    monkeypatch.setattr(runner, "_retries", 1)

    def deadly(number: int) -> int:
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(StudioError, match="piece 2 failed 2 times.*what is done stays"):
        runner.map(deadly, range(4))
    assert runner.map(square, range(3)) == [0, 1, 4]


def test_all_workers_killed_at_once_are_replaced(runner):
    def slow(number: int) -> int:
        time.sleep(0.2)
        return number

    results = runner.stream(slow, range(12))
    found = [next(results), next(results)]
    for facts in runner.workers:
        os.kill(facts.pid, signal.SIGKILL)
    assert found + list(results) == list(range(12))


def test_the_patience_follows_what_items_took():
    """An hour for the first, which compiles; then ten times the longest item and a minute."""
    known = _Function(square, 0, None)
    assert known.patience == 3600
    known.longest = 12.0
    assert known.patience == 180


def test_workers_that_ray_stops_for_want_of_memory_end_with_a_clear_error(tmp_path):
    """Ray is told that one per cent of the memory is all there is, so it stops every worker, while it starts or works."""
    script = tmp_path / "greedy.py"
    script.write_text(
        "import sys, time\nfrom studio import RayRunner, StudioError\n"
        "def slow(n):\n    time.sleep(30)\n    return n\n"
        "with RayRunner(1, retries=1, note=print) as runner:\n"
        "    try:\n        runner.map(slow, range(2))\n"
        "    except StudioError as error:\n        print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_memory_usage_threshold": "0.01"}
    environment["RAY_memory_monitor_refresh_ms"] = "200"
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert "died (OutOfMemoryError); it is replaced" in done.stdout, done.stderr
    assert "piece 0 failed 2 times" in done.stdout or "workers do not start" in done.stdout
    assert "Traceback" not in done.stderr


def test_interrupted_work_leaves_no_process(tmp_path):
    """Ctrl-C in the driver, while workers are at work."""
    script = tmp_path / "interrupted.py"
    script.write_text(
        "import signal, time\nfrom studio.execution import RayRunner\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in what a shell runs in the background
        "def slow(n):\n    time.sleep(0.1)\n    return n\n"
        "with RayRunner(2) as runner:\n"
        "    for n in runner.stream(slow, range(1000)):\n"
        "        if n == 5:\n            print(*(f.pid for f in runner.workers), flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert pids
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "workers outlive the driver"
        time.sleep(0.1)


def test_a_closed_runner_refuses_work(runner):
    closed = RayRunner(1)
    closed.close()
    closed.close()
    with pytest.raises(RuntimeError, match="closed"):
        closed.map(square, [1])
    assert runner.map(square, [2]) == [4], "a cluster that another runner uses is left alone"


@pytest.mark.parametrize(
    ("arguments", "key"), [({"workers": 0}, "workers"), ({"gpus": -1}, "gpus"), ({"time_out": 0}, "time_out")]
)
def test_arguments_that_cannot_be_are_refused(arguments, key):
    with pytest.raises(InputError, match=key):
        RayRunner(**arguments)


@pytest.mark.parametrize("address", ["127.0.0.1:6", "ray://127.0.0.1:6", "nowhere:port"])
def test_an_address_without_a_cluster_is_refused_at_once(address):
    script = f"from studio import RayRunner\nRayRunner(address={address!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert "InputError: address: no Ray cluster answers there" in done.stderr
    assert "ray start --head" in done.stderr
    assert time.monotonic() - begun < 30


def test_threads_see_their_own_results(runner):
    """A stream in this thread, `submit` in another."""
    found = []
    thread = threading.Thread(target=lambda: found.append(runner.submit(square, 7).result(60)))
    thread.start()
    assert runner.map(square, range(5)) == [0, 1, 4, 9, 16]
    thread.join(60)
    assert found == [49]
