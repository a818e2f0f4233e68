"""What a result depends on besides its experiment: versions, packages, and the state of the code in git."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any


def environment() -> dict[str, str]:
    """Versions that a result depends on."""
    names = ("detector-studio", "jax", "jaxlib", "equinox", "optax", "numpy", "scipy")
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return {"python": platform.python_version(), "machine": platform.machine(), "platform": sys.platform, **found}


def packages() -> dict[str, str]:
    """Every installed package with its version, in the order of the alphabet."""
    found = {found.name: found.version for found in metadata.distributions() if found.name}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def git_state(file: Path) -> dict[str, Any] | None:
    """The commit at which `file` stands in git and whether tracked files were modified since; None outside of git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(file.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)  # a folder inside a checkout need not belong to it
        return {"commit": git("rev-parse", "HEAD"), "modified": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None
