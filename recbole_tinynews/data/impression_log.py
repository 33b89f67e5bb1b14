"""Impressions of one split as flat arrays."""

from __future__ import annotations

import glob
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.ids import few_numbers, numbers, split_lists, with_spaces
from recbole_tinynews.data.converters.records import UNKNOWN_LABEL
from recbole_tinynews.data.converters.tables import Rows, Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.ragged import Ragged, places
from recbole_tinynews.data.schema import IMPRESSION_HEADER
from recbole_tinynews.errors import InputError
from recbole_tinynews.files import GrowingArray, replacing_folder

__all__ = ["ImpressionLog"]


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
        if cache is not None:
            folder = Path(cache) / f"{path.name}-{_cache_key(path, user_ids, item_ids)}"
            if not folder.exists():
                _save(_parse(path, user_ids, item_ids), folder)
            try:
                return cls._of({name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS})
            except FileNotFoundError:  # another run, which has other ids, has just put its arrays in place of these,
                shutil.rmtree(folder, ignore_errors=True)  # or some are missing: the next start writes them again
        return cls._of(_joined(_parse(path, user_ids, item_ids)))

    @classmethod
    def _of(cls, arrays: Mapping[str, np.ndarray]) -> ImpressionLog:
        return cls(
            arrays["impression_ids"],
            arrays["users"],
            arrays["times"],
            Ragged(arrays["history_values"], arrays["history_offsets"]),
            Ragged(arrays["candidates_values"], arrays["candidates_offsets"]),
            arrays["labels"],
        )

    @property
    def known(self) -> np.ndarray:
        """Of which impressions the clicks are known, bool of shape (impressions,)."""
        return ~self.candidates.rows_with(self.labels == UNKNOWN_LABEL)

    def labelled(self) -> ImpressionLog:
        """Only the impressions whose clicks are known."""
        known = self.known
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
        ragged = (self.history.values, self.history.offsets, self.candidates.values, self.candidates.offsets)
        for array in (self.impression_ids, self.users, self.times, *ragged, self.labels):
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()[:12]


_LARGE = ("history_values", "candidates_values", "labels")
_ARRAYS = ("impression_ids", "users", "times", "history_offsets", "candidates_offsets", *_LARGE)


def _joined(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of all parts, one part after another; offsets instead of lengths."""
    parts = list(parts)
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for name in ("history", "candidates"):
        arrays[f"{name}_offsets"] = np.concatenate([[0], np.cumsum(arrays.pop(f"{name}_lengths"), dtype=np.int64)])
    return arrays


def _save(parts: Iterable[dict[str, np.ndarray]], folder: Path) -> None:
    """Write the arrays of all parts; what has a value for each news shown or clicked is never held as a whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for old in set(folder.parent.glob(glob.escape(folder.name.rsplit("-", 1)[0]) + "-*")) - {folder}:
        shutil.rmtree(old, ignore_errors=True)
    with replacing_folder(folder) as place, ExitStack() as files:
        large = {name: files.enter_context(GrowingArray(place / f"{name}.npy")) for name in _LARGE}
        small = []
        for part in parts:
            for name, file in large.items():
                file.append(part.pop(name))
            small.append(part)
        for name, array in _joined(small).items():
            np.save(place / f"{name}.npy", array)


def _cache_key(path: Path, *vocabularies: Mapping[str, int]) -> str:
    stat = path.stat()
    digest = hashlib.sha256(json.dumps([stat.st_size, stat.st_mtime_ns]).encode())
    for vocabulary in vocabularies:
        digest.update("\0".join(f"{token}\t{number}" for token, number in vocabulary.items()).encode())
    return digest.hexdigest()[:16]


class _Numbers:
    """Numbers of many words at once, all with a space behind them."""

    def __init__(self, known: Mapping[str, int]) -> None:
        self._words = with_spaces(pa.array(known, pa.string()))
        self._numbers = np.fromiter(known.values(), dtype=np.int64, count=len(known))

    def of(self, words: pa.Array, missing: int) -> np.ndarray:
        places = numbers(words, self._words)
        return np.where(places < 0, missing, self._numbers[places])


def _read(path: Path) -> Iterator[Rows]:
    file = TextFile(path)
    table = Table(file, header=True, widths=(len(IMPRESSION_HEADER),))
    if table.first_row() != list(IMPRESSION_HEADER):
        raise InputError(f"expected the header {' '.join(IMPRESSION_HEADER)}", path=path, line=1)
    return table.read(IMPRESSION_HEADER, BadRows())


def _parse(path: Path, user_ids: Mapping[str, int], item_ids: Mapping[str, int]) -> Iterator[dict[str, np.ndarray]]:
    users, items = _Numbers(user_ids), _Numbers(item_ids)
    for rows in _read(path):
        yield _parse_rows(rows, path, users, items)


def _parse_rows(rows: Rows, path: Path, users: _Numbers, items: _Numbers) -> dict[str, np.ndarray]:
    ids, user, moments, *lists = rows.columns
    (clicks, history_lengths), (shown, shown_lengths), (marks, label_lengths) = map(split_lists, lists)

    def check(bad: np.ndarray, message: Callable[[int], str]) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(message(row), path=path, line=int(rows.lines[row]))

    check(
        (shown_lengths == 0) | ((label_lengths != shown_lengths) & (label_lengths != 0)),
        lambda row: "expected candidates and one label for each of them",
    )

    def rows_with(marked: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return Ragged.from_lengths(marked, lengths).rows_with(marked)

    known = few_numbers(marks, pa.array(["0 ", "1 "]))
    check(rows_with(known < 0, label_lengths), lambda row: f"labels must be 0 or 1, found {lists[2][row].as_py()!r}")
    times = pd.to_numeric(pd.Series(moments.to_pylist()), errors="coerce").to_numpy(dtype=np.float64)
    check(np.isnan(times), lambda row: f"expected seconds as a time, found {moments[row].as_py()!r}")
    labels = np.full(len(shown), UNKNOWN_LABEL, dtype=np.int8)
    labels[np.repeat(label_lengths > 0, shown_lengths)] = known

    def items_of(tokens: pa.Array, lengths: np.ndarray) -> np.ndarray:
        found = items.of(tokens, -1)
        check(
            rows_with(found < 0, lengths),
            lambda row: (
                f"news {tokens[int(np.argmax(found < 0))].as_py()[:-1]!r} is not in the dataset "
                "(a filter of the config may have removed it)"
            ),
        )
        return found.astype(np.int32)

    return {
        "impression_ids": ids.to_numpy(zero_copy_only=False).astype(str),
        "users": users.of(with_spaces(user), 0),
        "times": times,
        "history_lengths": history_lengths,
        "history_values": items_of(clicks, history_lengths),
        "candidates_lengths": shown_lengths,
        "candidates_values": items_of(shown, shown_lengths),
        "labels": labels,
    }
