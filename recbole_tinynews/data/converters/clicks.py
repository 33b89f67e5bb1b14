"""The clicks that are known before validation starts, for ``.inter``."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from recbole_tinynews.data.converters.records import Impressions
from recbole_tinynews.data.converters.vocabulary import Vocabulary
from recbole_tinynews.data.ragged import Ragged, chunks

__all__ = ["ClickLog"]

_USERS_AT_ONCE = 10_000
_History = bytes  # the user and the news as int32: one object, where millions of tuples would slow Python down


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
        self._users = Vocabulary()
        self._clicks: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._histories: dict[_History, float] = {}
        self._first: dict[int, tuple[float, _History]] = {}
        self._valid_start = np.inf
        self.repeated = 0

    def add(self, split: str, batch: Impressions) -> None:
        """Take what may be known of the impressions of a split."""
        if split == "test":
            return
        users = self._users.codes(batch.users)
        if split == "train":
            clicked = np.flatnonzero(batch.labels == 1)
            rows = np.searchsorted(batch.candidates.offsets, clicked, side="right") - 1
            self._clicks.append((users[rows], batch.candidates.values[clicked], batch.times[rows]))
        else:
            self._valid_start = min(self._valid_start, batch.times.min(initial=np.inf))
        if self._mode == "none":
            return
        entries = _histories(users, batch)
        if split == "train" and self._mode == "all":
            # logs repeat a user's history in each of his impressions: it is kept once, with its earliest time
            known, get, never = self._histories, self._histories.get, math.inf
            for _, time, history in entries:
                if time < get(history, never):
                    known[history] = time
        else:
            for user, time, history in entries:
                if user not in self._first or time < self._first[user][0]:
                    self._first[user] = time, history

    def add_clicks(self, users: pa.Array, items: np.ndarray, times: np.ndarray) -> None:
        """Take clicks that belong to no impression."""
        self._clicks.append((self._users.codes(users), items, times))

    def users(self) -> Iterator[tuple[pa.Array, np.ndarray, np.ndarray]]:
        """Yield users, their news and the times of these clicks, each user's in order of time."""
        of, times, items, is_click = self._events()
        order = np.lexsort((times, of))  # a stable sort: at the same time a history, which stands first, comes first
        of, times, items, is_click = of[order], times[order], items.take(order), is_click[order]
        names = self._users.words()
        for start, end in chunks(len(names), _USERS_AT_ONCE):
            rows = slice(*np.searchsorted(of, [start, end]))
            offsets = items.offsets[rows.start : rows.stop + 1]
            part = Ragged(items.values[offsets[0] : offsets[-1]], offsets - offsets[0])
            user, item, time = self._first_clicks(of[rows], times[rows], part, is_click[rows])
            yield names.take(pa.array(user)), item, time

    def _events(self) -> tuple[np.ndarray, np.ndarray, Ragged, np.ndarray]:
        """User, time, news of each history and each click, and which is a click."""
        late = self._valid_start if self._mode == "all" else None
        known = list(self._histories)
        dated = list(self._histories.values())
        for time, history in self._first.values():
            known.append(history)
            dated.append(time if late is None else late)
        lengths = np.array([len(history) // 4 for history in known], dtype=np.int64)
        flat = Ragged.from_lengths(np.frombuffer(b"".join(known), dtype=np.int32), lengths)
        user, items = flat.values[flat.offsets[:-1]], np.delete(flat.values, flat.offsets[:-1])
        clicks = [np.concatenate(column) for column in zip(*self._clicks, strict=True)]
        users = np.concatenate([user, clicks[0]])
        times = np.concatenate([np.array(dated, dtype=np.float64), clicks[2]])
        lengths = np.concatenate([lengths - 1, np.ones(len(clicks[0]), dtype=np.int64)])
        events = Ragged.from_lengths(np.concatenate([items, clicks[1]]), lengths)
        return users, times, events, np.arange(len(users)) >= len(known)

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


def _histories(users: np.ndarray, batch: Impressions) -> Iterator[tuple[int, float, _History]]:
    """User, time and history of each impression."""
    offsets = batch.history.offsets
    raw = np.insert(batch.history.values, offsets[:-1], users).astype(np.int32).tobytes()
    bounds = ((offsets + np.arange(len(offsets))) * 4).tolist()
    histories = map(raw.__getitem__, map(slice, bounds, bounds[1:]))
    return zip(users.tolist(), batch.times.tolist(), histories, strict=True)
