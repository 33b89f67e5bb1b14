"""Impressions of one split as flat arrays."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recbole_tinynews.data.ragged import Ragged, places
from recbole_tinynews.data.schema import IMPRESSION_HEADER, Columns
from recbole_tinynews.errors import InputError

__all__ = ["ImpressionLog"]

_ROWS_AT_ONCE = 100_000
_UNKNOWN_LABEL = -1


@dataclass(frozen=True)
class ImpressionLog:
    """What users were shown, what they clicked, and what they had clicked before.

    Parameters
    ----------
    impression_ids : ndarray of str, shape (n,)
        Ids as they stand in the file.
    users : ndarray of int64, shape (n,)
        User ids of the dataset; 0 for a user whom its ``.inter`` file does not hold.
    times : ndarray of float64, shape (n,)
        Seconds since 1970 (UTC).
    history : Ragged
        Clicked news before the impression, oldest first; may be empty.
    candidates : Ragged
        News shown.
    labels : ndarray of int8, shape (candidates,)
        For each value of ``candidates``: 1 clicked, 0 not clicked, -1 unknown.
    """

    impression_ids: np.ndarray
    users: np.ndarray
    times: np.ndarray
    history: Ragged
    candidates: Ragged
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.users)

    @classmethod
    def load(
        cls,
        path: str | Path,
        user_ids: Mapping[str, int],
        item_ids: Mapping[str, int],
        cache: str | Path | None = None,
    ) -> ImpressionLog:
        """Read a ``.imp`` file.

        Parameters
        ----------
        path : path
            The file.
        user_ids, item_ids : mapping of str to int
            Ids of the dataset. A user may be missing from it, a news may not.
        cache : path, optional
            Folder that keeps the arrays for the next start; they are then memory-mapped. They are made
            anew when the file or the ids have changed.

        Raises
        ------
        InputError
            If a row does not have the documented form or names an unknown news.
        """
        path = Path(path)
        if cache is None:
            return cls._parse(path, user_ids, item_ids)
        folder = Path(cache) / f"{path.name}-{_cache_key(path, user_ids, item_ids)}"
        if not folder.exists():
            cls._parse(path, user_ids, item_ids)._save(folder)
        return cls._map(folder)

    @classmethod
    def _parse(cls, path: Path, user_ids: Mapping[str, int], item_ids: Mapping[str, int]) -> ImpressionLog:
        items = pa.array(list(item_ids), pa.string()), np.fromiter(item_ids.values(), np.int32, len(item_ids))
        users = pd.Series(user_ids, dtype=np.int64)
        parts = [_parse_rows(rows, path, users, items) for rows in _read(path)]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        ids, user, time, clicks, history_lengths, shown, shown_lengths, labels = columns
        return cls(
            ids,
            user,
            time,
            Ragged.from_lengths(clicks, history_lengths),
            Ragged.from_lengths(shown, shown_lengths),
            labels,
        )

    def labelled(self) -> ImpressionLog:
        """Only the impressions whose clicks are known."""
        known = np.ones(len(self), dtype=bool)
        known[self.candidates.row_of[self.labels == _UNKNOWN_LABEL]] = False
        if known.all():
            return self
        rows = np.flatnonzero(known)
        return ImpressionLog(
            self.impression_ids[rows],
            self.users[rows],
            self.times[rows],
            self.history.take(rows),
            self.candidates.take(rows),
            self.labels[places(self.candidates.offsets, rows)],
        )

    @property
    def key(self) -> str:
        """Fingerprint of all that it holds."""
        digest = hashlib.sha256()
        for array in self._arrays().values():
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()[:12]

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "impression_ids": self.impression_ids,
            "users": self.users,
            "times": self.times,
            "history_values": self.history.values,
            "history_offsets": self.history.offsets,
            "candidates_values": self.candidates.values,
            "candidates_offsets": self.candidates.offsets,
            "labels": self.labels,
        }

    def _save(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for old in set(folder.parent.glob(folder.name.rsplit("-", 1)[0] + "-*")) - {folder}:
            shutil.rmtree(old, ignore_errors=True)
        part = Path(mkdtemp(dir=folder.parent))
        for name, array in self._arrays().items():
            np.save(part / f"{name}.npy", array)
        try:
            part.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(part)
            if not folder.exists():
                raise

    @classmethod
    def _map(cls, folder: Path) -> ImpressionLog:
        stored = {file.stem: np.load(file, mmap_mode="r") for file in folder.glob("*.npy")}
        return cls(
            stored["impression_ids"],
            stored["users"],
            stored["times"],
            Ragged(stored["history_values"], stored["history_offsets"]),
            Ragged(stored["candidates_values"], stored["candidates_offsets"]),
            stored["labels"],
        )


def _cache_key(path: Path, *vocabularies: Mapping[str, int]) -> str:
    stat = path.stat()
    digest = hashlib.sha256(json.dumps([stat.st_size, stat.st_mtime_ns]).encode())
    for vocabulary in vocabularies:
        digest.update("\0".join(f"{token}\t{number}" for token, number in vocabulary.items()).encode())
    return digest.hexdigest()[:16]


def _read(path: Path) -> Iterator[pd.DataFrame]:
    try:
        reader = pd.read_csv(
            path,
            sep="\t",
            dtype=str,
            quoting=csv.QUOTE_NONE,
            keep_default_na=False,
            index_col=False,
            skip_blank_lines=False,
            chunksize=_ROWS_AT_ONCE,
        )
        for rows in _strictly(reader):
            if tuple(rows.columns) != IMPRESSION_HEADER:
                raise InputError(f"expected the header {' '.join(IMPRESSION_HEADER)}", path=path, line=1)
            yield rows.rename(columns=lambda name: name.split(":")[0])
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning, UnicodeDecodeError) as error:
        raise InputError(f"not an impression file: {error}", path=path) from None


def _strictly(reader: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Let a row with too many columns be an error; pandas cuts it with a warning."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            rows = next(reader, None)
        if rows is None:
            return
        yield rows


def _parse_rows(
    rows: pd.DataFrame, path: Path, users: pd.Series, items: tuple[pa.Array, np.ndarray]
) -> tuple[np.ndarray, ...]:
    if rows.empty:
        raise InputError("there are no impressions below the header", path=path)
    first_line = rows.index[0] + 2  # the header is line 1
    clicks, history_lengths = _split(rows[Columns.History])
    shown, shown_lengths = _split(rows[Columns.Candidates])
    label_tokens, label_lengths = _split(rows[Columns.Labels])

    bad = np.flatnonzero((shown_lengths == 0) | ((label_lengths != shown_lengths) & (label_lengths != 0)))
    if len(bad):
        raise InputError("expected candidates and one label for each of them", path=path, line=int(first_line + bad[0]))
    wrong = np.flatnonzero(~np.asarray(pc.is_in(label_tokens, value_set=pa.array(["0", "1"]))))
    if len(wrong):
        row = int(np.searchsorted(np.cumsum(label_lengths), wrong[0], side="right"))
        found = rows[Columns.Labels].iloc[row]
        raise InputError(f"labels must be 0 or 1, found {found!r}", path=path, line=int(first_line + row))
    times = pd.to_numeric(rows[Columns.Time], errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(times).any():
        row = int(np.flatnonzero(np.isnan(times))[0])
        found = rows[Columns.Time].iloc[row]
        raise InputError(f"expected seconds as a time, found {found!r}", path=path, line=int(first_line + row))
    labels = np.full(len(shown), _UNKNOWN_LABEL, dtype=np.int8)
    labels[np.repeat(label_lengths > 0, shown_lengths)] = np.asarray(pc.equal(label_tokens, "1"))

    return (
        rows[Columns.Impression].to_numpy(dtype=str),
        users.reindex(rows[Columns.User], fill_value=0).to_numpy(),
        times,
        _numbers(clicks, history_lengths, items, path, first_line),
        history_lengths,
        _numbers(shown, shown_lengths, items, path, first_line),
        shown_lengths,
        labels,
    )


def _split(column: pd.Series) -> tuple[pa.Array, np.ndarray]:
    """Tokens of all rows, and how many each row has."""
    texts = pc.utf8_trim_whitespace(pa.array(column, pa.large_string()))
    rows = pc.utf8_split_whitespace(texts)
    empty = np.asarray(pc.equal(texts, ""))  # split into one empty token
    tokens = pc.list_flatten(rows)
    return tokens.filter(pc.not_equal(tokens, "")), np.diff(rows.offsets) * ~empty


def _numbers(
    tokens: pa.Array, lengths: np.ndarray, items: tuple[pa.Array, np.ndarray], path: Path, first_line: int
) -> np.ndarray:
    names, numbers = items
    place = pc.index_in(tokens, value_set=names.cast(tokens.type))
    if place.null_count:
        missing = int(np.flatnonzero(np.asarray(place.is_null()))[0])
        line = first_line + int(np.searchsorted(np.cumsum(lengths), missing, side="right"))
        raise InputError(
            f"news {tokens[missing].as_py()!r} is not in the dataset (a filter of the config may have removed it)",
            path=path,
            line=line,
        )
    return numbers[np.asarray(place)]
