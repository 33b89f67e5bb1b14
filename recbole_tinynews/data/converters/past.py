"""Histories out of a log of clicks."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from recbole_tinynews.data.converters.records import Impressions
from recbole_tinynews.data.converters.vocabulary import Vocabulary
from recbole_tinynews.data.ragged import Ragged, ranges

__all__ = ["PastClicks"]


class PastClicks:
    """Collects the clicks of a log and tells what a user had clicked before an impression.

    Parameters
    ----------
    longest : int, optional
        The most clicks of a history, the newest; by default all.
    """

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest
        self._users = Vocabulary()
        self._clicks: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, batch: Impressions) -> None:
        """Take the clicks of some impressions."""
        clicked = np.flatnonzero(batch.labels == 1)
        rows = batch.candidates.rows_of(clicked)
        self._clicks.append((self._users.codes(batch.users)[rows], batch.times[rows], batch.candidates.values[clicked]))

    def before(self, batch: Impressions) -> Ragged:
        """History of each impression: clicks at earlier times, oldest first, none of the same moment or later.

        All clicks must have been added.
        """
        moments, keys, items = self._ordered
        first = self._users.codes(batch.users).astype(np.int64) * (len(moments) + 1)
        starts = np.searchsorted(keys, first)
        ends = np.searchsorted(keys, first + np.searchsorted(moments, batch.times))
        if self._longest is not None:
            starts = np.maximum(starts, ends - self._longest)
        return Ragged.from_lengths(items[ranges(starts, ends)], ends - starts)

    @cached_property
    def _ordered(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All moments of clicks; of the clicks in order of user and time the key of both, and the news."""
        users, times, items = (np.concatenate(column) for column in zip(*self._clicks, strict=True))
        order = np.lexsort((times, users))
        moments, place = np.unique(times[order], return_inverse=True)
        return moments, users[order].astype(np.int64) * (len(moments) + 1) + place, items[order]
