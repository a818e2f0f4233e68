"""What entry points and workers set around JAX: compiler flags, precision, where compiled programs are kept. Importing the
library sets nothing."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path

# How XLA's CPU compiler works. Loops that give several arrays at once: otherwise it repeats, for each array, whatever several
# have in common. Its own code for sums: that of the YNN library takes many times as long along a short axis that is not the
# last one. Not the MLIR emitters, which take longer to compile all this. And LLVM's first level of optimization, which compiles
# faster, for programs that run no slower; GPUs read it, too, where it would be another matter. Together they compile in a third to
# a half of the time, and the information matrix of a fit takes a quarter of it (docs/benchmarks.md). The first is an option that
# XLA ignores where it does not know it; the others are known to these releases, and an unknown flag ends the process.
_QUICKER = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
_QUICKER_NOW = ("--xla_cpu_experimental_ynn_fusion_type=", "--xla_cpu_use_fusion_emitters=false")
_KNOWN_TO = ("0.10.",)
_FIRST_LEVEL = "--xla_backend_optimization_level=1"

# Products are added up by one thread: several would add them in an order that follows the number of cores. Runners use the
# cores, by working on several items at the same time. XLA's CPU client hands the bodies of loops to its pool of threads,
# NPROC of them, which all programs of a process share: with one thread, programs of several lanes wait for each other.
# What is split over that pool is elementwise, the same bits at any size of it. OpenBLAS serves the linear algebra.
_SINGLE = {"JAX_CPU_ENABLE_ASYNC_DISPATCH": "0", "OPENBLAS_NUM_THREADS": "1"}
_ONE_ADDS = "--xla_cpu_multi_thread_eigen=false"

_DEVICES = "--xla_force_host_platform_device_count"


def prepare(devices: int | None = None, *, one_thread: bool = True) -> None:
    """Set what XLA reads from the environment, what is already there kept; `devices`: number of CPU devices to show.

    With `one_thread` sums are taken by one thread, and the same numbers come out on any number of cores where this was called
    before SciPy and JAX were loaded.
    """
    if one_thread:
        for name, value in _SINGLE.items():
            os.environ.setdefault(name, value)
    flags = os.environ.get("XLA_FLAGS", "")
    wanted = [_QUICKER, *(_QUICKER_NOW if metadata.version("jaxlib").startswith(_KNOWN_TO) else ())]
    if not metadata.entry_points(group="jax_plugins"):  # JAX finds its GPUs by them
        wanted.append(_FIRST_LEVEL)
    if one_thread:
        wanted.append(_ONE_ADDS)
    if devices is not None:
        wanted.append(f"{_DEVICES}={devices}")
    added = [flag for flag in wanted if flag.split("=")[0] not in flags]
    os.environ["XLA_FLAGS"] = " ".join([flags, *added]).strip()


def start() -> None:
    """Everything a command sets before its first array: flags; double precision, since information matrices need it;
    products of matrices with all bits of their factors, where GPUs would take ten of single-precision numbers; and a
    folder for compiled programs where none is set."""
    prepare()
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    if not jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(program_folder()))


def environment_of_worker() -> dict[str, str]:
    """What a worker process sets, which has one device and one core: XLA's flags as they stand, and one thread."""
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(_DEVICES)]
    return {"XLA_FLAGS": " ".join(flags), "NPROC": "1", **_SINGLE}


def program_folder() -> Path:
    """Where this machine keeps compiled programs, apart by kind of processor: several kinds may share a home directory."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "detector-studio" / f"programs-{processor()}"


def processor() -> str:
    """A name for the kind of processor: machines with the same name run each other's programs."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        features = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        features = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"
