"""Work in many processes, on this machine or on a cluster, by Ray."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .._checks import InputError, StudioError
from .base import AbstractRunner, Item, Result
from .local import available_cores
from .worker import Facts, Settings, Worker, versions

# Seconds: within which a first worker must have started, and an item be done whose program may have to be compiled first.
_START, _FIRST = 600.0, 3600.0

# Items that are done before tell how long one may take: so many times the longest of them, and a minute.
_PATIENCE, _MINUTE = 10.0, 60.0

# Seconds between two looks at deadlines while nothing happens.
_LOOK = 1.0

# Seconds for a cluster to answer.
_ANSWER = 10.0

# Functions kept in the workers at the same time: a study needs three.
_FUNCTIONS = 8

# Bytes of the local cluster's object store: designs and events are small.
_STORE = 256 * 1024**2


class RayRunner(AbstractRunner):
    """Workers in processes of their own, each with one CPU core or a share of a GPU.

    **Arguments**

    - `workers`: how many; by default one for each GPU of the cluster, and without GPUs one for each CPU core.
    - `address`: an existing cluster (`auto`, `host:port` or `ray://host:port`); by default a cluster of this machine's cores
      is started, and ended with the runner.
    - `gpus`: GPUs a worker, such as 0.5; by default 1 where the cluster has GPUs.
    - `time_out`: seconds an item may take before its worker is taken to hang; by default an hour for the first item of a
      function, which compiles, and a minute more than ten times the longest one so far for the others.
    - `retries`: how often an item is begun again after its worker died or hung.
    - `note`: told in one sentence of every worker that is replaced.

    A worker that dies or hangs is replaced and its item repeated, so that the results are those of an undisturbed run. The
    first item of a function runs alone: it compiles, and the others find the program in JAX's folder of compiled programs,
    on other nodes of the cluster too.

    Make it before JAX's first array: Ray starts processes, and a process that forks after JAX has started its threads may
    hang. One stream at a time.

    **Raises** `InputError` for arguments that cannot be, `StudioError` where no cluster or worker can be had, or an item
    fails more than `retries` times.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        address: str | None = None,
        gpus: float | None = None,
        time_out: float | None = None,
        retries: int = 3,
        note: Callable[[str], None] = lambda text: None,
    ):
        for key, value in (("workers", workers), ("time_out", time_out)):
            if value is not None and not value > 0:
                raise InputError("not a positive number", key=key, value=value, remedy="give 1 or more")
        for key, number in (("gpus", gpus), ("retries", retries)):
            if number is not None and not number >= 0:
                raise InputError("a negative number", key=key, value=number, remedy="give 0 or more")
        self._retries, self._time_out, self._note = retries, time_out, note
        self._own_connection = _connect(workers, address)
        resources = _ray().cluster_resources()
        shown = resources.get("GPU", 0.0)
        self._gpus = float(gpus) if gpus is not None else (1.0 if shown else 0.0)
        fitting = int(shown / self._gpus) if self._gpus else int(resources.get("CPU", 1))
        self._count = workers or max(1, fitting)
        # Workers of a cluster that stands by itself may be on other machines, which get the programs from here.
        self._spread = address is not None or not self._own_connection
        self._functions: collections.OrderedDict[int, _Function] = collections.OrderedDict()
        self._serial = itertools.count()
        self._programs: dict[str, Any] = {}
        self._delivered: dict[str, set[str]] = collections.defaultdict(set)
        self._workers: list[_Worker] = []
        self._beside: ThreadPoolExecutor | None = None
        self._failed_starts = 0
        self._closed = False

    @property
    def lanes(self) -> int:
        """Number of items worked on at the same time."""
        return self._count

    @property
    def workers(self) -> list[Facts]:
        """The workers that have started, in no particular order."""
        return [worker.facts for worker in self._workers if worker.facts is not None]

    def stream(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in order; at most twice as many items as workers are in flight or wait to be taken."""
        self._require_open()
        while len(self._workers) < self._count:
            self._workers.append(self._new_worker())
        with _cluster_errors():
            yield from _Stream(self, self._known(function), iter(items)).results()

    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Works on the item in a further worker, which ends with it: no other worker waits."""
        self._require_open()
        known = self._known(function)
        if self._beside is None:
            self._beside = ThreadPoolExecutor(1, thread_name_prefix="studio-beside")
        return self._beside.submit(self._alone, known, item)

    def close(self) -> None:
        """Ends the workers, and the cluster where it was started here."""
        if self._closed:
            return
        self._closed = True
        if self._beside is not None:
            self._beside.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.kill()
        self._workers = []
        if self._own_connection:
            _ray().shutdown()

    # ---- workers and functions -----------------------------------------------------------------------------------------

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this runner was closed")

    def _new_worker(self, cores: float = 1.0) -> _Worker:
        return _Worker(self._gpus, cores)

    def _known(self, function: Callable[[Any], Any]) -> _Function:
        """The function as it lies in the object store, put there once."""
        known = self._functions.get(id(function))
        if known is None:
            known = _Function(function, next(self._serial), _ray().put(_pickling().dumps(function)))
            self._functions[id(function)] = known
            if len(self._functions) > _FUNCTIONS:
                _, old = self._functions.popitem(last=False)
                for worker in self._workers:
                    worker.actor.forget.remote(old.serial)
        self._functions.move_to_end(id(function))
        return known

    def _alone(self, known: _Function, item: Any) -> Any:
        failures, begun = 0, time.monotonic()
        while True:
            worker = self._new_worker(cores=0.0)
            try:
                self._started(worker)
                pickled, programs = _ray().get(self._send(worker, known, item))
            except _lost() as error:
                failures += 1
                if failures > self._retries or self._closed:
                    raise StudioError(f"a worker died {failures} times over the same piece of work: {error}") from None
            except _task_error() as error:
                raise error.cause from error
            else:
                self._take_programs(worker, programs)
                known.longest = max(known.longest or 0.0, time.monotonic() - begun)
                return _pickling().loads(pickled)
            finally:
                worker.kill()

    def _started(self, worker: _Worker) -> None:
        """A worker answers for the first time. **Raises** `StudioError` where it could not give the same numbers."""
        facts: Facts = _ray().get(worker.starting)
        here = versions()
        differing = [
            f"{name} {facts.versions[name]} there, {here[name]} here"
            for name in here
            if facts.versions[name] != here[name]
        ]
        if differing:
            raise StudioError(
                f"the worker on {facts.host} has other versions: {'; '.join(differing)}. Install the same ones on all machines"
            )
        worker.facts, worker.starting = facts, None
        self._failed_starts = 0

    def _drop(self, worker: _Worker) -> None:
        worker.kill()
        if worker in self._workers:
            self._workers.remove(worker)

    def _replace(self, worker: _Worker, why: str, busy: bool) -> None:
        if worker.facts is None:
            self._failed_starts += 1
            if self._failed_starts > self._retries:
                raise StudioError(f"workers do not start: the last one {why}. See what 'studio doctor --full' says")
        self._drop(worker)
        self._workers.append(self._new_worker())
        place = f"worker {worker.facts.pid} on {worker.facts.host}" if worker.facts else "a worker that was starting"
        self._note(f"{place} {why}; it is replaced{', and its piece of work repeated' if busy else ''}")

    def _send(self, worker: _Worker, known: _Function, item: Any) -> Any:
        programs = []
        if self._spread and worker.facts is not None:
            missing = self._programs.keys() - self._delivered[worker.facts.node]
            self._delivered[worker.facts.node] |= missing
            programs = [self._programs[name] for name in sorted(missing)]
        pickled = _pickling().dumps(item)
        return worker.actor.run.remote(known.serial, [known.reference], pickled, programs, self._spread)

    def _take_programs(self, worker: _Worker, programs: list[Any]) -> None:
        for program in programs:
            if program.name not in self._programs:
                self._programs[program.name] = _ray().put(program)
            if worker.facts is not None:
                self._delivered[worker.facts.node].add(program.name)


class _Worker:
    """The driver's end of a worker: `starting` until it has answered with its `facts`, `busy` with at most one call."""

    def __init__(self, gpus: float, cores: float):
        ray = _ray()
        options = {"num_cpus": cores, "num_gpus": gpus, "max_restarts": 0, "max_task_retries": 0}
        self.actor = ray.remote(Worker).options(**options).remote(Settings.of_driver(gpus))
        self.starting: Any = self.actor.facts.remote()
        self.facts: Facts | None = None
        self.busy: Any = None

    @property
    def free(self) -> bool:
        """Whether it may be sent an item."""
        return self.facts is not None and self.busy is None

    def kill(self) -> None:
        """Ends the process; harmless where it has ended."""
        with contextlib.suppress(Exception):
            _ray().kill(self.actor)


@dataclasses.dataclass
class _Function:
    """A function in the object store; `function` itself is held so that its identity stays its own. `longest`: seconds of
    its slowest item, None before the first is done."""

    function: Callable[[Any], Any]
    serial: int
    reference: Any
    longest: float | None = None

    @property
    def patience(self) -> float:
        """Seconds that the next item may take."""
        return _FIRST if self.longest is None else _MINUTE + _PATIENCE * self.longest


@dataclasses.dataclass
class _Task:
    index: int
    item: Any
    failures: int = 0
    worker: _Worker | None = None
    since: float = 0.0


class _Stream:
    """One pass over items: what waits, what runs, and what is done but not yet its turn."""

    def __init__(self, runner: RayRunner, known: _Function, items: Iterator[Any]):
        self.runner, self.known, self.items = runner, known, items
        self.waiting: collections.deque[_Task] = collections.deque()
        self.running: dict[Any, _Task] = {}
        self.done: dict[int, Any] = {}
        self.taken = itertools.count()
        self.exhausted = False

    def results(self) -> Iterator[Any]:
        begun, turn = time.monotonic(), 0
        try:
            while True:
                while turn in self.done:
                    yield self.done.pop(turn)
                    turn += 1
                self._fill()
                if not self.waiting and not self.running:
                    return
                self._dispatch()
                self._wait()
                self._require_workers(begun)
        finally:
            # Whoever is at work on something that nobody waits for any more.
            for task in self.running.values():
                if task.worker is not None:
                    self.runner._drop(task.worker)

    def _fill(self) -> None:
        while not self.exhausted and len(self.waiting) + len(self.running) + len(self.done) < 2 * self.runner.lanes:
            try:
                self.waiting.append(_Task(next(self.taken), next(self.items)))
            except StopIteration:
                self.exhausted = True

    def _dispatch(self) -> None:
        # The first item compiles, alone.
        allowed = len(self.waiting) if self.known.longest is not None else 1 - len(self.running)
        for worker in [worker for worker in self.runner._workers if worker.free][:allowed]:
            if not self.waiting:
                return
            task = self.waiting.popleft()
            task.worker, task.since = worker, time.monotonic()
            worker.busy = self.runner._send(worker, self.known, task.item)
            self.running[worker.busy] = task

    def _wait(self) -> None:
        """Until a worker has started, or is done with something, or a moment has passed."""
        workers = {worker.starting or worker.busy: worker for worker in self.runner._workers}
        workers.pop(None, None)
        if _ray().wait(list(workers), num_returns=1, timeout=_LOOK)[0]:
            ready, _ = _ray().wait(list(workers), num_returns=len(workers), timeout=0)
        else:
            ready = []
        for reference in ready:
            worker = workers[reference]
            try:
                if reference is worker.starting:
                    self.runner._started(worker)
                else:
                    self._finished(worker, reference)
            except _lost() as error:
                self._again(worker, f"died ({type(error).__name__})")
        limit = self.runner._time_out or self.known.patience
        for reference, task in list(self.running.items()):
            if time.monotonic() - task.since > limit and task.worker is not None and reference not in ready:
                self._again(task.worker, f"did not answer within {limit:.0f} s")

    def _finished(self, worker: _Worker, reference: Any) -> None:
        try:
            pickled, programs = _ray().get(reference)
        except _task_error() as error:
            raise error.cause from error
        task = self.running.pop(reference)
        worker.busy = None
        self.runner._take_programs(worker, programs)
        self.done[task.index] = _pickling().loads(pickled)
        self.known.longest = max(self.known.longest or 0.0, time.monotonic() - task.since)

    def _again(self, worker: _Worker, why: str) -> None:
        task = self.running.pop(worker.busy, None)
        self.runner._replace(worker, why, busy=task is not None)
        if task is not None:
            task.failures += 1
            if task.failures > self.runner._retries:
                raise StudioError(
                    f"piece {task.index} failed {task.failures} times, the last time because its worker {why}. "
                    "Look for too little memory, or give it more time; what is done stays"
                )
            self.waiting.appendleft(task)

    def _require_workers(self, begun: float) -> None:
        if not self.runner.workers and time.monotonic() - begun > _START:
            resources = {name: _ray().cluster_resources().get(name, 0) for name in ("CPU", "GPU")}
            raise StudioError(
                f"no worker has started within {_START:.0f} s on a cluster of {resources['CPU']:g} CPUs and "
                f"{resources['GPU']:g} GPUs; ask for fewer GPUs a worker, or free the cluster"
            )


# ---- Ray itself ------------------------------------------------------------------------------------------------------


def _ray() -> Any:
    import ray

    return ray


def _pickling() -> Any:
    """How functions, items and results travel: what Ray itself unpickles would stay in memory for ever."""
    from . import pickling

    return pickling


def _lost() -> tuple[type[Exception], ...]:
    """What Ray raises where a worker, or the machine it was on, is gone, or was stopped for want of memory."""
    from ray import exceptions

    return (
        exceptions.RayActorError,
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.ObjectLostError,
        exceptions.OutOfMemoryError,
    )


def _task_error() -> Any:
    """What Ray raises for an exception of the function itself, which it carries as `cause`."""
    from ray import exceptions

    return exceptions.RayTaskError


def _connect(workers: int | None, address: str | None) -> bool:
    """Connects to a cluster, starting one where no `address` is given; whether the connection is ours to end."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        if address is not None:
            raise InputError(
                "Ray is connected already", key="address", value=address, remedy="call ray.shutdown() before"
            )
        return False
    if address is not None:
        _require_answer(address)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "include_dashboard": False}
    try:
        if address is None:
            cores = max(workers or 1, available_cores())
            ray.init("local", num_cpus=cores, object_store_memory=_STORE, **common)
        else:
            package = str(Path(__file__).parents[1])
            ray.init(address, runtime_env={"py_modules": [package]}, **common)
    except Exception as error:  # Ray raises many kinds here
        what = (
            "a local Ray cluster does not start" if address is None else f"the Ray cluster {address!r} cannot be joined"
        )
        raise StudioError(f"{what}: {error} See what 'studio doctor --full' says") from None
    return True


def _require_answer(address: str) -> None:
    """Ray itself tries for minutes. **Raises** `InputError` where nothing listens at an address of the form HOST:PORT."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return  # a name that Ray knows, such as "auto"
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()
    except (OSError, ValueError) as error:
        remedy = "start one with 'ray start --head --port=6379', or leave the address out"
        raise InputError(
            f"no Ray cluster answers there: {error}", key="address", value=address, remedy=remedy
        ) from None


@contextlib.contextmanager
def _cluster_errors() -> Iterator[None]:
    from ray import exceptions

    try:
        yield
    except (exceptions.LocalRayletDiedError, exceptions.RaySystemError) as error:
        raise StudioError(f"the Ray cluster is gone: {error}. Start again with 'studio resume'") from None
