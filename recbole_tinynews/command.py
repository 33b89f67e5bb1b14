"""What all commands do about mistakes and about Ctrl-C."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from recbole_tinynews.errors import InputError

__all__ = ["command"]

_Arguments = ParamSpec("_Arguments")


def command(main: Callable[_Arguments, int | None]) -> Callable[_Arguments, int]:
    """Make a function of command-line arguments return an exit code, whatever it raises for the user to read.

    An `InputError` is told in one line, by one process of a machine, and gives 1; Ctrl-C gives 130.
    """

    @wraps(main)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> int:
        try:
            code = main(*args, **kwargs) or 0
            sys.stdout.flush()
            return code
        except InputError as error:
            told, code = f"error: {error}", 1
        except KeyboardInterrupt:
            told, code = "stopped", 130
        except BrokenPipeError:  # `| head` has read enough; what is left must not fail again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        if os.environ.get("LOCAL_RANK", "0") == "0":  # torchrun's; `distributed` would load torch for a converter
            print(told, file=sys.stderr)
        return code

    return run
