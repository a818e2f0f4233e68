"""Processor cores, memory and disk space that this process may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from .._xla import program_folder
from ..execution.local import available_cores
from .finding import Finding, State

_GIB = 2**30

# Peak memory of one process: 1.5 to 2 GiB in small tanks, 2 to 2.6 GiB for reconstruction with 10,000 to 20,000 sensors
# (docs/benchmarks.md); two processes of the latter, and something to spare.
_SMALL, _LARGE = 2 * _GIB, 6 * _GIB
_LITTLE_DISK, _NO_DISK = 2 * _GIB, _GIB // 10
_SHARED = Path("/dev/shm")
_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cores() -> Finding:
    """The cores of this process, by its affinity and by the quota of its control group."""
    usable, quota = available_cores(), core_quota()
    values = {"usable": usable, "machine": os.cpu_count(), "quota": quota}
    detail = f"{usable} of the {os.cpu_count()} of this machine"
    if quota is None or quota >= usable:
        return Finding(name="cores", state="ok", detail=detail, values=values)
    return Finding(
        name="cores",
        state="warning",
        detail=f"{detail}, but processor time for {quota:g} only (the limit of a container or job)",
        consequence="as many pieces of work as cores would wait for each other",
        remedy=f"add --devices {max(1, int(quota))} to commands, or raise the limit",
        values=values,
    )


def memory() -> Finding:
    """What may be used, and what is free of it now."""
    total, free = _meminfo("MemTotal"), _meminfo("MemAvailable")
    limit, used = memory_limit()
    if limit is not None:
        total, free = min(total, limit), min(free, limit - used)
    values = {"total_bytes": total, "free_bytes": free, "limit_bytes": limit}
    detail = f"{_size(total)}{'' if limit is None else ' (limit of a container or job)'}, {_size(free)} of it free"
    if free >= _LARGE:
        return Finding(name="memory", state="ok", detail=detail, values=values)
    consequence = "large detectors (10,000 sensors and more) may not fit"
    if free < _SMALL:
        consequence = "even small studies may be ended for want of memory"
    remedy = "close other programs, raise the limit, or lower optimiser.shard and --devices"
    return Finding(name="memory", state="warning", detail=detail, consequence=consequence, remedy=remedy, values=values)


def disks() -> list[Finding]:
    """Where results, shared memory and compiled programs go."""
    found = [
        _disk(
            "disk",
            Path.cwd(),
            "studies write their ledger here",
            "free some space, or give --out a folder elsewhere",
            necessary=True,
        ),
        _disk(
            "cache",
            program_folder().parent,
            "programs are compiled anew in every run, for minutes",
            "free some space, or set XDG_CACHE_HOME to a folder elsewhere",
        ),
    ]
    if _SHARED.is_dir():
        remedy = "enlarge it: docker run --shm-size=4g, or a memory-backed emptyDir on Kubernetes"
        found.append(_disk("shared memory", _SHARED, "Ray passes data between workers through slower files", remedy))
    return found


def _disk(name: str, folder: Path, consequence: str, remedy: str, necessary: bool = False) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free, writable = shutil.disk_usage(there).free, os.access(there, os.W_OK)
    values = {"folder": str(folder), "free_bytes": free, "writable": writable}
    state: State = "ok" if free >= _LITTLE_DISK else "warning" if free >= _NO_DISK else "missing"
    detail = f"{_size(free)} free in {folder}"
    if not writable:
        state, detail = "missing", f"{folder} cannot be written to"
    if state == "ok":
        return Finding(name=name, state=state, detail=detail, necessary=necessary, values=values)
    return Finding(
        name=name,
        state=state,
        detail=detail,
        consequence=consequence,
        remedy=remedy,
        necessary=necessary,
        values=values,
    )


def _size(number: float) -> str:
    return f"{number / _GIB:.1f} GiB"


def _meminfo(key: str) -> int:
    """An entry of /proc/meminfo in bytes; of systems without it, all physical memory."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# ---- control groups --------------------------------------------------------------------------------------------------


def core_quota() -> float | None:
    """Processor time the control groups of this process grant, in cores; None where it is not limited."""
    quotas = []
    for folder in _groups(""):
        words = _read(folder / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            quotas.append(int(words[0]) / int(words[1]))
    for folder in _groups("cpu"):
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota is not None and period and quota > 0:
            quotas.append(quota / period)
    return min(quotas, default=None)


def memory_limit() -> tuple[int | None, int]:
    """The tightest limit of the control groups of this process and what they use of it, in bytes."""
    limits = []
    for controller, limit_file, used_file in (
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for folder in _groups(controller):
            limit = _number(folder / limit_file)
            # Version 1 writes "no limit" as the largest number of pages.
            if limit is not None and limit < 2**60:
                limits.append((limit, _number(folder / used_file) or 0))
    return min(limits, default=(None, 0))


def _groups(controller: str) -> Iterator[Path]:
    """Folders of the control group of this process and of those above it: version 2 ("") or a controller of version 1."""
    for line in _read(_OWN_CGROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controller not in controllers.split(","):
            continue
        root = _CGROUPS / controller
        here = root / path.lstrip("/")
        yield from (folder for folder in (here, *here.parents) if folder.is_relative_to(root) and folder.is_dir())


def _number(file: Path) -> int | None:
    text = _read(file).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
