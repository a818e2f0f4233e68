"""What runs inside a worker process of a `RayRunner`."""

from __future__ import annotations

import dataclasses
import os
import platform
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import _xla

_PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "equinox")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a worker sets before it loads JAX: `environment` variables, double precision or not, the precision of `products`
    of matrices (None: JAX's own), and the folder for compiled programs of machines of kind `processor` (empty: none is kept)."""

    environment: Mapping[str, str]
    x64: bool
    products: str | None
    programs: str
    processor: str

    @classmethod
    def of_driver(cls, gpus: float) -> Settings:
        """The driver's own settings, for workers with so many GPUs each."""
        environment = _xla.environment_of_worker()
        if gpus:
            # Several workers may share a GPU: none takes its memory before it needs it, or more than its share.
            share = f"{0.9 * min(gpus, 1.0):.3f}"
            environment |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_PYTHON_CLIENT_MEM_FRACTION": share}
        else:
            environment["JAX_PLATFORMS"] = "cpu"
        jax = sys.modules.get("jax")
        x64 = bool(jax and jax.config.jax_enable_x64)
        products = jax.config.jax_default_matmul_precision if jax else None
        programs = str(jax.config.jax_compilation_cache_dir or "") if jax else ""
        return cls(environment, x64, products, programs, _xla.processor())


@dataclasses.dataclass(frozen=True)
class Facts:
    """Which process a worker is and what it runs on: results are the same where `versions` and `processor` are."""

    pid: int
    host: str
    node: str
    processor: str
    versions: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled program as JAX keeps it: the `name` of the file and its content."""

    name: str
    content: bytes


def versions() -> dict[str, str]:
    """Versions of what numbers depend on, as installed here."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


class Worker:
    """One process, one item at a time. Functions stay in it, and with them what they compiled."""

    def __init__(self, settings: Settings):
        os.environ.update(settings.environment)
        # Programs are machine code: those of another kind of processor are kept elsewhere.
        same = settings.processor == _xla.processor()
        folder = settings.programs if same or not settings.programs else str(_xla.program_folder())
        self._folder = Path(folder) if folder else None
        self._functions: dict[int, Callable[[Any], Any]] = {}
        import jax

        jax.config.update("jax_enable_x64", settings.x64)
        jax.config.update("jax_default_matmul_precision", settings.products)
        if folder:
            jax.config.update("jax_compilation_cache_dir", folder)
        self._known = self._kept()

    def facts(self) -> Facts:
        """Answers once the worker is there."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        return Facts(os.getpid(), socket.gethostname(), node, _xla.processor(), versions())

    def run(
        self, serial: int, function: Sequence[Any], pickled: bytes, programs: Sequence[Any], collect: bool
    ) -> tuple[bytes, list[Program]]:
        """The function of one item, and with `collect` the programs that were compiled for it.

        Function, item and result are pickled (see pickling.py). `function` and `programs` hold references to the object
        store, read here where they are new.
        """
        import ray

        from .pickling import dumps, loads

        for program in ray.get(list(programs)):
            self._keep(program)
        if serial not in self._functions:
            (reference,) = function
            self._functions[serial] = loads(ray.get(reference))
        result = dumps(self._functions[serial](loads(pickled)))
        return result, self._compiled() if collect else []

    def forget(self, serial: int) -> None:
        """Drops a function and what it compiled."""
        self._functions.pop(serial, None)

    def _kept(self) -> set[str]:
        return {path.name for path in self._folder.glob("*-cache")} if self._folder and self._folder.is_dir() else set()

    def _compiled(self) -> list[Program]:
        new = self._kept() - self._known
        self._known |= new
        return [Program(name, (self._folder / name).read_bytes()) for name in sorted(new)] if self._folder else []

    def _keep(self, program: Program) -> None:
        self._known.add(program.name)
        if self._folder is None or (self._folder / program.name).exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f".{program.name}.{os.getpid()}"
        aside.write_bytes(program.content)
        aside.rename(self._folder / program.name)
