"""The command `studio`: parsing and exit codes. 0 done, 1 ran and failed, 2 bad input."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from .._checks import StudioError
from . import looking, measuring, studies
from .group import commands


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    code = run(arguments)
    if code:
        # At once: what is compiled ahead in the background is of no use any more.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(0)


def run(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code. Errors for people go to standard error, without a traceback."""
    try:
        commands.main(arguments, standalone_mode=False)
    except StudioError as error:
        return _fail(str(error), error.exit_code)
    except click.exceptions.Abort:
        return _fail("interrupted; what is in the ledger stays, and 'studio resume' goes on from there", 1)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except KeyboardInterrupt:
        return _fail("interrupted; what is in the ledger stays, and 'studio resume' goes on from there", 1)
    except BrokenPipeError:
        # Whoever read standard output has gone; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return _fail("out of memory: lower optimiser.shard or validation.shard, or free fewer leaves", 1)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"studio: error: {message}", file=sys.stderr)
    return code


__all__ = ["commands", "looking", "main", "measuring", "run", "studies"]
