"""What all commands do: about memory, mistakes and Ctrl-C."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec

from recbole_tinynews.allocator import keep_freed_memory
from recbole_tinynews.errors import InputError

__all__ = ["PATIENCE", "command"]

PATIENCE = 10.0  # seconds in which a process is ended by the others' launcher, if another one has ended before

_Arguments = ParamSpec("_Arguments")


def command(main: Callable[_Arguments, int | None]) -> Callable[_Arguments, int]:
    """Make a function of command-line arguments return an exit code, whatever it raises for the user to read.

    An `InputError` is told in one line, by one process of a machine, and gives 1; Ctrl-C gives 130. What the command
    frees is kept for it (`keep_freed_memory`).
    """

    @wraps(main)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> int:
        keep_freed_memory()
        first = os.environ.get("LOCAL_RANK", "0") == "0"  # torchrun's; `distributed` would load torch for a converter
        try:
            code = main(*args, **kwargs) or 0
            sys.stdout.flush()
            return code
        except InputError as error:
            told = f"error: {error}"
        except KeyboardInterrupt:
            if first:
                print("stopped", file=sys.stderr)
            return 130
        except BrokenPipeError:
            if not _reader_is_gone():
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left must not fail at the end
            return 1
        if not first:
            with suppress(KeyboardInterrupt):  # then it is told at once
                time.sleep(PATIENCE)  # if the first process tells it too, this one is ended meanwhile
        print(told, file=sys.stderr)
        return 1

    return run


def _reader_is_gone() -> bool:
    """Whether nobody reads standard output, as when ``| head`` has read enough."""
    poll = select.poll()
    poll.register(1)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
