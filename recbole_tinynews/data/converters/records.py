"""What every reader yields and the writer takes: news and impressions, and what their ids and texts may hold."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_tinynews.data.converters.bad_rows import Fault
from recbole_tinynews.data.ragged import Ragged, places

__all__ = ["RESERVED", "UNKNOWN_LABEL", "Impressions", "News", "clean", "id_fault", "id_faults"]

UNKNOWN_LABEL = -1

# All that some reader of lines or columns takes for a line's or a column's end, and what no one can see.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ENTITY = re.compile(r"&(#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
_ID = re.compile(r'[^\s"\x00-\x1f\x7f-\x9f]+')
# The same for arrow's RE2, whose \s knows ASCII only.
_NO_ID = r'[\s\pZ"\x00-\x1f\x7f-\x{9f}]'
# RecBole's reader takes these for missing values (and [PAD] for itself), and would lose their rows.
RESERVED = {"[PAD]", "#N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"}
RESERVED |= {"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}


@dataclass(slots=True)
class News:
    """One news; texts may hold anything, the writer cleans them."""

    item_id: str
    category: str = ""
    subcategory: str = ""
    title: str = ""
    abstract: str = ""
    body: str = ""


@dataclass(frozen=True)
class Impressions:
    """Some lists of news that were shown to users; row ``i`` of each column is one of them.

    Parameters
    ----------
    ids : pyarrow.Array of string, or None
        Ids; if None, the writer numbers the rows of each split.
    users : pyarrow.Array of string
        Users' ids.
    times : ndarray of float64
        Unix seconds (UTC).
    history : Ragged of int32
        News clicked before, oldest first, each as its place among all news; rows may be empty.
    candidates : Ragged of int32
        News shown, each once.
    labels : ndarray of int8
        For each candidate 1 (clicked), 0, or -1 where unknown, which then holds for the whole row.
    lines : ndarray of int64
        Where each row stands in ``file``.
    file : object
        Whose ``str`` names the source in messages.
    """

    ids: pa.Array | None
    users: pa.Array
    times: np.ndarray
    history: Ragged
    candidates: Ragged
    labels: np.ndarray
    lines: np.ndarray
    file: object = ""

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def from_rows(
        cls, rows: Sequence[tuple[str, str, float, Sequence[int], Sequence[int], Sequence[int]]]
    ) -> Impressions:
        """Build from tuples: id, user, time, history, candidates, labels (empty where unknown)."""
        ids, users, times, history, candidates, labels = (list(column) for column in zip(*rows, strict=True))
        filled = [known or [UNKNOWN_LABEL] * len(shown) for known, shown in zip(labels, candidates, strict=True)]
        return cls(
            pa.array(ids, pa.string()) if any(ids) else None,
            pa.array(users, pa.string()),
            np.array(times, dtype=np.float64),
            Ragged.from_rows(history),
            Ragged.from_rows(candidates),
            np.array([label for row in filled for label in row], dtype=np.int8),
            np.arange(1, len(rows) + 1),
        )

    def take(self, rows: np.ndarray | None) -> Impressions:
        """Return the given rows, or all for None."""
        if rows is None:
            return self
        at = pa.array(rows)
        return replace(
            self,
            ids=None if self.ids is None else self.ids.take(at),
            users=self.users.take(at),
            times=self.times[rows],
            history=self.history.take(rows),
            candidates=self.candidates.take(rows),
            labels=self.labels[places(self.candidates.offsets, rows)],
            lines=self.lines[rows],
        )

    @property
    def labelled(self) -> np.ndarray:
        """Whether the labels of each row are known."""
        return ~self.candidates.rows_with(self.labels == UNKNOWN_LABEL)


def clean(text: str) -> str:
    """Return the text in one line and one column: HTML entities resolved, tabs, line breaks and the like as spaces."""
    if text.isprintable() and "&" not in text:  # nearly always, and much faster
        return text
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    return _CONTROL.sub(" ", text)


def id_fault(text: str) -> str | None:
    """Say why RecBole could not use this as an id, or return None if it can."""
    if not text:
        return "is empty"
    if not _ID.fullmatch(text):
        return "holds a space, a quote or a control character"
    return "is a word that RecBole's reader takes for a missing value" if text in RESERVED else None


def id_faults(what: str, ids: pa.Array) -> Fault:
    """Those of many ids in which ``id_fault`` finds a fault; ``what`` they are ids of."""
    bad = pc.or_(pc.match_substring_regex(ids, pattern=_NO_ID), pc.is_in(ids, value_set=pa.array([*RESERVED, ""])))

    def message(row: int) -> str:
        text = ids[row].as_py()
        return f"{what} id {text!r} {id_fault(text)}"

    return Fault(f"unusable {what} id", bad.to_numpy(zero_copy_only=False), message)
