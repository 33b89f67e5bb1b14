"""The one exception that stands for a mistake of the user."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """Input that cannot be used, told in one line.

    Every command prints ``error: <message>`` and exits with 1. A traceback means a fault of the
    program.

    Parameters
    ----------
    message : str
        What was expected and what to do.
    path : str, optional
        The file at fault.
    line : int, optional
        Its line, counted from 1.

    Examples
    --------
    >>> str(InputError("expected 5 columns, found 3", path="behaviors.tsv", line=7))
    'behaviors.tsv:7: expected 5 columns, found 3'
    """

    def __init__(self, message: str, path: object = None, line: int | None = None) -> None:
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(place + message)
