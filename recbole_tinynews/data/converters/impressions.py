"""Reading of impression logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_tinynews.data.converters.bad_rows import BadRows, Fault
from recbole_tinynews.data.converters.ids import few_numbers, numbers, split_lists, with_spaces
from recbole_tinynews.data.converters.mapping import ImpressionColumns
from recbole_tinynews.data.converters.records import UNKNOWN_LABEL, Impressions, id_faults
from recbole_tinynews.data.converters.tables import Rows, Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.times import parse_times
from recbole_tinynews.data.ragged import Ragged, among

__all__ = ["ImpressionReader", "twice", "without_labels"]


class ImpressionReader:
    """Reads impressions and checks them against the news.

    Parameters
    ----------
    columns : ImpressionColumns
        Columns of the log.
    items : sequence of str
        Ids of all news.
    bad : BadRows
        What to do with rows that break a rule.
    """

    def __init__(self, columns: ImpressionColumns, items: Sequence[str], bad: BadRows) -> None:
        self.columns = columns
        self.bad = bad
        self._items = pa.array(items, pa.string())
        self._names = with_spaces(self._items)
        ends = [pc.binary_join_element_wise(self._items, f"{label} ", columns.label_separator) for label in "01"]
        self._labelled = pa.concat_arrays(ends)  # all news with label 0, then all with label 1

    def read(self, file: TextFile, may_lack_labels: bool = False) -> Iterator[Impressions]:
        """Yield the impressions of a file, batch by batch.

        Parameters
        ----------
        file : TextFile
            The log, or a part of it.
        may_lack_labels : bool, default False
            Whether candidates may stand without labels, as in a test split.

        Raises
        ------
        InputError
            With file and line, if a row is broken and ``bad`` does not skip it.
        """
        c = self.columns
        shown = c.item if c.candidates is None else c.candidates
        wanted = (c.impression_id, c.user_id, c.timestamp, c.history, shown, c.label, c.clicked, c.shown)
        for rows in Table(file, c.separator, c.header, c.widths).read(wanted, self.bad):
            yield self._impressions(rows, file, may_lack_labels)

    def _impressions(self, rows: Rows, file: TextFile, may_lack_labels: bool) -> Impressions:
        ids, users, moments, history, candidates, label, clicked, shown = rows.columns
        faults = [id_faults("impression", ids)] if self.columns.impression_id is not None else []
        times, bad_dates = parse_times(moments, self.columns.time_format)
        faults += [id_faults("user", users), bad_dates]
        past = self._known(*self._split(history), faults)
        if self.columns.clicked is not None:
            items, labels = self._joined(clicked, shown, faults)
        elif self.columns.item is not None:
            items, labels = self._single(candidates, label, faults)
        else:
            items, labels = self._suffixed(candidates, may_lack_labels, faults)
        faults.append(twice(items, self._items))
        empty = items.lengths == 0
        faults.append(Fault("no candidates", empty, lambda row: "an impression without candidates"))
        named = ids if self.columns.impression_id is not None else None
        made = Impressions(named, users, times, past, items, labels, rows.lines, file)
        return made.take(self.bad.good(file, rows.lines, faults))

    def _split(self, column: pa.Array) -> tuple[pa.Array, np.ndarray]:
        return split_lists(column, self.columns.list_separator)

    def _known(self, tokens: pa.Array, lengths: np.ndarray, faults: list[Fault]) -> Ragged:
        """Tokens, with spaces behind them, as places among the news."""
        items = Ragged.from_lengths(numbers(tokens, self._names), lengths)

        def message(row: int) -> str:
            of_row = slice(int(items.offsets[row]), int(items.offsets[row + 1]))
            return f"unknown news id {tokens[of_row][int(np.argmin(items.values[of_row]))].as_py()[:-1]!r}"

        faults.append(Fault("unknown news id", items.rows_with(items.values < 0), message))
        return items

    def _joined(self, clicked: pa.Array, shown: pa.Array, faults: list[Fault]) -> tuple[Ragged, np.ndarray]:
        """Candidates of separate lists; ``shown`` may hold the clicked ones or not."""
        positive, present = (self._known(*self._split(column), faults) for column in (clicked, shown))
        faults += [twice(positive, self._items), twice(present, self._items)]
        size = len(self._items) + 1
        keys = [(items.row_of * size + items.values + 1) for items in (positive, present)]
        missing = ~among(keys[0], keys[1])
        rows = np.concatenate([positive.row_of[missing], present.row_of])
        order = np.argsort(rows, kind="stable")
        values = np.concatenate([positive.values[missing], present.values])[order]
        labels = np.concatenate([np.ones(missing.sum(), dtype=bool), among(keys[1], keys[0])])[order]
        return Ragged.from_lengths(values, np.bincount(rows, minlength=len(positive))), labels.astype(np.int8)

    def _single(self, item: pa.Array, label: pa.Array, faults: list[Fault]) -> tuple[Ragged, np.ndarray]:
        """One candidate a row."""
        labels = few_numbers(label, pa.array(["0", "1"])).astype(np.int8)
        names, marks = item, label
        faults.append(
            Fault(
                "label other than 0 and 1",
                labels < 0,
                lambda row: f"label {marks[row].as_py()!r} of candidate {names[row].as_py()!r}: expected 0 or 1",
            )
        )
        return self._known(with_spaces(item), np.ones(len(item), dtype=np.int64), faults), labels

    def _suffixed(self, column: pa.Array, may_lack_labels: bool, faults: list[Fault]) -> tuple[Ragged, np.ndarray]:
        """Candidates of one list, each with its label behind it, where labels may not be absent from a whole row."""
        tokens, lengths = self._split(column)
        found = few_numbers(tokens, self._labelled)
        labels = (found >= len(self._items)).astype(np.int8)
        items = Ragged.from_lengths(found - labels * np.int32(len(self._items)), lengths)
        broken = items.rows_with(found < 0)
        if may_lack_labels and broken.any():
            plain = Ragged.from_lengths(numbers(tokens, self._names), lengths)
            bare = broken & ~plain.rows_with(plain.values < 0)
            of_bare = np.repeat(bare, lengths)
            items = Ragged(np.where(of_bare, plain.values, items.values), items.offsets)
            labels[of_bare] = UNKNOWN_LABEL
            broken &= ~bare

        def parts(row: int) -> tuple[str, str]:
            of_row = tokens[int(items.offsets[row]) : int(items.offsets[row + 1])]
            return self._fault([token[:-1] for token in of_row.to_pylist()])

        reasons = {row: parts(row)[0] for row in np.flatnonzero(broken).tolist()}
        for reason in dict.fromkeys(reasons.values()):
            rows = np.zeros(len(items), dtype=bool)
            rows[[row for row, why in reasons.items() if why == reason]] = True
            faults.append(Fault(reason, rows, lambda row: parts(row)[1]))
        return items, labels

    @cached_property
    def _item_set(self) -> set[str]:
        return set(self._items.to_pylist())

    def _fault(self, tokens: list[str]) -> tuple[str, str]:
        """Say what is wrong with the first wrong one of labelled candidates: the reason and the message."""
        known, ends = self._item_set, self.columns.label_separator
        for token in tokens:
            item, separator, label = token.rpartition(ends)
            if token in known or not separator:
                return "candidate without label", f"candidate {token!r} has no label: expected {token}{ends}0 or ...1"
            if item not in known:
                return "unknown news id", f"unknown news id {item!r}"
            if label not in ("0", "1"):
                return "label other than 0 and 1", f"label {label!r} of candidate {item!r}: expected 0 or 1"
        raise AssertionError("none of the candidates is wrong")


def without_labels(batch: Impressions) -> Fault:
    """The rows whose labels are unknown, as a fault: only a test split may have them."""
    return Fault(
        "candidate without label",
        ~batch.labelled,
        lambda row: "candidates without labels: only a test split may lack them",
    )


def twice(rows: Ragged, names: pa.Array) -> Fault:
    """Rows in which a news stands more than once; unknown ones are another fault."""
    size = len(names) + 1
    keys = np.sort(rows.row_of * size + rows.values + 1)
    again = keys[1:][keys[1:] == keys[:-1]]
    repeated = {int(row): int(value) - 1 for row, value in zip(*np.divmod(again, size), strict=True) if value}
    found = np.zeros(len(rows), dtype=bool)
    found[list(repeated)] = True

    def message(row: int) -> str:
        return f"candidate {names[repeated[row]].as_py()!r} twice in one impression"

    return Fault("candidate twice", found, message)
