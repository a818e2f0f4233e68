"""The ledger of a study: the files in its directory that survive whatever dies.

- `study.json`: what the study is (configuration, seed, versions), written once.
- `history.jsonl`: one line a step, forced to disk before the step counts.
- `trajectory.jsonl`: the design after each step, for pictures; a step's line stands here before it stands in the history.
- `validation.jsonl`: one line a piece of validation, likewise.
- `checkpoint.npz`: the whole state of the loop after the last step that counts, replaced atomically.
- `sensor_information.npz`: the share of the information that each sensor brings, before and after.
- `timing.jsonl`: wall-clock times; nothing else depends on it.

A step counts once its checkpoint is in place. The checkpoint says how long the history was then; what stands behind that is
an interrupted step, and is cut off, as the trajectory is, and computed again. No number in the first five files depends on the clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import InputError, StudioError
from .experiment_file import STUDY

HISTORY, TRAJECTORY, VALIDATION = "history.jsonl", "trajectory.jsonl", "validation.jsonl"
CHECKPOINT, SHARES = "checkpoint.npz", "sensor_information.npz"
TIMING, RESULT = "timing.jsonl", "result.json"


class Ledger:
    """The files of one study in `directory`; one process at a time holds it (use as a context manager).

    **Raises** `InputError` where the directory cannot be made or written, `StudioError` where another process runs the study.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self._lock: io.TextIOWrapper | None = None

    def __enter__(self) -> Ledger:
        with _disk_errors(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = (self.directory / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise StudioError(
                f"{self.directory}: another process is running this study; wait for it or stop it"
            ) from None
        return self

    def __exit__(self, *_: Any) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # ---- what the study is --------------------------------------------------------------------------------------------

    @property
    def begun(self) -> bool:
        """Whether a study was begun here."""
        return (self.directory / STUDY).is_file()

    @property
    def finished(self) -> bool:
        """Whether the study here is done."""
        return (self.directory / RESULT).is_file()

    def begin(self, study: Mapping[str, Any]) -> None:
        """Writes down what the study is. **Raises** `InputError` where the directory already holds one."""
        if self.begun:
            remedy = f"resume it with 'studio resume {self.directory}', or name another directory"
            raise InputError("already holds a study", file=self.directory, remedy=remedy)
        self.write_json(STUDY, study)

    def study(self) -> dict[str, Any]:
        """What `begin` wrote. **Raises** `InputError` where no study was begun here."""
        return self.read_json(STUDY)

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the ledger."""
        path = self.directory / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"holds no {name}", file=self.directory, remedy="name the directory of a study") from None
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read: {error}", file=path, remedy="restore it from a copy") from None

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Replaces a JSON file of the ledger atomically; the same content gives the same bytes."""
        self.write(name, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file atomically: written aside, forced to disk, renamed, and the folder forced to disk."""
        with _disk_errors(self.directory):
            aside = self.directory / f".{name}.new"
            with aside.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            aside.rename(self.directory / name)
            _sync_folder(self.directory)

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Replaces a file of named arrays (npz) atomically."""
        content = io.BytesIO()
        np.savez(content, **arrays)  # pyright: ignore[reportArgumentType]
        self.write(name, content.getvalue())

    # ---- lines ---------------------------------------------------------------------------------------------------------

    def append(self, name: str, *lines: Mapping[str, Any]) -> int:
        """Adds lines to a file of lines and forces them to disk; returns the length of the file in bytes."""
        text = "".join(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n" for line in lines)
        with _disk_errors(self.directory):
            path = self.directory / name
            new = not path.exists()
            with path.open("ab") as stream:
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
                length = stream.tell()
            if new:
                _sync_folder(self.directory)
            return length

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The complete lines of a file of lines, in order; a half-written last one is left out."""
        path = self.directory / name
        if not path.exists():
            return []
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        try:
            return [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise StudioError(f"{path}: damaged: {error}") from None

    def truncate(self, name: str, length: int | None = None) -> None:
        """Cuts a file of lines to `length` bytes, or by default behind its last complete line."""
        path = self.directory / name
        if not path.exists():
            return
        if length is None:
            whole, newline, _ = path.read_bytes().rpartition(b"\n")
            length = len(whole) + len(newline)
        if path.stat().st_size < length:
            raise StudioError(
                f"{path}: {path.stat().st_size} bytes where the checkpoint counted {length}: lines are missing"
            )
        with _disk_errors(self.directory), path.open("r+b") as stream:
            stream.truncate(length)
            os.fsync(stream.fileno())

    def cut(self, history_bytes: int) -> None:
        """Cuts the history to what counts, and the trajectory to as many lines; one that lost lines costs pictures only."""
        self.truncate(HISTORY, history_bytes)
        count, path = len(self.lines(HISTORY)), self.directory / TRAJECTORY
        whole, _, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
        self.truncate(TRAJECTORY, sum(len(line) + 1 for line in whole.splitlines()[:count]))

    def note_time(self, what: str, seconds: float, **details: Any) -> float:
        """Adds a line to the file of wall-clock times; never forced to disk. Returns the time now, in seconds since 1970."""
        at = round(time.time(), 3)
        with contextlib.suppress(OSError), (self.directory / TIMING).open("a") as stream:
            line = {"what": what, **details, "seconds": round(seconds, 6), "at": at}
            stream.write(json.dumps(line) + "\n")
        return at

    def step_times(self) -> dict[int, float]:
        """When each step was done, in seconds since 1970, as far as it is known. For trackers; no result depends on it."""
        steps = [line for line in self.lines(TIMING) if line["what"] == "step"]
        return {step: line["at"] for line in steps for step in range(line["first"], line["step"] + 1)}

    @property
    def begun_at(self) -> float:
        """When the study was begun, in seconds since 1970."""
        return (self.directory / STUDY).stat().st_mtime

    # ---- checkpoint ----------------------------------------------------------------------------------------------------

    def save(self, state: Any, history_bytes: int) -> None:
        """Replaces the checkpoint: `state`, a pytree of arrays and numbers, and how long the history is with it."""
        arrays = {f"leaf_{number}": _to_numpy(leaf) for number, leaf in enumerate(jax.tree.leaves(state))}
        counts = {"history_bytes": np.asarray(history_bytes), "leaves": np.asarray(len(arrays))}
        self.write_arrays(CHECKPOINT, counts | arrays)

    def load(self, like: Any) -> Any | None:
        """The state of the checkpoint, and history and trajectory cut to what counts; None without one.

        `like`: a state of the same structure. **Raises** `StudioError` where the checkpoint does not fit it.
        """
        path = self.directory / CHECKPOINT
        if not path.exists():
            self.cut(0)
            return None
        leaves, structure = jax.tree.flatten(like)
        try:
            with np.load(path, allow_pickle=False) as stored:
                history_bytes, count = int(stored["history_bytes"]), int(stored["leaves"])
                if count != len(leaves):
                    raise StudioError(
                        f"{path}: {count} leaves where this study has {len(leaves)}: from another version?"
                    )
                restored = [_restored(stored[f"leaf_{n}"], leaf, path) for n, leaf in enumerate(leaves)]
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            remedy = "remove it and resume: the steps are computed again and come out the same"
            raise StudioError(f"{path}: damaged: {error}. {remedy}") from None
        self.cut(history_bytes)
        return jax.tree.unflatten(structure, restored)


def _to_numpy(leaf: Any) -> np.ndarray:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(leaf))
    return np.asarray(leaf)


def _restored(stored: np.ndarray, like: Any, path: Path) -> Any:
    if isinstance(like, jax.Array) and jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(stored), impl=jax.random.key_impl(like))
    if isinstance(like, bool | int | float):
        return type(like)(stored.item())
    expected = np.asarray(like)
    if stored.shape != expected.shape or stored.dtype != expected.dtype:
        found, wanted = f"{stored.dtype}{stored.shape}", f"{expected.dtype}{expected.shape}"
        raise StudioError(f"{path}: {found} where this study has {wanted}: was the geometry or the precision changed?")
    return jnp.asarray(stored) if isinstance(like, jax.Array) else stored


def _sync_folder(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    """Turns what the operating system says about files into errors for people."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
        remedy = "name a directory you may write to with --out"
        raise InputError(f"cannot be written: {error.strerror}", file=directory, remedy=remedy) from None
    except OSError as error:
        remedy = "make room or mend the disk; then 'studio resume' goes on from the last complete step"
        raise StudioError(f"{directory}: cannot be written: {error.strerror}. {remedy}") from None
