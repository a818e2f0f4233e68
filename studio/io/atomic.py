"""Files that are replaced whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .._checks import InputError


def replace_file(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to the disk and put it in place at once.

    **Raises** `InputError` where the place cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError("is a directory", file=os.fspath(path), remedy="name a file")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise InputError(
            problem, file=os.fspath(path), remedy="choose a folder that exists and can be written"
        ) from None
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise InputError(problem, file=os.fspath(path), remedy="check the space and permissions of the disk") from None
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
