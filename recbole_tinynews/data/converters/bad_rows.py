"""What becomes of rows that cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from recbole_tinynews.errors import InputError

__all__ = ["BadRows", "Fault"]


class Fault(NamedTuple):
    """Rows that break one rule.

    Parameters
    ----------
    reason : str
        The rule, as it is counted.
    rows : ndarray of bool
        Whether each row breaks it.
    message : callable
        From a row's number to what is wrong there.
    """

    reason: str
    rows: np.ndarray
    message: Callable[[int], str]


class BadRows:
    """Stops at the first bad row, or leaves bad rows out and counts them.

    Parameters
    ----------
    skip : bool, default False
        Whether bad rows are left out.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, reason: str, message: str, file: object, line: int, count: int = 1) -> None:
        """Count rows whose first is at ``line``, or raise an InputError that tells what is wrong there."""
        error = InputError(message, file, line)
        if not self.skip:
            raise error
        self._first.setdefault(reason, str(error))
        self.counts[reason] += count

    def good(self, file: object, lines: np.ndarray, faults: Sequence[Fault]) -> np.ndarray | None:
        """Return the numbers of the rows without fault, or None if all are."""
        bad = np.zeros(len(lines), dtype=bool)
        found = []
        for fault in faults:
            rows = np.flatnonzero(fault.rows & ~bad)
            bad[rows] = True
            if len(rows):
                found.append((rows[0], fault, len(rows)))
        for row, fault, count in sorted(found, key=lambda entry: entry[0]):
            self.add(fault.reason, fault.message(row), file, int(lines[row]), count)
        return np.flatnonzero(~bad) if found else None

    def notes(self) -> dict[str, int]:
        """Counts by reason, each with its first example, as a summary prints them."""
        return {f"left out, {reason} (first: {self._first[reason]})": n for reason, n in self.counts.items()}
