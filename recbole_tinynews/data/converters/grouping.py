"""Logs with one row per shown news: from rows to impressions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_tinynews.data.converters.bad_rows import BadRows, Fault
from recbole_tinynews.data.converters.impressions import twice
from recbole_tinynews.data.converters.records import Impressions
from recbole_tinynews.data.converters.vocabulary import Vocabulary
from recbole_tinynews.data.ragged import Ragged

__all__ = ["group_rows"]


def group_rows(batches: Iterable[Impressions], items: pa.Array, bad: BadRows) -> Iterator[Impressions]:
    """Join impressions of one candidate each by their id, or by user and time where they have no id.

    Time and history are those of an impression's first row; rows of an impression need not stand together. The whole
    log is in memory meanwhile, 9 bytes a row (about 60 while rows are joined) and what an impression holds once.

    Parameters
    ----------
    batches : iterable of Impressions
        The rows.
    items : pyarrow.Array of string
        Ids of all news.
    bad : BadRows
        What to do with rows of another user than their impression's first, and with a candidate that comes again.
    """
    keys, users = Vocabulary(), Vocabulary()
    user_of = np.empty(0, dtype=np.int32)
    parts: list[tuple[np.ndarray, ...]] = []
    firsts: list[Impressions] = []
    for batch in batches:
        known = len(keys)
        codes = keys.codes(_keys(batch))
        new, rows = np.unique(codes, return_index=True)
        rows = rows[new >= known]
        firsts.append(batch.take(rows))
        user_of = np.concatenate([user_of, users.codes(firsts[-1].users)])
        good = bad.good(batch.file, batch.lines, [_other_user(batch, users.codes(batch.users) != user_of[codes])])
        kept = slice(None) if good is None else good
        parts.append((codes[kept], batch.candidates.values[kept], batch.labels[kept]))
    codes, values, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    parts.clear()
    order = np.argsort(codes, kind="stable")
    shown = Ragged.from_lengths(values[order], np.bincount(codes, minlength=len(keys)))
    labels = labels[order]
    end = 0
    for first in firsts:
        start, end = end, end + len(first)
        candidates = shown.take(np.arange(start, end))
        own = labels[shown.offsets[start] : shown.offsets[end]]
        made = replace(first, candidates=candidates, labels=own)
        yield made.take(bad.good(made.file, made.lines, [twice(candidates, items)]))


def _keys(batch: Impressions) -> pa.Array:
    if batch.ids is not None:
        return batch.ids
    return pc.binary_join_element_wise(batch.users, pa.array(batch.times).cast(pa.string()), "\t")


def _other_user(batch: Impressions, rows: np.ndarray) -> Fault:
    def message(row: int) -> str:
        return f"impression {_keys(batch)[row].as_py()!r} is of another user in its first row"

    return Fault("impression of two users", rows, message)
