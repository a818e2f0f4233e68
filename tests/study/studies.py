"""What tests of studies share: the files that must come out the same, and a study in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax

ROOT = Path(__file__).parents[2]
SAME = (
    "history.jsonl", "trajectory.jsonl", "validation.jsonl", "gradient_check.json", "design.yaml", "result.json",
    "history.parquet", "sensor_information.npz",
)  # fmt: skip


def content(directory: Path) -> dict[str, bytes]:
    """The files of a study whose bytes are decided by its experiment alone."""
    return {name: (directory / name).read_bytes() for name in SAME}


@contextlib.contextmanager
def programs_kept_in(folder: Path) -> Iterator[None]:
    """JAX keeps every program that it compiles in a folder meanwhile, and reads it back from there."""
    settings = {"jax_compilation_cache_dir": str(folder), "jax_persistent_cache_min_compile_time_secs": 0.0}
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def drive(
    experiment: Path, directory: Path, what: str, cache: Path, devices: int = 1, runner: str = "local"
) -> subprocess.Popen:
    """`tests/drive_study.py` with two lanes on a runner; `devices`: how many CPU devices JAX shows."""
    script = str(ROOT / "tests" / "drive_study.py")
    command = [sys.executable, script, str(experiment), str(directory), what, "2", "none", runner]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(cache)}
    environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "STUDIO_TEST_DEVICES": str(devices)}
    return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE)


def lines(directory: Path) -> int:
    """Number of complete lines in the ledger."""
    files = [directory / name for name in ("history.jsonl", "validation.jsonl")]
    return sum(file.read_bytes().count(b"\n") for file in files if file.exists())
