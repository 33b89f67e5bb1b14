"""The clicks that are known before validation starts, for ``.inter``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from recbole_tinynews.data.converters.records import Impressions
from recbole_tinynews.data.converters.spill import Spill
from recbole_tinynews.data.ragged import Ragged

__all__ = ["ClickLog"]

_USERS_AT_ONCE = 25_000
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class _Events(NamedTuple):
    """Histories or clicks: user, time and news of each."""

    users: np.ndarray
    times: np.ndarray
    items: Ragged

    def take(self, rows: np.ndarray) -> _Events:
        return _Events(self.users[rows], self.times[rows], self.items.take(rows))


class ClickLog:
    """Collects clicks of train impressions and histories, and gives each pair of user and news once, with a time.

    A clicked candidate has the time of its impression. A click known from a history only has none: it is
    dated just before the first train impression that shows it, 1 second per click, in the history's order.
    What only the history of a user's first valid impression knows is dated just before validation starts.
    Labels of valid and test impressions, later valid histories and test histories are never looked at.

    All that is taken waits in temporary files, one for so many users; one of them at a time is read into memory.

    Parameters
    ----------
    histories : {"all", "first", "none"}, default "all"
        ``all``: as above. ``first``: only the history of each user's first train or valid impression counts, dated
        just before it, for splits that lie in the same time, where later histories may hold labels of validation.
        ``none``: histories only repeat clicked candidates of this log.
    """

    def __init__(self, histories: str = "all") -> None:
        self._mode = histories
        self._parts: list[Spill] = []
        self._valid_start = np.inf
        self.repeated = 0

    def add(self, split: str, batch: Impressions, users: np.ndarray) -> None:
        """Take what may be known of the impressions of a split; ``users`` are numbers of their users, from 0 on."""
        if split == "train":
            clicked = np.flatnonzero(batch.labels == 1)
            rows = batch.candidates.rows_of(clicked)
            self.add_clicks(users[rows], batch.candidates.values[clicked], batch.times[rows])
        if split == "valid":
            self._valid_start = min(self._valid_start, batch.times.min())
        if split != "test" and self._mode != "none":
            self._keep(split, _Events(users, batch.times, batch.history))

    def add_clicks(self, users: np.ndarray, items: np.ndarray, times: np.ndarray) -> None:
        """Take clicks that belong to no impression."""
        self._keep("clicks", _Events(users, times, Ragged(items, np.arange(len(items) + 1))))

    def users(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield users, their news and the times of these clicks, each user's in order of time; to be called once."""
        for part in self._parts:
            events, is_click = self._events(part)
            order = np.lexsort((events.times, events.users))  # stable: at the same time a history comes first
            yield self._first_clicks(*events.take(order), is_click[order])

    def _keep(self, kind: str, events: _Events) -> None:
        part = events.users // _USERS_AT_ONCE
        order = np.argsort(part, kind="stable")
        self._parts += [Spill() for _ in range(len(self._parts), int(part.max(initial=-1)) + 1)]
        bounds = np.searchsorted(part[order], np.arange(len(self._parts) + 1))
        for spill, start, end in zip(self._parts, bounds[:-1], bounds[1:], strict=True):
            if start < end:
                spill.add((kind, events.take(order[start:end])))

    def _events(self, part: Spill) -> tuple[_Events, np.ndarray]:
        """The histories that count and all clicks of some users, and which is a click."""
        kept: dict[str, list[_Events]] = {"train": [], "valid": [], "clicks": []}
        for kind, events in part.take():
            kept[kind].append(events)
        train, valid, clicks = map(_joined, kept.values())
        if self._mode == "first":
            known = [_first(_joined([train, valid]), by_items=False)]
        else:
            # logs repeat a user's history in each of his impressions: it counts once, with its earliest time
            first = _first(valid, by_items=False)
            known = [_first(train, by_items=True), first._replace(times=np.full(len(first.users), self._valid_start))]
        events = _joined([*known, clicks])
        return events, np.arange(len(events.users)) >= len(events.users) - len(clicks.users)

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


_NONE = _Events(np.empty(0, dtype=np.int32), np.empty(0), Ragged.from_rows([]))


def _joined(parts: list[_Events]) -> _Events:
    users, times, rows = zip(_NONE, *parts, strict=True)
    values = np.concatenate([items.values for items in rows])
    items = Ragged.from_lengths(values, np.concatenate([items.lengths for items in rows]))
    return _Events(np.concatenate(users), np.concatenate(times), items)


def _first(histories: _Events, by_items: bool) -> _Events:
    """The earliest history of each user, or the earliest of each user's different ones."""
    prints = _fingerprints(histories.items) if by_items else np.zeros(len(histories.users), dtype=np.uint64)
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
