"""The Ekstra Bladet news recommendation dataset (EB-NeRD), in its published form: Parquet files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from recbole_tinynews.data.converters.faults import Faults
from recbole_tinynews.data.converters.impressions import ImpressionReader
from recbole_tinynews.data.converters.mapping import ImpressionColumns, NewsColumns
from recbole_tinynews.data.converters.news import read_news
from recbole_tinynews.data.converters.records import Impression
from recbole_tinynews.data.converters.summary import Summary
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.writer import write_dataset

__all__ = ["convert_ebnerd"]

NEWS = NewsColumns(item_id="article_id", title="title", abstract="subtitle", body="body", category="category_str")
LABELLED = ImpressionColumns(
    impression_id="impression_id",
    user_id="user_id",
    timestamp="impression_time",
    shown="article_ids_inview",
    clicked="article_ids_clicked",
)
UNLABELLED = replace(LABELLED, shown=None, clicked=None, candidates="article_ids_inview")


def convert_ebnerd(
    folder: str | Path, articles: str | Path, splits: Mapping[str, str | Path], skip_bad: bool = False
) -> Summary:
    """Convert EB-NeRD (Kruse et al., RecSys Challenge 2024).

    An impression has the history that ``history.parquet`` of its split gives its user. Articles in it that
    ``articles.parquet`` lacks are left out, and counted.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder, e.g. ``dataset/ebnerd-small``.
    articles : str or Path
        ``articles.parquet``.
    splits : mapping from str to str or Path
        The folder of ``train``, ``valid`` and perhaps ``test``, which has no labels.
    skip_bad : bool
        Leave broken rows out, and count them.
    """
    faults, notes = Faults(skip_bad), Counter[str]()
    catalog = read_news([TextFile(Path(articles), None, faults)], NEWS)
    known = set(catalog)

    def read() -> Iterator[tuple[str, Impression]]:
        for split, place in splits.items():
            histories = _histories(TextFile(Path(place) / "history.parquet"), known, notes)
            reader = ImpressionReader(UNLABELLED if split == "test" else LABELLED, known)
            for _, one in reader.read(TextFile(Path(place) / "behaviors.parquet", None, faults), split):
                yield split, replace(one, history=histories.get(one.user_id, []))

    summary = write_dataset(folder, catalog.values(), read())
    summary.notes += faults.notes() + notes
    return summary


def _histories(file: TextFile, known: set[str], notes: Counter[str]) -> dict[str, list[str]]:
    histories = {}
    for _, (user, items) in Table(file).rows(("user_id", "article_id_fixed")):
        clicked = items.split()
        histories[user] = [item for item in clicked if item in known]
        notes["clicks in histories on articles without text, left out"] += len(clicked) - len(histories[user])
    return histories
