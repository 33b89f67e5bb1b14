"""Reading of impression logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from recbole_tinynews.data.converters.mapping import ImpressionColumns
from recbole_tinynews.data.converters.records import Impression, id_fault
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.times import time_parser
from recbole_tinynews.errors import InputError

__all__ = ["ImpressionReader"]


def _no_split(time: float) -> str:
    raise ValueError(f"no rule for the split of time {time}")


class ImpressionReader:
    """Reads impressions and checks them against the news.

    Parameters
    ----------
    columns : ImpressionColumns
        Columns of the log.
    known : set of str
        Ids of all news.
    split_at : callable, optional
        From an impression's time to its split, for files that belong to no split.
    """

    def __init__(
        self, columns: ImpressionColumns, known: set[str], split_at: Callable[[float], str] = _no_split
    ) -> None:
        self.columns = columns
        self.known = known
        self.split_at = split_at
        self._seconds = time_parser(columns.time_format)
        self._label_ends = {columns.label_separator + "0", columns.label_separator + "1"}

    def read(self, file: TextFile, split: str | None = None) -> Iterator[tuple[str, Impression]]:
        """Yield split and impression of each row.

        Raises
        ------
        InputError
            With file and line, if a row is broken.
        """
        c = self.columns
        wanted = (c.impression_id, c.user_id, c.timestamp, c.history, c.candidates, c.clicked, c.shown)
        table = Table(file, c.separator, c.header, c.widths, c.list_separator)
        for line, cells in table.rows(wanted) if c.item is None else self._gathered(table):
            one = self._checked(cells, split, file, line)
            if one is not None:
                yield one

    def _gathered(self, table: Table) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Make rows of a log that has one for each news shown: those of an impression, or of a user and a time."""
        c = self.columns
        found: dict[tuple[str, ...], tuple[int, tuple[str, ...], list[str], list[str]]] = {}
        for line, cells in table.rows((c.impression_id, c.user_id, c.timestamp, c.history, c.item, c.label)):
            *head, item, label = cells
            if label not in ("0", "1"):
                what = f"label {label!r} of candidate {item!r}: expected 0 or 1"
                table.file.faults.report(InputError(what, table.file, line))
                continue
            key = (head[0],) if c.impression_id is not None else (head[1], head[2])
            _, _, clicked, shown = found.setdefault(key, (line, tuple(head), [], []))
            shown.append(item)
            if label == "1":
                clicked.append(item)
        join = c.list_separator.join
        for line, before, clicked, shown in found.values():
            yield line, (*before, "", join(clicked), join(shown))

    def _checked(
        self, cells: tuple[str, ...], split: str | None, file: TextFile, line: int
    ) -> tuple[str, Impression] | None:
        try:
            return self._impression(cells, split)
        except ValueError as error:
            file.faults.report(InputError(str(error), file, line))
            return None

    def _impression(self, cells: tuple[str, ...], split: str | None) -> tuple[str, Impression]:
        impression_id, user, moment, history, candidates, clicked, shown = cells
        if self.columns.impression_id is not None and (fault := id_fault(impression_id)):
            raise ValueError(f"impression id {impression_id!r} {fault}")
        if fault := id_fault(user):
            raise ValueError(f"user id {user!r} {fault}")
        time = self._time(moment)
        split = split or self.split_at(time)
        if self.columns.candidates is None:
            items, labels = self._joined(self._ids(clicked), self._ids(shown))
        else:
            items, labels = self._labelled(self._ids(candidates), split)
        return split, Impression(impression_id, user, time, self._known(self._ids(history)), items, labels)

    def _time(self, text: str) -> float:
        try:
            return self._seconds(text)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"bad date {text!r} ({error})") from error

    def _ids(self, text: str) -> list[str]:
        separator = self.columns.list_separator
        return text.split() if separator == " " else [part for item in text.split(separator) if (part := item.strip())]

    def _known(self, items: list[str]) -> list[str]:
        if not self.known.issuperset(items):
            raise ValueError(f"unknown news id {next(item for item in items if item not in self.known)!r}")
        return items

    def _once(self, items: list[str]) -> list[str]:
        if len(set(items)) != len(items):
            twice = next(item for position, item in enumerate(items) if item in items[:position])
            raise ValueError(f"candidate {twice!r} twice in one impression")
        return items

    def _joined(self, clicked: list[str], shown: list[str]) -> tuple[list[str], list[str]]:
        """Candidates of separate lists; ``shown`` may hold the clicked ones or not."""
        positive = set(self._once(clicked))
        present = set(self._once(shown))
        items = self._known([item for item in clicked if item not in present] + shown)
        if not items:
            raise ValueError("an impression without candidates")
        return items, ["1" if item in positive else "0" for item in items]

    def _labelled(self, tokens: list[str], split: str) -> tuple[list[str], list[str]]:
        """Candidates of one list, each with its label behind it; a test split may have none."""
        if not tokens:
            raise ValueError("an impression without candidates")
        cut = len(self.columns.label_separator) + 1
        if {token[-cut:] for token in tokens} <= self._label_ends:
            items = [token[:-cut] for token in tokens]
            if self.known.issuperset(items):
                return self._once(items), [token[-1] for token in tokens]
        if split == "test" and self.known.issuperset(tokens):
            return self._once(tokens), []
        raise ValueError(next(filter(None, map(self._fault, tokens))))

    def _fault(self, token: str) -> str | None:
        """Say what is wrong with one labelled candidate."""
        item, separator, label = token.rpartition(self.columns.label_separator)
        if token in self.known or not separator:
            return f"candidate {token!r} has no label: expected {token}{self.columns.label_separator}0 or ...1"
        if item not in self.known:
            return f"unknown news id {item!r}"
        return None if label in ("0", "1") else f"label {label!r} of candidate {item!r}: expected 0 or 1"
