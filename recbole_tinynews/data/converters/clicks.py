"""The clicks that are known before validation starts, for ``.inter``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from operator import itemgetter

from recbole_tinynews.data.converters.records import Seen

__all__ = ["ClickLog"]


class ClickLog:
    """Collects clicks of train impressions and histories, and gives each (user, item) once, with a time.

    A clicked candidate has the time of its impression. A click known from a history only has none: it is
    dated just before the first train impression that shows it, 1 second per click, in the history's order.
    What only the history of a user's first valid impression knows is dated just before validation starts.
    Labels of valid and test impressions, later valid histories and test histories are never looked at.
    """

    def __init__(self) -> None:
        self._clicks: dict[str, list[tuple[float, str]]] = {}
        self._histories: dict[str, dict[str, float]] = {}
        self._first_valid: dict[str, tuple[float, str]] = {}
        self._valid_start = float("inf")
        self.repeated = 0

    def add(self, split: str, seen: Seen) -> None:
        """Take what may be known of an impression."""
        user, time, history = seen.user, seen.time, seen.history
        if split == "train":
            self._clicks.setdefault(user, []).extend((time, item) for item in seen.clicked)
            # logs repeat a user's history in each of his impressions: it is kept once, with its earliest time
            histories = self._histories.setdefault(user, {})
            histories[history] = min(time, histories.get(history, time))
        elif split == "valid":
            self._valid_start = min(time, self._valid_start)
            if user not in self._first_valid or time < self._first_valid[user][0]:
                self._first_valid[user] = time, history

    def users(self) -> Iterator[tuple[str, list[tuple[str, float]]]]:
        """Yield each user with his clicks, (item, time) in order of time."""
        for user in dict.fromkeys((*self._histories, *self._first_valid)):
            # at the same time the history (False) comes before the click (True)
            events = [(time, False, history) for history, time in self._histories.get(user, {}).items()]
            events += [(time, True, item) for time, item in self._clicks.get(user, ())]
            events.sort(key=itemgetter(0, 1))
            if user in self._first_valid and self._first_valid[user][1] not in self._histories.get(user, ()):
                events.append((self._valid_start, False, self._first_valid[user][1]))
            times: dict[str, float] = {}
            for time, clicked, text in events:
                if not clicked:
                    new = [item for item in dict.fromkeys(text.split()) if item not in times]
                    times.update(zip(new, count(time - len(new)), strict=False))
                elif text in times:
                    self.repeated += 1
                else:
                    times[text] = time
            if times:
                yield user, sorted(times.items(), key=itemgetter(1))
