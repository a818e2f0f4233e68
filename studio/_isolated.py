"""Python in a process of its own with a time limit: what crashes or hangs there leaves this process alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import NamedTuple


class Answer(NamedTuple):
    """What came back: standard output as `text`, and what went wrong in one line as `problem`, empty where nothing did."""

    text: str
    problem: str


def ask(code: str, timeout: float) -> Answer:
    """Runs `code` in a fresh interpreter for at most `timeout` seconds; its children end with it."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            return Answer("", f"no answer within {timeout:g} s")
        finally:
            # Whatever it started and left behind, too; nothing is there any more where all went well.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return Answer(output, _problem(process.returncode, errors))


def _problem(code: int, errors: str) -> str:
    if code == 0:
        return ""
    if code < 0:
        return f"the process died of {signal.Signals(-code).name}"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {code}"
