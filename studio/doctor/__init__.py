"""What this machine can do for the studio, and how to get what is missing. Imports no jax, ray, mlflow or pyvista itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from . import database, machine, programs
from .finding import Finding


def examine(full: bool = False, say: Callable[[str], None] = lambda text: None, timeout: float = 30.0) -> list[Finding]:
    """Looks at everything; slow things side by side, each for at most `timeout` seconds.

    `full`: not only imports Ray but starts a cluster, for at most three times as long. `say` is told what is being waited for. Nothing
    that is broken raises: it is a finding.
    """
    slow: dict[str, Callable[[], list[Finding]]] = {
        "JAX": lambda: [programs.devices(timeout)],
        "OpenGL": lambda: [programs.opengl(timeout)],
        "Ray": lambda: [programs.cluster(3 * timeout) if full else programs.ray(timeout)],
        "the tracking store": lambda: database.store(timeout / 6),
    }
    say(f"looking at {', '.join(slow)} ...")
    with ThreadPoolExecutor(len(slow)) as pool:
        waiting = [pool.submit(look) for look in slow.values()]
        quick = [machine.cores(), machine.memory(), *machine.disks(), database.sqlite()]
        tried = [finding for one in waiting for finding in one.result()]
    return [*quick, *tried, *programs.packages()]


__all__ = ["Finding", "examine"]
