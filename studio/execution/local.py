"""Work in this process, on the devices that JAX shows."""

from __future__ import annotations

import collections
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from .._checks import InputError
from .base import AbstractRunner, Item, Result


class LocalRunner(AbstractRunner):
    """Threads of this process, one lane a device.

    **Arguments**: `devices`: how many lanes work at the same time; by default one for each accelerator JAX shows, and
    without an accelerator one for each CPU core this process may use.

    Where JAX shows several devices (accelerators, or CPU devices made with `--xla_force_host_platform_device_count`),
    lane i computes on device i. With a single CPU device all lanes share it, and with it one executable: XLA runs
    executions of different threads side by side, so that a program is compiled once and not once a core.

    **Raises** `InputError` where `devices` is not positive.
    """

    def __init__(self, devices: int | None = None):
        if devices is not None and devices < 1:
            raise InputError("not a positive number", key="devices", value=devices, remedy="give 1 or more")
        self._requested = devices
        self._pool: ThreadPoolExecutor | None = None
        self._beside: ThreadPoolExecutor | None = None
        self._closed = False

    @property
    def lanes(self) -> int:
        """Number of items worked on at the same time."""
        if self._requested is not None:
            return self._requested
        devices = _jax_devices()
        shown = len(devices) > 1 or any(device.platform != "cpu" for device in devices)
        return len(devices) if shown else available_cores()

    def stream(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in order; at most twice as many items as lanes are in flight, so memory does not follow the count."""
        self._require_open()
        lanes = self.lanes
        if self._pool is None:
            self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="studio-lane")
        devices = _jax_devices()[:lanes]
        waiting: collections.deque[Future[Result]] = collections.deque()
        try:
            for index, item in enumerate(items):
                device = devices[index % len(devices)] if len(devices) > 1 else None
                waiting.append(self._pool.submit(_on_device, function, item, device))
                if len(waiting) >= 2 * lanes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Works on the item in a thread of its own, so that no lane waits for it."""
        self._require_open()
        if self._beside is None:
            self._beside = ThreadPoolExecutor(1, thread_name_prefix="studio-beside")
        return self._beside.submit(function, item)

    def close(self) -> None:
        """Waits for running items and ends the threads; an item handed to `submit` is not waited for."""
        self._closed = True
        if self._beside is not None:
            self._beside.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._beside = None

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this runner was closed")


def available_cores() -> int:
    """Number of CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _jax_devices() -> list[Any]:
    """JAX's devices, or none while jax is not loaded: work that does not use it needs no device."""
    jax = sys.modules.get("jax")
    return [] if jax is None else jax.devices()


def _on_device(function: Callable[[Item], Result], item: Item, device: Any) -> Result:
    jax = sys.modules.get("jax")
    placement = contextlib.nullcontext() if device is None or jax is None else jax.default_device(device)
    with placement:
        return function(item)
