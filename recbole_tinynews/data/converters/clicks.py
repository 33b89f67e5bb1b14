"""The clicks that are known before validation starts, for ``.inter``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from recbole_tinynews.data.converters.records import Impressions
from recbole_tinynews.data.ragged import Ragged, chunks

__all__ = ["ClickLog"]

_USERS_AT_ONCE = 10_000
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class _Events(NamedTuple):
    """Histories or clicks: user, time and news of each, and of histories a fingerprint of their news."""

    users: np.ndarray
    times: np.ndarray
    items: Ragged
    prints: np.ndarray

    def take(self, rows: np.ndarray) -> _Events:
        return _Events(self.users[rows], self.times[rows], self.items.take(rows), self.prints[rows])


class ClickLog:
    """Collects clicks of train impressions and histories, and gives each pair of user and news once, with a time.

    A clicked candidate has the time of its impression. A click known from a history only has none: it is
    dated just before the first train impression that shows it, 1 second per click, in the history's order.
    What only the history of a user's first valid impression knows is dated just before validation starts.
    Labels of valid and test impressions, later valid histories and test histories are never looked at.

    Parameters
    ----------
    histories : {"all", "first", "none"}, default "all"
        ``all``: as above. ``first``: only the history of each user's first train or valid impression counts, dated
        just before it, for splits that lie in the same time, where later histories may hold labels of validation.
        ``none``: histories only repeat clicked candidates of this log.
    """

    def __init__(self, histories: str = "all") -> None:
        self._mode = histories
        self._clicks: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._histories: dict[str, list[_Events]] = {"train": [], "valid": []}
        self.repeated = 0

    def add(self, split: str, batch: Impressions, users: np.ndarray) -> None:
        """Take what may be known of the impressions of a split; ``users`` are numbers of their users."""
        if split == "train":
            clicked = np.flatnonzero(batch.labels == 1)
            rows = np.searchsorted(batch.candidates.offsets, clicked, side="right") - 1
            self.add_clicks(users[rows], batch.candidates.values[clicked], batch.times[rows])
        if split != "test" and self._mode != "none":
            histories = _Events(users, batch.times, batch.history, _fingerprints(batch.history))
            self._histories[split].append(histories)

    def add_clicks(self, users: np.ndarray, items: np.ndarray, times: np.ndarray) -> None:
        """Take clicks that belong to no impression."""
        self._clicks.append((users, items, times))

    def users(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield users, their news and the times of these clicks, each user's in order of time."""
        users, times, items, is_click = self._events()
        order = np.lexsort((times, users))  # stable: at the same time a history, which stands first, comes first
        users, times, items, is_click = users[order], times[order], items.take(order), is_click[order]
        for start, end in chunks(int(users.max(initial=-1)) + 1, _USERS_AT_ONCE):
            rows = slice(*np.searchsorted(users, [start, end]))
            if rows.start == rows.stop:
                continue
            offsets = items.offsets[rows.start : rows.stop + 1]
            part = Ragged(items.values[offsets[0] : offsets[-1]], offsets - offsets[0])
            yield self._first_clicks(users[rows], times[rows], part, is_click[rows])

    def _events(self) -> tuple[np.ndarray, np.ndarray, Ragged, np.ndarray]:
        """User, time, news of each history and each click, and which is a click."""
        train, valid = (_joined(self._histories[split]) for split in ("train", "valid"))
        if self._mode == "first":
            known = [_first(_joined([train, valid]), by_items=False)]
        else:
            # logs repeat a user's history in each of his impressions: it counts once, with its earliest time
            first = _first(valid, by_items=False)
            start = np.full(len(first.users), valid.times.min(initial=np.inf))
            known = [_first(train, by_items=True), first._replace(times=start)]
        users, items, times = (np.concatenate(column) for column in zip(*self._clicks, strict=True))
        clicks = _Events(users, times, Ragged(items, np.arange(len(items) + 1)), np.zeros(len(users), dtype=np.uint64))
        events = _joined([*known, clicks])
        is_click = np.arange(len(events.users)) >= len(events.users) - len(users)
        return events.users, events.times, events.items, is_click

    def _first_clicks(
        self, users: np.ndarray, times: np.ndarray, items: Ragged, is_click: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of events in order of user and time: each pair of user and news once, with its first time."""
        lengths, size = items.lengths, int(items.values.max(initial=0)) + 1
        user = np.repeat(users, lengths)
        keys = user.astype(np.int64) * size + items.values
        order = np.argsort(keys)  # with the least place of each key this is np.unique's return_index, but much faster
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        new = np.zeros(len(keys), dtype=bool)
        new[np.minimum.reduceat(order, starts)] = True
        is_click = np.repeat(is_click, lengths)
        self.repeated += int(np.count_nonzero(~new & is_click))
        # how many new ones of the same history are left, itself included: so many seconds before
        so_far = np.concatenate([[0], np.cumsum(new)])
        left = np.repeat(so_far[items.offsets[1:]], lengths) - so_far[:-1]
        time = np.repeat(times, lengths) - np.where(is_click, 0, left)
        user, item, time = user[new], items.values[new], time[new]
        order = np.lexsort((time, user))
        return user[order], item[order], time[order]


_NONE = _Events(np.empty(0, dtype=np.int32), np.empty(0), Ragged.from_rows([]), np.empty(0, dtype=np.uint64))


def _joined(parts: list[_Events]) -> _Events:
    users, times, rows, prints = zip(_NONE, *parts, strict=True)
    values = np.concatenate([items.values for items in rows])
    items = Ragged.from_lengths(values, np.concatenate([items.lengths for items in rows]))
    return _Events(np.concatenate(users), np.concatenate(times), items, np.concatenate(prints))


def _first(histories: _Events, by_items: bool) -> _Events:
    """The earliest history of each user, or the earliest of each user's different ones."""
    prints = histories.prints if by_items else np.zeros(len(histories.users), dtype=np.uint64)
    order = np.lexsort((histories.times, prints, histories.users))
    users, prints = histories.users[order], prints[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (users[1:] != users[:-1]) | (prints[1:] != prints[:-1])
    return histories.take(order[new])


def _fingerprints(rows: Ragged) -> np.ndarray:
    """A number of 64 bits for each row that two different rows of a user have by a chance of 1 in 2 ** 64."""
    powers = np.cumprod(np.full(int(rows.lengths.max(initial=0)) + 1, _FACTOR))
    place = np.arange(len(rows.values)) - np.repeat(rows.offsets[:-1], rows.lengths)
    terms = (rows.values + 1).astype(np.uint64) * powers[place]
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms)])
    return sums[rows.offsets[1:]] - sums[rows.offsets[:-1]]
