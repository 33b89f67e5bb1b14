"""EB-NeRD's published form: Parquet files of articles, behaviors and histories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from recbole_tinynews.data.converters.bad_rows import BadRows, Fault
from recbole_tinynews.data.converters.ids import numbers, split_lists, with_spaces
from recbole_tinynews.data.converters.impressions import ImpressionReader
from recbole_tinynews.data.converters.mapping import ImpressionColumns, NewsColumns
from recbole_tinynews.data.converters.news import read_news
from recbole_tinynews.data.converters.records import Impressions
from recbole_tinynews.data.converters.summary import Summary
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.writer import write_dataset
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.errors import InputError

__all__ = ["convert_ebnerd"]

ARTICLES = NewsColumns(item_id="article_id", category="category_str", title="title", abstract="subtitle", body="body")
SHOWN, CLICKED = "article_ids_inview", "article_ids_clicked"
TRAIN = ImpressionColumns("user_id", "impression_time", impression_id="impression_id", shown=SHOWN, clicked=CLICKED)
TEST = ImpressionColumns("user_id", "impression_time", impression_id="impression_id", candidates=SHOWN)
_FOLDERS = {"train": "train", "valid": "validation"}


def convert_ebnerd(
    folder: str | Path, bundle: str | Path, test: str | Path | None = None, skip_bad: bool = False
) -> Summary:
    """Convert the Ekstra Bladet News Recommendation Dataset.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder, e.g. ``dataset/ebnerd-small``.
    bundle : str or Path
        The unpacked demo, small or large bundle: ``articles.parquet`` and the folders ``train`` and ``validation`` with
        ``behaviors.parquet`` and ``history.parquet``.
    test : str or Path, optional
        The unpacked test set: ``articles.parquet`` and the folder ``test``; its clicks are unknown.
    skip_bad : bool, default False
        Whether bad rows are left out and counted.
    """
    bad = BadRows(skip_bad)
    places = [Path(bundle), *([Path(test)] if test else [])]
    splits = {split: places[0] / name for split, name in _FOLDERS.items()}
    if test:
        splits["test"] = places[1] / "test"
    articles = [TextFile.find(place, "articles.parquet") for place in places]
    files = {
        split: [TextFile.find(place, f"{name}.parquet") for name in ("behaviors", "history")]
        for split, place in splits.items()
    }
    catalog = read_news(articles, ARTICLES, bad)

    def read() -> Iterator[tuple[str, Impressions]]:
        for split, (behaviors, history) in files.items():
            reader = ImpressionReader(TEST if split == "test" else TRAIN, list(catalog), bad)
            histories = _Histories(history, with_spaces(pa.array(catalog, pa.string())), bad)
            for batch in reader.read(behaviors, split == "test"):
                yield split, replace(batch, history=histories.of(batch.users))

    summary = write_dataset(folder, catalog, read())
    summary.notes.update(bad.notes())
    return summary


class _Histories:
    """Each user's one history of a split; it is the same in all of his impressions."""

    def __init__(self, file: TextFile, items: pa.Array, bad: BadRows) -> None:
        self._row: dict[str, int] = {}
        parts = [Ragged.from_rows([[]])]  # row 0 is that of users without history
        for lines, (users, articles) in Table(file).read(("user_id", "article_id_fixed"), bad):
            tokens, lengths = split_lists(articles)
            rows = Ragged.from_lengths(numbers(tokens, items), lengths)
            unknown = rows.rows_with(rows.values < 0)
            fault = Fault("unknown news id", unknown, lambda row: "unknown news id in a history")
            kept = bad.good(file, lines, [fault])
            if kept is not None:
                rows, users = rows.take(kept), users.take(pa.array(kept))
            parts.append(rows)
            for row, user in enumerate(users.to_pylist(), len(self._row) + 1):
                if self._row.setdefault(user, row) != row:
                    raise InputError(f"a second history of user {user!r}", file)
        self._rows = Ragged.from_lengths(
            np.concatenate([part.values for part in parts]), np.concatenate([part.lengths for part in parts])
        )

    def of(self, users: pa.Array) -> Ragged:
        """History of each user."""
        return self._rows.take(np.array([self._row.get(user, 0) for user in users.to_pylist()], dtype=np.int64))
