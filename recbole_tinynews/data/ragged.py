"""Rows of different lengths in two flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Ragged", "among", "chunks", "places", "ranges"]


@dataclass(frozen=True)
class Ragged:
    """A list of integer rows of different lengths (compressed sparse rows).

    Row ``i`` is ``values[offsets[i]:offsets[i + 1]]``.

    Parameters
    ----------
    values : ndarray of shape (total,)
        All rows, one after another. May be memory-mapped.
    offsets : ndarray of int64, shape (rows + 1,)
        Where each row starts; the last entry is ``total``.

    Examples
    --------
    >>> rows = Ragged.from_rows([[1, 2, 3], [], [4]])
    >>> rows.take([2, 0]).values.tolist()
    [4, 1, 2, 3]
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[int]], dtype: type = np.int32) -> Ragged:
        """Build from any sequence of integer sequences."""
        rows = list(rows)
        lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
        values: np.ndarray = np.fromiter((v for row in rows for v in row), dtype=dtype, count=int(lengths.sum()))
        return cls.from_lengths(values, lengths)

    @classmethod
    def from_lengths(cls, values: np.ndarray, lengths: np.ndarray) -> Ragged:
        """Build from flat values and the length of each row."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Length of each row, shape (rows,)."""
        return np.diff(self.offsets)

    @property
    def row_of(self) -> np.ndarray:
        """Row number of each value, shape (total,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def rows_of(self, places: np.ndarray) -> np.ndarray:
        """Row number of the values at some places of the flat array, shape of ``places``."""
        return np.searchsorted(self.offsets, places, side="right") - 1

    def rows_with(self, marks: np.ndarray) -> np.ndarray:
        """Tell of which rows any value is marked, shape (rows,); ``marks`` is aligned with ``values``."""
        found = np.zeros(len(self), dtype=bool)
        if marks.any():
            found[self.rows_of(np.flatnonzero(marks))] = True
        return found

    def take(self, rows: Sequence[int] | np.ndarray) -> Ragged:
        """Return the given rows, in the given order."""
        rows = np.asarray(rows, dtype=np.int64)
        return self._cut(self.offsets[rows], self.offsets[rows + 1])

    def last(self, length: int) -> Ragged:
        """Keep the last ``length`` values of each row (of a history: the newest clicks)."""
        return self._cut(np.maximum(self.offsets[:-1], self.offsets[1:] - length), self.offsets[1:])

    def padded(self, length: int | None = None) -> np.ndarray:
        """Return a dense int64 array of shape (rows, width), filled with 0 behind each row's end.

        The width is that of the longest row, or ``length`` if given, which must be enough.
        """
        lengths = self.lengths
        width = int(lengths.max(initial=0)) if length is None else length
        dense = np.zeros((len(self), width), dtype=np.int64)
        dense[np.arange(width) < lengths[:, None]] = self.values
        return dense

    def _cut(self, starts: np.ndarray, ends: np.ndarray) -> Ragged:
        return Ragged.from_lengths(self.values[ranges(starts, ends)], ends - starts)


def places(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where the values of some rows lie in the flat array, one row after another.

    Examples
    --------
    >>> places(np.array([0, 3, 3, 5]), np.array([2, 0])).tolist()
    [3, 4, 0, 1, 2]
    """
    return ranges(offsets[rows], offsets[rows + 1])


def among(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether each value is one of the others, as `numpy.isin`, which is slow for many large numbers.

    Examples
    --------
    >>> among(np.array([3, 1, 7]), np.array([1, 3])).tolist()
    [True, True, False]
    """
    if not len(others):
        return np.zeros(len(values), dtype=bool)
    ordered = np.sort(others)
    return ordered[np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)] == values


def chunks(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut ``range(total)`` into pieces of at most ``size``: the start and the end of each.

    Examples
    --------
    >>> list(chunks(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    for start in range(0, total, size):
        yield start, min(start + size, total)


def ranges(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Concatenate ``start, start + 1, ..., end - 1`` of each pair."""
    lengths = ends - starts
    before = np.cumsum(lengths, dtype=np.int64) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
